//! Reports of a run for people: live progress, the summary at its end, and its curves.
//!
//! Everything here only shows. Texts and pictures are pure functions of the trainer's records;
//! the one thing with an effect is [`ProgressDisplay`], which writes to stderr.

pub mod plot;
pub mod progress_bar;
pub mod summary;
pub mod table;

pub use cuttlefish_runtime::numbers;
pub use progress_bar::ProgressDisplay;
pub use summary::summary;
