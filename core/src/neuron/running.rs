//! A unit with weights: its ticks, from their inputs to the update.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{Array2, s};

use super::view::LastBatch;
use super::{Identity, Neurons, Pass};
use crate::ids::{Address, Generation, NeuronRange, Tick};
use crate::machine::{Effect, Effects, StoreRequest};
use crate::math::{Inputs, Step};
use crate::protocol::{Event, IN_FLIGHT_BOUND, Message, TickHeader, Work};
use crate::view::Dropped;

/// State of a unit with weights, in one generation.
pub(super) struct Running {
    pub(super) identity: Identity,
    pub(super) generation: Generation,
    pub(super) weights: Neurons,
    /// The last tick that is done here; the next one to work on is `applied + 1`.
    pub(super) applied: Tick,
    /// The training tick between its forward and its backward pass.
    pub(super) current: Option<Current>,
    /// The training tick before that.
    pub(super) last_batch: Option<LastBatch>,
    /// Ticks that came before it was their turn, at most [`IN_FLIGHT_BOUND`].
    pub(super) waiting: BTreeMap<Tick, (TickHeader, Option<Arc<Inputs>>)>,
}

/// A tick between its forward and its backward pass.
pub(super) struct Current {
    header: TickHeader,
    inputs: Arc<Inputs>,
    pass: Pass,
}

/// A neuron's numbers have left what f32 can hold, and the trainer has been told. What the unit would say from
/// here on is of no use.
pub(super) struct Diverged;

impl Running {
    /// Reacts to a message of this generation.
    pub(super) fn message(
        &mut self,
        message: Message,
        dropped: &mut Dropped,
        effects: &mut dyn Effects,
    ) -> Result<(), Diverged> {
        match message {
            Message::Forward { header, inputs } => self.take(header, inputs, dropped, effects),
            Message::Backward {
                tick,
                next,
                first,
                errors,
            } => {
                let waits_for = self.current.as_ref().map(|c| c.header.tick);
                if waits_for != Some(tick) {
                    // What is done is a duplicate; what is not yet begun cannot be placed.
                    if tick > self.applied {
                        self.identity.say_hello(self.generation, effects);
                    } else {
                        dropped.duplicate += 1;
                    }
                    return Ok(());
                }
                self.backward(first, next, &errors, dropped, effects)?;
            }
            _ => dropped.foreign += 1,
        }
        self.advance(effects)
    }

    fn send(&self, to: Address, message: Message, effects: &mut dyn Effects) {
        effects.push(Effect::send(to, self.generation, message));
    }

    fn diverged(
        &self,
        neuron: usize,
        tick: Tick,
        effects: &mut dyn Effects,
    ) -> Result<(), Diverged> {
        let from = self.identity.address;
        let message = Message::Diverged { from, neuron, tick };
        self.send(Address::Trainer, message, effects);
        Err(Diverged)
    }

    /// Takes in a tick, whose turn may not have come.
    fn take(
        &mut self,
        header: TickHeader,
        inputs: Option<Arc<Inputs>>,
        dropped: &mut Dropped,
        effects: &mut dyn Effects,
    ) {
        let is_begun = |current: &Current| current.header.tick >= header.tick;
        if header.tick <= self.applied || self.current.as_ref().is_some_and(is_begun) {
            dropped.duplicate += 1;
            return;
        }
        if header.tick.0 > self.applied.0 + IN_FLIGHT_BOUND {
            // Possible only if messages were lost while another copy of this unit answered
            // for it, or if the message is forged. Either way the way out is the same.
            dropped.foreign += 1;
            effects.push(Effect::Report(Event::BeyondInFlightBound {
                at: self.identity.address,
                tick: header.tick,
                applied: self.applied,
            }));
            return self.identity.say_hello(self.generation, effects);
        }
        let Identity {
            neurons,
            graph,
            batches,
            ..
        } = &self.identity;
        let fits = match &inputs {
            // Only the first layer can read the data set, and only where there is one.
            None => neurons.layer == 0 && batches.is_readable(),
            Some(inputs) => {
                inputs.n_features() == graph.layers[neurons.layer].inputs()
                    && inputs.n_rows() == header.batch.rows as usize
            }
        };
        if fits {
            self.waiting.insert(header.tick, (header, inputs));
        } else {
            dropped.foreign += 1;
        }
    }

    /// Works on the ticks whose turn it is.
    fn advance(&mut self, effects: &mut dyn Effects) -> Result<(), Diverged> {
        while self.current.is_none() {
            let Some((header, inputs)) = self.waiting.remove(&self.applied.next()) else {
                break;
            };
            let inputs = inputs.unwrap_or_else(|| self.identity.batches.inputs(header.batch));
            self.forward(header, inputs, effects)?;
        }
        Ok(())
    }

    fn forward(
        &mut self,
        header: TickHeader,
        inputs: Arc<Inputs>,
        effects: &mut dyn Effects,
    ) -> Result<(), Diverged> {
        let NeuronRange { layer, first, .. } = self.identity.neurons;
        let training = header.work != Work::Evaluate;
        let (pass, mut values) = self.weights.forward(&inputs, training);
        if let Some(bad) = pass.first_not_finite() {
            return self.diverged(first + bad, header.tick, effects);
        }
        let layers = &self.identity.graph.layers;
        let to = if layer + 1 == layers.len() {
            Address::Trainer
        } else {
            Address::Synapse(layer)
        };
        match header.work {
            Work::Train { step, .. } => {
                if layers[layer].dropout > 0.0 {
                    self.weights.drop_out(step, Arc::make_mut(&mut values));
                }
                self.current = Some(Current {
                    header,
                    inputs,
                    pass,
                });
            }
            Work::Evaluate => self.applied = header.tick,
        }
        let message = Message::Activation {
            header,
            first,
            values,
        };
        self.send(to, message, effects);
        if header.work == Work::Evaluate {
            self.commit_if_marked(header, effects);
        }
        Ok(())
    }

    fn backward(
        &mut self,
        first: usize,
        next: Option<TickHeader>,
        errors: &Array2<f32>,
        dropped: &mut Dropped,
        effects: &mut dyn Effects,
    ) -> Result<(), Diverged> {
        let range = self.identity.neurons;
        let outputs = self.identity.graph.layers[range.layer].outputs();
        let fitting = self.current.take_if(|current| {
            first <= range.first
                && (range.first + range.count) * outputs <= first * outputs + errors.nrows()
                && errors.ncols() == current.inputs.n_rows()
        });
        let Some(current) = fitting else {
            // Not the shape of these neurons.
            dropped.foreign += 1;
            return Ok(());
        };
        let offset = (range.first - first) * outputs;
        let errors = errors
            .slice(s![offset..offset + range.count * outputs, ..])
            .to_owned();
        let header = current.header;
        self.learn(current, next, errors, effects)?;
        self.commit_if_marked(header, effects);
        if let Some(next) = next
            && range.layer == 0
        {
            self.take(next, None, dropped, effects);
        }
        Ok(())
    }

    /// Hands down what the layer below learns from, and updates the weights.
    fn learn(
        &mut self,
        current: Current,
        next: Option<TickHeader>,
        errors: Array2<f32>,
        effects: &mut dyn Effects,
    ) -> Result<(), Diverged> {
        let Current {
            header,
            inputs,
            pass,
        } = current;
        let Work::Train {
            step,
            learning_rate,
        } = header.work
        else {
            unreachable!("only training ticks wait for a backward pass");
        };
        let (deltas, changes) = self.weights.deltas(step, &pass, errors);
        let deltas = Arc::new(deltas);
        self.hand_down(header, next, &deltas, effects);
        let step = Step {
            learning_rate,
            number: step,
        };
        self.weights.update(step, &deltas, &inputs);
        self.weights.update_normalization(step, &changes);
        if let Some(neuron) = self.weights.diverged() {
            return self.diverged(neuron, header.tick, effects);
        }
        self.applied = header.tick;
        let layer = &self.identity.graph.layers[self.identity.neurons.layer];
        self.last_batch = Some(LastBatch {
            tick: header.tick,
            rows_of_maps: layer.map().map(|_| inputs.n_rows()),
            activations: pass.map().clone(),
            deltas,
        });
        Ok(())
    }

    /// Tells the synapse below what its errors are computed from, or if these neurons are the whole layer, the
    /// errors.
    fn hand_down(
        &self,
        header: TickHeader,
        next: Option<TickHeader>,
        deltas: &Arc<Array2<f32>>,
        effects: &mut dyn Effects,
    ) {
        let range = self.identity.neurons;
        let Some(below) = range.layer.checked_sub(1) else {
            return;
        };
        let message = if range.count == self.identity.graph.layers[range.layer].units {
            Message::Propagated {
                tick: header.tick,
                next,
                errors: Arc::new(self.weights.propagate(deltas)),
            }
        } else {
            Message::Contribution {
                tick: header.tick,
                next,
                first: range.first,
                deltas: deltas.clone(),
                weights: Arc::new(self.weights.kernel()),
            }
        };
        self.send(Address::Synapse(below), message, effects);
    }

    fn commit_if_marked(&self, header: TickHeader, effects: &mut dyn Effects) {
        if let Some(commit) = header.commit() {
            effects.push(Effect::Store(StoreRequest::WriteCommit {
                generation: self.generation,
                neurons: self.identity.neurons,
                commit,
                states: self.weights.snapshot(),
            }));
        }
    }
}
