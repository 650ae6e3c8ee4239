//! Scattering by neuron, the counterpart of [`crate::gather`]: one array of a whole layer, a part for each unit.

use std::sync::Arc;

use ndarray::{Array2, s};

use crate::ids::{Address, Generation, Tick};
use crate::machine::{Effect, Effects};
use crate::protocol::{Message, TickHeader};
use crate::topology::Graph;

/// Errors of a layer, `[outputs of its neurons, rows]`, to its units: each gets the rows of its neurons, with
/// the tick and the header of the one that the first layer begins after it.
pub fn scatter_errors(
    graph: &Graph,
    layer: usize,
    generation: Generation,
    (tick, next): (Tick, Option<TickHeader>),
    errors: &Arc<Array2<f32>>,
    effects: &mut dyn Effects,
) {
    let outputs = graph.layers[layer].outputs();
    let ranges = graph.layers[layer].unit_ranges();
    let whole = ranges.len() == 1;
    for (index, range) in ranges.enumerate() {
        let first = range.start;
        let errors = if whole {
            errors.clone()
        } else {
            let rows = range.start * outputs..range.end * outputs;
            Arc::new(errors.slice(s![rows, ..]).to_owned())
        };
        let message = Message::Backward {
            tick,
            next,
            first,
            errors,
        };
        let to = Address::Unit { layer, index };
        effects.push(Effect::send(to, generation, message));
    }
}
