//! Errors of requests to AWS.

use std::time::Duration;

use super::stack::StackError;
use crate::attempts::{Failures, Retry, Retryable};

/// Error of a request to AWS. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This program was built without the feature `ecs`.
    #[error(
        "use Amazon ECS: this program was built without it (build it with `--features ecs`, or take the \
         released one, which has everything)"
    )]
    NotBuilt,
    /// A request was refused or lost.
    #[error("{what}: {problem}")]
    Request {
        /// Operation that failed.
        what: String,
        /// Message of AWS or the SDK.
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
        /// Reason, as ECS gives it.
        problem: String,
    },
    /// A wait that takes too long.
    #[error("{what} within {} s", .within.as_secs())]
    Late {
        /// Event that was waited for.
        what: String,
        /// Bound of the wait.
        within: Duration,
    },
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
