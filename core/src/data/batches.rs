//! Batches: which rows a tick uses, and their values in the layout that the kernels read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::math::Inputs;

/// Which rows: everything a unit needs to build a batch from the data set by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchRef {
    /// Training, validation or test rows.
    pub part: Part,
    /// The epoch (from 1), which fixes the order of training rows.
    pub epoch: u32,
    /// Number of the batch within the epoch, from 0.
    pub index: u32,
    /// How many rows it has.
    pub rows: u32,
}

/// A part of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows that change the weights.
    Train,
    /// Rows that are looked at after each epoch.
    Validation,
    /// Rows that are looked at once, at the end.
    Test,
}

/// The right answers of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each row.
    Classes(Vec<u32>),
    /// The number of each row.
    Values(Vec<f32>),
}

/// Where machines get a batch that a message only names. A pure function of the reference.
pub trait BatchSource: Send + Sync {
    /// Rows of a part of the data set.
    fn rows(&self, part: Part) -> usize;
    /// The features of a batch.
    fn inputs(&self, batch: BatchRef) -> Arc<Inputs>;
    /// The right answers of a batch.
    fn targets(&self, batch: BatchRef) -> Arc<Targets>;
}
