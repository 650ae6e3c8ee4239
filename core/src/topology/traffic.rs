//! Traffic of one training tick: number of messages, and their bytes.
//!
//! `value_bytes` are those of the values alone: 4 for each `f32`, 1 for each value of a data set of bytes.
//! `wire_bytes` are those of whole messages as [`codec`](crate::protocol::codec) writes them, each
//! counted as often as it is delivered: what a broker hands out, less its own protocol's frames.
//! With `rows` rows in the batch and, for each layer, `neurons`, `units` and `fan_in`. In a convolution,
//! a neuron is a filter: of its activation, its errors and its deltas there are as many as its map has
//! places, pooled for the first two, and its inputs are all maps of the layer below, not `fan_in`:
//!
//! | kind | from, to | messages | bytes, all messages together | each message's own |
//! |---|---|---|---|---|
//! | forward | trainer or synapse below, to each unit | `units` deliveries of one | `units * rows * fan_in * 4` | 72 |
//! | the first layer's, by reference | | none: each unit reads the batch itself, and begins it after `backward` | 0 | |
//! | the first layer's, broadcast | trainer, to each unit | `units` deliveries of one | `units * rows * fan_in`, times 4 unless the data set is bytes | 72, and 4 for the scale of bytes |
//! | activation | each unit, to the synapse above or the trainer | `units` | `neurons * rows * 4` | 72 |
//! | backward | trainer or synapse above, to each unit | `units` | `neurons * rows * 4` | 80 |
//! | contribution | each unit, to the synapse below | `units` | `neurons * (rows + fan_in) * 4`: deltas, and the weights before the update | 84 |
//! | propagated | the only unit of a layer, to the synapse below | 1 | `fan_in * rows * 4`: finished errors instead of a contribution | 76 |
//!
//! A tick that does not come with the errors of a training tick (an evaluation behind an evaluation, the first training
//! tick behind one, the first tick after a rewind, one that waited for a commit) is told to the first layer by reference too:
//! one message of 72 bytes, and as many deliveries as it has units.

use serde::Serialize;

use super::data_shape::DataShape;
use super::graph::Graph;
use crate::data::Feed;
use crate::layers::Layer;
use crate::protocol::codec::fixed_len;

/// One kind of message of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Name of the layer whose units send or receive it.
    pub layer: String,
    /// Content of the messages.
    pub kind: TrafficKind,
    /// Deliveries in one training tick.
    pub deliveries: u64,
    /// Bytes of values in all of them.
    pub value_bytes: u64,
    /// Bytes of all of them, with everything that is around the values.
    pub wire_bytes: u64,
}

/// Kinds of messages that a training tick sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficKind {
    /// The inputs of a layer.
    Forward,
    /// Activations of its neurons.
    Activation,
    /// Gradient of the loss by the activations.
    Backward,
    /// Deltas and weights, from which the synapse below computes the errors of its layer.
    Contribution,
    /// The errors of the layer below, from a unit that holds a whole layer.
    Propagated,
}

impl TrafficKind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Activation => "activation",
            Self::Backward => "backward",
            Self::Contribution => "contribution",
            Self::Propagated => "propagated",
        }
    }
}

/// The traffic of one training tick with a full batch, layer by layer.
pub fn traffic(graph: &Graph, shape: &DataShape, feed: Feed) -> Vec<Traffic> {
    let rows = graph.training.batch_size as u64;
    let layers = graph.layers.iter().enumerate();
    layers
        .flat_map(|(index, layer)| {
            let forward = match (index, feed) {
                (0, Feed::Reference) => None,
                (0, Feed::Broadcast) if shape.value_bytes == 1 => Some(Forward::BYTES),
                _ => Some(Forward::NUMBERS),
            };
            of_layer(layer, forward, index == 0, rows)
        })
        .collect()
}

/// Inputs of a layer, as messages carry them.
struct Forward {
    /// Bytes of a value.
    value: u64,
    /// Bytes beside the values.
    fixed: usize,
}

impl Forward {
    const BYTES: Self = Self {
        value: 1,
        fixed: fixed_len::FORWARD + fixed_len::SCALE,
    };
    const NUMBERS: Self = Self {
        value: 4,
        fixed: fixed_len::FORWARD,
    };
}

fn of_layer(layer: &Layer, forward: Option<Forward>, is_first: bool, rows: u64) -> Vec<Traffic> {
    let units = layer.unit_ranges().len() as u64;
    let (neurons, fan_in) = (layer.units as u64, layer.fan_in as u64);
    let features = layer.inputs() as u64;
    let values = 4 * neurons * rows * layer.outputs() as u64;
    let inputs = units * rows * features;
    let forward = forward.map(|of| (TrafficKind::Forward, units, inputs * of.value, of.fixed));
    let mut kinds = Vec::from_iter(forward);
    kinds.extend([
        (
            TrafficKind::Activation,
            units,
            values,
            fixed_len::ACTIVATION,
        ),
        (TrafficKind::Backward, units, values, fixed_len::BACKWARD),
    ]);
    if !is_first {
        kinds.push(if units == 1 {
            let errors = 4 * features * rows;
            (TrafficKind::Propagated, 1, errors, fixed_len::PROPAGATED)
        } else {
            let deltas = 4 * neurons * rows * layer.positions() as u64;
            let weights = 4 * neurons * fan_in;
            let fixed = fixed_len::CONTRIBUTION;
            (TrafficKind::Contribution, units, deltas + weights, fixed)
        });
    }
    let traffic = |(kind, deliveries, value_bytes, fixed)| Traffic {
        layer: layer.name.clone(),
        kind,
        deliveries,
        value_bytes,
        wire_bytes: value_bytes + deliveries * fixed as u64,
    };
    kinds.into_iter().map(traffic).collect()
}
