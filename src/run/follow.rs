//! Training followed to its end: a session's figures become events.

use std::time::Duration;

use cuttlefish_core::data::Part;
use cuttlefish_core::protocol::Event;
use cuttlefish_core::topology::Graph;

use super::Error;
use crate::deploy::Session;
use crate::host::{End, RunSnapshot};
use crate::monitor::{Monitor, RunEvent, TrainingStatus};
use crate::record::RowCounts;

/// Time between two looks at a session that can answer that fast.
const REFRESH: Duration = Duration::from_millis(100);

/// Follows a training until it is over, and returns its end.
///
/// The first interrupt of the caller is handed to the session, the second one lets go of it.
///
/// # Errors
/// When the session cannot go on, or the caller let go of it.
pub(super) async fn follow<'a>(
    run: &str,
    session: Box<dyn Session + 'a>,
    graph: &Graph,
    rows: RowCounts,
    monitor: &Monitor,
) -> Result<End, Error> {
    let epochs = graph.training.epochs;
    monitor.event(RunEvent::TrainingBegun { epochs });
    let tracker = ProgressTracker::new(graph, rows);
    let end = follow_session(run, session, tracker, monitor).await;
    monitor.event(RunEvent::TrainingEnded);
    end
}

async fn follow_session<'a>(
    run: &str,
    mut session: Box<dyn Session + 'a>,
    mut tracker: ProgressTracker<'_>,
    monitor: &Monitor,
) -> Result<End, Error> {
    let mut is_stopping = false;
    loop {
        let snapshot = tokio::select! {
            snapshot = session.look(tracker.last_note(), REFRESH) => Some(snapshot?),
            () = monitor.interrupted_more_than(u32::from(is_stopping)) => None,
        };
        let Some(snapshot) = snapshot else {
            if !std::mem::replace(&mut is_stopping, true) {
                // The second interrupt is not kept waiting by what the first one takes.
                let stopped = tokio::select! {
                    stopped = session.stop() => Some(stopped?),
                    () = monitor.interrupted_more_than(1) => None,
                };
                if stopped.is_some() {
                    monitor.event(RunEvent::Stopping);
                    continue;
                }
            }
            let fate = session.abandon();
            let run = run.to_owned();
            return Err(Error::Left { run, fate });
        };
        session
            .repairs()
            .into_iter()
            .for_each(|repair| monitor.note(repair));
        tracker
            .events(&snapshot)
            .into_iter()
            .for_each(|event| monitor.event(event));
        if let Some(end) = snapshot.end {
            return Ok(end);
        }
    }
}

/// Tracker that turns snapshots of the trainer into events, each of which comes once. Pure.
pub(crate) struct ProgressTracker<'a> {
    graph: &'a Graph,
    rows: RowCounts,
    /// Beginnings of the trainer's work and of the epoch, on the clock of the run's observer.
    began: Duration,
    epoch_began: Duration,
    rows_before_epoch: u64,
    /// Tick after which the trainer began.
    ticks_before: u64,
    /// True between a rewind and the ticks that follow it: otherwise it is a trainer that begins.
    is_rewinding: bool,
    /// Number of the last note that became an event.
    last_note: u64,
    /// The run's observer when it was last looked at.
    observer: Option<u32>,
}

impl<'a> ProgressTracker<'a> {
    /// A tracker that has seen nothing yet.
    pub(crate) fn new(graph: &'a Graph, rows: RowCounts) -> Self {
        Self {
            graph,
            rows,
            began: Duration::ZERO,
            epoch_began: Duration::ZERO,
            rows_before_epoch: 0,
            ticks_before: 0,
            is_rewinding: false,
            last_note: 0,
            observer: None,
        }
    }

    /// Number of the last note that became an event.
    pub(crate) fn last_note(&self) -> u64 {
        self.last_note
    }

    /// Events since the last snapshot.
    pub(crate) fn events(&mut self, snapshot: &RunSnapshot) -> Vec<RunEvent> {
        let before = self.observer.replace(snapshot.observer);
        if before.is_some_and(|before| before != snapshot.observer) {
            // The trainer has been started anew, and counts anew.
            self.last_note = 0;
            self.rows_before_epoch = 0;
            self.is_rewinding = false;
        }
        let mut events = Vec::new();
        for note in &snapshot.notes {
            if note.number <= self.last_note {
                continue;
            }
            self.last_note = note.number;
            events.extend(self.event(&note.event, note.at, snapshot.rows_trained));
        }
        events.extend(self.status(snapshot).map(RunEvent::Training));
        events
    }

    /// The event of one note, which was taken `at` this time.
    fn event(&mut self, event: &Event, at: Duration, rows_trained: u64) -> Option<RunEvent> {
        match event {
            Event::Started { from, .. } if !std::mem::take(&mut self.is_rewinding) => {
                self.ticks_before = from.tick.0;
                self.began = at;
                self.epoch_began = at;
                (!from.is_initial()).then_some(RunEvent::Resumed(*from))
            }
            Event::EpochFinished(record) => {
                let took = at.saturating_sub(self.epoch_began);
                self.epoch_began = at;
                self.rows_before_epoch = rows_trained;
                Some(RunEvent::EpochFinished {
                    record: record.clone(),
                    rows: self.rows.train,
                    took,
                })
            }
            Event::Rewound { to, reason, .. } => {
                self.is_rewinding = true;
                Some(RunEvent::Rewound {
                    to: *to,
                    reason: reason.clone(),
                })
            }
            Event::BeyondInFlightBound { at, tick, applied } => {
                Some(RunEvent::BeyondInFlightBound {
                    at: *at,
                    tick: *tick,
                    applied: *applied,
                })
            }
            Event::Started { .. } | Event::Committed(_) | Event::TickFinished { .. } => None,
        }
    }

    /// The state of training, once a tick is finished.
    fn status(&self, snapshot: &RunSnapshot) -> Option<TrainingStatus> {
        let Some(Event::TickFinished {
            tick,
            epoch,
            part,
            index,
            running,
            ..
        }) = &snapshot.latest
        else {
            return None;
        };
        let elapsed = snapshot
            .elapsed
            .saturating_sub(self.epoch_began)
            .as_secs_f64();
        let rows = snapshot.rows_trained.saturating_sub(self.rows_before_epoch) as f64;
        Some(TrainingStatus {
            epoch: *epoch,
            epochs: self.graph.training.epochs,
            part: *part,
            index: *index,
            batches: self.batches(*part) as u32,
            rows_per_second: if elapsed > 0.0 { rows / elapsed } else { 0.0 },
            loss: running.loss,
            accuracy: running.accuracy,
            remaining: self.remaining(tick.0, snapshot.elapsed),
        })
    }

    fn batches(&self, part: Part) -> u64 {
        self.rows
            .rows(part)
            .div_ceil(self.graph.training.batch_size) as u64
    }

    /// Time for the ticks to come, at the pace so far.
    fn remaining(&self, tick: u64, elapsed: Duration) -> Option<Duration> {
        let epochs = u64::from(self.graph.training.epochs);
        let of_epoch = self.batches(Part::Train) + self.batches(Part::Validation);
        let total = epochs * of_epoch + self.batches(Part::Test);
        let finished = tick
            .checked_sub(self.ticks_before)
            .filter(|&finished| finished > 0)?;
        let remaining = total.saturating_sub(tick) as f64;
        let elapsed = elapsed.saturating_sub(self.began);
        Some(elapsed.mul_f64(remaining / finished as f64))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use cuttlefish_core::topology::spec::ImageSource;
    use cuttlefish_core::topology::{DataShape, Grouping, parse};

    use super::*;
    use crate::data::digits;
    use crate::deploy::{self, Fate};
    use crate::monitor::Interrupter;

    /// A session that never gets anywhere, while somebody interrupts it.
    struct StuckSession(Interrupter);

    #[async_trait(?Send)]
    impl Session for StuckSession {
        async fn look(&mut self, _: u64, _: Duration) -> Result<RunSnapshot, deploy::Error> {
            self.0.interrupt();
            pending().await
        }

        async fn stop(&mut self) -> Result<(), deploy::Error> {
            self.0.interrupt();
            pending().await
        }

        fn abandon(self: Box<Self>) -> Fate {
            Fate::Running
        }
    }

    #[tokio::test]
    async fn a_second_interrupt_is_heard_while_the_first_one_is_waited_for() {
        let text = "name: stuck\ndata: {source: digits}\nnetwork:\n  layers: [{type: dense, name: digit, \
                    units: 10, activation: softmax}]\n  loss: sparse_categorical_crossentropy\n";
        let dataset = digits::load(&ImageSource::default()).unwrap();
        let shape = DataShape::from(&dataset);
        let document = parse(text, &[]).unwrap();
        let graph = document.graph(&shape, Grouping::FromFile).unwrap();
        let (monitor, interrupter) = Monitor::new(|_| {});
        let session = Box::new(StuckSession(interrupter));
        let rows = RowCounts::of(&dataset);
        let ended = follow("stuck", session, &graph, rows, &monitor);
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let error = ended.expect("nobody waits").expect_err("it was left");
        let is_left = |error: &Error| {
            matches!(
                error,
                Error::Left {
                    fate: Fate::Running,
                    ..
                }
            )
        };
        assert!(is_left(&error), "{error}");
    }
}
