//! Where the actors of a run live.

pub mod docker;
pub mod ecs;
pub mod local;

pub use local::LocalRun;
