//! From the YAML that a person writes to the network that the machines run.
//!
//! [`parse`] reads a file and reports all of its problems at once, [`Document::graph`] joins it
//! with the data. Nothing here reads files or the environment. The rules are tested in
//! `tests/topology/`.

pub mod builder;
mod check;
mod csv_source;
mod data_shape;
pub mod document;
pub mod excerpt;
mod expand;
mod fit;
pub mod graph;
pub mod names;
pub mod overrides;
mod own_images;
mod pattern;
pub mod plan;
mod plan_text;
pub mod problem;
mod report;
pub mod roster;
pub mod schema;
pub mod spec;
mod split_keys;
pub mod traffic;
mod validate;
mod weighted;
mod wording;
pub mod yaml;

pub use crate::layers::{ContainerResources, Layer, Normalization};
pub use builder::Topology;
pub use data_shape::{DataShape, TaskShape};
pub use document::{Document, Grouping, parse};
pub use expand::MAX_LAYERS;
pub use graph::{EarlyStopping, Graph, Head, Monitor, Training};
pub use plan::Plan;
pub use problem::{Place, Problem, Problems};
pub use roster::{Actor, ActorKind, Queues, Roster};
pub use schema::{schema, schema_text};
pub use spec::Spec;
