//! The machine of a unit: some neurons of one layer, from their inputs to their update.

pub mod neurons;
pub mod pass;
pub mod stand_in;
mod timeline;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, s};

use crate::data::BatchSource;
use crate::ids::{Address, CommitPoint, Generation, NeuronRange, Tick};
use crate::machine::{Effect, Effects, Input, Machine, StoreRequest};
use crate::math::{Inputs, Step};
use crate::protocol::{Envelope, Event, IN_FLIGHT_BOUND, Message, TickHeader, Work};
use crate::topology::Graph;
use crate::view::{Dropped, View};

pub use neurons::Neurons;
pub use pass::Pass;
pub use stand_in::StandIn;
use view::LastBatch;

/// Some neurons of one layer: forward, backward, update, commit.
pub struct Unit {
    address: Address,
    neurons: NeuronRange,
    graph: Arc<Graph>,
    batches: Arc<dyn BatchSource>,
    generation: Generation,
    state: State,
    dropped: Dropped,
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

/// A unit with weights.
struct Running {
    weights: Neurons,
    /// The last tick that is done here; the next one to work on is `applied + 1`.
    applied: Tick,
    /// The training tick between its forward and its backward pass.
    current: Option<Current>,
    /// The training tick before that.
    last_batch: Option<LastBatch>,
    /// Ticks that came before it was their turn, at most [`IN_FLIGHT_BOUND`].
    waiting: BTreeMap<Tick, (TickHeader, Option<Arc<Inputs>>)>,
}

/// A tick between its forward and its backward pass.
struct Current {
    header: TickHeader,
    inputs: Arc<Inputs>,
    pass: Pass,
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

impl Unit {
    /// Unit number `index` of layer `layer`, knowing nothing yet.
    pub fn new(
        graph: Arc<Graph>,
        batches: Arc<dyn BatchSource>,
        layer: usize,
        index: usize,
    ) -> Self {
        Self {
            address: Address::Unit { layer, index },
            neurons: neurons_of(&graph, layer, index),
            graph,
            batches,
            generation: Generation(0),
            state: State::Blank,
            dropped: Dropped::default(),
        }
    }

    fn send(&self, to: Address, message: Message, effects: &mut dyn Effects) {
        effects.push(Effect::send(to, self.generation, message));
    }

    fn say_hello(&self, generation: Generation, effects: &mut dyn Effects) {
        let from = self.address;
        let message = Message::Hello { from };
        effects.push(Effect::send(Address::Trainer, generation, message));
    }

    /// A neuron's numbers have left what f32 can hold: what it would say from here on is of no use.
    fn diverged(&mut self, neuron: usize, tick: Tick, effects: &mut dyn Effects) {
        self.state = State::Blank;
        let from = self.address;
        let message = Message::Diverged { from, neuron, tick };
        self.send(Address::Trainer, message, effects);
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
            return self.say_hello(generation, effects);
        };
        if generation > self.generation {
            return self.say_hello(generation, effects);
        }
        match message {
            Message::Forward { header, inputs } => self.take(header, inputs, effects),
            Message::Backward {
                tick,
                next,
                first,
                errors,
            } => {
                let waits_for = running.current.as_ref().map(|c| c.header.tick);
                if waits_for != Some(tick) {
                    // A tick that is done is a duplicate; one that is not yet begun cannot be placed.
                    if tick > running.applied {
                        self.say_hello(generation, effects);
                    } else {
                        self.dropped.duplicate += 1;
                    }
                    return;
                }
                self.backward(first, next, &errors, effects);
            }
            _ => self.dropped.foreign += 1,
        }
        self.advance(effects);
    }

    /// Takes in a tick, whose turn may not have come.
    fn take(&mut self, header: TickHeader, inputs: Option<Arc<Inputs>>, effects: &mut dyn Effects) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        if header.tick <= running.applied
            || running
                .current
                .as_ref()
                .is_some_and(|c| c.header.tick >= header.tick)
        {
            self.dropped.duplicate += 1;
            return;
        }
        if header.tick.0 > running.applied.0 + IN_FLIGHT_BOUND {
            // Possible only if messages were lost while another copy of this unit answered
            // for it, or if the message is forged. Either way the way out is the same.
            self.dropped.foreign += 1;
            effects.push(Effect::Report(Event::BeyondInFlightBound {
                at: self.address,
                tick: header.tick,
                applied: running.applied,
            }));
            return self.say_hello(self.generation, effects);
        }
        let fits = match &inputs {
            // Only the first layer can read the data set, and only where there is one.
            None => self.neurons.layer == 0 && self.batches.is_readable(),
            Some(inputs) => {
                inputs.n_features() == self.graph.layers[self.neurons.layer].inputs()
                    && inputs.n_rows() == header.batch.rows as usize
            }
        };
        if fits {
            running.waiting.insert(header.tick, (header, inputs));
        } else {
            self.dropped.foreign += 1;
        }
    }

    /// Works on the ticks whose turn it is.
    fn advance(&mut self, effects: &mut dyn Effects) {
        loop {
            let State::Running(running) = &mut self.state else {
                return;
            };
            if running.current.is_some() {
                return;
            }
            let Some((header, inputs)) = running.waiting.remove(&running.applied.next()) else {
                return;
            };
            let inputs = inputs.unwrap_or_else(|| self.batches.inputs(header.batch));
            self.forward(header, inputs, effects);
        }
    }

    fn forward(&mut self, header: TickHeader, inputs: Arc<Inputs>, effects: &mut dyn Effects) {
        let NeuronRange { layer, first, .. } = self.neurons;
        let State::Running(running) = &mut self.state else {
            return;
        };
        let training = header.work != Work::Evaluate;
        let (pass, mut values) = running.weights.forward(&inputs, training);
        if let Some(bad) = pass.first_not_finite() {
            return self.diverged(first + bad, header.tick, effects);
        }
        match header.work {
            Work::Train { step, .. } => {
                if self.graph.layers[layer].dropout > 0.0 {
                    running.weights.drop_out(step, Arc::make_mut(&mut values));
                }
                running.current = Some(Current {
                    header,
                    inputs,
                    pass,
                });
            }
            Work::Evaluate => running.applied = header.tick,
        }
        let to = if layer + 1 == self.graph.layers.len() {
            Address::Trainer
        } else {
            Address::Synapse(layer)
        };
        let message = Message::Activation {
            header,
            first,
            values,
        };
        self.send(to, message, effects);
        if header.work == Work::Evaluate {
            self.commit_if_marked(header, effects);
        }
    }

    fn backward(
        &mut self,
        first: usize,
        next: Option<TickHeader>,
        errors: &Array2<f32>,
        effects: &mut dyn Effects,
    ) {
        let range = self.neurons;
        let outputs = self.graph.layers[range.layer].outputs();
        let State::Running(running) = &mut self.state else {
            return;
        };
        let current = running.current.take_if(|current| {
            first <= range.first
                && (range.first + range.count) * outputs <= first * outputs + errors.nrows()
                && errors.ncols() == current.inputs.n_rows()
        });
        let Some(Current {
            header,
            inputs,
            pass,
        }) = current
        else {
            // Not the shape of these neurons.
            self.dropped.foreign += 1;
            return;
        };
        let Work::Train {
            step,
            learning_rate,
        } = header.work
        else {
            unreachable!("only training ticks wait for a backward pass");
        };
        let offset = (range.first - first) * outputs;
        let errors = errors
            .slice(s![offset..offset + range.count * outputs, ..])
            .to_owned();
        let (deltas, changes) = running.weights.deltas(step, &pass, errors);
        let deltas = Arc::new(deltas);
        let message = if range.layer == 0 {
            None
        } else if range.count == self.graph.layers[range.layer].units {
            Some(Message::Propagated {
                tick: header.tick,
                next,
                errors: Arc::new(running.weights.propagate(&deltas)),
            })
        } else {
            Some(Message::Contribution {
                tick: header.tick,
                next,
                first: range.first,
                deltas: deltas.clone(),
                weights: Arc::new(running.weights.kernel()),
            })
        };
        if let Some(message) = message {
            self.send(Address::Synapse(range.layer - 1), message, effects);
        }
        let State::Running(running) = &mut self.state else {
            return;
        };
        let step = Step {
            learning_rate,
            number: step,
        };
        running.weights.update(step, &deltas, &inputs);
        running.weights.update_normalization(step, &changes);
        if let Some(neuron) = running.weights.diverged() {
            return self.diverged(neuron, header.tick, effects);
        }
        running.applied = header.tick;
        running.last_batch = Some(LastBatch {
            tick: header.tick,
            rows_of_maps: self.graph.layers[range.layer]
                .map()
                .map(|_| inputs.n_rows()),
            activations: pass.map().clone(),
            deltas,
        });
        self.commit_if_marked(header, effects);
        if let Some(next) = next
            && range.layer == 0
        {
            self.take(next, None, effects);
        }
    }

    fn commit_if_marked(&self, header: TickHeader, effects: &mut dyn Effects) {
        if let (Some(commit), State::Running(running)) = (header.commit(), &self.state) {
            effects.push(Effect::Store(StoreRequest::WriteCommit {
                generation: self.generation,
                neurons: self.neurons,
                commit,
                states: running.weights.snapshot(),
            }));
        }
    }
}

impl Machine for Unit {
    fn on(&mut self, _now: Duration, input: Input, effects: &mut dyn Effects) {
        match input {
            Input::Boot => self.say_hello(Generation(0), effects),
            Input::Message(envelope) => self.message(envelope, effects),
            Input::Stored(reply) => self.stored(reply, effects),
            Input::Clock | Input::Stop => {}
        }
    }

    fn view(&self) -> View {
        View::Unit(self.show())
    }
}
