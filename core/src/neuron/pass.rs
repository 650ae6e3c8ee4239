//! A tick's way through some neurons: sums, activation, normalization, pool and dropout, and back.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};

use super::Neurons;
use crate::layers::batch_normalization::{Change, Normalization};
use crate::math::kernel::Rows;
use crate::math::normalization::Statistics;
use crate::math::{Inputs, dropout};

/// Values that neurons keep of a tick between its forward and its backward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Activations of the sums, `[neurons, positions * rows]`; a dense layer has one
    /// position.
    activations: Arc<Array2<f32>>,
    normalized: Option<NormalizationPass>,
}

/// Values of a batch before and behind a normalization. Both arrays are `[neurons, positions * rows]`, or behind a
/// pool `[neurons * outputs, rows]`, which is the same order.
#[derive(Clone, Debug, PartialEq)]
struct NormalizationPass {
    input: Arc<Array2<f32>>,
    /// Normalized values with the activation that follows.
    values: Arc<Array2<f32>>,
    /// Statistics of the input of each neuron.
    batch: Vec<Statistics>,
    is_pooled: bool,
}

impl Pass {
    /// The values before pooling and dropout, `[neurons, positions * rows]`.
    pub fn map(&self) -> &Arc<Array2<f32>> {
        match &self.normalized {
            Some(normalized) if !normalized.is_pooled => &normalized.values,
            _ => &self.activations,
        }
    }

    /// The first neuron, by its place among these, with a value that is not a finite number.
    pub fn first_not_finite(&self) -> Option<usize> {
        let is_finite = |row: ArrayView1<'_, f32>| row.iter().all(|a| a.is_finite());
        let first = |values: &Array2<f32>| values.outer_iter().position(|row| !is_finite(row));
        let pooled = self.normalized.as_ref().filter(|n| n.is_pooled);
        first(self.map()).or_else(|| {
            let outputs = pooled?.values.nrows() / self.activations.nrows();
            Some(first(&pooled?.values)? / outputs)
        })
    }
}

impl Neurons {
    /// Pass, for the way back, and outputs before dropout, `[neurons * outputs, rows]`. In `training` they are normalized as the batch is, otherwise as all batches were.
    pub fn forward(&self, inputs: &Inputs, training: bool) -> (Pass, Arc<Array2<f32>>) {
        let mut pass = Pass {
            activations: Arc::new(self.activations(inputs)),
            normalized: None,
        };
        let normalization = self.layer.normalization.as_ref();
        if let Some(normalization) = normalization.filter(|n| !n.after_pool) {
            pass.normalized = Some(self.normalize(normalization, &pass.activations, training));
        }
        let mut outputs = self.outputs(pass.map(), inputs.n_rows());
        if let Some(normalization) = normalization.filter(|n| n.after_pool) {
            let normalized = self.normalize(normalization, &outputs, training);
            outputs = normalized.values.clone();
            pass.normalized = Some(normalized);
        }
        (pass, outputs)
    }

    /// Activations of the sums, `[neurons, positions * rows]`.
    fn activations(&self, inputs: &Inputs) -> Array2<f32> {
        let rows = inputs.n_rows() * self.layer.positions();
        let mut activations = Array2::zeros((self.count(), rows));
        if rows == 0 {
            return activations;
        }
        let values = activations
            .as_slice_mut()
            .expect("a new array is contiguous");
        let stride = self.stride();
        for (row, weights) in values
            .chunks_exact_mut(rows)
            .zip(self.weights.chunks_exact(stride))
        {
            row.fill(weights[self.layer.fan_in]);
        }
        let left = Rows::new(&self.weights, stride, self.layer.fan_in);
        self.layer.kind.multiply_add(left, inputs, values);
        self.layer.activation.apply(values);
        activations
    }

    /// Pooled values `[neurons * outputs, rows]` of the neurons' maps.
    fn outputs(&self, maps: &Arc<Array2<f32>>, rows: usize) -> Arc<Array2<f32>> {
        let outputs = match &self.layer.pool {
            Some(pool) => pool.apply(maps.view(), rows),
            None if self.layer.outputs() == 1 => return maps.clone(),
            None => maps.as_ref().clone(),
        };
        Arc::new(reshaped(outputs, self.count() * self.layer.outputs(), rows))
    }

    /// Applies the dropout masks of a training step to outputs or their errors, `[neurons * outputs,
    /// rows]`.
    pub fn drop_out(&self, step: u64, values: &mut Array2<f32>) {
        let of_neuron = self.layer.outputs() * values.ncols();
        let values = values.as_slice_mut().expect("outputs are contiguous");
        for (i, values) in values.chunks_exact_mut(of_neuron.max(1)).enumerate() {
            let neuron = self.first + i;
            let rate = self.layer.dropout;
            dropout::mask(self.seed, step, self.layer_idx, neuron, rate, values);
        }
    }

    /// dLoss/dz `[neurons, positions * rows]` from dLoss/d(output) `[neurons * outputs, rows]`, and for
    /// neurons that are normalized what each of them learns from that.
    pub fn deltas(
        &self,
        step: u64,
        pass: &Pass,
        mut errors: Array2<f32>,
    ) -> (Array2<f32>, Vec<Change>) {
        self.drop_out(step, &mut errors);
        let mut changes = Vec::new();
        let mut denormalize = |errors: &mut Array2<f32>, is_pooled: bool| {
            let normalized = pass.normalized.as_ref();
            if let Some(normalized) = normalized.filter(|n| n.is_pooled == is_pooled) {
                changes = self.denormalize(normalized, errors);
            }
        };
        denormalize(&mut errors, true);
        let rows = errors.ncols();
        let width = self.layer.outputs() * rows;
        let errors = reshaped(errors, self.count(), width);
        let mut deltas = match &self.layer.pool {
            Some(pool) => pool.backpropagate(pass.map().view(), errors.view(), rows),
            None => errors,
        };
        denormalize(&mut deltas, false);
        let (a, d) = (slice(&pass.activations), slice_mut(&mut deltas));
        self.layer.activation.backpropagate(a, d);
        (deltas, changes)
    }

    /// Normalizes the values of these neurons.
    fn normalize(
        &self,
        normalization: &Normalization,
        input: &Arc<Array2<f32>>,
        training: bool,
    ) -> NormalizationPass {
        let mut values = input.as_ref().clone();
        let batch = normalization.apply(self.normalizers(), slice_mut(&mut values), training);
        NormalizationPass {
            input: input.clone(),
            values: Arc::new(values),
            batch,
            is_pooled: normalization.after_pool,
        }
    }

    /// Turns the errors of normalized values into those of what was normalized.
    fn denormalize(&self, normalized: &NormalizationPass, errors: &mut Array2<f32>) -> Vec<Change> {
        let Some(normalization) = &self.layer.normalization else {
            return Vec::new();
        };
        let NormalizationPass {
            input,
            values,
            batch,
            ..
        } = normalized;
        let (input, values) = (slice(input), slice(values));
        normalization.backpropagate(self.normalizers(), input, values, batch, slice_mut(errors))
    }
}

/// Array of another shape with these numbers in their order.
fn reshaped(values: Array2<f32>, rows: usize, columns: usize) -> Array2<f32> {
    let (values, _) = values.into_raw_vec_and_offset();
    Array2::from_shape_vec((rows, columns), values).expect("as many numbers as before")
}

fn slice(values: &Array2<f32>) -> &[f32] {
    values
        .as_slice()
        .expect("arrays that are never transposed are contiguous")
}

fn slice_mut(values: &mut Array2<f32>) -> &mut [f32] {
    values
        .as_slice_mut()
        .expect("arrays that are never transposed are contiguous")
}
