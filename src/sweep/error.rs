//! Errors of sweeps.

use cuttlefish_core::topology::Problems;

use crate::{data, run, run_dir, store, transport};

/// Error of a sweep. Texts are whole, and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A topology file that cannot be used.
    #[error(transparent)]
    File(run::Error),
    /// A topology file without a sweep.
    #[error(
        "`{file}` has no `sweep:` section (name the parameters to try there, for example \
         `sweep: {{parameters: {{training.batch_size: {{space: choice, categories: [16, 32]}}}}}}`)"
    )]
    NoSweep {
        /// The file.
        file: String,
    },
    /// A value of a parameter that the topology cannot have.
    #[error("sweep.parameters, `{path}` = {value}: {problems}")]
    Value {
        /// The path of the parameter.
        path: String,
        /// The value.
        value: String,
        /// The problems.
        problems: Problems,
    },
    /// A data set without rows to compare trials by.
    #[error(
        "the data set has no validation rows, by which trials are compared (set `data.validation_split`, or \
         `sweep.folds`)"
    )]
    NoValidation,
    /// A metric of the other kind of task.
    #[error("sweep.metric: `{metric}` is no metric of {task} (one of {known})")]
    Metric {
        /// The metric.
        metric: String,
        /// The task, in words.
        task: &'static str,
        /// Metrics that there are.
        known: &'static str,
    },
    /// More tasks than a rung has room for.
    #[error(
        "{tasks} trials are too many for early stopping, which compares at most {most} (lower `max_trials`, or \
         leave out `early_stopping`)"
    )]
    TooManyForStopping {
        /// Trials of the sweep.
        tasks: u32,
        /// Trials that can be compared.
        most: u32,
    },
    /// Another sweep of this name.
    #[error(
        "sweep `{sweep}` exists already, and is another one (replace it with `--overwrite`, or give this one \
         another name with `--set name=...`)"
    )]
    Exists {
        /// The name.
        sweep: String,
    },
    /// Other data than those of the sweep.
    #[error(
        "the data of sweep `{sweep}` have changed since it began (restore the file, or begin anew with \
         `--overwrite`)"
    )]
    DataChanged {
        /// The name.
        sweep: String,
    },
    /// No sweep of that name.
    #[error("there is no sweep `{sweep}` (`cuttlefish trials` lists the sweeps)")]
    Unknown {
        /// The name.
        sweep: String,
    },
    /// A definition that cannot be read.
    #[error("sweep `{sweep}` cannot be read: {problem} (replace it with `--overwrite`)")]
    Broken {
        /// The name.
        sweep: String,
        /// The problem.
        problem: String,
    },
    /// A sweep of which no trial has been trained to its end.
    #[error("sweep `{sweep}` has no winner: no trial was trained to its end{why}")]
    NoWinner {
        /// The name.
        sweep: String,
        /// A trial's failure as an example, with punctuation before it.
        why: String,
    },
    /// The winner trains to other bits than in the sweep.
    #[error(
        "the winner does not train to the weights that it had in the sweep: has its data set changed meanwhile? \
         (`--overwrite` begins the sweep anew)"
    )]
    OtherWinner,
    /// A message that is no task.
    #[error("a message is no task: {problem}")]
    Task {
        /// The problem.
        problem: String,
    },
    /// A data set that the store does not have.
    #[error(
        "the store does not have the data set {sha256} whole (start `cuttlefish sweep` again: it brings it there)"
    )]
    NoData {
        /// Its hash.
        sha256: String,
    },
    /// The form in which a worker gets a data set cannot be made.
    #[error("failed to prepare the data set: {0}")]
    Prepare(std::io::Error),
    /// The form in which a worker gets a data set cannot be read.
    #[error("failed to {0}")]
    Mapped(String),
    /// The system refuses a thread.
    #[error("{0}")]
    Threads(String),
    /// A worker's thread ended.
    #[error("a worker's thread ended: {0}")]
    Worker(String),
    /// The store was lost in the middle of a trial.
    #[error("the store was lost while a trial trained: {0}")]
    StoreLost(String),
    /// The data set.
    #[error("failed to {0}")]
    Data(#[from] data::Error),
    /// The sweep's directory.
    #[error("failed to {0}")]
    Directory(#[from] run_dir::Error),
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] store::Error),
    /// The broker, as a server or a worker sees it.
    #[error("failed to {0}")]
    Broker(#[from] transport::amqp::Error),
    /// The queue of tasks.
    #[error("failed to {0}")]
    Queue(#[from] transport::tasks::Error),
}

impl Error {
    /// True if the same may succeed later: broker or store are away.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Broker(_) | Self::Queue(_) | Self::StoreLost(_) | Self::NoData { .. } => true,
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }
}

impl From<run::Error> for Error {
    fn from(error: run::Error) -> Self {
        Self::File(error)
    }
}
