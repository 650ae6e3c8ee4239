//! `predict`: answers to rows that the run has not seen.

use std::path::PathBuf;

use ndarray::ArrayView2;
use serde_json::{Value, json};

use super::{Exit, Failure, print, print_json, tell};
use crate::config::Config;
use crate::record::RowFormat;
use crate::run::Run;
use crate::run::predict::{Predictions, read_rows};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints CSV: for classes the row, the class and the probability of each \
    class; for numbers the row and the prediction. A run on a table takes a CSV file with the \
    same columns; a run on pictures takes an IDX file, gzipped or not, or a CSV file with a column \
    a pixel.\n\nExamples:\n  \
    cuttlefish predict mnist-mlp --input t10k-images-idx3-ubyte.gz > answers.csv\n  \
    cuttlefish predict houses --input new.csv --json"
)]
pub struct Args {
    /// The run
    run: String,
    /// The rows
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let run = Run::open(config, &args.run).await?;
    let saved = run.saved().await?;
    let rows = read_rows(&args.input, &saved.record.rows)?;
    for (column, count) in &rows.unseen {
        tell(format_args!(
            "warning: column `{column}`: {count} cells have a category that training never \
             saw; they count as none of its categories"
        ));
    }
    let predictions = run.predict_rows(&saved, &rows).await?;
    let (format, numbers) = (&predictions.format, &predictions.numbers);
    let outputs = predictions.outputs.view();
    if args.json {
        let documents = json_rows(format, numbers, outputs);
        print_json(&json!({"run": args.run, "predictions": documents}))?;
    } else {
        print(&header(format))?;
        print(&csv_rows(format, numbers, outputs))?;
    }
    Ok(Exit::Ok)
}

fn header(format: &RowFormat) -> String {
    let mut line = vec!["row".to_owned()];
    match &format.classes {
        Some(classes) => {
            line.push("class".to_owned());
            line.extend(classes.iter().map(|class| format!("p({class})")));
        }
        None => line.push(format.target.clone().unwrap_or_default()),
    }
    csv_line(&line)
}

fn csv_rows(format: &RowFormat, names: &[u64], outputs: ArrayView2<'_, f32>) -> String {
    let mut text = String::new();
    for (name, outputs) in names.iter().zip(outputs.rows()) {
        let mut line = vec![name.to_string()];
        match &format.classes {
            Some(classes) => {
                line.push(classes[Predictions::class(outputs)].clone());
                let all = Predictions::probabilities(classes.len(), outputs);
                line.extend(all.iter().map(|p| format!("{p:.6}")));
            }
            None => line.push(outputs[0].to_string()),
        }
        text.push_str(&csv_line(&line));
    }
    text
}

fn csv_line(cells: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(cells);
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn json_rows(format: &RowFormat, names: &[u64], outputs: ArrayView2<'_, f32>) -> Vec<Value> {
    names
        .iter()
        .zip(outputs.rows())
        .map(|(name, outputs)| match &format.classes {
            Some(classes) => {
                let all = Predictions::probabilities(classes.len(), outputs);
                let all = classes.iter().cloned().zip(all.iter().map(|p| json!(p)));
                let all: serde_json::Map<String, Value> = all.collect();
                json!({
                    "row": name,
                    "class": classes[Predictions::class(outputs)],
                    "probabilities": all,
                })
            }
            None => json!({"row": name, "prediction": outputs[0]}),
        })
        .collect()
}
