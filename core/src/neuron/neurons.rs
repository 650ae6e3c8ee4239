//! The numbers of some neurons of one layer, and what is computed from them.

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
    /// Neurons `first..first + count` with their initial weights. `fan_out` is the number of
    /// neurons of the layer itself, which is what Keras calls the fan out of a dense kernel.
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
                layer.units,
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

    /// Activations `[neurons, rows]` before dropout.
    pub fn forward(&self, inputs: &Inputs) -> Array2<f32> {
        let rows = inputs.n_rows();
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
        match self.bytes_of(inputs) {
            Some(bytes) => kernel::multiply_add_bytes_transposed(left, bytes, values),
            None => kernel::multiply_add(left, inputs.features(), values),
        }
        self.layer.activation.apply(values);
        activations
    }

    /// Applies the dropout masks of a training step, `[neurons, rows]`.
    pub fn drop_out(&self, step: u64, values: &mut Array2<f32>) {
        for (i, mut row) in values.outer_iter_mut().enumerate() {
            if let Some(row) = row.as_slice_mut() {
                dropout::mask(
                    self.seed,
                    step,
                    self.layer_idx,
                    self.first + i,
                    self.layer.dropout,
                    row,
                );
            }
        }
    }

    /// dLoss/dz from dLoss/da, in place, both `[neurons, rows]`.
    pub fn deltas(&self, step: u64, activations: &Array2<f32>, errors: &mut Array2<f32>) {
        self.drop_out(step, errors);
        let (Some(a), Some(e)) = (activations.as_slice(), errors.as_slice_mut()) else {
            unreachable!("arrays that are never transposed are contiguous");
        };
        self.layer.activation.backpropagate(a, e);
    }

    /// The weights without biases, `[neurons, fan_in]`.
    pub fn kernel(&self) -> Array2<f32> {
        let fan_in = self.layer.fan_in;
        Array2::from_shape_fn((self.count(), fan_in), |(neuron, i)| {
            self.weights[neuron * (fan_in + 1) + i]
        })
    }

    /// dLoss/da of the layer below, `[fan_in, rows]`, if these neurons are the whole layer.
    pub fn propagate(&self, deltas: &Array2<f32>) -> Array2<f32> {
        propagate(&self.weights, self.stride(), self.layer.fan_in, deltas)
    }

    /// One optimizer step. `deltas` is dLoss/dz `[neurons, rows]`.
    pub fn update(&mut self, step: Step, deltas: &Array2<f32>, inputs: &Inputs) {
        let rows = inputs.n_rows();
        if rows == 0 {
            return;
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
    let (fan_in, rows) = (layer.fan_in, samples.rows());
    let stride = fan_in + 1;
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
            if layer.use_bias {
                gradient[fan_in] = kernel::sum(&deltas[i * rows..][..rows]);
            }
            layer
                .kernel_regularizer
                .add_gradient(&weights[..fan_in], &mut gradient[..fan_in]);
            let moments = &mut moments[(first + i) * width..][..width];
            optimizer.update(step, weights, moments, gradient);
        }
    }
}

/// W^T * deltas: the errors `[fan_in, rows]` of the layer below, each summed in neuron order.
///
/// `weights` has one row of `stride` numbers for each row of `deltas`.
pub fn propagate(
    weights: &[f32],
    stride: usize,
    fan_in: usize,
    deltas: &Array2<f32>,
) -> Array2<f32> {
    let mut errors = Array2::zeros((fan_in, deltas.ncols()));
    let values = errors.as_slice_mut().expect("a new array is contiguous");
    let left = Rows::transposed(weights, stride, fan_in);
    kernel::multiply_add(left, &Panels::pack(deltas.view()), values);
    errors
}
