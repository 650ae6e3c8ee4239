//! From the YAML that a person writes to the network that the machines run.

pub mod graph;
pub mod spec;

pub use graph::{EarlyStopping, Graph, Head, Layer, Monitor, Training};
pub use spec::Spec;
