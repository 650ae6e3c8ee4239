//! Timelines: how a generation begins, and what ends it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Phase, Running, Trainer};
use crate::data::Part;
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::machine::{Effect, Effects, Fault, StoreRequest};
use crate::protocol::{Event, Ledger, Message, Progress, Totals};
use crate::topology::Roster;

/// A deadline is doubled after each rewind for silence that brought nothing, this often at most.
const MAX_DOUBLINGS: u32 = 6;

impl Trainer {
    /// Begins a new timeline. The one recovery path, whatever was lost.
    pub(super) fn rewind(
        &mut self,
        now: Duration,
        reason: Option<String>,
        effects: &mut dyn Effects,
    ) {
        if reason.is_some() {
            self.totals.rewinds += 1;
        }
        self.reason = reason;
        self.phase = Phase::Opening;
        self.last_heard = now;
        self.unanswered_draws += 1;
        effects.push(Effect::Store(StoreRequest::BeginGeneration));
    }

    pub(super) fn opened(
        &mut self,
        now: Duration,
        generation: Generation,
        ledger: Option<Box<Ledger>>,
        effects: &mut dyn Effects,
    ) {
        self.unanswered_draws = self.unanswered_draws.saturating_sub(1);
        if generation <= self.generation || matches!(self.phase, Phase::Over) {
            return;
        }
        let nobody_came_between = generation.0 == self.generation.0 + 1;
        let is_first = self.generation.0 == 0;
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
                totals: Totals::default(),
            })
        });
        let totals = ledger.totals;
        // It may be another trainer's, who has come further than this one.
        let own = self.totals(now);
        self.totals = Totals {
            rows: own.rows.max(totals.rows),
            rewinds: match totals.generation {
                Some(written_by) => totals.rewinds + (generation.0 - written_by.0),
                None if is_first => totals.rewinds + own.rewinds,
                None => own.rewinds.max(totals.rewinds),
            },
            elapsed: own.elapsed.max(totals.elapsed),
            generation: None,
        };
        self.began = self.began.map(|_| now);
        if let Some(reason) = self.reason.take() {
            effects.push(Effect::Report(Event::Rewound {
                generation,
                to: ledger.commit,
                reason,
            }));
        }
        for member in Roster::new(&self.graph).members() {
            self.send(member, Message::Rewind(ledger.commit), effects);
        }
        self.phase = Phase::Gathering {
            ledger,
            ready: BTreeSet::new(),
        };
    }

    pub(super) fn hello(
        &mut self,
        now: Duration,
        generation: Generation,
        from: Address,
        effects: &mut dyn Effects,
    ) {
        if !Roster::new(&self.graph).has_member(from) {
            self.dropped.foreign += 1;
            return;
        }
        // A timeline that this trainer does not know (yet): it has just booted, or is the older one of two.
        if generation > self.generation {
            self.dropped.stale += 1;
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

    pub(super) fn ready(&mut self, now: Duration, from: Address, effects: &mut dyn Effects) {
        let Phase::Gathering { ledger, ready } = &mut self.phase else {
            return;
        };
        if !Roster::new(&self.graph).has_member(from) {
            self.dropped.foreign += 1;
            return;
        }
        ready.insert(from);
        if ready.len() < self.n_members {
            return;
        }
        let ledger = (**ledger).clone();
        self.began.get_or_insert(now);
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
            complete: BTreeMap::new(),
            pending: None,
            last_mark: now,
            commits_since_rewind: 0,
        }));
        self.issue(now, effects);
    }

    /// Figures of the run until now.
    pub(super) fn totals(&self, now: Duration) -> Totals {
        let began = self.began.unwrap_or(now);
        Totals {
            elapsed: self.totals.elapsed + now.saturating_sub(began),
            ..self.totals
        }
    }

    /// Somebody says that it cannot work.
    pub(super) fn unable(
        &mut self,
        now: Duration,
        from: Address,
        problem: String,
        effects: &mut dyn Effects,
    ) {
        if !Roster::new(&self.graph).has_member(from) {
            self.dropped.foreign += 1;
            return;
        }
        let at = Roster::new(&self.graph).actor(from).name;
        self.suspect(now, Fault::Unable { at, problem }, effects);
    }

    /// A unit says that a number of a tick is not finite.
    pub(super) fn diverged(
        &mut self,
        now: Duration,
        from: Address,
        neuron: usize,
        tick: Tick,
        effects: &mut dyn Effects,
    ) {
        let Some(neurons) = Roster::new(&self.graph)
            .get(from)
            .and_then(|actor| actor.neurons)
        else {
            self.dropped.foreign += 1;
            return;
        };
        let fault = Fault::NotFinite {
            layer: self.graph.layers[neurons.layer].name.clone(),
            neuron,
            tick: tick.0,
        };
        self.suspect(now, fault, effects);
    }

    /// Somebody cannot go on: either that is so, or another trainer has moved the run on since we
    /// read the ledger. The next generation's number tells which.
    fn suspect(&mut self, now: Duration, fault: Fault, effects: &mut dyn Effects) {
        if let Phase::Gathering { .. } | Phase::Running(_) = &self.phase {
            let reason = fault.to_string();
            self.suspicion = Some(fault);
            self.rewind(now, Some(reason), effects);
        }
    }

    /// True if a run that is done with training was asked for more epochs than it had.
    pub(super) fn is_extended(&self, progress: &Progress) -> bool {
        progress.part == Part::Test
            && !progress.stopped_early
            && progress.epoch <= self.graph.training.epochs
    }

    pub(super) fn clock(&mut self, now: Duration, effects: &mut dyn Effects) {
        let doubled = 1 << self.fruitless_rewinds.min(MAX_DOUBLINGS);
        let is_over = matches!(self.phase, Phase::Over);
        if is_over || now < self.last_heard + self.deadline() * doubled {
            return;
        }
        let silence = (now - self.last_heard).as_secs_f64();
        let waiting_for = match &self.phase {
            Phase::Opening => "the store".to_owned(),
            Phase::Gathering { ready, .. } => format!(
                "{} of {} units and synapses",
                self.n_members - ready.len(),
                self.n_members
            ),
            Phase::Running(running) => match &running.pending {
                Some(pending) if running.unfinished.is_empty() => format!(
                    "the commit of {} of {} units",
                    self.n_units - pending.written_by.len(),
                    self.n_units
                ),
                _ => "outputs".to_owned(),
            },
            Phase::Over => return,
        };
        let reason = format!("nothing heard for {silence:.1} s, waiting for {waiting_for}");
        self.fruitless_rewinds += 1;
        self.rewind(now, Some(reason), effects);
    }

    /// Longest silence that is endured: ticks set the pace while they are under way, the store does
    /// while everybody waits for it.
    fn deadline(&self) -> Duration {
        match (&self.phase, self.longest_tick) {
            (Phase::Running(running), Some(tick)) if !running.unfinished.is_empty() => {
                (tick * self.timing.deadline_ticks).max(self.timing.least_deadline)
            }
            _ => self.timing.store_deadline.max(3 * self.longest_commit),
        }
    }
}
