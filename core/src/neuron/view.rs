//! View of a unit.

use std::sync::Arc;

use ndarray::Array2;

use super::{State, Unit};
use crate::ids::Tick;
use crate::view::{NeuronBatch, NeuronView, UnitState, UnitView};

/// The last training batch as the update left it, kept for those who look.
pub(super) struct LastBatch {
    pub(super) tick: Tick,
    /// Activations before pooling and dropout, `[neurons, positions * rows]`.
    pub(super) activations: Arc<Array2<f32>>,
    /// dLoss/dz, `[neurons, positions * rows]`.
    pub(super) deltas: Arc<Array2<f32>>,
    /// Rows of the batch; `None` for neurons without maps.
    pub(super) rows_of_maps: Option<usize>,
}

impl Unit {
    pub(super) fn show(&self) -> UnitView {
        let mut view = UnitView {
            layer: self.identity.neurons.layer,
            first: self.identity.neurons.first,
            generation: self.generation,
            state: UnitState::Blank,
            dropped: self.dropped,
            tick: None,
            neurons: Vec::new(),
        };
        match &self.state {
            State::Blank => {}
            State::Restoring(_) => view.state = UnitState::Restoring,
            State::Running(running) => {
                view.state = UnitState::Running;
                view.tick = Some(running.applied);
                let are_logits = self.identity.graph.has_logits(self.identity.neurons.layer);
                let of = |row| running.last_batch.as_ref()?.of(row, are_logits);
                let neurons = self.identity.neurons.indices().zip(running.weights.each());
                view.neurons = neurons
                    .enumerate()
                    .map(|(row, (index, (weights, bias)))| NeuronView {
                        normalizer: running.weights.normalizer(row),
                        last_batch: of(row),
                        ..NeuronView::new(index, weights, bias)
                    })
                    .collect();
            }
        }
        view
    }
}

impl LastBatch {
    fn of(&self, row: usize, are_logits: bool) -> Option<NeuronBatch> {
        let (outputs, deltas) = (self.activations.row(row), self.deltas.row(row));
        let step = self.rows_of_maps.unwrap_or(1).max(1);
        NeuronBatch::new(self.tick, outputs, step, are_logits, deltas)
    }
}
