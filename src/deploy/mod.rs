//! Where the actors of a run live.
//!
//! | module | responsibility |
//! |---|---|
//! | [`local`] | all actors in this process |
//! | [`docker`] | containers of a Docker host |
//! | [`compose`] | the same containers as a file for Docker Compose; pure |
//! | [`kubernetes`] | the same containers as objects of Kubernetes; pure |
//! | [`ecs`] | tasks of Amazon ECS |
//! | [`bundle`] | where the files are that such manifests name |
//! | [`yaml`] | how manifests are written; pure |

pub mod bundle;
pub mod compose;
pub mod docker;
pub mod ecs;
pub mod kubernetes;
pub mod local;
pub mod yaml;

pub use local::LocalRun;
