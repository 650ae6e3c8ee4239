//! The trainer: feeds batches, computes the loss, keeps schedule, ledger and metrics.

mod commit;
pub mod head;
mod issue;
mod timeline;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, s};

use crate::data::{BatchSource, Feed, Part, Task};
use crate::gather::Gather;
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::machine::{Effect, Effects, Fault, Input, Machine, StoreReply};
use crate::protocol::{
    Envelope, Event, Ledger, Message, Progress, Tally, TickHeader, Totals, Work,
};
use crate::scatter::scatter_errors;
use crate::topology::{Graph, Roster};
use crate::view::{Dropped, View};

/// The trainer's patience. None of it changes a bit of the result.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time between two commit points.
    pub commit_interval: Duration,
    /// Time between the first commit points after a rewind, doubled until it reaches
    /// `commit_interval`: a run under heavy faults still gets on.
    pub first_commit_interval: Duration,
    /// Silence after which something must have been lost while everybody boots, restores or
    /// commits, which may take the store long; no less than three times the longest commit.
    pub store_deadline: Duration,
    /// Least silence after which something must have been lost while ticks are under way.
    pub least_deadline: Duration,
    /// Silence after which something must have been lost while ticks are under way, in longest ticks, where
    /// that is more than `least_deadline`.
    pub deadline_ticks: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_secs(5),
            first_commit_interval: Duration::from_millis(250),
            store_deadline: Duration::from_secs(30),
            least_deadline: Duration::from_secs(5),
            deadline_ticks: 20,
        }
    }
}

/// The machine that drives a run.
pub struct Trainer {
    graph: Arc<Graph>,
    batches: Arc<dyn BatchSource>,
    feed: Feed,
    timing: Timing,
    n_members: usize,
    n_units: usize,
    tally: Tally,
    generation: Generation,
    phase: Phase,
    stop_asked: bool,
    /// Figures of the run, its time up to `began`; before the ledger is read, of this trainer alone.
    totals: Totals,
    /// Outputs of the last training tick `[outputs, rows]`, kept for those who look.
    last_outputs: Option<(Tick, Array2<f32>)>,
    /// Time from which on this trainer's work is not in `totals` yet; none before its first tick.
    began: Option<Duration>,
    dropped: Dropped,
    /// Rewinds because of silence since a commit point was last reached.
    fruitless_rewinds: u32,
    last_heard: Duration,
    /// The longest tick of late: a single long one, while somebody was frozen, must not make the
    /// trainer patient for ever.
    longest_tick: Option<Duration>,
    /// The longest time of late from a mark to the ledger that names it.
    longest_commit: Duration,
    reason: Option<String>,
    /// Generations that were asked for and have not come (yet).
    unanswered_draws: u64,
    /// A fault that is one only if no other trainer is at work.
    suspicion: Option<Fault>,
}

/// Phase of the trainer.
enum Phase {
    /// Waiting for the store to give a generation.
    Opening,
    /// Waiting for everybody to restore the commit of the ledger.
    Gathering {
        ledger: Box<Ledger>,
        ready: BTreeSet<Address>,
    },
    /// Ticks are under way.
    Running(Box<Running>),
    /// Done, one way or the other.
    Over,
}

/// State of the trainer while ticks are under way.
struct Running {
    ledger: Ledger,
    progress: Progress,
    /// Issued, outputs not complete; in tick order.
    unfinished: VecDeque<(TickHeader, Duration)>,
    outputs: BTreeMap<Tick, Gather<Array2<f32>>>,
    /// Outputs that are complete, of ticks that wait for their turn.
    complete: BTreeMap<Tick, Array2<f32>>,
    /// The one commit point ahead of the ledger.
    pending: Option<Pending>,
    last_mark: Duration,
    commits_since_rewind: u32,
}

/// A commit point that the ledger does not name yet.
struct Pending {
    commit: CommitPoint,
    written_by: BTreeSet<Address>,
    /// The progress at its tick, once its outputs are complete.
    progress: Option<Progress>,
    /// Ledger, once it has been sent to the store.
    requested: Option<Box<Ledger>>,
}

impl Trainer {
    /// The trainer of a run whose first layer reads the data set by itself. `task` says which
    /// metrics are kept.
    pub fn new(
        graph: Arc<Graph>,
        batches: Arc<dyn BatchSource>,
        task: &Task,
        timing: Timing,
    ) -> Self {
        let counts = Roster::new(&graph).counts();
        Self {
            tally: Tally::new(task),
            graph,
            batches,
            feed: Feed::default(),
            timing,
            n_members: counts.members(),
            n_units: counts.units,
            generation: Generation(0),
            phase: Phase::Opening,
            stop_asked: false,
            totals: Totals::default(),
            last_outputs: None,
            began: None,
            dropped: Dropped::default(),
            fruitless_rewinds: 0,
            last_heard: Duration::ZERO,
            longest_tick: None,
            longest_commit: Duration::ZERO,
            reason: None,
            unanswered_draws: 0,
            suspicion: None,
        }
    }

    /// Trainer that feeds the first layer in another way.
    pub fn with_feed(self, feed: Feed) -> Self {
        Self { feed, ..self }
    }

    fn send(&self, to: Address, message: Message, effects: &mut dyn Effects) {
        effects.push(Effect::send(to, self.generation, message));
    }

    fn activation(
        &mut self,
        now: Duration,
        header: TickHeader,
        first: usize,
        values: &Array2<f32>,
        effects: &mut dyn Effects,
    ) {
        let n_outputs = self.graph.outputs();
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let rows = header.batch.rows as usize;
        let is_issued = running
            .unfinished
            .iter()
            .any(|(issued, _)| *issued == header);
        let last = &self.graph.layers[self.graph.layers.len() - 1];
        let is_unit = last.has_unit(first, values.nrows());
        if !is_issued || !is_unit || values.ncols() != rows {
            let dropped = &mut self.dropped;
            if header.tick <= running.progress.tick {
                dropped.duplicate += 1;
            } else {
                dropped.foreign += 1;
            }
            return;
        }
        let outputs = running
            .outputs
            .entry(header.tick)
            .or_insert_with(|| Gather::new(n_outputs, Array2::zeros((n_outputs, rows))));
        if outputs.has(first, values.nrows()) {
            self.dropped.duplicate += 1;
            return;
        }
        let complete = outputs.add(first, values.nrows(), |outputs| {
            let place = s![first..first + values.nrows(), ..];
            outputs.slice_mut(place).assign(values);
        });
        if let Some(values) = complete {
            running.complete.insert(header.tick, values);
        }
        self.last_heard = now;
        self.finish_complete_ticks(now, effects);
        self.issue(now, effects);
    }

    /// Counts the ticks whose outputs are complete, strictly in order.
    fn finish_complete_ticks(&mut self, now: Duration, effects: &mut dyn Effects) {
        loop {
            let Phase::Running(running) = &mut self.phase else {
                return;
            };
            let Some(&(header, issued)) = running.unfinished.front() else {
                return;
            };
            let Some(values) = running.complete.remove(&header.tick) else {
                return;
            };
            running.outputs.remove(&header.tick);
            running.unfinished.pop_front();
            let took = now.saturating_sub(issued);
            let of_late = self.longest_tick.map(|tick| tick * 99 / 100);
            self.longest_tick = of_late.max(Some(took));
            if !self.finish_tick(now, header, values, effects) {
                return;
            }
        }
    }

    /// Loss, gradient and metrics of a tick; a training tick's errors, with what follows it. False if the
    /// run failed.
    fn finish_tick(
        &mut self,
        now: Duration,
        header: TickHeader,
        outputs: Array2<f32>,
        effects: &mut dyn Effects,
    ) -> bool {
        let Phase::Running(running) = &mut self.phase else {
            return false;
        };
        if let Some(((neuron, _), _)) = outputs.indexed_iter().find(|(_, z)| !z.is_finite()) {
            let last = self.graph.layers.len() - 1;
            effects.push(Effect::Fail(Fault::NotFinite {
                layer: self.graph.layers[last].name.clone(),
                neuron,
                tick: header.tick.0,
            }));
            self.phase = Phase::Over;
            return false;
        }
        let progress = &mut running.progress;
        if progress.tally.rows == 0 {
            progress.tally = self.tally.clone();
        }
        let gradient = head::loss_and_gradient(
            self.graph.loss,
            self.graph.head,
            self.graph.target_scale,
            &outputs,
            &self.batches.targets(header.batch),
            &mut progress.tally,
        );
        if !progress.tally.loss.is_finite() {
            effects.push(Effect::Fail(Fault::LossNotFinite {
                tick: header.tick.0,
            }));
            self.phase = Phase::Over;
            return false;
        }
        if let Work::Train { .. } = header.work {
            self.totals.rows += u64::from(header.batch.rows);
            self.last_outputs = Some((header.tick, outputs));
        }
        // Before the tally of a part that ends here is closed.
        let figures = progress.tally.figures();
        let finished_epoch = progress.advance(header, &self.graph, &*self.batches);
        if let Some(pending) = &mut running.pending
            && pending.commit.tick == header.tick
        {
            pending.progress = Some(progress.clone());
        }
        if let Work::Train { .. } = header.work {
            let next = match self.feed {
                Feed::Reference => self.next_tick(now),
                Feed::Broadcast => None,
            };
            scatter_errors(
                &self.graph,
                self.graph.layers.len() - 1,
                self.generation,
                (header.tick, next),
                &Arc::new(gradient),
                effects,
            );
        }
        if let Some(running) = figures {
            effects.push(Effect::Report(Event::TickFinished {
                tick: header.tick,
                epoch: epoch_of(header.batch.part, header.batch.epoch),
                part: header.batch.part,
                index: header.batch.index,
                rows: header.batch.rows,
                running,
            }));
        }
        if let Some(record) = finished_epoch {
            effects.push(Effect::Report(Event::EpochFinished(record)));
        }
        self.write_ledger_if_complete(now, effects);
        true
    }
}

/// Epoch of a batch, from 1: test rows come behind the last one.
fn epoch_of(part: Part, epoch: u32) -> u32 {
    epoch - u32::from(part == Part::Test)
}

impl Machine for Trainer {
    fn on(&mut self, now: Duration, input: Input, effects: &mut dyn Effects) {
        match input {
            Input::Boot => self.rewind(now, None, effects),
            Input::Clock => self.clock(now, effects),
            Input::Stop => {
                self.stop_asked = true;
                self.issue(now, effects);
            }
            Input::Stored(StoreReply::Generation { generation, ledger }) => {
                self.last_heard = now;
                self.opened(now, generation, ledger, effects);
            }
            Input::Stored(StoreReply::Ledger {
                generation,
                commit,
                refused_by,
            }) if generation == self.generation => {
                self.ledger_written(now, commit, refused_by, effects);
            }
            Input::Stored(_) => {}
            Input::Message(Envelope {
                generation,
                message,
            }) => match message {
                Message::Hello { from } => self.hello(now, generation, from, effects),
                _ if generation != self.generation => self.dropped.stale += 1,
                Message::Ready { from } => {
                    self.last_heard = now;
                    self.ready(now, from, effects);
                }
                Message::Unable { from, problem } => {
                    self.unable(now, from, problem, effects);
                }
                Message::Diverged { from, neuron, tick } => {
                    self.diverged(now, from, neuron, tick, effects);
                }
                Message::Committed { from, commit } => self.committed(now, from, commit, effects),
                Message::Activation {
                    header,
                    first,
                    values,
                } => self.activation(now, header, first, &values, effects),
                _ => self.dropped.foreign += 1,
            },
        }
    }

    fn view(&self) -> View {
        View::Trainer(self.show())
    }
}
