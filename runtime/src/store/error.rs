//! Errors of a store, and the mapping of the SDK's errors to them.

use std::path::PathBuf;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use cuttlefish_core::ids::CommitPoint;

use super::embedded::STORAGE_FAILURE;

/// Codes that mean "later": DynamoDB answers them with status 400, so the status does not tell.
const THROTTLED: [&str; 6] = [
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
];

/// Codes that mean "not you".
const DENIED: [&str; 6] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// Any error, kept as the cause of another.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Reason why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credentials say who we are.
    #[error(
        "find AWS credentials: {source} (set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
    )]
    NoCredentials {
        /// Error of the provider.
        source: Source,
    },
    /// A neuron has nothing in the slot.
    #[error(
        "layer {layer}, neuron {neuron}: nothing is stored for commit {} (tick {}) (check run name and table, or train from the start)",
        expected.number, expected.tick
    )]
    Missing {
        /// Index of the layer.
        layer: usize,
        /// Index of the neuron within the layer.
        neuron: usize,
        /// The commit that was asked for.
        expected: CommitPoint,
    },
    /// A neuron's slot holds another commit.
    #[error(
        "layer {layer}, neuron {neuron}: expected commit {} of tick {}, found commit {} of tick {} (is something else writing to this run?)",
        expected.number, expected.tick, found.number, found.tick
    )]
    OtherCommit {
        /// Index of the layer.
        layer: usize,
        /// Index of the neuron within the layer.
        neuron: usize,
        /// The commit that was asked for.
        expected: CommitPoint,
        /// The commit that is there.
        found: CommitPoint,
    },
    /// A neuron's item is damaged.
    #[error(
        "layer {layer}, neuron {neuron}: commit {} (tick {}) is damaged: {problem} (restore the table from a backup, or train from the start)",
        expected.number, expected.tick
    )]
    Corrupt {
        /// Index of the layer.
        layer: usize,
        /// Index of the neuron within the layer.
        neuron: usize,
        /// The commit that was asked for.
        expected: CommitPoint,
        /// The problem with it.
        problem: String,
    },
    /// The item of the generation counter and the ledger is damaged.
    #[error(
        "the ledger of run `{run}` is damaged: {problem} (restore the table from a backup, or train from the start)"
    )]
    CorruptLedger {
        /// Name of the run.
        run: String,
        /// The problem with it.
        problem: String,
    },
    /// The ledger holds a number that does not survive being written down.
    #[error("the ledger holds a number that is not finite (try a smaller learning rate)")]
    UnwritableLedger,
    /// Something does not fit in an item.
    #[error(
        "{what} takes {bytes} bytes and an item holds at most {max} (use fewer epochs or classes, and `repeat` for layers that are alike)"
    )]
    TooLarge {
        /// Its kind.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size that fits.
        max: usize,
    },
    /// A name that cannot be part of a key.
    #[error("`{name}` cannot name a run in the store (use lower-case letters, digits and dashes)")]
    InvalidRun {
        /// The name.
        name: String,
    },
    /// The table does not exist.
    #[error("table `{table}` does not exist (it is created by `cuttlefish up` and `train`)")]
    NoTable {
        /// Name of the table.
        table: String,
    },
    /// The table belongs to something else.
    #[error("table `{table}` has other keys than text `pk` and `sk` (choose another table name)")]
    ForeignTable {
        /// Name of the table.
        table: String,
    },
    /// The table was created, but is not ready.
    #[error("table `{table}` is still `{status}` after {seconds} s (try again later)")]
    TableNotReady {
        /// Name of the table.
        table: String,
        /// The last status it had.
        status: String,
        /// Length of the wait.
        seconds: u64,
    },
    /// The caller may not do this.
    #[error("{operation} is not allowed: {message} (check credentials and policy)")]
    Denied {
        /// Name of the call.
        operation: &'static str,
        /// The server's words.
        message: String,
        /// The SDK's error.
        source: Source,
    },
    /// No answer, or the answer "later", in every attempt.
    #[error("{operation} got no answer: {message} (check that the store is reachable)")]
    Unavailable {
        /// Name of the call.
        operation: &'static str,
        /// The last attempt's problem.
        message: String,
        /// The SDK's error.
        source: Source,
    },
    /// Items that the server has not deleted, however often it was asked.
    #[error(
        "table `{table}` has left {left} items in place in {tries} requests in a row (it is at its limit: try \
         again later, or raise its write capacity)"
    )]
    Undeleted {
        /// Name of the table.
        table: String,
        /// Items that were to be deleted.
        left: usize,
        /// Requests that have deleted nothing.
        tries: u32,
    },
    /// The server's certificate is not accepted.
    #[error(
        "{operation} was not sent: {message} (where the store's authority is not one of the system's, SSL_CERT_FILE names a file with its certificate; the certificate has to cover the endpoint's host)"
    )]
    Untrusted {
        /// Name of the call.
        operation: &'static str,
        /// The problem with the certificate.
        message: String,
        /// The SDK's error.
        source: Source,
    },
    /// The server says that the request is wrong.
    #[error("{operation} was rejected: {message} (is the endpoint a DynamoDB?)")]
    Rejected {
        /// Name of the call.
        operation: &'static str,
        /// The server's words.
        message: String,
        /// The SDK's error.
        source: Source,
    },
    /// A request that was to be written down was not made.
    #[error(
        "{operation} was not asked for by the SDK (a defect of this program: please report it)"
    )]
    NotAsked {
        /// Name of the call.
        operation: &'static str,
    },
    /// The embedded database cannot write to its file, or cannot read it.
    #[error(
        "{operation} failed: {message} (make room on the disk, or restore the run's directory; what was committed is kept)"
    )]
    Storage {
        /// Name of the call.
        operation: &'static str,
        /// The database's words.
        message: String,
        /// The SDK's error.
        source: Source,
    },
    /// Another process holds the embedded database.
    #[error(
        "database `{}` is locked by another process (stop it, or wait until it is done)",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// The database's error.
        source: Source,
    },
    /// The embedded database cannot be opened.
    #[error(
        "cannot open database `{}`: {source} (check the path and its permissions; a damaged file must be moved away)",
        path.display()
    )]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// The database's error.
        source: Source,
    },
}

impl Error {
    /// True when the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Locked { .. } | Self::TableNotReady { .. }
        )
    }

    /// Error of an SDK call that failed, after the SDK's own attempts.
    pub(super) fn from_sdk<E>(operation: &'static str, table: &str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default();
        if code == STORAGE_FAILURE {
            return Self::Storage {
                operation,
                message: error.message().unwrap_or_default().to_owned(),
                source: error.into(),
            };
        }
        if code == "ResourceNotFoundException" {
            return Self::NoTable {
                table: table.to_owned(),
            };
        }
        let later = is_transient(&error);
        let denied = DENIED.contains(&code);
        let message = describe(&error);
        let source = error.into();
        if message.contains("invalid peer certificate") {
            Self::Untrusted {
                operation,
                message,
                source,
            }
        } else if later {
            Self::Unavailable {
                operation,
                message,
                source,
            }
        } else if denied {
            Self::Denied {
                operation,
                message,
                source,
            }
        } else {
            Self::Rejected {
                operation,
                message,
                source,
            }
        }
    }
}

/// True for a failed SDK call that may succeed later.
pub fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let status = error
        .raw_response()
        .map_or(0, |response| response.status().as_u16());
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        SdkError::ServiceError(_) => {
            status >= 500 || THROTTLED.contains(&error.code().unwrap_or_default())
        }
        _ => false,
    }
}

/// The server's own words, or else the innermost cause: the SDK's outer ones say only "service
/// error" or "dispatch failure".
pub fn describe<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let (Some(code), Some(message)) = (error.code(), error.message()) {
        return format!("{code}: {message}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
