//! The numbers of some neurons of one layer, and what is computed from them.

use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;

use crate::machine::NeuronState;
use crate::math::kernel::{self, Rows};
use crate::math::{ByteMatrix, Inputs, Optimizer, Panels, Step, dropout};
use crate::topology::Layer;

/// Neurons that are done with the bytes of a batch before its panels are made (with AVX-512 they
/// would be up to 50), and need an eighth of the memory.
const FEW_NEURONS: usize = 32;

/// Weights, biases and optimizer state of consecutive neurons of a layer.
#[derive(Clone, Debug)]
pub struct Neurons {
    layer: Layer,
    layer_idx: usize,
    first: usize,
    seed: u64,
    optimizer: Optimizer,
    /// `[neurons, fan_in + 1]`: the weights of a neuron, then its bias.
    weights: Vec<f32>,
    /// `[neurons, moments * (fan_in + 1)]`: each moment of a neuron after the other.
    moments: Vec<f32>,
}

impl Neurons {
    /// Neurons `first..first + count` with their initial weights.
    pub fn initial(
        layer: &Layer,
        layer_idx: usize,
        range: std::ops::Range<usize>,
        seed: u64,
        optimizer: Optimizer,
    ) -> Self {
        let stride = layer.fan_in + 1;
        let mut weights = Vec::with_capacity(range.len() * stride);
        for neuron in range.clone() {
            let kernel = layer.kernel_initializer.weights(
                seed,
                layer_idx,
                neuron,
                layer.fan_in,
                layer.fan_out(),
            );
            weights.extend(kernel);
            weights.push(if layer.use_bias {
                layer
                    .bias_initializer
                    .bias(seed, layer_idx, neuron, layer.units)
            } else {
                0.0
            });
        }
        let moments = vec![optimizer.initial_moment(); optimizer.moments() * range.len() * stride];
        Self {
            layer: layer.clone(),
            layer_idx,
            first: range.start,
            seed,
            optimizer,
            weights,
            moments,
        }
    }

    /// Takes over a committed state.
    ///
    /// # Errors
    /// Says what does not fit: the number of neurons, or the size of one; and weights that are no
    /// finite numbers.
    pub fn restore(&mut self, states: &[NeuronState]) -> Result<(), String> {
        if states.len() != self.count() {
            return Err(format!(
                "{} neurons instead of {}",
                states.len(),
                self.count()
            ));
        }
        let (stride, width) = (self.stride(), self.moments_stride());
        for (i, state) in states.iter().enumerate() {
            if state.weights.len() != stride || state.moments.len() != width {
                return Err(format!(
                    "neuron {} has {} weights and {} moments instead of {stride} and {width}",
                    self.first + i,
                    state.weights.len(),
                    state.moments.len(),
                ));
            }
        }
        for (i, state) in states.iter().enumerate() {
            self.weights[i * stride..][..stride].copy_from_slice(&state.weights);
            self.moments[i * width..][..width].copy_from_slice(&state.moments);
        }
        match self.diverged() {
            Some(neuron) => Err(format!("neuron {neuron} has weights that are not finite")),
            None => Ok(()),
        }
    }

    /// The first neuron, by its index in the layer, with a weight that is not a finite number.
    pub fn diverged(&self) -> Option<usize> {
        // Looked at one by one only where their sum is not finite either, which is quicker told.
        let is_finite = |weights: &[f32]| {
            kernel::sum(weights).is_finite() || weights.iter().all(|w| w.is_finite())
        };
        let mut neurons = self.weights.chunks(self.stride());
        let found = neurons.position(|weights| !is_finite(weights));
        found.map(|neuron| self.first + neuron)
    }

    /// A copy of everything that must be remembered.
    pub fn snapshot(&self) -> Vec<NeuronState> {
        let width = self.moments_stride();
        self.weights
            .chunks(self.stride())
            .enumerate()
            .map(|(i, weights)| NeuronState {
                weights: weights.to_vec(),
                moments: self.moments[i * width..][..width].to_vec(),
            })
            .collect()
    }

    /// Each neuron's weights and its bias.
    pub fn each(&self) -> impl Iterator<Item = (&[f32], f32)> {
        let fan_in = self.layer.fan_in;
        let neurons = self.weights.chunks(self.stride());
        neurons.map(move |weights| (&weights[..fan_in], weights[fan_in]))
    }

    /// How many neurons.
    pub fn count(&self) -> usize {
        self.weights.len() / self.stride()
    }

    fn stride(&self) -> usize {
        self.layer.fan_in + 1
    }

    fn moments_stride(&self) -> usize {
        self.optimizer.moments() * self.stride()
    }

    /// The bytes of a batch, if these neurons compute from them.
    fn bytes_of<'a>(&self, inputs: &'a Inputs) -> Option<&'a ByteMatrix> {
        inputs.bytes().filter(|_| self.count() <= FEW_NEURONS)
    }

    /// Activations `[neurons, positions * rows]` before pooling and dropout; a dense layer has one
    /// position.
    pub fn forward(&self, inputs: &Inputs) -> Array2<f32> {
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
            row.fill(weights[stride - 1]);
        }
        let left = Rows::new(&self.weights, stride, self.layer.fan_in);
        match (&self.layer.maps, self.bytes_of(inputs)) {
            (Some(maps), _) => maps.multiply_add(left, inputs.features(), values),
            (None, Some(bytes)) => kernel::multiply_add_bytes_transposed(left, bytes, values),
            (None, None) => kernel::multiply_add(left, inputs.features(), values),
        }
        self.layer.activation.apply(values);
        activations
    }

    /// What the neurons hand on before dropout, `[neurons * outputs, rows]`, from their activations.
    pub fn outputs(&self, activations: &Arc<Array2<f32>>, rows: usize) -> Arc<Array2<f32>> {
        let Some(maps) = &self.layer.maps else {
            return activations.clone();
        };
        let outputs = match &maps.pool {
            Some(pool) => pool.apply(activations.view(), rows),
            None => activations.as_ref().clone(),
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

    /// dLoss/dz `[neurons, positions * rows]` from the activations and dLoss/d(output) `[neurons *
    /// outputs, rows]`.
    pub fn deltas(
        &self,
        step: u64,
        activations: &Array2<f32>,
        mut errors: Array2<f32>,
    ) -> Array2<f32> {
        self.drop_out(step, &mut errors);
        let rows = errors.ncols();
        let width = self.layer.outputs() * rows;
        let errors = reshaped(errors, self.count(), width);
        let mut deltas = match self.layer.maps.and_then(|maps| maps.pool) {
            Some(pool) => pool.backpropagate(activations.view(), errors.view(), rows),
            None => errors,
        };
        let (Some(a), Some(d)) = (activations.as_slice(), deltas.as_slice_mut()) else {
            unreachable!("arrays that are never transposed are contiguous");
        };
        self.layer.activation.backpropagate(a, d);
        deltas
    }

    /// The weights without biases, `[neurons, fan_in]`.
    pub fn kernel(&self) -> Array2<f32> {
        let fan_in = self.layer.fan_in;
        Array2::from_shape_fn((self.count(), fan_in), |(neuron, i)| {
            self.weights[neuron * (fan_in + 1) + i]
        })
    }

    /// dLoss/d(output) of the layer below, `[inputs, rows]`, if these neurons are the whole layer.
    pub fn propagate(&self, deltas: &Array2<f32>) -> Array2<f32> {
        propagate(&self.layer, &self.weights, self.stride(), deltas)
    }

    /// One optimizer step. `deltas` is dLoss/dz `[neurons, positions * rows]`.
    pub fn update(&mut self, step: Step, deltas: &Array2<f32>, inputs: &Inputs) {
        let rows = inputs.n_rows();
        if rows == 0 {
            return;
        }
        if let Some(maps) = self.layer.maps {
            let gradients = maps.gradients(deltas.view(), inputs.features());
            return self.apply(step, deltas, &gradients);
        }
        let deltas = deltas.as_slice().expect("deltas are contiguous");
        let (stride, width) = (self.stride(), self.moments_stride());
        let samples = match self.bytes_of(inputs) {
            Some(bytes) => Samples::Bytes(bytes),
            None => Samples::Numbers(inputs.samples()),
        };
        let (layer, optimizer) = (&self.layer, &self.optimizer);
        let update = |weights: &mut [f32], moments: &mut [f32], deltas: &[f32]| {
            update_rows(layer, optimizer, step, weights, moments, deltas, samples);
        };
        let count = self.weights.len() / stride;
        if !kernel::is_worth_threads(count, rows * layer.fan_in) {
            return update(&mut self.weights, &mut self.moments, deltas);
        }
        let block = kernel::rows_per_thread(count);
        let blocks = self
            .weights
            .par_chunks_mut(block * stride)
            .zip(deltas.par_chunks(block * rows));
        if width == 0 {
            blocks.for_each(|(weights, deltas)| update(weights, &mut [], deltas));
        } else {
            blocks
                .zip(self.moments.par_chunks_mut(block * width))
                .for_each(|((weights, deltas), moments)| update(weights, moments, deltas));
        }
    }

    /// One optimizer step of filters, from the gradients of their weights `[fan_in, neurons]`.
    fn apply(&mut self, step: Step, deltas: &Array2<f32>, gradients: &[f32]) {
        let (count, width) = (self.count(), self.moments_stride());
        let mut gradient = vec![0.0; self.stride()];
        for neuron in 0..count {
            let of_neuron = gradients.iter().skip(neuron).step_by(count);
            gradient
                .iter_mut()
                .zip(of_neuron)
                .for_each(|(to, from)| *to = *from);
            let deltas = deltas.row(neuron);
            let moments = &mut self.moments[neuron * width..][..width];
            let weights = &mut self.weights[neuron * gradient.len()..][..gradient.len()];
            let deltas = deltas.as_slice().expect("deltas are contiguous");
            finish(
                &self.layer,
                &self.optimizer,
                step,
                weights,
                moments,
                &mut gradient,
                deltas,
            );
        }
    }
}

/// The same numbers, in their order, in another shape.
fn reshaped(values: Array2<f32>, rows: usize, columns: usize) -> Array2<f32> {
    let (values, _) = values.into_raw_vec_and_offset();
    Array2::from_shape_vec((rows, columns), values).expect("as many numbers as before")
}

/// Bias and penalty of one neuron's gradient, and its step.
fn finish(
    layer: &Layer,
    optimizer: &Optimizer,
    step: Step,
    weights: &mut [f32],
    moments: &mut [f32],
    gradient: &mut [f32],
    deltas: &[f32],
) {
    let fan_in = layer.fan_in;
    if layer.use_bias {
        gradient[fan_in] = kernel::sum(deltas);
    }
    layer
        .kernel_regularizer
        .add_gradient(&weights[..fan_in], &mut gradient[..fan_in]);
    optimizer.update(step, weights, moments, gradient);
}

/// What a gradient is computed from, `[rows, features]`.
#[derive(Clone, Copy)]
enum Samples<'a> {
    Numbers(&'a Panels),
    Bytes(&'a ByteMatrix),
}

impl Samples<'_> {
    fn rows(self) -> usize {
        match self {
            Self::Numbers(samples) => samples.rows(),
            Self::Bytes(samples) => samples.rows(),
        }
    }

    /// Adds what `deltas` and the samples make of the gradients, whose rows are `stride` apart.
    fn add_gradients(self, deltas: Rows<'_>, gradients: &mut [f32], stride: usize) {
        match self {
            Self::Numbers(samples) => {
                kernel::multiply_add_here(deltas, samples, gradients, stride);
            }
            Self::Bytes(samples) => {
                kernel::multiply_add_bytes(deltas, samples, gradients, stride);
            }
        }
    }
}

/// Gradient and optimizer step of some rows, a tile at a time so that the gradient never leaves
/// the cache.
fn update_rows(
    layer: &Layer,
    optimizer: &Optimizer,
    step: Step,
    weights: &mut [f32],
    moments: &mut [f32],
    deltas: &[f32],
    samples: Samples<'_>,
) {
    let rows = samples.rows();
    let stride = layer.fan_in + 1;
    let width = optimizer.moments() * stride;
    let tile_rows = kernel::TILE_ROWS.min(weights.len() / stride);
    let mut gradients = vec![0.0; tile_rows * stride];
    for (tile, weights) in weights.chunks_mut(kernel::TILE_ROWS * stride).enumerate() {
        let first = tile * kernel::TILE_ROWS;
        let count = weights.len() / stride;
        let deltas = &deltas[first * rows..][..count * rows];
        let gradients = &mut gradients[..count * stride];
        if tile > 0 {
            gradients.fill(0.0);
        }
        samples.add_gradients(Rows::new(deltas, rows, rows), gradients, stride);
        for (i, (weights, gradient)) in weights
            .chunks_exact_mut(stride)
            .zip(gradients.chunks_exact_mut(stride))
            .enumerate()
        {
            let moments = &mut moments[(first + i) * width..][..width];
            let deltas = &deltas[i * rows..][..rows];
            finish(layer, optimizer, step, weights, moments, gradient, deltas);
        }
    }
}

/// W^T * deltas: the errors `[inputs, rows]` that a layer hands down, each summed in neuron order.
///
/// `deltas` is `[neurons, positions * rows]` of all neurons, and `weights` has one row of `stride` numbers
/// for each of them.
pub fn propagate(
    layer: &Layer,
    weights: &[f32],
    stride: usize,
    deltas: &Array2<f32>,
) -> Array2<f32> {
    if let Some(maps) = &layer.maps {
        let rows = deltas.ncols() / maps.positions();
        return maps.propagate(weights, stride, deltas.view(), rows);
    }
    let mut errors = Array2::zeros((layer.fan_in, deltas.ncols()));
    let values = errors.as_slice_mut().expect("a new array is contiguous");
    let left = Rows::transposed(weights, stride, layer.fan_in);
    kernel::multiply_add(left, &Panels::pack(deltas.view()), values);
    errors
}
