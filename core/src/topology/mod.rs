//! From the YAML that a person writes to the network that the machines run.
//!
//! [`parse`] reads a file and reports all of its problems at once, [`Document::graph`] joins it
//! with the data. Nothing here reads files or the environment. The rules are tested in
//! `tests/topology.rs`.

pub mod spec;

pub mod graph;

mod check;
pub mod document;
mod extent;
mod fit;
mod layers;
pub mod names;
pub mod overrides;
mod pattern;
pub mod plan;
mod plan_text;
pub mod problem;
pub mod roster;
pub mod schema;
mod shapes;
pub mod traffic;
mod validate;
mod wording;
pub mod yaml;

pub use document::{DataShape, Document, Grouping, TaskShape, parse};
pub use graph::{EarlyStopping, Graph, Head, Layer, Monitor, Normalization, Resources, Training};
pub use plan::Plan;
pub use problem::{Place, Problem, Problems};
pub use roster::{Actor, ActorKind, Queues, Roster};
pub use schema::{schema, schema_text};
pub use spec::Spec;
