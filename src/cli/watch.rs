//! Shows a run while it trains, wherever it does, and listens for Ctrl-C.

use std::time::Duration;

use cuttlefish_core::data::{BatchSource, Part};
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::Event;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::host::{End, Look};
use crate::report::progress_bar::{ProgressView, Snapshot};

/// How often the view is refreshed.
const REFRESH: Duration = Duration::from_millis(100);

/// A run that can be watched, and asked to stop.
pub trait Watchable {
    /// What there is to see, with the notes after number `after`; returns after `at_most` at the
    /// latest, sooner when the run is over.
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<Look, Failure>;

    /// What has happened around the run since this was last asked, a line each.
    fn happened(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// A person pressed Ctrl-C (or sent SIGTERM) for the first time; says what happens now.
    async fn interrupted(&mut self) -> Result<&'static str, Failure>;

    /// A person did it again. Does not wait for anything.
    fn abandoned(&mut self) -> Failure;
}

/// Shows a run while it trains.
pub struct Watch<'a> {
    view: ProgressView,
    graph: &'a Graph,
    batches: &'a dyn BatchSource,
    /// When the trainer, and when the epoch began, on the clock of the run's observer.
    began: Duration,
    epoch_began: Duration,
    rows_before_epoch: u64,
    /// Tick after which the trainer began.
    ticks_before: u64,
    /// True between a rewind and the ticks that follow it: otherwise it is a trainer that begins.
    is_rewinding: bool,
    /// Number of the last note that was shown.
    seen: u64,
    /// The run's observer when it was last looked at.
    observer: Option<u32>,
}

impl<'a> Watch<'a> {
    /// A view of a run that nobody has looked at yet.
    pub fn new(view: ProgressView, graph: &'a Graph, batches: &'a dyn BatchSource) -> Self {
        Self {
            view,
            graph,
            batches,
            began: Duration::ZERO,
            epoch_began: Duration::ZERO,
            rows_before_epoch: 0,
            ticks_before: 0,
            is_rewinding: false,
            seen: 0,
            observer: None,
        }
    }

    /// Shows what happens until the run is over, and returns how it ended. The first Ctrl-C (or SIGTERM)
    /// is told to the run, the second one ends the watch.
    pub async fn until_the_end(&mut self, run: &mut impl Watchable) -> Result<End, Failure> {
        // Listened to from here on without a gap: a signal between two looks must not be lost.
        let listen = |kind| signal(kind).map_err(|error| Failure::new(super::Exit::Failed, error));
        let mut interrupts = listen(SignalKind::interrupt())?;
        let mut terminations = listen(SignalKind::terminate())?;
        let mut asked = false;
        loop {
            let look = tokio::select! {
                look = run.look(self.seen, REFRESH) => Some(look?),
                _ = interrupts.recv() => None,
                _ = terminations.recv() => None,
            };
            match look {
                Some(look) => {
                    run.happened().iter().for_each(|line| self.view.note(line));
                    self.show(&look);
                    if let Some(end) = look.end {
                        return Ok(end);
                    }
                }
                None => {
                    let note = match std::mem::replace(&mut asked, true) {
                        true => None,
                        // Nor is the second one kept waiting by what the first one takes.
                        false => tokio::select! {
                            note = run.interrupted() => Some(note?),
                            _ = interrupts.recv() => None,
                            _ = terminations.recv() => None,
                        },
                    };
                    let Some(note) = note else {
                        self.view.finish();
                        return Err(run.abandoned());
                    };
                    self.view.note(note);
                }
            }
        }
    }

    /// Removes what is not to stay.
    pub fn finish(&mut self) {
        self.view.finish();
    }

    fn show(&mut self, look: &Look) {
        let before = self.observer.replace(look.observer);
        if before.is_some_and(|before| before != look.observer) {
            // The trainer has been started anew, and counts anew.
            self.seen = 0;
            self.rows_before_epoch = 0;
            self.is_rewinding = false;
        }
        for note in &look.notes {
            if note.number <= self.seen {
                continue;
            }
            self.seen = note.number;
            match &note.event {
                Event::Started { from, .. } if !std::mem::take(&mut self.is_rewinding) => {
                    self.ticks_before = from.tick.0;
                    self.began = note.at;
                    self.epoch_began = note.at;
                    if !from.is_initial() {
                        let (tick, number) = (from.tick, from.number);
                        self.view
                            .note(&format!("resumed after tick {tick}, commit {number}"));
                    }
                }
                Event::EpochFinished(record) => {
                    let rows = self.batches.rows(Part::Train);
                    let took = note.at.saturating_sub(self.epoch_began);
                    self.view.epoch(record, rows, took);
                    self.epoch_began = note.at;
                    self.rows_before_epoch = look.rows_trained;
                }
                Event::Rewound { to, reason, .. } => {
                    self.is_rewinding = true;
                    self.view.note(&format!(
                        "back to commit {} (tick {}): {reason}",
                        to.number, to.tick
                    ));
                }
                Event::BeyondInFlightBound {
                    at: unit,
                    tick,
                    applied,
                } => {
                    self.view.note(&format!(
                        "{unit} was sent tick {tick} while it stood at {applied}"
                    ));
                }
                Event::Started { .. } | Event::Committed(_) | Event::TickFinished { .. } => {}
            }
        }
        if let Some(Event::TickFinished {
            tick,
            epoch,
            part,
            index,
            running,
            ..
        }) = &look.latest
        {
            let epochs = self.graph.training.epochs;
            let batch_size = self.graph.training.batch_size;
            let batches = self.batches.rows(*part).div_ceil(batch_size) as u32;
            let elapsed = look.elapsed.saturating_sub(self.epoch_began).as_secs_f64();
            let rows = look.rows_trained.saturating_sub(self.rows_before_epoch) as f64;
            self.view.update(&Snapshot {
                epoch: *epoch,
                epochs,
                part: *part,
                index: *index,
                batches,
                rows_per_second: if elapsed > 0.0 { rows / elapsed } else { 0.0 },
                loss: running.loss,
                accuracy: running.accuracy,
                remaining: self.remaining(tick.0, look.elapsed),
            });
        }
    }

    /// Ticks still to come at the pace so far.
    fn remaining(&self, tick: u64, elapsed: Duration) -> Option<Duration> {
        let batch_size = self.graph.training.batch_size;
        let ticks = |part| self.batches.rows(part).div_ceil(batch_size) as u64;
        let epochs = u64::from(self.graph.training.epochs);
        let total = epochs * (ticks(Part::Train) + ticks(Part::Validation)) + ticks(Part::Test);
        let done = tick
            .checked_sub(self.ticks_before)
            .filter(|&done| done > 0)?;
        let left = total.saturating_sub(tick) as f64;
        Some(
            elapsed
                .saturating_sub(self.began)
                .mul_f64(left / done as f64),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use cuttlefish_core::data::Batches;
    use cuttlefish_core::topology::{DataShape, Grouping, parse};
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;
    use crate::cli::Exit;
    use crate::data::digits;

    /// A run that never gets anywhere, while somebody presses Ctrl-C.
    struct Stuck;

    fn press() {
        kill_process(getpid(), Signal::INT).expect("our own process");
    }

    impl Watchable for Stuck {
        async fn look(&mut self, _: u64, _: Duration) -> Result<Look, Failure> {
            press();
            pending().await
        }

        async fn interrupted(&mut self) -> Result<&'static str, Failure> {
            press();
            pending().await
        }

        fn abandoned(&mut self) -> Failure {
            Failure::new(Exit::Interrupted, "left")
        }
    }

    #[tokio::test]
    async fn a_second_ctrl_c_is_heard_while_the_first_one_is_waited_for() {
        let text = "name: stuck\ndata: {source: digits}\nnetwork:\n  layers: [{type: dense, name: digit, \
                    units: 10, activation: softmax}]\n  loss: sparse_categorical_crossentropy\n";
        let dataset = digits::load(0.1);
        let shape = DataShape::from(&dataset);
        let document = parse(text, &[]).unwrap();
        let graph = document.graph(&shape, Grouping::FromFile).unwrap();
        let batches = Batches::new(Arc::new(dataset), 1, 64, true);
        let view = ProgressView::new(false, true, 1);
        let mut watch = Watch::new(view, &graph, &batches);
        let mut stuck = Stuck;
        let ended = watch.until_the_end(&mut stuck);
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let failure = ended.expect("nobody waits").err().expect("it was left");
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::Interrupted, "left")
        );
    }
}
