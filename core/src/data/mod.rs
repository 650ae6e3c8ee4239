//! Data sets in memory, and the batches that are a pure function of (seed, epoch, index).

pub mod augmentation;
pub mod batches;
pub mod dataset;
pub mod split;
pub mod target_scaling;

pub use augmentation::Augmentation;
pub use batches::{BatchRef, BatchSource, Batches, Feed, Part, Targets};
pub use dataset::{Dataset, Labels, Task, Values};
pub use split::{Folds, Split, SplitError, SplitRules, TestRows, ValidationRows};
pub use target_scaling::{TargetScale, TargetScaling, TargetStatistics};
