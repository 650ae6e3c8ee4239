//! Messages. Each is known by (generation, tick, kind, layer, first neuron), never by its order.

use std::sync::Arc;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::data::BatchRef;
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::math::Inputs;

/// A message with the generation that it belongs to.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The timeline of the sender; a receiver of a newer one ignores the message.
    pub generation: Generation,
    /// Content of the envelope.
    pub message: Message,
}

/// Everything that the actors of a run say to each other.
///
/// Payloads are shared, not copied: a fan-out to a thousand local neurons costs a thousand
/// reference counts.
#[derive(Clone, Debug)]
pub enum Message {
    /// Trainer to everybody: forget what you know and restore this commit.
    Rewind(CommitPoint),
    /// Unit or synapse to trainer: I have just booted, or I cannot place what I was sent.
    Hello {
        /// Sender.
        from: Address,
    },
    /// Unit or synapse to trainer: the commit of this generation is restored.
    Ready {
        /// Sender.
        from: Address,
    },
    /// Unit to trainer: I cannot work in this generation, and starting again would not help. The run
    /// cannot go on, unless it has already gone on without the sender, in a newer generation.
    Unable {
        /// Sender.
        from: Address,
        /// Problem with the sender's data: missing or damaged.
        problem: String,
    },
    /// Unit to trainer: a number of this tick is not finite, though everything that it was computed
    /// from is. The sender says nothing more of this generation.
    Diverged {
        /// Sender.
        from: Address,
        /// Index of the neuron in its layer.
        neuron: usize,
        /// The tick.
        tick: Tick,
    },
    /// Unit to trainer: this commit point of mine is in the store.
    Committed {
        /// Sender.
        from: Address,
        /// Commit point that has been written.
        commit: CommitPoint,
    },
    /// Inputs of a layer for a tick, to its units: as bytes where the trainer sends
    /// rows of a data set of bytes. The first layer gets none for a tick that came as the `next` of
    /// a `Backward`.
    Forward {
        /// The tick.
        header: TickHeader,
        /// The values; `None` where the unit reads the batch from the data set by itself.
        inputs: Option<Arc<Inputs>>,
    },
    /// Unit to the synapse above, or to the trainer: the activations of its neurons.
    Activation {
        /// The tick.
        header: TickHeader,
        /// Index of the unit's first neuron in its layer.
        first: usize,
        /// `[outputs of the unit's neurons, rows]`
        values: Arc<Array2<f32>>,
    },
    /// Gradient of the loss by a layer's activations, to its units.
    Backward {
        /// The tick.
        tick: Tick,
        /// The tick that the first layer begins when this one is applied, if its units read the rows
        /// by themselves: it saves them a message of its own.
        next: Option<TickHeader>,
        /// Index in the layer of the neuron that the first row of `errors` is for.
        first: usize,
        /// dLoss/d(output), `[outputs of the neurons, rows]`; a unit takes the rows of its neurons.
        errors: Arc<Array2<f32>>,
    },
    /// Unit to the synapse below: what the synapse needs to compute the errors of its layer.
    Contribution {
        /// The tick.
        tick: Tick,
        /// As in `Backward`, on its way to the first layer.
        next: Option<TickHeader>,
        /// Index of the unit's first neuron in its layer.
        first: usize,
        /// dLoss/dz, `[neurons of the unit, positions * rows]`
        deltas: Arc<Array2<f32>>,
        /// The weights before this tick's update, `[neurons of the unit, fan_in]`
        weights: Arc<Array2<f32>>,
    },
    /// A unit that holds a whole layer to the synapse below: the finished errors.
    Propagated {
        /// The tick.
        tick: Tick,
        /// As in `Backward`, on its way to the first layer.
        next: Option<TickHeader>,
        /// dLoss/d(output) of the layer below, `[inputs, rows]`
        errors: Arc<Array2<f32>>,
    },
}

/// Facts about a tick that everybody needs; all that the trainer decides on the way is in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TickHeader {
    /// Number of the tick.
    pub tick: Tick,
    /// Training, which changes weights, or evaluation.
    pub work: Work,
    /// Rows of the data set that it uses.
    pub batch: BatchRef,
    /// The number of the commit point that this tick is marked as.
    pub mark: Option<u64>,
}

/// Purpose of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Forward, backward and one optimizer step.
    Train {
        /// Number of the optimizer step, from 1.
        step: u64,
        /// Learning rate of the step.
        learning_rate: f32,
    },
    /// Forward only.
    Evaluate,
}

impl TickHeader {
    /// The commit point that this tick is marked as.
    pub fn commit(&self) -> Option<CommitPoint> {
        self.mark.map(|number| CommitPoint {
            number,
            tick: self.tick,
        })
    }
}
