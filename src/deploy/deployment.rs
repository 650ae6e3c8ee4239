//! Document of a run's target, in the run's directory.

use serde::{Deserialize, Serialize};

use super::{TargetKind, docker, ecs};
use crate::run_dir::{self, DOCKER_DOCUMENT, ECS_DOCUMENT, RunDir};

/// Document in a run's directory: the run's target, and its place there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "snake_case")]
pub enum Deployment {
    /// A run in this process.
    Local {
        /// Version of this form.
        version: u32,
    },
    /// A run on a Docker host.
    Docker(Box<docker::Deployment>),
    /// A run on Amazon ECS.
    Ecs(Box<ecs::Deployment>),
}

/// The version of documents that this program writes, of each target.
pub const DOCUMENT_VERSION: u32 = 1;

impl Deployment {
    /// Deployment of the run in a directory; None where there is none. Runs of earlier versions of this
    /// program have a document of each target's own, or only a store.
    ///
    /// # Errors
    /// When it cannot be read, or was written by a later version.
    pub fn read(dir: &RunDir) -> Result<Option<Self>, run_dir::Error> {
        if !dir.exists() {
            return Ok(None);
        }
        let deployment = if let Some(deployment) = dir.document()? {
            deployment
        } else if let Some(docker) = dir.read_json(DOCKER_DOCUMENT)? {
            Self::Docker(docker)
        } else if let Some(ecs) = dir.read_json(ECS_DOCUMENT)? {
            Self::Ecs(ecs)
        } else {
            Self::Local {
                version: DOCUMENT_VERSION,
            }
        };
        match deployment.version() {
            DOCUMENT_VERSION => Ok(Some(deployment)),
            version => Err(run_dir::Error::Document {
                run: dir.name().to_owned(),
                path: dir.path().to_owned(),
                problem: format!(
                    "the run has version {version}, this program reads version {DOCUMENT_VERSION}"
                ),
            }),
        }
    }

    fn version(&self) -> u32 {
        match self {
            Self::Local { version } => *version,
            Self::Docker(docker) => docker.version,
            Self::Ecs(ecs) => ecs.version,
        }
    }

    /// Owner that its containers or services are labelled with; None in one process, where there are none.
    fn owner(&self) -> Option<&str> {
        match self {
            Self::Local { .. } => None,
            Self::Docker(docker) => Some(&docker.owner),
            Self::Ecs(ecs) => Some(&ecs.owner),
        }
    }

    /// True if the run in a directory still has the owner: another process may have taken it down, or
    /// replaced it by a run of the same name.
    pub(super) fn is_still(dir: &RunDir, owner: &str) -> bool {
        matches!(Self::read(dir), Ok(Some(current)) if current.owner() == Some(owner))
    }

    /// The kind of target.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Local { .. } => TargetKind::Local,
            Self::Docker(_) => TargetKind::Docker,
            Self::Ecs(_) => TargetKind::Ecs,
        }
    }
}
