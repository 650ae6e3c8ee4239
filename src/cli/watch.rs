//! Shows a run in this process while it trains, and listens for Ctrl-C.

use std::time::{Duration, Instant};

use cuttlefish_core::data::{BatchSource, Part};
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::Event;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Failure, tell};
use crate::deploy::LocalRun;
use crate::host::End;
use crate::report::progress_bar::{ProgressView, Snapshot};

/// How often the view is refreshed.
const REFRESH: Duration = Duration::from_millis(100);

/// Shows a run while it trains.
pub struct Watch<'a> {
    view: ProgressView,
    graph: &'a Graph,
    batches: &'a dyn BatchSource,
    began: Instant,
    epoch_began: Instant,
    rows_before_epoch: u64,
    ticks_before: u64,
    rewinds: u64,
}

impl<'a> Watch<'a> {
    /// A view of a run that begins now, `ticks_before` its start.
    pub fn new(
        view: ProgressView,
        graph: &'a Graph,
        batches: &'a dyn BatchSource,
        ticks_before: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            view,
            graph,
            batches,
            began: now,
            epoch_began: now,
            rows_before_epoch: 0,
            ticks_before,
            rewinds: 0,
        }
    }

    /// Shows what happens until the run is over. The first Ctrl-C (or SIGTERM) asks it to commit
    /// and stop, the second one ends the process where it stands.
    pub async fn until_the_end(&mut self, local: &LocalRun, run: &str) -> Result<End, Failure> {
        // Listened to from here on without a gap: a signal between two looks must not be lost.
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
        let mut interrupts = listen(SignalKind::interrupt())?;
        let mut terminations = listen(SignalKind::terminate())?;
        let mut asked = false;
        loop {
            let end = tokio::select! {
                end = local.observer().wait(REFRESH) => end,
                _ = interrupts.recv() => { self.stop(local, run, &mut asked); None }
                _ = terminations.recv() => { self.stop(local, run, &mut asked); None }
            };
            self.show(local);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn stop(&mut self, local: &LocalRun, run: &str, asked: &mut bool) {
        if !std::mem::replace(asked, true) {
            self.view
                .note("committing; press Ctrl-C again to stop at once");
            return local.stop();
        }
        self.view.finish();
        tell(format_args!(
            "stopped at once; go on from the last commit with `cuttlefish train --resume {run}`"
        ));
        // Not by returning: that would wait for the arithmetic under way. The store is made for
        // processes that end like this.
        std::process::exit(Exit::Interrupted as i32);
    }

    /// Removes what is not to stay.
    pub fn finish(&mut self) {
        self.view.finish();
    }

    fn show(&mut self, local: &LocalRun) {
        let look = local.observer().look();
        for (at, event) in look.notable {
            match event {
                Event::Started { from, .. } if !from.is_initial() && self.rewinds == 0 => {
                    self.epoch_began = at;
                    let tick = from.tick;
                    self.view.note(&format!(
                        "resumed after tick {tick}, commit {}",
                        from.number
                    ));
                }
                Event::EpochFinished(record) => {
                    let rows = self.batches.rows(Part::Train);
                    self.view.epoch(&record, rows, at - self.epoch_began);
                    self.epoch_began = at;
                    self.rows_before_epoch = look.rows_trained;
                }
                Event::Rewound { to, reason, .. } => {
                    self.rewinds += 1;
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
        }) = look.latest
        {
            let epochs = self.graph.training.epochs;
            let batch_size = self.graph.training.batch_size;
            let batches = self.batches.rows(part).div_ceil(batch_size) as u32;
            let elapsed = self.epoch_began.elapsed().as_secs_f64();
            let rows = (look.rows_trained - self.rows_before_epoch) as f64;
            self.view.update(&Snapshot {
                epoch,
                epochs,
                part,
                index,
                batches,
                rows_per_second: if elapsed > 0.0 { rows / elapsed } else { 0.0 },
                loss: running.loss,
                accuracy: running.accuracy,
                remaining: self.remaining(tick.0),
            });
        }
    }

    /// Ticks still to come at the pace so far.
    fn remaining(&self, tick: u64) -> Option<Duration> {
        let batch_size = self.graph.training.batch_size;
        let ticks = |part| self.batches.rows(part).div_ceil(batch_size) as u64;
        let epochs = u64::from(self.graph.training.epochs);
        let total = epochs * (ticks(Part::Train) + ticks(Part::Validation)) + ticks(Part::Test);
        let done = tick
            .checked_sub(self.ticks_before)
            .filter(|&done| done > 0)?;
        let left = total.saturating_sub(tick) as f64;
        Some(self.began.elapsed().mul_f64(left / done as f64))
    }
}
