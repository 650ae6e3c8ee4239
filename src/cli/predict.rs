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
    same columns; a run on images or arrays takes an IDX file, gzipped or not, an npz or npy file, a \
    PNG or JPEG file or a directory of some (each row is then named after its file), or a CSV file with \
    a column a pixel.\n\nExamples:\n  \
    cuttlefish predict mnist-mlp --input t10k-images-idx3-ubyte.gz > answers.csv\n  \
    cuttlefish predict houses --input new.csv --json"
)]
pub struct Args {
    /// The run
    run: String,
    /// The rows: a file, or a directory of picture files
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let run = Run::open(config, &args.run).await?;
    let saved = run.saved().await?;
    let rows = read_rows(&args.input, &saved.record)?;
    for (column, count) in &rows.unseen {
        tell(format_args!(
            "warning: column `{column}`: {count} cells have a category that training never \
             saw; they count as none of its categories"
        ));
    }
    let predictions = run.predict_rows(&saved, &rows).await?;
    let (format, names) = (&predictions.format, RowNames::of(&predictions));
    let outputs = predictions.outputs.view();
    if args.json {
        let documents = json_rows(format, &names, outputs);
        print_json(&json!({"run": args.run, "predictions": documents}))?;
    } else {
        print(&header(format, &names))?;
        print(&csv_rows(format, &names, outputs))?;
    }
    Ok(Exit::Ok)
}

/// Names of rows: those of files, or numbers.
enum RowNames<'a> {
    Files(&'a [String]),
    Numbers(&'a [u64]),
}

impl<'a> RowNames<'a> {
    fn of(predictions: &'a Predictions) -> Self {
        match predictions.files.as_slice() {
            [] => Self::Numbers(&predictions.numbers),
            files => Self::Files(files),
        }
    }

    /// Word for what they name.
    fn key(&self) -> &'static str {
        match self {
            Self::Files(_) => "file",
            Self::Numbers(_) => "row",
        }
    }

    /// Each as JSON.
    fn values(&self) -> Vec<Value> {
        match self {
            Self::Files(files) => files.iter().map(|file| json!(file)).collect(),
            Self::Numbers(numbers) => numbers.iter().map(|number| json!(number)).collect(),
        }
    }

    /// Each as text.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Files(files) => files.to_vec(),
            Self::Numbers(numbers) => numbers.iter().map(u64::to_string).collect(),
        }
    }
}

fn header(format: &RowFormat, names: &RowNames<'_>) -> String {
    let mut line = vec![names.key().to_owned()];
    match &format.classes {
        Some(classes) => {
            line.push("class".to_owned());
            line.extend(classes.iter().map(|class| format!("p({class})")));
        }
        None => line.push(format.target.clone().unwrap_or_default()),
    }
    csv_line(&line)
}

fn csv_rows(format: &RowFormat, names: &RowNames<'_>, outputs: ArrayView2<'_, f32>) -> String {
    let mut text = String::new();
    for (name, outputs) in names.texts().into_iter().zip(outputs.rows()) {
        let mut line = vec![name];
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

fn json_rows(format: &RowFormat, names: &RowNames<'_>, outputs: ArrayView2<'_, f32>) -> Vec<Value> {
    let key = names.key();
    names
        .values()
        .into_iter()
        .zip(outputs.rows())
        .map(|(name, outputs)| match &format.classes {
            Some(classes) => {
                let all = Predictions::probabilities(classes.len(), outputs);
                let all = classes.iter().cloned().zip(all.iter().map(|p| json!(p)));
                let all: serde_json::Map<String, Value> = all.collect();
                json!({
                    key: name,
                    "class": classes[Predictions::class(outputs)],
                    "probabilities": all,
                })
            }
            None => json!({key: name, "prediction": outputs[0]}),
        })
        .collect()
}
