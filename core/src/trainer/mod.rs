//! The trainer: feeds batches, computes the loss, keeps schedule, ledger and metrics.

pub mod metrics;
pub mod progress;

pub use metrics::{Evaluation, Tally};
pub use progress::{EpochRecord, Event, Ledger, Outcome, Progress, Verdict};
