//! What can go wrong at AWS.

use std::time::Duration;

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};

use super::stack::StackError;
use crate::attempts::{Failures, Retry, Retryable};
use crate::store;

/// What can go wrong at AWS. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request was refused or lost.
    #[error("{what}: {problem}")]
    Request {
        /// What we wanted.
        what: String,
        /// What AWS or the SDK said.
        problem: String,
        /// Chance that the same request succeeds later.
        is_transient: bool,
    },
    /// Items of many that are left.
    #[error(transparent)]
    Several(Failures),
    /// The account is not prepared.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A task was not started, or did not do what it was for.
    #[error("run a task of {family}: {problem}")]
    Task {
        /// Its task definition.
        family: String,
        /// What ECS said.
        problem: String,
    },
    /// It takes too long.
    #[error("{what} within {} s", .within.as_secs())]
    Late {
        /// What we waited for.
        what: String,
        /// How long.
        within: Duration,
    },
}

/// Error of a failed SDK call.
pub(super) fn request<E>(what: impl Into<String>) -> impl FnOnce(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let what = what.into();
    |error| Error::Request {
        what,
        problem: store::describe(&error),
        is_transient: store::is_transient(&error),
    }
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Request {
                is_transient: true, ..
            } => Retry::Later,
            _ => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Request { problem, .. } | Self::Task { problem, .. } => problem.clone(),
            other => other.to_string(),
        }
    }
}

/// Outcome of many items: the error itself where there was but one.
pub(super) fn of_many(
    verb: &str,
    noun: &str,
    total: usize,
    left: Vec<(String, Error)>,
) -> Result<(), Error> {
    Failures::outcome(verb, noun, total, left, Error::Several)
}
