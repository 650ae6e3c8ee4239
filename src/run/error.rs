//! Errors of a run's use cases.

use std::path::{Path, PathBuf};

use cuttlefish_core::machine::Fault;
use cuttlefish_core::topology::Problems;

use super::change::Refusal;
use crate::deploy::{self, Fate, TargetKind};
use crate::{data, export, record, run_dir, store};

/// Error of a run's use case. Texts are whole, and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A topology file that cannot be read.
    #[error("failed to {0}\ngive the path of a topology file, for example topology/digits.yaml")]
    Unreadable(data::Error),
    /// A topology file in another encoding.
    #[error("failed to read `{}`: byte {at} is not UTF-8 (save it as UTF-8)", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that is not, from 0.
        at: usize,
    },
    /// A topology file with problems.
    #[error("{}", listing(path, text, problems))]
    Topology {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// The problems.
        problems: Problems,
    },
    /// A topology that a target cannot carry out.
    #[error("{0}")]
    Unfit(String),
    /// A run that does not fit what is to be different.
    #[error("run `{run}`: {problems}")]
    Overrides {
        /// The run.
        run: String,
        /// The problems.
        problems: Problems,
    },
    /// A change that would change the bits of what was trained.
    #[error(transparent)]
    Change(#[from] Refusal),
    /// Another target than the run's.
    #[error(
        "run `{run}` is on target `{current}`, not on `{requested}` (leave out `--target`, or start another \
         run with `--set name=...`)",
        current = current.word(), requested = requested.word()
    )]
    OtherTarget {
        /// The run.
        run: String,
        /// Target that the run is on.
        current: TargetKind,
        /// The target of the command.
        requested: TargetKind,
    },
    /// The data set.
    #[error("failed to {0}")]
    Data(#[from] data::Error),
    /// The data set is not what the run was started with.
    #[error(
        "the data of `{0}` has changed since the run was started (restore the file, or start a new run)"
    )]
    DataChanged(String),
    /// A part of the data without rows.
    #[error("run `{run}` has no {part} rows (see --part)")]
    NoRows {
        /// The run.
        run: String,
        /// The part.
        part: &'static str,
    },
    /// A row that a part of the data does not have.
    #[error(
        "run `{run}` has no {part} row {index} ({})",
        match rows { 0 => "it has none at all".to_owned(), rows => format!("they are 0 to {}", rows - 1) }
    )]
    NoSample {
        /// The run.
        run: String,
        /// The part.
        part: &'static str,
        /// Rows that it has.
        rows: usize,
        /// The row that was asked for.
        index: usize,
    },
    /// A row with another number of values than the network takes.
    #[error("a row has {found} values, and run `{run}` needs {features}")]
    Features {
        /// The run.
        run: String,
        /// Features of its rows.
        features: usize,
        /// Values of the row.
        found: usize,
    },
    /// A file of weights that cannot be read, or does not fit.
    #[error("{problem}")]
    Weights {
        /// The file, and what is wrong.
        problem: String,
    },
    /// Weights that cannot be written.
    #[error("failed to {0}")]
    Export(#[from] export::Error),
    /// Weights in the store that do not fit the network.
    #[error("{0}")]
    Corrupt(String),
    /// The run's directory.
    #[error("failed to {0}")]
    Directory(run_dir::Error),
    /// The store.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
    /// The target.
    #[error(transparent)]
    Target(deploy::Error),
    /// Training ended by a fault.
    #[error("{0}")]
    Fault(Fault),
    /// Training ended because the store failed.
    #[error("{problem}{hint}")]
    StoreLost {
        /// The problem with it.
        problem: String,
        /// Advice how to go on, on a line of its own; empty where nothing is to be done here.
        hint: String,
    },
    /// The caller asked to stop while the run came up.
    #[error("interrupted; {}", match .is_removed {
        true => "what was made is removed again".to_owned(),
        false => format!("bring it up again, or remove it with `cuttlefish down {run}`"),
    })]
    Cancelled {
        /// The run.
        run: String,
        /// True if it was not there before, and has been removed.
        is_removed: bool,
    },
    /// Bringing the run up failed, and so did removing what was made.
    #[error("{error}\n{remains}")]
    Remains {
        /// The first failure.
        error: Box<Self>,
        /// The second one, of the removal: what remains, and how to remove it.
        remains: Box<Self>,
    },
    /// The run is not what it was when it was prepared.
    #[error("run `{0}` has been changed by another process meanwhile (say it again)")]
    ChangedMeanwhile(String),
    /// The caller let go of the run.
    #[error("{}", words_of_fate(run, *fate))]
    Left {
        /// The run.
        run: String,
        /// State of the run from now on.
        fate: Fate,
    },
}

/// Each problem with its line, and their number.
fn listing(path: &Path, text: &str, problems: &Problems) -> String {
    let file = path.display().to_string();
    let count = problems.count();
    let plural = if count == 1 { "" } else { "s" };
    let listing = problems.render(&file, text);
    format!(
        "{}\n{count} problem{plural} in `{file}`",
        listing.trim_end()
    )
}

fn words_of_fate(run: &str, fate: Fate) -> String {
    let stays = match fate {
        Fate::Stopped => {
            return format!(
                "stopped at once; go on from the last commit with `cuttlefish train --resume {run}`"
            );
        }
        Fate::Running => return format!("left; see how it goes with `cuttlefish attach {run}`"),
        Fate::Stopping => "left while the trainer commits and ends; the other services",
        Fate::Unconfirmed => {
            "left before ECS has confirmed that the trainer is to end; the services"
        }
    };
    format!(
        "{stays} of run {run} stay: go on with `cuttlefish train --resume {run}`, or remove it with \
         `cuttlefish down {run}`"
    )
}

impl From<run_dir::Error> for Error {
    fn from(error: run_dir::Error) -> Self {
        match error {
            run_dir::Error::Store(error) => Self::Store(error),
            error => Self::Directory(error),
        }
    }
}

impl From<deploy::Error> for Error {
    fn from(error: deploy::Error) -> Self {
        match error {
            deploy::Error::Directory(error) => Self::Directory(error),
            deploy::Error::Store(error) => Self::Store(error),
            deploy::Error::Data(error) => Self::Data(error),
            error => Self::Target(error),
        }
    }
}

impl From<record::Error> for Error {
    fn from(error: record::Error) -> Self {
        run_dir::Error::from(error).into()
    }
}
