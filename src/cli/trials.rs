//! `trials`: what the trials of a sweep came to.

use cuttlefish_core::score::Scores;
use serde_json::Value;

use super::sweep::ranking;
use super::{Exit, Failure, print};
use crate::config::Config;
use crate::report::numbers::thousands;
use crate::sweep::Sweep;
use crate::sweep::task::Outcome;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cuttlefish trials\n  cuttlefish trials digits-sweep\n  \
    cuttlefish trials digits-sweep --csv > trials.csv"
)]
pub struct Args {
    /// The sweep; without one, all sweeps are listed
    sweep: Option<String>,
    /// Print every training as a line of CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print every training as a line of JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let Some(name) = &args.sweep else {
        let names = Sweep::names(config)?;
        print(
            &names
                .iter()
                .map(|name| format!("{name}\n"))
                .collect::<String>(),
        )?;
        return Ok(Exit::Ok);
    };
    let sweep = Sweep::open(config, name).await?;
    if args.json || args.csv {
        print_rows(&sweep, args.csv).await?;
        return Ok(Exit::Ok);
    }
    let progress = sweep.progress().await?;
    let mut text = ranking(sweep.definition.metric, &progress);
    text.push_str(&format!(
        "\n{} trials, {} of them stopped early and {} failed\ntable sha256 {}\n",
        thousands(u64::from(progress.n_finished)),
        progress.n_stopped,
        progress.n_failed,
        sweep.table_sha256().await?
    ));
    print(&text)?;
    Ok(Exit::Ok)
}

/// Prints every task as a line. Lines come as they are read: the table may be larger than memory.
async fn print_rows(sweep: &Sweep, as_csv: bool) -> Result<(), Failure> {
    let paths: Vec<String> = sweep
        .definition
        .sweep()
        .parameters
        .keys()
        .cloned()
        .collect();
    let mut failure = None;
    let mut write = |line: String| {
        if failure.is_none() {
            failure = print(&line).err();
        }
    };
    if as_csv {
        let mut head = vec!["trial", "seed", "fold"];
        head.extend(paths.iter().map(String::as_str));
        head.extend([
            "outcome", "value", "loss", "accuracy", "f1", "auc", "mse", "r2", "epochs", "seconds",
        ]);
        write(csv_line(head.into_iter().map(str::to_owned)));
    }
    let rows = sweep.each_row(|row| {
        if !as_csv {
            let document = serde_json::to_string(&row).unwrap_or_default();
            return write(format!("{document}\n"));
        }
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let task = row.task;
        let mut cells = vec![
            task.trial.to_string(),
            task.seed.to_string(),
            task.fold.to_string(),
        ];
        for path in &paths {
            let value = row.result.values.iter().find(|(of, _)| of == path);
            cells.push(match value {
                Some((_, Value::String(text))) => text.clone(),
                Some((_, value)) => value.to_string(),
                None => String::new(),
            });
        }
        let (outcome, loss, scores) = match &row.result.outcome {
            Outcome::Completed { loss, scores, .. } => {
                ("completed".to_owned(), Some(*loss), Some(scores))
            }
            Outcome::Stopped { .. } => ("stopped".to_owned(), None, None),
            Outcome::Failed(reason) => (format!("failed: {reason}"), None, None),
        };
        cells.extend([outcome, number(row.value), number(loss)]);
        let of = |score: fn(&Scores) -> Option<f64>| number(scores.and_then(score));
        cells.extend([
            of(|s| s.accuracy),
            of(|s| s.f1),
            of(|s| s.auc),
            of(|s| s.mse),
            of(|s| s.r2),
        ]);
        cells.extend([
            row.result.epochs.to_string(),
            row.result.seconds.to_string(),
        ]);
        write(csv_line(cells.into_iter()));
    });
    rows.await?;
    failure.map_or(Ok(()), Err)
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer
        .write_record(cells)
        .and_then(|()| writer.flush().map_err(Into::into));
    written.expect("memory can be written");
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
