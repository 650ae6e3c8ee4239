//! Issue of ticks: the order of batches, commit marks, and the end of a run.

use std::time::Duration;

use super::{Pending, Phase, Running, Timing, Trainer};
use crate::data::{BatchRef, BatchSource, Feed, Part};
use crate::ids::{Address, CommitPoint};
use crate::machine::{Effect, Effects};
use crate::protocol::{
    EpochRecord, Evaluation, Message, Outcome, Progress, Tally, TickHeader, Totals, Verdict, Work,
};
use crate::topology::{Graph, Monitor};

impl Trainer {
    /// Sends every tick that may go out now, and ends the run when there is nothing left.
    pub(super) fn issue(&mut self, now: Duration, effects: &mut dyn Effects) {
        let Phase::Running(running) = &self.phase else {
            return;
        };
        let is_idle = running.unfinished.is_empty() && running.pending.is_none();
        if is_idle && running.progress.tick == running.ledger.progress.tick {
            let verdict = if running.progress.finished {
                Some(Verdict::Completed)
            } else {
                self.stop_asked.then_some(Verdict::Stopped)
            };
            if let Some(verdict) = verdict {
                // As recorded: whoever looks at the run later sees the same figures.
                effects.push(Effect::Finish(Box::new(Outcome {
                    verdict,
                    totals: Totals {
                        generation: None,
                        ..running.ledger.totals
                    },
                    ledger: running.ledger.clone(),
                })));
                self.phase = Phase::Over;
                return;
            }
        }
        while let Some(header) = self.next_tick(now) {
            let inputs = match self.feed {
                Feed::Reference => None,
                Feed::Broadcast => Some(self.batches.inputs(header.batch)),
            };
            self.send(
                Address::Layer(0),
                Message::Forward { header, inputs },
                effects,
            );
        }
    }

    /// Issues the next tick, if it may go out now: the caller sends it.
    pub(super) fn next_tick(&mut self, now: Duration) -> Option<TickHeader> {
        let Phase::Running(running) = &mut self.phase else {
            return None;
        };
        let mut header = running.next_header(&self.graph, &*self.batches)?;
        let is_last = running.is_last(&header, &*self.batches, self.graph.training.batch_size);
        let must_mark = is_last || self.stop_asked;
        if running.pending.is_some() {
            // At most one commit point is ahead of the ledger.
            if must_mark {
                return None;
            }
        } else if must_mark || now >= running.next_mark(&self.timing) {
            let commit = CommitPoint {
                number: running.ledger.commit.number + 1,
                tick: header.tick,
            };
            header.mark = Some(commit.number);
            running.pending = Some(Pending {
                commit,
                written_by: Default::default(),
                progress: None,
                requested: None,
            });
            running.last_mark = now;
        }
        running.unfinished.push_back((header, now));
        Some(header)
    }
}

impl Running {
    /// Time of the next commit point: soon after a rewind, then at the full interval.
    fn next_mark(&self, timing: &Timing) -> Duration {
        let doubled = 1 << self.commits_since_rewind.min(16);
        let interval = timing.first_commit_interval * doubled;
        self.last_mark + interval.min(timing.commit_interval)
    }

    /// The tick after all issued ones, if it may be issued now.
    ///
    /// A training tick is issued when everything before it is finished, or only one evaluation is
    /// not; the first tick of a part waits for the whole part before it, whose result may decide
    /// what comes next.
    fn next_header(&self, graph: &Graph, batches: &dyn BatchSource) -> Option<TickHeader> {
        let progress = &self.progress;
        let ahead = self.unfinished.len() as u32;
        let may_overtake = |(header, _): &(TickHeader, Duration)| header.work == Work::Evaluate;
        if progress.finished || ahead > 1 || !self.unfinished.iter().all(may_overtake) {
            return None;
        }
        let part_rows = batches.rows(progress.part);
        let index = progress.index + ahead;
        let batch_size = graph.training.batch_size;
        let first_row = (index as usize).saturating_mul(batch_size);
        // Even an empty part has one (empty) tick, so that every run has a last one to commit.
        if first_row >= part_rows && index > 0 {
            return None;
        }
        let step = progress.step + 1;
        let per_epoch = batches.rows(Part::Train).div_ceil(batch_size) as u64;
        let training = &graph.training;
        let work = match progress.part {
            Part::Train => Work::Train {
                step,
                learning_rate: training.schedule.learning_rate(
                    training.optimizer.learning_rate(),
                    step,
                    per_epoch,
                    training.epochs,
                    training.warmup_epochs,
                ),
            },
            Part::Validation | Part::Test => Work::Evaluate,
        };
        let mut tick = progress.tick.next();
        tick.0 += u64::from(ahead);
        Some(TickHeader {
            tick,
            work,
            batch: BatchRef {
                part: progress.part,
                epoch: progress.epoch,
                index,
                rows: (part_rows - first_row).min(batch_size) as u32,
            },
            mark: None,
        })
    }

    /// True for the last tick of the run: the last one of the test rows.
    fn is_last(&self, header: &TickHeader, batches: &dyn BatchSource, batch_size: usize) -> bool {
        let batch = header.batch;
        batch.part == Part::Test
            && batch.index as usize * batch_size + batch.rows as usize >= batches.rows(Part::Test)
    }
}

impl Progress {
    /// Takes note of a tick whose rows have been counted, and says so if it ended an epoch.
    pub(super) fn advance(
        &mut self,
        header: TickHeader,
        graph: &Graph,
        batches: &dyn BatchSource,
    ) -> Option<EpochRecord> {
        self.tick = header.tick;
        self.index += 1;
        if let Work::Train {
            step,
            learning_rate,
        } = header.work
        {
            self.step = step;
            self.learning_rate = learning_rate;
        }
        let part_rows = batches.rows(self.part);
        if (self.index as usize).saturating_mul(graph.training.batch_size) < part_rows {
            return None;
        }
        self.index = 0;
        let evaluation = std::mem::take(&mut self.tally).evaluation();
        match self.part {
            Part::Train if batches.rows(Part::Validation) > 0 => {
                self.train = evaluation;
                self.part = Part::Validation;
                None
            }
            Part::Train => {
                self.train = evaluation;
                self.end_epoch(None, graph)
            }
            Part::Validation => self.end_epoch(evaluation, graph),
            Part::Test => {
                self.test = evaluation;
                self.finished = true;
                None
            }
        }
    }

    fn end_epoch(
        &mut self,
        mut validation: Option<Evaluation>,
        graph: &Graph,
    ) -> Option<EpochRecord> {
        let mut train = self.train.take()?;
        // Matrices of every epoch would outgrow the ledger's item; the summary shows the test's.
        train.confusion = None;
        if let Some(validation) = &mut validation {
            validation.confusion = None;
        }
        let record = EpochRecord {
            epoch: self.epoch,
            learning_rate: self.learning_rate,
            train,
            validation,
        };
        self.record(record.clone());
        self.stopped_early = self.is_out_of_patience(&record, graph);
        let is_last = self.stopped_early || self.epoch >= graph.training.epochs;
        self.epoch += 1;
        self.part = if is_last { Part::Test } else { Part::Train };
        Some(record)
    }

    fn is_out_of_patience(&mut self, record: &EpochRecord, graph: &Graph) -> bool {
        let Some(stopping) = graph.training.early_stopping else {
            return false;
        };
        let validation = record.validation.as_ref();
        // Smaller is better for all of them.
        let value = match stopping.monitor {
            Monitor::Loss => Some(record.train.loss),
            Monitor::ValidationLoss => validation.map(|v| v.loss),
            Monitor::ValidationAccuracy => validation.and_then(|v| v.accuracy).map(|a| -a),
        };
        let Some(value) = value else {
            return false;
        };
        let is_better = |best: f64| value < best - f64::from(stopping.min_delta);
        if self.best.is_none_or(is_better) {
            self.best = Some(value);
            self.epochs_without_improvement = 0;
            return false;
        }
        self.epochs_without_improvement += 1;
        self.epochs_without_improvement >= stopping.patience
    }

    /// Goes on with training after the end of a run that is to have more epochs.
    pub(super) fn reopen(&mut self) {
        self.finished = false;
        self.tally = Tally::default();
        self.test = None;
        self.part = Part::Train;
        self.index = 0;
    }
}
