//! `predict`: answers to rows that the run has not seen.

use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Failure, print, print_json, tell};
use crate::config::Config;
use crate::run::Run;
use crate::run::predict::{Predictions, read_rows};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints CSV: the row, of a text file its line, of pictures their files, and for classes the class and \
     the probability of each class, for numbers the prediction. Rows count from 0, without a header; \
     lines count from 1, as an editor does. A run on a table takes a CSV file with the same columns; \
     a run on images or arrays takes an IDX file, gzipped or not, an npz or npy file, a PNG or JPEG file or a \
     directory of some, or a CSV file with a column a pixel.\n\nExamples:\n  \
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
    if args.json {
        print_json(&json!({"run": args.run, "predictions": predictions.documents()}))?;
    } else {
        print(&header(&predictions))?;
        print(&csv_rows(&predictions))?;
    }
    Ok(Exit::Ok)
}

fn header(predictions: &Predictions) -> String {
    let Predictions { format, places, .. } = predictions;
    let mut cells = vec!["row".to_owned()];
    cells.extend(places.lines.iter().map(|_| "line".to_owned()));
    if !places.files.is_empty() {
        cells.push("file".to_owned());
    }
    match &format.classes {
        Some(classes) => {
            cells.push("class".to_owned());
            cells.extend(classes.iter().map(|class| format!("p({class})")));
        }
        None => cells.push(format.target.clone().unwrap_or_default()),
    }
    csv_line(&cells)
}

fn csv_rows(predictions: &Predictions) -> String {
    let Predictions { format, places, .. } = predictions;
    let mut text = String::new();
    for (index, outputs) in predictions.outputs.rows().into_iter().enumerate() {
        let mut cells = vec![places.rows[index].to_string()];
        cells.extend(places.lines.iter().map(|lines| lines[index].to_string()));
        cells.extend(places.files.get(index).cloned());
        match &format.classes {
            Some(classes) => {
                cells.push(classes[Predictions::class(outputs)].clone());
                let all = Predictions::probabilities(classes.len(), outputs);
                cells.extend(all.iter().map(|p| format!("{p:.6}")));
            }
            None => cells.push(outputs[0].to_string()),
        }
        text.push_str(&csv_line(&cells));
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
