//! A run in containers: brought up, looked at, taken down.
//!
//! | module | responsibility |
//! |---|---|
//! | [`limits`] | what a run would cost, and whether the host can carry it |
//! | [`up`] | from what a person wants to containers that train |
//! | [`down`] | everything of a run removed, and nothing else |
//! | `given` | services that were there before: which ones, and whether they can be reached |
//! | `prepare` | what containers read: secrets, data, the broker's users |
//! | [`places`] | how this machine and the containers reach broker, store and inspection |
//! | [`remote`] | a run that trains elsewhere, watched over HTTP |
//! | [`on_ecs`] | a run on Amazon ECS: up, down |
//! | [`secrets`] | the run's secrets, as files |
//! | [`companion`] | what the services are started with that a run brings along; pure |
//! | [`manifests`] | a run as files that others bring up |
//! | [`ecs_manifests`] | the same for Amazon ECS |
//! | [`staging`] | a directory that appears whole or not at all |
//!
//! It decides nothing about training: that is the trainer's. It may end at any moment and be started
//! again: what is there is looked up each time, and brought to what should be.

pub mod companion;
pub mod down;
pub mod ecs_manifests;
mod given;
pub mod limits;
pub mod manifests;
pub mod on_ecs;
pub mod places;
mod prepare;
pub mod remote;
pub mod secrets;
pub mod staging;
pub mod up;

use crate::deploy::docker::Docker;
use crate::runs::{Deployment, RunDir};
use secrets::Secrets;

/// A deployed run, and the daemon that its containers are on.
pub struct Deployed {
    /// Its directory.
    pub run: RunDir,
    /// Where and how it is deployed.
    pub deployment: Deployment,
    /// The daemon.
    pub docker: Docker,
    /// Its secrets.
    pub secrets: Secrets,
}

impl Deployed {
    /// A run that is deployed.
    ///
    /// # Errors
    /// When its directory or the daemon cannot be used.
    pub async fn open(run: RunDir) -> anyhow::Result<Self> {
        let deployment = run.deployment().map_err(failed_to)?;
        let docker = Docker::connect().await.map_err(failed_to)?;
        let secrets = secrets_of(&run);
        Ok(Self {
            run,
            deployment,
            docker,
            secrets,
        })
    }
}

/// The secrets of a run.
fn secrets_of(run: &RunDir) -> Secrets {
    Secrets::ours(run.path().join("secrets"))
}

/// Errors whose text continues "failed to".
fn failed_to(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("failed to {error}")
}
