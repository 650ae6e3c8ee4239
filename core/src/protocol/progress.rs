//! Progress of a run: the ledger, which is all that the trainer must remember, and the events that people see.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metrics::{Evaluation, Tally};
use crate::data::Part;
use crate::ids::{Address, CommitPoint, Generation, Tick};

/// Records of the history beyond which every second one is dropped: the ledger must fit in one
/// item of the store, and a curve of a thousand points is as good as one of ten thousand.
const MAX_HISTORY: usize = 1024;

/// The state of a run after a tick. With the weights of the same tick, all that is needed to go
/// on to the same end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The last tick whose outputs have been counted.
    pub tick: Tick,
    /// Optimizer steps so far.
    pub step: u64,
    /// Learning rate of the last step.
    pub learning_rate: f32,
    /// The epoch of the next batch, from 1.
    pub epoch: u32,
    /// The part of the data that the next batch is from.
    pub part: Part,
    /// Number of the next batch within its part.
    pub index: u32,
    /// Sums over the batches of the current part so far.
    pub tally: Tally,
    /// Means over the training rows of the current epoch, while its validation runs.
    pub train: Option<Evaluation>,
    /// The epochs so far (thinned out when there are many).
    pub history: Vec<EpochRecord>,
    /// The best value that early stopping has seen.
    pub best: Option<f64>,
    /// Epochs since then.
    pub epochs_without_improvement: u32,
    /// True if early stopping ended training.
    pub stopped_early: bool,
    /// True once every tick of the run is done.
    pub finished: bool,
    /// Means over the test rows, once they have been looked at.
    pub test: Option<Evaluation>,
}

/// Results of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Learning rate of its last step.
    pub learning_rate: f32,
    /// Means over its training rows, as they were when each batch was used.
    pub train: Evaluation,
    /// Means over the validation rows, after the epoch.
    pub validation: Option<Evaluation>,
}

/// The trainer's commit record: names the commit point that all units have written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The commit point.
    pub commit: CommitPoint,
    /// Progress of the run at its tick.
    pub progress: Progress,
    /// Figures of the run up to here; none in ledgers of older programs.
    #[serde(default)]
    pub totals: Totals,
}

/// Figures of a whole run, however many trainers have worked on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Rows of all training ticks, those computed again after a rewind included. One that was lost with
    /// its trainer counts once.
    pub rows: u64,
    /// Times that the run went back to a commit because something was lost, a trainer included.
    pub rewinds: u64,
    /// Time that trainers have worked: each from its first tick on, and one that was lost up to its
    /// last commit.
    pub elapsed: Duration,
    /// Generation that goes on after the ledger, so that each one drawn later is a rewind; none where
    /// the run has ended or was stopped.
    pub generation: Option<Generation>,
}

/// End of a run: its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All epochs, or early stopping.
    Completed,
    /// A person asked for it; the run can be resumed.
    Stopped,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it ended.
    pub verdict: Verdict,
    /// The last ledger, which is in the store.
    pub ledger: Ledger,
    /// Figures of the run up to its end.
    #[serde(flatten)]
    pub totals: Totals,
}

/// Something that a person may want to see while a run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Everybody has restored a commit and the first tick goes out.
    Started {
        /// The generation that begins.
        generation: Generation,
        /// The commit that was restored.
        from: CommitPoint,
    },
    /// A tick's outputs have been counted.
    TickFinished {
        /// The tick.
        tick: Tick,
        /// The epoch it belongs to, from 1; of the test rows the last one.
        epoch: u32,
        /// The part of the data it used.
        part: Part,
        /// Number of the batch within its part, from 0.
        index: u32,
        /// Rows it had.
        rows: u32,
        /// Mean over the rows of the part so far.
        running: Evaluation,
    },
    /// An epoch with its validation is over.
    EpochFinished(EpochRecord),
    /// A commit point is in the store, and the ledger names it.
    Committed(CommitPoint),
    /// A unit was sent a tick further ahead of its own than [`crate::protocol::IN_FLIGHT_BOUND`]
    /// allows. It asks for a rewind.
    BeyondInFlightBound {
        /// The unit.
        at: Address,
        /// The tick that it was sent.
        tick: Tick,
        /// The last tick that it has applied.
        applied: Tick,
    },
    /// Something was lost; everybody goes back to the last commit.
    Rewound {
        /// The generation that begins.
        generation: Generation,
        /// The commit that is restored.
        to: CommitPoint,
        /// Reason of the rewind.
        reason: String,
    },
}

impl Progress {
    /// Before the first tick of a run of `epochs` epochs.
    pub fn start(epochs: u32) -> Self {
        Self {
            tick: Tick(0),
            step: 0,
            learning_rate: 0.0,
            epoch: 1,
            part: if epochs == 0 { Part::Test } else { Part::Train },
            index: 0,
            tally: Tally::default(),
            train: None,
            history: Vec::new(),
            best: None,
            epochs_without_improvement: 0,
            stopped_early: false,
            finished: false,
            test: None,
        }
    }

    /// Appends an epoch to the history.
    pub fn record(&mut self, epoch: EpochRecord) {
        if self.history.len() >= MAX_HISTORY {
            let mut index = 0;
            self.history.retain(|_| {
                index += 1;
                index % 2 == 0
            });
        }
        self.history.push(epoch);
    }
}
