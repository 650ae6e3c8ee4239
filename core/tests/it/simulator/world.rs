//! All machines of a run, the messages and requests under way, and a seeded fate.

use std::collections::BTreeMap;
use std::time::Duration;

use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Effect, Fault, Input, Machine, StoreReply, StoreRequest};
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::protocol::{Envelope, Message, NeuronState, Outcome, Progress, Verdict};
use cuttlefish_core::synapse::Synapse;
use cuttlefish_core::topology::Roster;
use cuttlefish_core::trainer::{Timing, Trainer};

use super::store::Store;
use crate::support::Case;

/// What may happen, asked for by the world at every turn.
pub trait Fate {
    /// Which of `n` things that are under way happens next.
    fn pick(&mut self, n: usize) -> usize;
    /// Whether the machine dies before it does effect number `effect` of the run.
    fn kills(&mut self, effect: u64) -> bool;
    /// How often message number `n` of the run arrives.
    fn copies(&mut self, _n: u64, _envelope: &Envelope) -> usize {
        1
    }
    /// What becomes of store request number `n` of the run.
    fn store(&mut self, _n: u64) -> StoreFate {
        StoreFate::Done
    }
    /// Whether a request waits a little longer, though it was picked.
    fn delays_request(&mut self) -> bool {
        false
    }
    /// Whether so much time passes that the trainer loses patience while work is under way.
    fn passes_deadline(&mut self) -> bool {
        false
    }
    /// Whether a person asks the run to stop. It is started again from the store.
    fn stops(&mut self) -> bool {
        false
    }
    /// Whether what was sent to a machine that has just died is lost with it.
    fn loses_inbox(&mut self) -> bool {
        false
    }
    /// Whether a machine that is replaced goes on for a while beside its replacement.
    fn leaves_zombie(&mut self) -> bool {
        false
    }
    /// Whether a zombie gets a copy of this message.
    fn feeds_zombie(&mut self) -> bool {
        false
    }
}

/// What becomes of a request to the store.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum StoreFate {
    /// It is done and answered.
    #[default]
    Done,
    /// It is done, but the answer is lost.
    Unanswered,
    /// It is lost.
    Lost,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub struct End {
    pub weights: Vec<NeuronState>,
    pub progress: Progress,
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    pub effects: u64,
    pub messages: u64,
    pub requests: u64,
    pub kills: u64,
    pub restarts: u64,
}

/// A commit about every 40 turns; deadlines far beyond what reordering can delay.
const TIMING: Timing = Timing {
    commit_interval: Duration::from_millis(40),
    first_commit_interval: Duration::from_millis(5),
    store_deadline: Duration::from_secs(1000),
    least_deadline: Duration::from_secs(1000),
    deadline_ticks: 1,
};

/// Turns after which a run counts as stuck.
const MAX_TURNS: u64 = 200_000;

struct Actor {
    address: Address,
    machine: Box<dyn Machine>,
    incarnation: u64,
    is_zombie: bool,
}

/// Something that will happen.
enum Pending {
    Message(Address, Envelope),
    Request(Address, u64, StoreRequest),
    Reply(Address, u64, StoreReply),
}

pub struct World<'a, F> {
    case: &'a Case,
    pub fate: F,
    pub store: Store,
    actors: Vec<Actor>,
    pending: Vec<Pending>,
    now: Duration,
    pub outcome: Option<Outcome>,
    fault: Option<Fault>,
    next_incarnation: u64,
    pub statistics: Statistics,
    /// Breaks the rule that sums run in neuron order: places contributions as they arrive.
    pub in_arrival_order: bool,
    arrivals: BTreeMap<(Address, u64, u64, u8), usize>,
    /// Whom each actor tells by the roster, from which transports have their routes.
    tells: BTreeMap<Address, Vec<Address>>,
}

impl<'a, F: Fate> World<'a, F> {
    pub fn new(case: &'a Case, fate: F) -> Self {
        let actors = Roster::new(&case.graph).actors();
        Self {
            case,
            fate,
            store: Store::default(),
            actors: Vec::new(),
            pending: Vec::new(),
            now: Duration::ZERO,
            outcome: None,
            fault: None,
            next_incarnation: 0,
            statistics: Statistics::default(),
            in_arrival_order: false,
            arrivals: BTreeMap::new(),
            tells: actors.map(|actor| (actor.address, actor.tells)).collect(),
        }
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Result<End, String> {
        self.boot_all();
        let mut turns = 0;
        loop {
            match &self.outcome {
                Some(outcome) if outcome.verdict == Verdict::Completed => return self.end(),
                Some(_) => self.restart(),
                None => {}
            }
            turns += 1;
            if turns > MAX_TURNS {
                return Err("stuck".to_owned());
            }
            if let Some(fault) = &self.fault {
                return Err(fault.to_string());
            }
            self.turn();
        }
    }

    /// The process ended and starts again: only what was asked of the store may still happen.
    fn restart(&mut self) {
        self.outcome = None;
        self.actors.clear();
        self.pending
            .retain(|pending| matches!(pending, Pending::Request(..)));
        self.statistics.restarts += 1;
        self.boot_all();
    }

    fn boot_all(&mut self) {
        let layers = self.case.graph.layers.len();
        self.boot(Address::Trainer);
        for layer in 0..layers {
            for index in 0..self.case.graph.layers[layer].unit_ranges().len() {
                self.boot(Address::Unit { layer, index });
            }
            if layer + 1 < layers {
                self.boot(Address::Synapse(layer));
            }
        }
    }

    fn end(&self) -> Result<End, String> {
        let Some(Outcome { ledger, .. }) = &self.outcome else {
            return Err("not over".to_owned());
        };
        for actor in &self.actors {
            let dropped = actor.machine.view().dropped();
            // A unit for which a zombie has answered may be sent something too far ahead.
            let is_unit = matches!(actor.address, Address::Unit { .. });
            if dropped.foreign > 0 && !is_unit {
                return Err(format!("{:?} calls its own foreign", actor.address));
            }
        }
        let mut weights = Vec::new();
        for (l, layer) in self.case.graph.layers.iter().enumerate() {
            for neuron in 0..layer.units {
                weights.push(self.store.read(l, neuron, ledger.commit)?);
            }
        }
        Ok(End {
            weights,
            progress: ledger.progress.clone(),
        })
    }

    fn turn(&mut self) {
        self.now += Duration::from_millis(1);
        if self.pending.is_empty() {
            // Nothing is under way: something was lost, and only time can tell the trainer.
            self.now += TIMING.store_deadline * 100;
            return self.feed(Address::Trainer, None, Input::Clock);
        }
        if self.fate.passes_deadline() {
            self.now += TIMING.store_deadline * 100;
            self.feed(Address::Trainer, None, Input::Clock);
        }
        if self.fate.stops() {
            self.feed(Address::Trainer, None, Input::Stop);
        }
        if self.pending.is_empty() {
            return;
        }
        let picked = self.fate.pick(self.pending.len());
        if matches!(self.pending[picked], Pending::Request(..)) && self.fate.delays_request() {
            return;
        }
        match self.pending.remove(picked) {
            Pending::Message(to, envelope) => {
                let envelope = self.placed_by_arrival(to, envelope);
                self.feed(to, None, Input::Message(envelope));
            }
            Pending::Request(from, incarnation, request) => {
                let n = self.statistics.requests;
                self.statistics.requests += 1;
                let fate = self.fate.store(n);
                if fate != StoreFate::Lost {
                    let reply = self.store.execute(request);
                    if fate == StoreFate::Done {
                        self.pending.push(Pending::Reply(from, incarnation, reply));
                    }
                }
            }
            Pending::Reply(to, incarnation, reply) => {
                self.feed(to, Some(incarnation), Input::Stored(reply));
            }
        }
    }

    /// Starts a machine with nothing in memory, in the place of any older one.
    fn boot(&mut self, address: Address) {
        let graph = self.case.graph.clone();
        let batches = self.case.batches.clone();
        let machine: Box<dyn Machine> = match address {
            Address::Trainer => {
                let trainer = Trainer::new(graph, batches, &self.case.dataset.task, TIMING);
                Box::new(trainer.with_feed(self.case.feed))
            }
            Address::Synapse(below) => Box::new(Synapse::new(graph, below)),
            Address::Unit { layer, index } => {
                let batches = self.case.batches_of_units();
                Box::new(Unit::new(graph, batches, layer, index))
            }
            Address::Layer(_) => unreachable!("a layer is not a machine"),
        };
        self.next_incarnation += 1;
        self.actors.push(Actor {
            address,
            machine,
            incarnation: self.next_incarnation,
            is_zombie: false,
        });
        self.feed(address, Some(self.next_incarnation), Input::Boot);
    }

    /// Gives an input to a machine (and perhaps to its zombies) and executes its effects.
    fn feed(&mut self, to: Address, incarnation: Option<u64>, input: Input) {
        let mut dead = Vec::new();
        for i in 0..self.actors.len() {
            let actor = &self.actors[i];
            let is_meant = match incarnation {
                Some(incarnation) => actor.incarnation == incarnation,
                None => actor.address == to && (!actor.is_zombie || self.fate.feeds_zombie()),
            };
            if !is_meant {
                continue;
            }
            let mut effects = Vec::new();
            let actor = &mut self.actors[i];
            actor.machine.on(self.now, input.clone(), &mut effects);
            let (address, incarnation, is_zombie) =
                (actor.address, actor.incarnation, actor.is_zombie);
            for effect in effects {
                let n = self.statistics.effects;
                self.statistics.effects += 1;
                if self.fate.kills(n) {
                    self.statistics.kills += 1;
                    dead.push((incarnation, address, is_zombie));
                    break;
                }
                if !self.execute(address, incarnation, is_zombie, effect) {
                    dead.push((incarnation, address, true));
                    break;
                }
            }
        }
        for (incarnation, address, is_zombie) in dead {
            self.bury(incarnation, address, is_zombie);
        }
    }

    /// Replaces a dead machine by a new one.
    fn bury(&mut self, incarnation: u64, address: Address, is_zombie: bool) {
        if is_zombie {
            self.actors.retain(|actor| actor.incarnation != incarnation);
            return;
        }
        if self.fate.leaves_zombie() {
            for actor in &mut self.actors {
                actor.is_zombie |= actor.incarnation == incarnation;
            }
        } else {
            self.actors.retain(|actor| actor.incarnation != incarnation);
        }
        if self.fate.loses_inbox() {
            self.pending
                .retain(|pending| !matches!(pending, Pending::Message(to, _) if *to == address));
        }
        self.boot(address);
    }

    /// False if the machine ends with this effect.
    fn execute(
        &mut self,
        from: Address,
        incarnation: u64,
        is_zombie: bool,
        effect: Effect,
    ) -> bool {
        match effect {
            Effect::Send { to, envelope } => {
                assert!(self.tells[&from].contains(&to), "{from} tells {to}");
                let units = |layer: usize| self.case.graph.layers[layer].unit_ranges().len();
                let receivers: Vec<Address> = match to {
                    Address::Layer(layer) => (0..units(layer))
                        .map(|index| Address::Unit { layer, index })
                        .collect(),
                    to => vec![to],
                };
                for to in receivers {
                    let n = self.statistics.messages;
                    self.statistics.messages += 1;
                    for _ in 0..self.fate.copies(n, &envelope) {
                        self.pending.push(Pending::Message(to, envelope.clone()));
                    }
                }
            }
            Effect::Store(request) => {
                self.pending
                    .push(Pending::Request(from, incarnation, request));
            }
            Effect::Report(_) => {}
            Effect::Finish(outcome) => {
                // A zombie trainer may find the run finished by its successor.
                self.outcome = Some(*outcome);
            }
            Effect::Fail(Fault::Superseded { .. }) if from == Address::Trainer => {
                if !is_zombie {
                    // The newest trainer was told that it is not: its generation was drawn over
                    // by a zombie. A host would start it again.
                    self.actors.retain(|actor| actor.incarnation != incarnation);
                    self.boot(Address::Trainer);
                }
                return false;
            }
            Effect::Fail(fault) => self.fault = Some(fault),
        }
        true
    }

    /// With the rule of order broken: gives every contribution the next free place.
    fn placed_by_arrival(&mut self, to: Address, mut envelope: Envelope) -> Envelope {
        if !self.in_arrival_order {
            return envelope;
        }
        let generation = envelope.generation.0;
        let (tick, kind, first, count) = match &mut envelope.message {
            Message::Activation {
                header,
                first,
                values,
            } => (header.tick.0, 0, first, values.nrows()),
            Message::Contribution {
                tick,
                first,
                deltas,
                ..
            } => (tick.0, 1, first, deltas.nrows()),
            _ => return envelope,
        };
        let next = self
            .arrivals
            .entry((to, generation, tick, kind))
            .or_default();
        *first = *next;
        *next += count;
        envelope
    }
}
