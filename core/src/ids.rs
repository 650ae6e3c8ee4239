//! Names of things: ticks, generations, commit points, layers and the actors of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of a run's timeline, drawn from a counter in the store. A rewind starts the next one.
///
/// It is the only fence: messages of an older generation are ignored, writes of an older one refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// One batch through the network, numbered from 1 in one sequence over training and evaluation.
/// Tick 0 is the state before the first batch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A commit point: the `number`-th state that everybody writes, taken after `tick`.
///
/// The default, number 0 at tick 0, stands for the initial weights, which are never stored
/// because they are a pure function of the seed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CommitPoint {
    /// Counts commit points from 1; its parity chooses the slot in the store.
    pub number: u64,
    /// The tick whose update the committed state includes.
    pub tick: Tick,
}

impl CommitPoint {
    /// Slot of the store that this commit point is written to, 0 or 1.
    pub fn slot(self) -> u8 {
        u8::from(self.number % 2 == 1)
    }

    /// True for the initial state, which needs no store.
    pub fn is_initial(self) -> bool {
        self.number == 0
    }
}

/// A run of consecutive neurons of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NeuronRange {
    /// Index of the layer, from 0 for the first one with weights.
    pub layer: usize,
    /// Index of the first neuron within the layer.
    pub first: usize,
    /// Number of neurons.
    pub count: usize,
}

impl NeuronRange {
    /// The indices of the neurons within their layer.
    pub fn indices(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// Recipient or sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// The one trainer of the run.
    Trainer,
    /// The synapse between layer `0` (this index) and the layer above it.
    Synapse(usize),
    /// Unit number `index` of layer `layer`.
    Unit {
        /// Index of the layer.
        layer: usize,
        /// Index of the unit within its layer.
        index: usize,
    },
    /// Every unit of a layer.
    Layer(usize),
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trainer => f.write_str("trainer"),
            Self::Synapse(layer) => write!(f, "synapse {layer}|{}", layer + 1),
            Self::Unit { layer, index } => write!(f, "unit {layer}.{index}"),
            Self::Layer(layer) => write!(f, "layer {layer}"),
        }
    }
}
