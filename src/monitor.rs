//! Events of a run on their way to whoever watches it, and the wish to stop on its way back.
//!
//! Use cases ([`crate::run`]) and targets ([`crate::deploy`]) take one [`Monitor`]. They print nothing and
//! listen to no signal: a command line draws the events and turns Ctrl-C into [`Interrupter::interrupt`],
//! another program takes them as a stream ([`Monitor::channel`]).

use std::time::Duration;

use cuttlefish_core::data::Part;
use cuttlefish_core::ids::{Address, CommitPoint, Tick};
use cuttlefish_core::protocol::EpochRecord;
use tokio::sync::{mpsc, watch};

/// Events that a stream holds for its reader; what comes while it is full is dropped.
const MAX_EVENTS: usize = 4096;

/// Something that happens to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// A step that is done once, or a fact that people should know; a sentence.
    Note(String),
    /// Steps of a kind begin: containers or services that are made, changed or removed.
    StepsBegun {
        /// The kind of step, as words that a count can follow.
        what: String,
        /// Number of steps.
        total: usize,
    },
    /// One of these steps is done.
    StepDone {
        /// Name of the container or service.
        name: String,
    },
    /// No more of these steps are taken: all are done, or one has failed.
    StepsEnded,
    /// The training of a run is followed from now on.
    TrainingBegun {
        /// Epochs of the run.
        epochs: u32,
    },
    /// The training is followed no more: it is over, or was let go of.
    TrainingEnded,
    /// Training goes on from an earlier commit.
    Resumed(CommitPoint),
    /// An epoch is finished, with its validation.
    EpochFinished {
        /// Metrics of the epoch.
        record: EpochRecord,
        /// Training rows of the epoch.
        rows: usize,
        /// Duration of the epoch, validation included.
        took: Duration,
    },
    /// The run went back to a commit, to compute again what was lost.
    Rewound {
        /// The commit.
        to: CommitPoint,
        /// The cause, for people.
        reason: String,
    },
    /// A unit was sent a tick further ahead than it may be.
    BeyondInFlightBound {
        /// The unit.
        at: Address,
        /// The tick that it was sent.
        tick: Tick,
        /// The last tick that it has applied.
        applied: Tick,
    },
    /// The trainer was asked to commit and end.
    Stopping,
    /// The state of training, several times a second.
    Training(TrainingStatus),
}

/// Progress and speed of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingStatus {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Epochs of the run.
    pub epochs: u32,
    /// The part of the data that is being used.
    pub part: Part,
    /// Number of the last finished batch within its part, from 0.
    pub index: u32,
    /// Batches of the part.
    pub batches: u32,
    /// Rows that went through the network in a second.
    pub rows_per_second: f64,
    /// Mean loss of the part's rows so far.
    pub loss: f64,
    /// Share of them that were classified rightly, for classes.
    pub accuracy: Option<f64>,
    /// Estimate of the time until the run ends.
    pub remaining: Option<Duration>,
}

/// Receiver of a run's events, and the end at which its use case hears that it should stop.
pub struct Monitor {
    sink: Box<dyn Fn(RunEvent) + Send + Sync>,
    interrupts: watch::Receiver<u32>,
}

/// The other end: asks a use case to stop.
#[derive(Clone, Debug)]
pub struct Interrupter(std::sync::Arc<watch::Sender<u32>>);

/// The caller interrupted the use case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Monitor {
    /// A monitor that hands each event to `sink`, which must not block.
    pub fn new(sink: impl Fn(RunEvent) + Send + Sync + 'static) -> (Self, Interrupter) {
        let (sender, interrupts) = watch::channel(0);
        let sink = Box::new(sink);
        (Self { sink, interrupts }, Interrupter(sender.into()))
    }

    /// A monitor that drops every event.
    pub fn silent() -> Self {
        Self::new(|_| {}).0
    }

    /// A monitor whose events are read elsewhere. Whoever reads too slowly misses events.
    pub fn channel() -> (Self, Interrupter, mpsc::Receiver<RunEvent>) {
        let (sender, events) = mpsc::channel(MAX_EVENTS);
        let (monitor, interrupter) = Self::new(move |event| {
            // Neither a full stream nor a reader that has left is a reason to stop the run.
            let _ = sender.try_send(event);
        });
        (monitor, interrupter, events)
    }

    /// Hands an event on.
    pub fn event(&self, event: RunEvent) {
        (self.sink)(event);
    }

    /// Hands on a [`RunEvent::Note`].
    pub fn note(&self, text: impl Into<String>) {
        self.event(RunEvent::Note(text.into()));
    }

    /// Hands on a [`RunEvent::StepsBegun`].
    pub fn begin(&self, what: &str, total: usize) {
        let what = what.to_owned();
        self.event(RunEvent::StepsBegun { what, total });
    }

    /// Hands on a [`RunEvent::StepDone`].
    pub fn done(&self, name: &str) {
        let name = name.to_owned();
        self.event(RunEvent::StepDone { name });
    }

    /// Hands on a [`RunEvent::StepsEnded`].
    pub fn end(&self) {
        self.event(RunEvent::StepsEnded);
    }

    /// Number of times that the caller has asked to stop.
    pub fn interrupts(&self) -> u32 {
        *self.interrupts.borrow()
    }

    /// True if the caller has asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.interrupts() > 0
    }

    /// Ends a use case whose caller has asked to stop.
    ///
    /// # Errors
    /// [`Interrupted`], then.
    pub fn check_cancelled(&self) -> Result<(), Interrupted> {
        match self.is_cancelled() {
            true => Err(Interrupted),
            false => Ok(()),
        }
    }

    /// Waits until the caller has asked to stop more than `times` times; for ever, if nobody can any
    /// more.
    pub async fn interrupted_more_than(&self, times: u32) {
        let mut interrupts = self.interrupts.clone();
        if interrupts.wait_for(|count| *count > times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Interrupter {
    /// Asks to stop, and returns how often that has been done now. While a run comes up, the first time
    /// cancels; while it trains, the first time asks it to commit and stop, the second time leaves it.
    pub fn interrupt(&self) -> u32 {
        self.0.send_modify(|count| *count += 1);
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_to_stop_is_heard_by_those_who_wait_and_those_who_look() {
        let (monitor, interrupter) = Monitor::new(|_| {});
        assert_eq!(monitor.check_cancelled(), Ok(()));
        assert_eq!(interrupter.interrupt(), 1);
        assert_eq!(monitor.check_cancelled(), Err(Interrupted));
        monitor.interrupted_more_than(0).await;
        let second = monitor.interrupted_more_than(1);
        interrupter.interrupt();
        second.await;
    }

    #[tokio::test]
    async fn events_are_a_stream_that_a_slow_reader_does_not_hold_up() {
        let (monitor, _interrupter, mut events) = Monitor::channel();
        for _ in 0..=MAX_EVENTS {
            monitor.done("a");
        }
        drop(monitor);
        let mut count = 0;
        while events.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, MAX_EVENTS);
    }
}
