//! Cuttlefish: neural networks whose neurons are actors, in one process or in a container each, with the same
//! bits.
//!
//! A program builds a [`Topology`] in Keras's words (or reads a file), trains it with [`Run::train`], and has
//! the same use cases as the command line: [`run`]. What happens meanwhile are events of a
//! [`Monitor`](monitor::Monitor); where actors live is decided by [`Options`](deploy::Options). Everything is
//! async and runs inside [`block_on`].
//!
//! ```no_run
//! use cuttlefish::deploy::Options;
//! use cuttlefish::layers::{NeuronLayer, dense};
//! use cuttlefish::math::Activation;
//! use cuttlefish::monitor::Monitor;
//! use cuttlefish::{Config, Data, Run, Topology, block_on};
//!
//! let topology = Topology::new("digits", Data::digits())
//!     .layer(dense(32).activation(Activation::Relu))
//!     .layer(dense(10).activation(Activation::Softmax));
//! let config = Config::in_directory("runs");
//! let trained = block_on(Run::train(&topology, Options::Local, &config, &Monitor::silent()));
//! println!("{}", trained?.1.weights_sha256);
//! # Ok::<(), cuttlefish::run::Error>(())
//! ```

pub mod attempts;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod console;
pub mod data;
pub mod deploy;
pub mod export;
pub mod import;
pub mod layout;
pub mod monitor;
pub mod report;
pub mod run;
pub mod run_dir;
pub mod sweep;

pub use cuttlefish_core::topology::Topology;
pub use cuttlefish_core::topology::spec::Data;
pub use cuttlefish_core::{layers, math};
pub use cuttlefish_runtime::{container, host, inspect, log, record, store, transport, trust};

pub use config::Config;
pub use run::Run;

/// Runs a future of this library to its end, with what its actors need. Not inside another runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    actix_rt::System::new().block_on(future)
}
