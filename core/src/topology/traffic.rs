//! How many messages, and how many bytes, one training tick sends.
//!
//! Bytes are those of the values alone, 4 for each `f32`; headers add a few dozen a message.
//! With `rows` rows in the batch and, for each layer, `neurons`, `units` and `fan_in`:
//!
//! | kind | from, to | messages | bytes, all messages together |
//! |---|---|---|---|
//! | forward | trainer or synapse below, to each unit | `units` deliveries of one | `units * rows * fan_in * 4`; 0 for the first layer, whose units read the batch themselves |
//! | activation | each unit, to the synapse above or the trainer | `units` | `neurons * rows * 4` |
//! | backward | trainer or synapse above, to each unit | `units` | `neurons * rows * 4` |
//! | contribution | each unit, to the synapse below | `units` | `neurons * (rows + fan_in) * 4`: deltas, and the weights before the update |
//! | propagated | the only unit of a layer, to the synapse below | 1 | `fan_in * rows * 4`: finished errors instead of a contribution |

use serde::Serialize;

use super::graph::{Graph, Layer};

/// One kind of message of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Name of the layer whose units send or receive it.
    pub layer: String,
    /// What is sent.
    pub kind: Kind,
    /// Deliveries in one training tick.
    pub messages: u64,
    /// Bytes of values in all of them.
    pub bytes: u64,
}

/// Kinds of messages that a training tick sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The inputs of a layer.
    Forward,
    /// What its neurons answer.
    Activation,
    /// How the loss changes with the answers.
    Backward,
    /// What the synapse below needs to compute the errors of its layer.
    Contribution,
    /// The errors of the layer below, from a unit that holds a whole layer.
    Propagated,
}

impl Kind {
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
pub fn traffic(graph: &Graph) -> Vec<Traffic> {
    let rows = graph.training.batch_size;
    let layers = graph.layers.iter().enumerate();
    layers
        .flat_map(|(index, layer)| of_layer(layer, index == 0, rows as u64))
        .collect()
}

fn of_layer(layer: &Layer, is_first: bool, rows: u64) -> Vec<Traffic> {
    let units = layer.unit_ranges().len() as u64;
    let (neurons, fan_in) = (layer.units as u64, layer.fan_in as u64);
    let values = neurons * rows;
    let forward = if is_first { 0 } else { units * rows * fan_in };
    let mut kinds = vec![
        (Kind::Forward, units, forward),
        (Kind::Activation, units, values),
        (Kind::Backward, units, values),
    ];
    if !is_first {
        kinds.push(match units {
            1 => (Kind::Propagated, 1, fan_in * rows),
            _ => (Kind::Contribution, units, values + neurons * fan_in),
        });
    }
    let traffic = |(kind, messages, numbers)| Traffic {
        layer: layer.name.clone(),
        kind,
        messages,
        bytes: 4 * numbers,
    };
    kinds.into_iter().map(traffic).collect()
}
