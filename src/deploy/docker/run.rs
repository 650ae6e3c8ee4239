//! A run in containers of a Docker host, as it is once it is up.

use super::{Deployment, Docker};
use crate::deploy::secrets::Secrets;
use crate::deploy::{self, Error};
use crate::run_dir::RunDir;

/// A run that has been brought up on a Docker host, and the daemon that its containers are on.
pub struct DockerRun {
    /// Its directory.
    pub dir: RunDir,
    /// Places of its broker, store and images.
    pub deployment: Deployment,
    /// The daemon.
    pub docker: Docker,
    /// Its secrets.
    pub secrets: Secrets,
}

impl DockerRun {
    /// The run in a directory.
    ///
    /// # Errors
    /// When it is on another target, or the daemon cannot be used.
    pub async fn open(dir: RunDir) -> Result<Self, Error> {
        let why = match deploy::Deployment::read(&dir)? {
            Some(deploy::Deployment::Docker(deployment)) => {
                return Ok(Self::of(dir, *deployment, Docker::connect().await?));
            }
            Some(deploy::Deployment::Local { .. }) => "has no containers: it trains in one process",
            Some(deploy::Deployment::Ecs(_)) => {
                "is on ECS, whose tasks this command does not reach (CloudWatch has their logs)"
            }
            None => {
                let run = dir.name().to_owned();
                return Err(Error::NotUp { run });
            }
        };
        let run = dir.name().to_owned();
        Err(Error::Unsupported { run, why })
    }

    pub(super) fn of(dir: RunDir, deployment: Deployment, docker: Docker) -> Self {
        let secrets = secrets_of(&dir);
        Self {
            dir,
            deployment,
            docker,
            secrets,
        }
    }

    /// True if the run is still there: another process may have taken it down, or replaced it.
    pub(super) fn is_there(&self) -> bool {
        deploy::Deployment::is_still(&self.dir, &self.deployment.owner)
    }
}

/// The secrets of the run in a directory.
pub(super) fn secrets_of(dir: &RunDir) -> Secrets {
    Secrets::ours(dir.path().join("secrets"))
}
