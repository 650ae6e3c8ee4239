//! A data set in memory: rows of features, and what the network should answer to each.

use super::Split;
use crate::math::Storage;

/// A data set. Images stay bytes until a batch uses them.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Name of the source in the topology file, `digits` for example.
    pub name: String,
    /// Features of a row; for images channels * height * width: channel by channel, each row by row.
    pub features: usize,
    /// Height and width, where rows are images. Their channels follow from the features.
    pub image: Option<(usize, usize)>,
    /// Names of the features, empty for images.
    pub feature_names: Vec<String>,
    /// All rows, one after the other.
    pub values: Values,
    /// Task to be learned.
    pub task: Task,
    /// Rows for training, validation and testing.
    pub split: Split,
}

/// The features of all rows, row-major `[rows, features]`.
#[derive(Clone, Debug)]
pub enum Values {
    /// Bytes, used as `byte as f32 * scale`.
    Bytes {
        /// The raw bytes.
        bytes: Storage<u8>,
        /// Brings the largest byte value to 1.
        scale: f32,
    },
    /// Numbers that are used as they are.
    Floats(Storage<f32>),
}

/// Task to be learned, with the right answers of all rows.
#[derive(Clone, Debug)]
pub enum Task {
    /// One of several classes.
    Classification {
        /// Name of each class, as people call it.
        class_names: Vec<String>,
        /// The class of every row, below `class_names.len()`.
        labels: Vec<u32>,
    },
    /// One number.
    Regression {
        /// The name of the target column.
        target_name: String,
        /// The target of every row.
        targets: Vec<f32>,
    },
}

/// A borrowed view of the right answers.
#[derive(Clone, Copy, Debug)]
pub enum Labels<'a> {
    /// Class indices.
    Classes(&'a [u32]),
    /// Numbers.
    Values(&'a [f32]),
}

impl Values {
    /// Bytes of one value.
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::Bytes { .. } => size_of::<u8>(),
            Self::Floats(_) => size_of::<f32>(),
        }
    }
}

impl Dataset {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.task {
            Task::Classification { labels, .. } => labels.len(),
            Task::Regression { targets, .. } => targets.len(),
        }
    }
}

impl Task {
    /// Number of classes, or `None` for regression.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Classification { class_names, .. } => Some(class_names.len()),
            Self::Regression { .. } => None,
        }
    }

    /// The right answers of all rows.
    pub fn labels(&self) -> Labels<'_> {
        match self {
            Self::Classification { labels, .. } => Labels::Classes(labels),
            Self::Regression { targets, .. } => Labels::Values(targets),
        }
    }
}
