//! Predictions of a run's network for rows that it has not seen.

use std::path::Path;

use cuttlefish_core::math::{Inputs, Panels};
use cuttlefish_core::network::Network;
use cuttlefish_core::trainer::head::answered_class;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use serde_json::{Value, json};

use super::{Error, Run};
use crate::data::csv::encode_table;
use crate::data::pictures::{self, PictureForm};
use crate::record::{Record, RowFormat, SavedRun};

/// Rows that go through the network at once.
const BATCH: usize = 1024;

/// Rows of a file, encoded as in training.
#[derive(Clone, Debug)]
pub struct EncodedRows {
    /// `[rows, features]`.
    pub values: Array2<f32>,
    /// Places of the rows in the file.
    pub places: RowPlaces,
    /// Columns with categories that training never saw, and the number of such cells.
    pub unseen: Vec<(String, usize)>,
}

/// Places of rows in their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlaces {
    /// Names of the files that the rows are; empty where one file has them all.
    pub files: Vec<String>,
    /// Position of each among all rows of the file, from 0; a header is no row.
    pub rows: Vec<u64>,
    /// Line of a text file on which each begins, from 1; `None` for a file of another kind.
    pub lines: Option<Vec<u64>>,
}

/// Answers of a network.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Form of the rows, with the names of classes or target.
    pub format: RowFormat,
    /// Places of the rows in the file.
    pub places: RowPlaces,
    /// `[rows, outputs]`: a probability a class (or that of the second one of two), or the predicted number.
    pub outputs: Array2<f32>,
}

impl Predictions {
    /// The index of the answered class, for classification.
    pub fn class(outputs: ArrayView1<'_, f32>) -> usize {
        answered_class(outputs.iter().copied())
    }

    /// The probability of every class.
    pub fn probabilities(classes: usize, outputs: ArrayView1<'_, f32>) -> Vec<f32> {
        match outputs.len() {
            1 => [1.0 - outputs[0], outputs[0]]
                .into_iter()
                .take(classes)
                .collect(),
            _ => outputs.to_vec(),
        }
    }

    /// Each answer as a JSON document: its row, and the class with all probabilities, or the predicted number.
    pub fn documents(&self) -> Vec<Value> {
        let rows = self.outputs.rows().into_iter().enumerate();
        rows.map(|(index, outputs)| {
            let mut document = json!({"row": self.places.rows[index]});
            if let Some(lines) = &self.places.lines {
                document["line"] = json!(lines[index]);
            }
            if let Some(file) = self.places.files.get(index) {
                document["file"] = json!(file);
            }
            match &self.format.classes {
                Some(classes) => {
                    let all = Self::probabilities(classes.len(), outputs);
                    let all = classes.iter().cloned().zip(all.iter().map(|p| json!(p)));
                    let all: serde_json::Map<String, Value> = all.collect();
                    document["class"] = json!(classes[Self::class(outputs)]);
                    document["probabilities"] = json!(all);
                }
                None => document["prediction"] = json!(outputs[0]),
            }
            document
        })
        .collect()
    }
}

/// Reads rows: a CSV file for a run on a table; for one on images or arrays an IDX or NumPy file, a picture file
/// or a directory of some, or CSV with a column a pixel.
///
/// # Errors
/// When they are not of the run's form.
pub fn read_rows(path: &Path, record: &Record) -> Result<EncodedRows, Error> {
    let format = &record.rows;
    let (values, places, unseen) = match &format.encoder {
        Some(encoder) => {
            let encoded = encode_table(encoder, path)?;
            let unseen = encoded.unseen.into_iter();
            let unseen = unseen.map(|(column, count)| (column, count as usize));
            let places = RowPlaces {
                rows: encoded.rows,
                lines: Some(encoded.lines),
                files: Vec::new(),
            };
            (encoded.values, places, unseen.collect())
        }
        None => {
            let form = PictureForm {
                features: format.features,
                image: format.image,
                scale: format.scale,
                data: &record.topology.data,
            };
            let read = pictures::read(path, &form)?;
            let rows = (read.values.len() / format.features.max(1)) as u64;
            let places = RowPlaces {
                rows: (0..rows).collect(),
                lines: read.lines,
                files: read.files,
            };
            (read.values, places, Vec::new())
        }
    };
    let values = Array2::from_shape_vec((places.rows.len(), format.features), values)
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(EncodedRows {
        values,
        places,
        unseen,
    })
}

impl Run {
    /// The network's outputs `[rows, outputs]` for rows `[rows, features]`, encoded as in training (images as
    /// shares of the largest value, 0 to 1, channel by channel), with the weights of the last commit. For classes the outputs are
    /// probabilities, or with one output that of the second class.
    ///
    /// # Errors
    /// When the rows have another number of features, or the store cannot be read.
    pub async fn predict(&self, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
        self.outputs(&self.saved().await?, rows).await
    }

    /// Answers rows of a file with the weights of the last commit; `saved` is the run as it was read.
    ///
    /// # Errors
    /// When the weights do not fit the network.
    pub async fn predict_rows(
        &self,
        saved: &SavedRun,
        rows: &EncodedRows,
    ) -> Result<Predictions, Error> {
        let outputs = self.outputs(saved, rows.values.view()).await?;
        Ok(Predictions {
            format: saved.record.rows.clone(),
            places: rows.places.clone(),
            outputs,
        })
    }

    /// The network's outputs `[rows, outputs]` for rows `[rows, features]`, encoded as in training.
    ///
    /// # Errors
    /// When the rows have another number of features, or the weights do not fit the network.
    async fn outputs(
        &self,
        saved: &SavedRun,
        rows: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>, Error> {
        let features = saved.record.rows.features;
        if rows.ncols() != features {
            return Err(Error::Features {
                run: self.name().to_owned(),
                features,
                found: rows.ncols(),
            });
        }
        let network = Network::restore(&saved.graph, &saved.states().await?)
            .map_err(|problem| Error::Corrupt(problem.to_string()))?;
        let mut outputs = Vec::new();
        let mut width = 0;
        for first in (0..rows.nrows()).step_by(BATCH) {
            let chunk = rows.slice(s![first..rows.nrows().min(first + BATCH), ..]);
            let answers = network.predict(&Inputs::new(Panels::pack_transposed(chunk)));
            width = answers.nrows();
            outputs.extend(answers.lanes(Axis(0)).into_iter().flatten());
        }
        Array2::from_shape_vec((rows.nrows(), width), outputs)
            .map_err(|error| Error::Corrupt(error.to_string()))
    }
}
