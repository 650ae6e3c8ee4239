//! Cuttlefish's shell: everything around the decisions of `cuttlefish-core`.

pub mod attempts;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod data;
pub mod deploy;
pub mod export;
pub mod import;
pub mod monitor;
pub mod report;
pub mod run;
pub mod run_dir;

pub use cuttlefish_runtime::{container, host, inspect, log, record, store, transport, trust};
