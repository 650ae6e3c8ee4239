//! Exit codes, and how an error becomes one. The book's page on commands lists them.

use std::fmt;

use cuttlefish_core::machine::Fault;

use crate::run::Error;
use crate::{deploy, record, run_dir, store};

/// Exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It could not be done.
    Failed = 1,
    /// The command line or the topology file is wrong; for `plan --detailed-exitcode`: something
    /// would change.
    Usage = 2,
    /// Data is missing or broken.
    Data = 3,
    /// There is no such run, there is one already, or another process works on it.
    Run = 4,
    /// Training diverged: a number stopped being one.
    Diverged = 5,
    /// Stopped by Ctrl-C; what was done is committed.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as the book has them.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Ok, "done"),
        (Self::Failed, "failed"),
        (
            Self::Usage,
            "usage or topology error; with `plan --detailed-exitcode`: something would change",
        ),
        (Self::Data, "data missing or broken"),
        (
            Self::Run,
            "no such run, it exists already, or another process works on it",
        ),
        (
            Self::Diverged,
            "training diverged: a weight, an output or the loss stopped being a finite number",
        ),
        (
            Self::Interrupted,
            "interrupted by Ctrl-C; the run is committed and can be resumed",
        ),
    ];
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The text that is printed; may have several lines.
    pub message: String,
}

impl Failure {
    /// A failure of this exit code. Whatever was written, a full disk is told in the same words.
    fn with_hint(exit: Exit, mut message: String) -> Self {
        if message.contains("No space left on device") {
            message += " (make room on the disk, or keep runs on another one with `--runs-dir`)";
        }
        Self { exit, message }
    }

    /// A failure with a code of its own.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = exit_of(&error);
        Self::with_hint(exit, error.to_string())
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Unreadable(_)
        | Error::NotUtf8 { .. }
        | Error::Topology { .. }
        | Error::Overrides { .. }
        | Error::Unfit(_)
        | Error::Change(_) => Exit::Usage,
        Error::Data(_)
        | Error::DataChanged(_)
        | Error::NoRows { .. }
        | Error::NoSample { .. }
        | Error::Features { .. }
        | Error::Weights { .. } => Exit::Data,
        Error::OtherTarget { .. } | Error::ChangedMeanwhile(_) => Exit::Run,
        Error::Directory(error) => of_directory(error),
        Error::Store(error) => of_store(error),
        Error::Target(error) => of_target(error),
        Error::Fault(Fault::NotFinite { .. } | Fault::LossNotFinite { .. }) => Exit::Diverged,
        Error::Cancelled { .. } | Error::Left { .. } => Exit::Interrupted,
        Error::Fault(_) | Error::Export(_) | Error::Corrupt(_) | Error::StoreLost { .. } => {
            Exit::Failed
        }
        Error::Remains { error, .. } => exit_of(error),
    }
}

fn of_directory(error: &run_dir::Error) -> Exit {
    match error {
        run_dir::Error::Io { .. } => Exit::Failed,
        _ => Exit::Run,
    }
}

fn of_store(error: &store::Error) -> Exit {
    match error {
        store::Error::Locked { .. } => Exit::Run,
        _ => Exit::Failed,
    }
}

fn of_target(error: &deploy::Error) -> Exit {
    match error {
        deploy::Error::NotUp { .. }
        | deploy::Error::Unsupported { .. }
        | deploy::Error::TakenDown { .. } => Exit::Run,
        deploy::Error::Weights(_) => Exit::Data,
        deploy::Error::NothingCommitted | deploy::Error::Interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

impl From<run_dir::Error> for Failure {
    fn from(error: run_dir::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::with_hint(Exit::Failed, format!("{error:#}"))
    }
}

impl From<record::Error> for Failure {
    fn from(error: record::Error) -> Self {
        Error::from(error).into()
    }
}
