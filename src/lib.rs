//! Cuttlefish's shell: everything around the decisions of `cuttlefish-core`.

pub mod attempts;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod data;
pub mod deploy;
pub mod export;
pub mod host;
pub mod import;
pub mod inspect;
pub mod log;
pub mod orchestrator;
pub mod report;
pub mod runs;
pub mod store;
pub mod transport;
pub mod trust;
