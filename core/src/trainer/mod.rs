//! The trainer: feeds batches, computes the loss, keeps schedule, ledger and metrics.

pub mod head;
mod issue;
pub mod metrics;
pub mod progress;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, s};

use crate::data::{BatchSource, Part, Task};
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::machine::{Effect, Effects, Fault, Input, Machine, StoreReply, StoreRequest};
use crate::protocol::{Envelope, Message, TickHeader, Work};
use crate::synapse::send_errors;
use crate::topology::Graph;

pub use metrics::{Evaluation, Tally};
pub use progress::{EpochRecord, Event, Ledger, Outcome, Progress, Verdict};

/// The trainer's patience. None of it changes a bit of the result.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time between two commit points.
    pub commit_interval: Duration,
    /// Time between the first commit points after a rewind, doubled until it reaches
    /// `commit_interval`: a run under heavy faults still gets on.
    pub first_commit_interval: Duration,
    /// Silence after which something must have been lost, before the first tick.
    pub boot_deadline: Duration,
    /// The same, once a tick has been seen: `deadline_ticks` of the longest one, but no less
    /// than this.
    pub least_deadline: Duration,
    /// See `least_deadline`.
    pub deadline_ticks: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_secs(5),
            first_commit_interval: Duration::from_millis(250),
            boot_deadline: Duration::from_secs(30),
            least_deadline: Duration::from_secs(5),
            deadline_ticks: 20,
        }
    }
}

/// A deadline is doubled after each rewind that brought nothing, this often at most.
const MAX_DOUBLINGS: u32 = 6;

/// The machine that drives a run.
pub struct Trainer {
    graph: Arc<Graph>,
    batches: Arc<dyn BatchSource>,
    timing: Timing,
    /// Everybody who must be ready: all units and synapses.
    members: BTreeSet<Address>,
    n_units: usize,
    tally: Tally,
    generation: Generation,
    phase: Phase,
    stop_asked: bool,
    rewinds: u64,
    /// Rewinds since a commit point was last reached.
    fruitless_rewinds: u32,
    last_heard: Duration,
    longest_tick: Option<Duration>,
    reason: Option<String>,
    /// Generations that were asked for and have not come (yet).
    unanswered_draws: u64,
    /// A fault that is one only if no other trainer is at work.
    suspicion: Option<Fault>,
}

/// Where the trainer stands.
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

/// What the trainer knows while ticks are under way.
struct Running {
    ledger: Ledger,
    progress: Progress,
    /// Issued, outputs not complete; in tick order.
    unfinished: VecDeque<(TickHeader, Duration)>,
    outputs: BTreeMap<Tick, Outputs>,
    /// The one commit point ahead of the ledger.
    pending: Option<Pending>,
    last_mark: Duration,
    commits_since_rewind: u32,
}

/// The outputs of the last layer for one tick, as far as they have come.
struct Outputs {
    values: Array2<f32>,
    seen: Vec<bool>,
    missing: usize,
}

/// A commit point that the ledger does not name yet.
struct Pending {
    commit: CommitPoint,
    written_by: BTreeSet<Address>,
    /// The progress at its tick, once its outputs are complete.
    progress: Option<Progress>,
    /// Whether the ledger has been sent to the store.
    requested: bool,
}

impl Trainer {
    /// The trainer of a run. `task` says which metrics are kept.
    pub fn new(
        graph: Arc<Graph>,
        batches: Arc<dyn BatchSource>,
        task: &Task,
        timing: Timing,
    ) -> Self {
        let mut members: BTreeSet<Address> = (0..graph.layers.len())
            .flat_map(|layer| {
                let units = graph.layers[layer].unit_ranges().len();
                (0..units).map(move |index| Address::Unit { layer, index })
            })
            .collect();
        let n_units = members.len();
        members.extend((1..graph.layers.len()).map(|layer| Address::Synapse(layer - 1)));
        Self {
            tally: Tally::new(task),
            graph,
            batches,
            timing,
            members,
            n_units,
            generation: Generation(0),
            phase: Phase::Opening,
            stop_asked: false,
            rewinds: 0,
            fruitless_rewinds: 0,
            last_heard: Duration::ZERO,
            longest_tick: None,
            reason: None,
            unanswered_draws: 0,
            suspicion: None,
        }
    }

    fn send(&self, to: Address, message: Message, effects: &mut dyn Effects) {
        let generation = self.generation;
        effects.push(Effect::Send {
            to,
            envelope: Envelope {
                generation,
                message,
            },
        });
    }

    /// Begins a new timeline. The one recovery path, whatever was lost.
    fn rewind(&mut self, now: Duration, reason: Option<String>, effects: &mut dyn Effects) {
        if reason.is_some() {
            self.rewinds += 1;
            self.fruitless_rewinds += 1;
        }
        self.reason = reason;
        self.phase = Phase::Opening;
        self.last_heard = now;
        self.unanswered_draws += 1;
        effects.push(Effect::Store(StoreRequest::BeginGeneration));
    }

    fn opened(
        &mut self,
        generation: Generation,
        ledger: Option<Box<Ledger>>,
        effects: &mut dyn Effects,
    ) {
        self.unanswered_draws = self.unanswered_draws.saturating_sub(1);
        if generation <= self.generation || matches!(self.phase, Phase::Over) {
            return;
        }
        let nobody_came_between = generation.0 == self.generation.0 + 1;
        self.generation = generation;
        if let Some(fault) = self.suspicion.take()
            && nobody_came_between
        {
            effects.push(Effect::Fail(fault));
            self.phase = Phase::Over;
            return;
        }
        let ledger = ledger.unwrap_or_else(|| {
            Box::new(Ledger {
                commit: CommitPoint::default(),
                progress: Progress::start(self.graph.training.epochs),
            })
        });
        if let Some(reason) = self.reason.take() {
            effects.push(Effect::Report(Event::Rewound {
                generation,
                to: ledger.commit,
                reason,
            }));
        }
        for &member in &self.members {
            self.send(member, Message::Rewind(ledger.commit), effects);
        }
        self.phase = Phase::Gathering {
            ledger,
            ready: BTreeSet::new(),
        };
    }

    fn hello(
        &mut self,
        now: Duration,
        generation: Generation,
        from: Address,
        effects: &mut dyn Effects,
    ) {
        // A timeline that this trainer does not know: it is the older one of two.
        if generation > self.generation || !self.members.contains(&from) {
            return;
        }
        match &mut self.phase {
            Phase::Gathering { ledger, ready } => {
                ready.remove(&from);
                let commit = ledger.commit;
                self.send(from, Message::Rewind(commit), effects);
            }
            // Said before it restored this timeline, and delivered late.
            Phase::Running(_) if generation.0 > 0 && generation < self.generation => {}
            Phase::Running(_) => {
                let reason = if generation.0 == 0 {
                    format!("{from} has restarted")
                } else {
                    format!("{from} has missed something")
                };
                self.rewind(now, Some(reason), effects);
            }
            Phase::Opening | Phase::Over => {}
        }
    }

    fn ready(&mut self, now: Duration, from: Address, effects: &mut dyn Effects) {
        let Phase::Gathering { ledger, ready } = &mut self.phase else {
            return;
        };
        if !self.members.contains(&from) {
            return;
        }
        ready.insert(from);
        if ready.len() < self.members.len() {
            return;
        }
        let ledger = (**ledger).clone();
        effects.push(Effect::Report(Event::Started {
            generation: self.generation,
            from: ledger.commit,
        }));
        let mut progress = ledger.progress.clone();
        if self.is_extended(&progress) {
            progress.reopen();
        }
        self.phase = Phase::Running(Box::new(Running {
            progress,
            ledger,
            unfinished: VecDeque::new(),
            outputs: BTreeMap::new(),
            pending: None,
            last_mark: now,
            commits_since_rewind: 0,
        }));
        self.issue(now, effects);
    }

    /// A unit cannot restore the ledger's commit: either it is damaged, or another trainer has
    /// moved the run on since we read the ledger. The next generation's number tells which.
    fn unrestorable(
        &mut self,
        now: Duration,
        at: Address,
        problem: String,
        effects: &mut dyn Effects,
    ) {
        if let Phase::Gathering { ledger, .. } = &self.phase {
            let number = ledger.commit.number;
            let reason = format!("{at} cannot restore commit {number}");
            self.suspicion = Some(Fault::Unrestorable {
                at,
                number,
                problem,
            });
            self.rewind(now, Some(reason), effects);
        }
    }

    /// Whether a run that is done with training was asked for more epochs than it had.
    fn is_extended(&self, progress: &Progress) -> bool {
        progress.part == Part::Test
            && !progress.stopped_early
            && progress.epoch <= self.graph.training.epochs
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
        if !is_issued || first + values.nrows() > n_outputs || values.ncols() != rows {
            return;
        }
        let outputs = running
            .outputs
            .entry(header.tick)
            .or_insert_with(|| Outputs {
                values: Array2::zeros((n_outputs, rows)),
                seen: vec![false; n_outputs],
                missing: n_outputs,
            });
        let range = first..first + values.nrows();
        if outputs.seen[range.clone()].iter().any(|&seen| seen) {
            return;
        }
        outputs
            .values
            .slice_mut(s![range.clone(), ..])
            .assign(values);
        outputs.missing -= range.len();
        outputs.seen[range].fill(true);
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
            let complete = |outputs: &Outputs| outputs.missing == 0;
            if !running.outputs.get(&header.tick).is_some_and(complete) {
                return;
            }
            let Some(Outputs { values, .. }) = running.outputs.remove(&header.tick) else {
                return;
            };
            running.unfinished.pop_front();
            let took = now.saturating_sub(issued);
            self.longest_tick = self.longest_tick.max(Some(took));
            if !self.finish_tick(header, &values, effects) {
                return;
            }
        }
    }

    /// Loss, gradient and metrics of a tick. False if the run failed.
    fn finish_tick(
        &mut self,
        header: TickHeader,
        outputs: &Array2<f32>,
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
            outputs,
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
            send_errors(
                &self.graph,
                self.graph.layers.len() - 1,
                self.generation,
                header.tick,
                &Arc::new(gradient),
                effects,
            );
        }
        if let Some(running) = progress.tally.evaluation() {
            effects.push(Effect::Report(Event::TickFinished {
                tick: header.tick,
                epoch: header.batch.epoch,
                part: header.batch.part,
                index: header.batch.index,
                rows: header.batch.rows,
                running,
            }));
        }
        let finished_epoch = progress.advance(header, &self.graph, &*self.batches);
        if let Some(record) = finished_epoch {
            effects.push(Effect::Report(Event::EpochFinished(record)));
        }
        if let Some(pending) = &mut running.pending
            && pending.commit.tick == header.tick
        {
            pending.progress = Some(running.progress.clone());
            self.write_ledger_if_complete(effects);
        }
        true
    }

    fn committed(
        &mut self,
        now: Duration,
        from: Address,
        commit: CommitPoint,
        effects: &mut dyn Effects,
    ) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        if let Some(pending) = &mut running.pending
            && pending.commit == commit
            && self.members.contains(&from)
        {
            pending.written_by.insert(from);
            self.last_heard = now;
            self.write_ledger_if_complete(effects);
        }
    }

    fn write_ledger_if_complete(&mut self, effects: &mut dyn Effects) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let Some(pending) = &mut running.pending else {
            return;
        };
        if pending.requested || pending.written_by.len() < self.n_units {
            return;
        }
        if let Some(progress) = &pending.progress {
            pending.requested = true;
            effects.push(Effect::Store(StoreRequest::WriteLedger {
                generation: self.generation,
                ledger: Box::new(Ledger {
                    commit: pending.commit,
                    progress: progress.clone(),
                }),
            }));
        }
    }

    fn ledger_written(
        &mut self,
        now: Duration,
        commit: CommitPoint,
        refused_by: Option<Generation>,
        effects: &mut dyn Effects,
    ) {
        if let Some(newest) = refused_by {
            // Generations that we drew ourselves, whose answers were lost, are nobody else's.
            let drawn_since = newest.0.saturating_sub(self.generation.0);
            if drawn_since <= self.unanswered_draws {
                let reason = "an answer of the store was lost".to_owned();
                return self.rewind(now, Some(reason), effects);
            }
            effects.push(Effect::Fail(Fault::Superseded {
                generation: self.generation,
            }));
            self.phase = Phase::Over;
            return;
        }
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let Some(pending) = running.pending.take_if(|pending| pending.commit == commit) else {
            return;
        };
        let Some(progress) = pending.progress else {
            return;
        };
        running.ledger = Ledger { commit, progress };
        running.commits_since_rewind += 1;
        self.fruitless_rewinds = 0;
        self.last_heard = now;
        effects.push(Effect::Report(Event::Committed(commit)));
        self.issue(now, effects);
    }

    fn clock(&mut self, now: Duration, effects: &mut dyn Effects) {
        let doubled = 1 << self.fruitless_rewinds.min(MAX_DOUBLINGS);
        let deadline = match self.longest_tick {
            None => self.timing.boot_deadline,
            Some(tick) => (tick * self.timing.deadline_ticks).max(self.timing.least_deadline),
        };
        if matches!(self.phase, Phase::Over) || now < self.last_heard + deadline * doubled {
            return;
        }
        let silence = (now - self.last_heard).as_secs_f64();
        let waiting_for = match &self.phase {
            Phase::Opening => "the store".to_owned(),
            Phase::Gathering { ready, .. } => format!(
                "{} of {} units and synapses",
                self.members.len() - ready.len(),
                self.members.len()
            ),
            _ => "outputs".to_owned(),
        };
        let reason = format!("nothing heard for {silence:.1} s, waiting for {waiting_for}");
        self.rewind(now, Some(reason), effects);
    }
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
                self.opened(generation, ledger, effects);
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
                _ if generation != self.generation => {}
                Message::Ready { from } => {
                    self.last_heard = now;
                    self.ready(now, from, effects);
                }
                Message::Unrestorable { from, problem } => {
                    self.unrestorable(now, from, problem, effects);
                }
                Message::Committed { from, commit } => self.committed(now, from, commit, effects),
                Message::Activation {
                    header,
                    first,
                    values,
                } => self.activation(now, header, first, &values, effects),
                _ => {}
            },
        }
    }
}
