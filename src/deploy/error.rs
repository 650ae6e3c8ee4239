//! Errors of targets.

use std::path::{Path, PathBuf};

use cuttlefish_core::topology::Problems;

use super::inspection::InspectionError;
use super::{docker, ecs, kubernetes};
use crate::attempts::Failures;
use crate::data::Error as DataError;
use crate::monitor::Interrupted;
use crate::transport::amqp;
use crate::transport::amqp::connection::AddressError;
use crate::{import, record, run_dir, store};

/// Error of a target. Texts are whole, and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Docker host.
    #[error("failed to {0}")]
    Docker(#[from] docker::Error),
    /// Amazon ECS.
    #[error("failed to {0}")]
    Ecs(#[from] ecs::Error),
    /// The broker.
    #[error("failed to {0}")]
    Broker(#[from] amqp::Error),
    /// The inspection of an actor.
    #[error("{0}")]
    Inspection(#[from] InspectionError),
    /// The address of a broker.
    #[error("failed to {0}")]
    Address(#[from] AddressError),
    /// The store.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
    /// The run's directory.
    #[error("failed to {0}")]
    Directory(run_dir::Error),
    /// Weights that the run is to begin with.
    #[error("failed to {0}")]
    Weights(#[from] import::Error),
    /// The data set.
    #[error("failed to {0}")]
    Data(#[from] DataError),
    /// The network of a record that this program cannot read.
    #[error("the run's record: {0}")]
    Record(#[from] Problems),
    /// Names that Kubernetes does not take.
    #[error("failed to {0}")]
    Kubernetes(#[from] kubernetes::Error),
    /// A document that cannot be written as JSON or YAML.
    #[error("failed to write a document: {0}")]
    Document(#[from] serde_json::Error),
    /// The operating system.
    #[error("failed to {what} `{}`: {source}", path.display())]
    File {
        /// Operation, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Operating system's error.
        source: std::io::Error,
    },
    /// The actors could not be started, or not be asked.
    #[error("{0:#}")]
    Actors(#[from] anyhow::Error),
    /// The run was never brought up.
    #[error("run `{run}` is not up (bring it up with `cuttlefish up`)")]
    NotUp {
        /// The run.
        run: String,
    },
    /// The run is on a target that cannot do this.
    #[error("run `{run}` {why}")]
    Unsupported {
        /// The run.
        run: String,
        /// Clause that says what the run is instead.
        why: &'static str,
    },
    /// Somebody else's containers or services have the run's name.
    #[error(
        "failed to use the name `{run}`: {what} belongs to another run of that name (give this one \
         another name with `--set name=...`)"
    )]
    NameTaken {
        /// The run.
        run: String,
        /// The container or service.
        what: String,
    },
    /// Something that stays as long as the run is up.
    #[error(
        "the run's {what} cannot be changed while it is up (take it down with `cuttlefish down {run}` \
         first)"
    )]
    Fixed {
        /// The run.
        run: String,
        /// Part that was to be changed.
        what: &'static str,
    },
    /// The host or the broker cannot carry the run.
    #[error("run `{run}` is too large for {host}; nothing was made:{limits}")]
    TooLarge {
        /// The run.
        run: String,
        /// The host.
        host: String,
        /// Every limit that does not hold, a line each.
        limits: String,
    },
    /// Something that the run needs, and that is missing or cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Parts of the run that could not be removed.
    #[error("{left} (say `cuttlefish down {run}` again)")]
    Remains {
        /// The run.
        run: String,
        /// Errors of all of them.
        left: String,
    },
    /// Some objects of the run at a broker that is not its own.
    #[error("failed to {0}")]
    BrokerObjects(Failures),
    /// The run is gone.
    #[error("run `{run}` has been taken down meanwhile")]
    TakenDown {
        /// The run.
        run: String,
    },
    /// The trainer left before anything was committed.
    #[error("stopped before the first commit")]
    NothingCommitted,
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Makes an operating system's error on a file one of the target.
    pub(crate) fn file(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

impl From<Interrupted> for Error {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<run_dir::Error> for Error {
    fn from(error: run_dir::Error) -> Self {
        match error {
            run_dir::Error::Store(error) => Self::Store(error),
            error => Self::Directory(error),
        }
    }
}

impl From<record::Error> for Error {
    fn from(error: record::Error) -> Self {
        run_dir::Error::from(error).into()
    }
}
