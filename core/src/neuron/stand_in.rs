//! Stands in for a unit that cannot work, so that the run ends with the reason.

use std::time::Duration;

use crate::ids::{Address, Generation, NeuronRange};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::protocol::{Envelope, Message};
use crate::topology::Graph;
use crate::view::{Dropped, UnitState, UnitView, View};

/// Stand-in for a unit whose data is missing or damaged: it answers the trainer's rewinds, as a unit
/// would, but with what is wrong.
pub struct StandIn {
    neurons: NeuronRange,
    address: Address,
    problem: String,
    generation: Generation,
}

impl StandIn {
    /// Stands in for unit number `index` of layer `layer`.
    pub fn new(graph: &Graph, layer: usize, index: usize, problem: String) -> Self {
        Self {
            neurons: super::neurons_of(graph, layer, index),
            address: Address::Unit { layer, index },
            problem,
            generation: Generation(0),
        }
    }
}

impl Machine for StandIn {
    fn on(&mut self, _now: Duration, input: Input, effects: &mut dyn Effects) {
        let from = self.address;
        let message = match input {
            Input::Boot => Message::Hello { from },
            Input::Message(Envelope {
                generation,
                message: Message::Rewind(_),
            }) if generation >= self.generation => {
                self.generation = generation;
                let problem = self.problem.clone();
                Message::Unable { from, problem }
            }
            _ => return,
        };
        effects.push(Effect::send(Address::Trainer, self.generation, message));
    }

    fn view(&self) -> View {
        View::Unit(UnitView {
            layer: self.neurons.layer,
            first: self.neurons.first,
            generation: self.generation,
            state: UnitState::Blank,
            dropped: Dropped::default(),
            tick: None,
            neurons: Vec::new(),
        })
    }
}
