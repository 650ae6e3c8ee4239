//! Exit codes, and how an error becomes one. The README lists them.

use std::fmt;

use cuttlefish_core::machine::Fault;

use crate::{data, record, runs, store};

/// How the program ends.
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
    /// Every code with its meaning, as the README has them.
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
    /// What is printed; may have several lines.
    pub message: String,
}

impl Failure {
    /// What this machine did not let us do. Whatever was written, a full disk is told in the same
    /// words.
    fn of_machine(mut message: String) -> Self {
        if message.contains("No space left on device") {
            message += " (make room on the disk, or keep runs on another one with `--runs-dir`)";
        }
        Self::new(Exit::Failed, message)
    }

    /// A failure with a code of its own.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let exit = match fault {
            Fault::NotFinite { .. } | Fault::LossNotFinite { .. } => Exit::Diverged,
            Fault::Unable { .. } | Fault::Superseded { .. } => Exit::Failed,
        };
        Self::new(exit, fault)
    }
}

impl From<data::Error> for Failure {
    fn from(error: data::Error) -> Self {
        Self::new(Exit::Data, format_args!("failed to {error}"))
    }
}

impl From<runs::Error> for Failure {
    fn from(error: runs::Error) -> Self {
        match error {
            runs::Error::Store(error) => error.into(),
            runs::Error::Io { .. } => Self::of_machine(format!("failed to {error}")),
            _ => Self::new(Exit::Run, format_args!("failed to {error}")),
        }
    }
}

impl From<record::Error> for Failure {
    fn from(error: record::Error) -> Self {
        runs::Error::from(error).into()
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let exit = match error {
            store::Error::Locked { .. } => Exit::Run,
            _ => Exit::Failed,
        };
        Self::new(exit, format_args!("the store failed: {error}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::of_machine(format!("{error:#}"))
    }
}
