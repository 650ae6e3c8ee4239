//! Cuttlefish's runtime: what goes into the containers of a run, and what a command shares with them.
//!
//! | module | responsibility |
//! |---|---|
//! | [`config`] | the environment of a container |
//! | [`container`] | the containers' program, from its boot to its end |
//! | [`data`] | a data set as one file that containers map |
//! | [`host`] | executes the effects of a machine |
//! | [`inspect`] | HTTP server of every unit, synapse and trainer |
//! | [`log`] | lines on stderr |
//! | [`numbers`] | numbers as people read them |
//! | [`record`] | what a run was started with, and a run as its store has it |
//! | [`store`] | the port to committed state, and its backends |
//! | [`transport`] | the port to other actors, and its backends |
//! | [`trust`] | the certificate authorities of this machine |
//!
//! Nothing here knows where a run is deployed, or how a command is written.

pub mod config;
pub mod container;
pub mod data;
pub mod host;
pub mod inspect;
pub mod log;
pub mod numbers;
pub mod record;
pub mod store;
pub mod transport;
pub mod trust;
