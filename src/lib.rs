//! Cuttlefish's shell: everything around the decisions of `cuttlefish-core`.

pub mod data;
pub mod deploy;
pub mod host;
pub mod store;
pub mod transport;
