//! A run on Amazon ECS. What talks to AWS is there with the feature `ecs` alone, whose SDKs take minutes to build.
//!
//! | module | responsibility |
//! |---|---|
//! | [`stack`] | the CloudFormation stack in the account; pure |
//! | [`desired`] | the services that a run should have; pure |
//! | [`cost`] | cost of these, and AWS's quotas; pure |
//! | [`reconcile`] | steps from those that are there to these; pure |
//! | [`options`], [`deployment`] | what a person may choose; the document of such a run |
//! | [`status`] | the services' state |
//! | [`error`] | errors of requests to AWS |
//! | `api` | requests to AWS |
//! | `render` | task definitions as the API takes them, and back; pure |
//! | `target` | ECS as a target |
//! | `run` | a run there |
//! | `watch` | training followed |
//! | `tasks` | tasks that end, and one that does a single thing |
//! | [`manifests`] | scripts and instructions for those who bring a run up themselves; pure |
//! | `bundle` | a run as files that others apply |
//! | `absent` | the same functions in a program without AWS: a refusal each |

#[cfg(not(feature = "ecs"))]
mod absent;
#[cfg(feature = "ecs")]
mod api;
#[cfg(feature = "ecs")]
mod bundle;
pub mod cost;
pub mod deployment;
pub mod desired;
pub mod error;
pub mod manifests;
pub mod options;
pub mod reconcile;
#[cfg(feature = "ecs")]
pub mod render;
#[cfg(feature = "ecs")]
mod run;
pub mod stack;
pub mod status;
#[cfg(feature = "ecs")]
mod target;
#[cfg(feature = "ecs")]
mod tasks;
#[cfg(feature = "ecs")]
mod watch;

#[cfg(not(feature = "ecs"))]
pub use absent::{open, read_stack, write_bundle};
#[cfg(feature = "ecs")]
pub use api::{Ecs, read_stack};
#[cfg(feature = "ecs")]
pub use bundle::{requests, write_bundle};
pub use deployment::Deployment;
pub use error::Error;
pub use options::EcsOptions;
#[cfg(feature = "ecs")]
pub use target::open;

/// Tags of everything of a run.
#[cfg(feature = "ecs")]
const RUN_TAG: &str = "cuttlefish:run";
const OWNER_TAG: &str = "cuttlefish:owner";
