//! `predict`: answers to rows that the run has not seen.

use std::path::{Path, PathBuf};

use cuttlefish_core::math::{Inputs, Panels};
use cuttlefish_core::network::Network;
use cuttlefish_core::trainer::head::answered_class;
use ndarray::{Array2, ArrayView2, s};
use serde_json::{Value, json};

use super::{Exit, Failure, print, print_json, tell};
use crate::config::Config;
use crate::data::csv::encode_table;
use crate::data::pictures;
use crate::runs::record::RowFormat;

/// Rows that are answered at once.
const BATCH: usize = 1024;

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

/// Rows to answer.
struct Rows {
    /// `[rows, features]`
    values: Array2<f32>,
    /// What each row is called in the output: its line in a table, its number in a file of
    /// pictures.
    names: Vec<u64>,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let (_, saved) = super::open(config, &args.run).await?;
    let format = &saved.record.rows;
    let rows = read_rows(&args.input, format)?;
    let network = Network::restore(&saved.graph, &saved.states().await?)
        .map_err(|problem| Failure::new(Exit::Failed, problem))?;
    let mut documents = Vec::new();
    if !args.json {
        print(&header(format))?;
    }
    for (chunk, names) in rows.names.chunks(BATCH).enumerate() {
        let first = chunk * BATCH;
        let values = rows.values.slice(s![first..first + names.len(), ..]);
        let inputs = Inputs::new(Panels::pack_transposed(values));
        let answers = network.predict(&inputs);
        if args.json {
            documents.extend(json_rows(format, names, answers.view()));
        } else {
            print(&csv_rows(format, names, answers.view()))?;
        }
    }
    if args.json {
        print_json(&json!({"run": args.run, "predictions": documents}))?;
    }
    Ok(Exit::Ok)
}

fn read_rows(path: &Path, format: &RowFormat) -> Result<Rows, Failure> {
    let (values, names) = match (&format.encoder, format.scale) {
        (Some(encoder), _) => {
            let encoded = encode_table(encoder, path)?;
            for (column, count) in &encoded.unseen {
                tell(format_args!(
                    "warning: column `{column}`: {count} cells have a category that training never \
                     saw; they count as none of its categories"
                ));
            }
            (encoded.values, encoded.lines)
        }
        (None, scale) => {
            let values = pictures::read(path, format.features, format.image, scale)?;
            let rows = (values.len() / format.features.max(1)) as u64;
            (values, (0..rows).collect())
        }
    };
    let values = Array2::from_shape_vec((names.len(), format.features), values)
        .map_err(|error| Failure::new(Exit::Data, error))?;
    Ok(Rows { values, names })
}

/// The name and probability of every class; with a single output, it is that of the second one.
fn probabilities<'a>(
    classes: &'a [String],
    answers: &'a [f32],
) -> impl Iterator<Item = (&'a str, f32)> {
    let single = (answers.len() == 1).then(|| [1.0 - answers[0], answers[0]]);
    classes.iter().enumerate().map(move |(i, class)| {
        let p = single.map_or_else(|| answers[i], |both| both[i.min(1)]);
        (class.as_str(), p)
    })
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

fn csv_rows(format: &RowFormat, names: &[u64], answers: ArrayView2<'_, f32>) -> String {
    let mut text = String::new();
    for (name, answers) in names.iter().zip(answers.columns()) {
        let answers = answers.to_vec();
        let mut line = vec![name.to_string()];
        match &format.classes {
            Some(classes) => {
                line.push(classes[answered_class(answers.iter().copied())].clone());
                line.extend(probabilities(classes, &answers).map(|(_, p)| format!("{p:.6}")));
            }
            None => line.push(answers[0].to_string()),
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

fn json_rows(format: &RowFormat, names: &[u64], answers: ArrayView2<'_, f32>) -> Vec<Value> {
    names
        .iter()
        .zip(answers.columns())
        .map(|(name, answers)| {
            let answers = answers.to_vec();
            match &format.classes {
                Some(classes) => {
                    let all = probabilities(classes, &answers);
                    let all: serde_json::Map<String, Value> =
                        all.map(|(class, p)| (class.to_owned(), json!(p))).collect();
                    json!({
                        "row": name,
                        "class": classes[answered_class(answers.iter().copied())],
                        "probabilities": all,
                    })
                }
                None => json!({"row": name, "prediction": answers[0]}),
            }
        })
        .collect()
}
