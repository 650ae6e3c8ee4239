//! The machine of a unit: some neurons of one layer, from their inputs to their update.

pub mod neurons;
pub mod pass;
mod running;
pub mod stand_in;
mod timeline;
mod view;

use std::sync::Arc;
use std::time::Duration;

use crate::data::BatchSource;
use crate::ids::{Address, CommitPoint, Generation, NeuronRange};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::protocol::{Envelope, Message};
use crate::topology::Graph;
use crate::view::{Dropped, View};

pub use neurons::Neurons;
pub use pass::Pass;
use running::Running;
pub use stand_in::StandIn;

/// Some neurons of one layer: forward, backward, update, commit.
pub struct Unit {
    identity: Identity,
    generation: Generation,
    state: State,
    dropped: Dropped,
}

/// Identity of a unit: what it knows from the start, and of every generation.
#[derive(Clone)]
struct Identity {
    address: Address,
    neurons: NeuronRange,
    graph: Arc<Graph>,
    batches: Arc<dyn BatchSource>,
}

/// Part of the run that this unit knows.
enum State {
    /// Nothing: it has just booted, or its write was refused.
    Blank,
    /// It waits for the store to answer.
    Restoring(CommitPoint),
    /// It has weights.
    Running(Box<Running>),
}

/// The neurons of unit number `index` of layer `layer`.
fn neurons_of(graph: &Graph, layer: usize, index: usize) -> NeuronRange {
    let range = graph.layers[layer].unit_ranges().nth(index);
    let range = range.expect("the plan has this unit");
    NeuronRange {
        layer,
        first: range.start,
        count: range.len(),
    }
}

impl Identity {
    fn say_hello(&self, generation: Generation, effects: &mut dyn Effects) {
        let from = self.address;
        let message = Message::Hello { from };
        effects.push(Effect::send(Address::Trainer, generation, message));
    }
}

impl Unit {
    /// Unit number `index` of layer `layer`, knowing nothing yet.
    pub fn new(
        graph: Arc<Graph>,
        batches: Arc<dyn BatchSource>,
        layer: usize,
        index: usize,
    ) -> Self {
        Self {
            identity: Identity {
                address: Address::Unit { layer, index },
                neurons: neurons_of(&graph, layer, index),
                graph,
                batches,
            },
            generation: Generation(0),
            state: State::Blank,
            dropped: Dropped::default(),
        }
    }

    fn message(&mut self, envelope: Envelope, effects: &mut dyn Effects) {
        let Envelope {
            generation,
            message,
        } = envelope;
        if generation < self.generation {
            self.dropped.stale += 1;
            return;
        }
        if let Message::Rewind(commit) = message {
            return self.rewind(generation, commit, effects);
        }
        let State::Running(running) = &mut self.state else {
            return self.identity.say_hello(generation, effects);
        };
        if generation > self.generation {
            return self.identity.say_hello(generation, effects);
        }
        let result = running.message(message, &mut self.dropped, effects);
        if result.is_err() {
            self.state = State::Blank;
        }
    }
}

impl Machine for Unit {
    fn on(&mut self, _now: Duration, input: Input, effects: &mut dyn Effects) {
        match input {
            Input::Boot => self.identity.say_hello(Generation(0), effects),
            Input::Message(envelope) => self.message(envelope, effects),
            Input::Stored(reply) => self.stored(reply, effects),
            Input::Clock | Input::Stop => {}
        }
    }

    fn view(&self) -> View {
        View::Unit(self.show())
    }
}
