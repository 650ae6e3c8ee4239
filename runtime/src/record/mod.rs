//! The record of a run: enough to go on with it and to use its weights without the files it was started with.

pub mod saved;

use std::path::PathBuf;

use cuttlefish_core::data::{Dataset, Labels, Part, TargetStatistics, Task, Values};
use cuttlefish_core::digest::hexadecimal;
use cuttlefish_core::topology::spec::Spec;
use cuttlefish_core::topology::{self, DataShape, Document, Graph, Grouping, TaskShape};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use saved::SavedRun;

use crate::data::Encoder;
use crate::store;

/// Reason why a run cannot be read from its store, or not be recorded there. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that cannot be written into a record.
    #[error("use `{}`: the path is not UTF-8 (use another directory)", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Another content than that of a run.
    #[error("read run `{run}`: {problem} (remove what is left of it with `cuttlefish down {run}`)")]
    Broken {
        /// The name.
        run: String,
        /// Problem with the record.
        problem: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The record of a run, kept in its store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this record's form.
    pub version: u32,
    /// The topology with every default and override in it.
    pub topology: Spec,
    /// The directory that paths in the topology are relative to.
    pub base_dir: PathBuf,
    /// Directory of the files of its data set.
    pub data_dir: PathBuf,
    /// Grouping of neurons into units.
    pub grouping: Grouping,
    /// Form of the data's rows.
    pub rows: RowFormat,
    /// SHA-256 of all values and right answers, so that a run is not resumed on other data.
    pub data_sha256: String,
}

/// Form of rows, as far as it is needed to read some that the run has not seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowFormat {
    /// Features of a row.
    pub features: usize,
    /// Height and width of images.
    pub image: Option<(usize, usize)>,
    /// Factor of a byte of an image; None where values are f32.
    pub scale: Option<f32>,
    /// Names of the classes; `None` for regression.
    pub classes: Option<Vec<String>>,
    /// Name of the target, for regression.
    pub target: Option<String>,
    /// Statistics of the targets that the scaling of the answers follows from, for regression; None in a record
    /// that an earlier version has written, whose targets are not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_statistics: Option<TargetStatistics>,
    /// Encoder of a table's rows; None for images.
    pub encoder: Option<Encoder>,
    /// Rows of each part; None in a record that an earlier version has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<RowCounts>,
}

/// Rows of each part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    /// Rows that change the weights.
    pub train: usize,
    /// Rows that are looked at after each epoch.
    pub validation: usize,
    /// Rows that are kept for the end.
    pub test: usize,
}

impl RowCounts {
    /// The rows of a data set.
    pub fn of(dataset: &Dataset) -> Self {
        let shape = DataShape::from(dataset);
        Self {
            train: shape.train_rows,
            validation: shape.validation_rows,
            test: shape.test_rows,
        }
    }

    /// The rows of one part.
    pub fn rows(&self, part: Part) -> usize {
        match part {
            Part::Train => self.train,
            Part::Validation => self.validation,
            Part::Test => self.test,
        }
    }
}

/// The version of records that this program writes.
const VERSION: u32 = 2;

impl Record {
    /// The record of a run on `dataset`.
    pub fn new(
        topology: Spec,
        base_dir: PathBuf,
        data_dir: PathBuf,
        grouping: Grouping,
        dataset: &Dataset,
        encoder: Option<Encoder>,
    ) -> Self {
        let (classes, target) = match &dataset.task {
            Task::Classification { class_names, .. } => (Some(class_names.clone()), None),
            Task::Regression { target_name, .. } => (None, Some(target_name.clone())),
        };
        let target_statistics = match DataShape::from(dataset).task {
            TaskShape::Classification { .. } => None,
            TaskShape::Regression { targets } => targets,
        };
        let scale = match dataset.values {
            Values::Bytes { scale, .. } => Some(scale),
            Values::Floats(_) => None,
        };
        Self {
            version: VERSION,
            topology,
            base_dir,
            data_dir,
            grouping,
            rows: RowFormat {
                features: dataset.features,
                image: dataset.image,
                scale,
                classes,
                target,
                target_statistics,
                encoder,
                counts: Some(RowCounts::of(dataset)),
            },
            data_sha256: data_sha256(dataset),
        }
    }

    /// The record as JSON.
    ///
    /// # Errors
    /// When a path in it is not UTF-8.
    pub fn to_json(&self) -> Result<String, Error> {
        let path = [&self.base_dir, &self.data_dir]
            .into_iter()
            .find(|path| path.to_str().is_none())
            .unwrap_or(&self.base_dir);
        serde_json::to_string(self).map_err(|_| Error::NotUtf8 { path: path.clone() })
    }

    /// The recorded topology, with further overrides.
    pub fn document(&self, overrides: &[String]) -> Result<Document, topology::Problems> {
        self.topology.document(overrides)
    }

    /// The network, grouped as `grouping` says.
    pub fn graph(&self, grouping: Grouping) -> Result<Graph, topology::Problems> {
        self.document(&[])?.graph(&self.shape(), grouping)
    }

    /// The shape of the run's data set, whose targets are scaled as they were when the run was started.
    pub fn shape_of(&self, dataset: &Dataset) -> DataShape {
        DataShape {
            task: self.shape().task,
            ..DataShape::from(dataset)
        }
    }

    /// The shape that the recorded data had. Rows are not counted: the file was checked against
    /// them when the run was started.
    fn shape(&self) -> DataShape {
        DataShape {
            features: self.rows.features,
            image: self.rows.image,
            value_bytes: match self.rows.scale {
                Some(_) => 1,
                None => 4,
            },
            task: match &self.rows.classes {
                Some(classes) => TaskShape::Classification {
                    classes: classes.len(),
                },
                None => TaskShape::Regression {
                    targets: self.rows.target_statistics,
                },
            },
            train_rows: 1,
            validation_rows: 1,
            test_rows: 1,
        }
    }

    /// The record from its JSON.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        let record: Self = serde_json::from_str(json).map_err(|e| format!("its record: {e}"))?;
        if record.version != VERSION {
            return Err(format!(
                "its record has version {}, this program reads version {VERSION}",
                record.version
            ));
        }
        Ok(record)
    }
}

impl RowFormat {
    /// The task without its right answers, for metrics and names.
    pub fn task(&self) -> Task {
        match &self.classes {
            Some(class_names) => Task::Classification {
                class_names: class_names.clone(),
                labels: Vec::new(),
            },
            None => Task::Regression {
                target_name: self.target.clone().unwrap_or_default(),
                targets: Vec::new(),
            },
        }
    }
}

/// SHA-256 of all values and right answers of a data set, in hexadecimal.
pub fn data_sha256(dataset: &Dataset) -> String {
    let mut sha = Sha256::new();
    match &dataset.values {
        Values::Bytes { bytes, .. } => sha.update(&bytes[..]),
        Values::Floats(values) => values.iter().for_each(|v| sha.update(v.to_le_bytes())),
    }
    match dataset.task.labels() {
        Labels::Classes(classes) => classes.iter().for_each(|c| sha.update(c.to_le_bytes())),
        Labels::Values(values) => values.iter().for_each(|v| sha.update(v.to_le_bytes())),
    }
    hexadecimal(&sha.finalize())
}
