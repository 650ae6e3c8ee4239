//! Dense layers: every neuron is connected to all inputs.

use ndarray::Array2;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kernel::{Kernel, NeuronStep, NeuronsMut};
use super::{Flow, LayerKind, Misfit, NeuronKeys, NeuronLayer, NeuronSpec, Stack};
use crate::math::kernel::{self, Rows};
use crate::math::{ByteMatrix, Inputs, Panels};

/// Most neurons that compute from the bytes of a batch: up to here, bytes beat panels (with AVX-512 up to
/// 50), and they need an eighth of the memory.
const FEW_NEURONS: usize = 32;

/// Keys of a dense layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseSpec {
    /// Name of the layer; `dense_1`, `dense_2`, ... by default.
    #[serde(default)]
    #[schemars(regex(pattern = super::neuron_keys::NAME))]
    pub name: Option<String>,
    /// Number of neurons.
    #[schemars(range(min = 1, max = 65536))]
    pub units: usize,
    /// Keys that every layer of neurons has.
    #[serde(flatten)]
    pub neurons: NeuronKeys,
}

/// A dense layer of `units` neurons.
pub fn dense(units: usize) -> DenseSpec {
    DenseSpec {
        name: None,
        units,
        neurons: NeuronKeys::default(),
    }
}

impl NeuronLayer for DenseSpec {
    fn keys_mut(&mut self) -> (&mut Option<String>, &mut NeuronKeys) {
        (&mut self.name, &mut self.neurons)
    }
}

impl DenseSpec {
    pub(super) fn neurons(&self) -> NeuronSpec<'_> {
        NeuronSpec {
            kind: "dense",
            name: self.name.as_deref(),
            count: self.units,
            count_key: "units",
            fan_in_key: "units",
            fan_in_help: "fewer neurons in the layer before",
            keys: &self.neurons,
        }
    }

    pub(super) fn add_to(&self, stack: &mut Stack) -> Result<(), Misfit> {
        let flow = std::mem::replace(&mut stack.flow, Flow::Row(self.units));
        let kind = LayerKind::Dense(Dense);
        stack.push(&self.neurons(), Some((kind, flow.features())));
        match flow {
            Flow::Row(_) | Flow::Image(..) | Flow::Unknown => Ok(()),
            _ => Err(Misfit {
                key: "",
                message: format!(
                    "a dense layer needs numbers in a row, and is given {}",
                    flow.words()
                ),
                help: "put `{type: flatten}` before it",
            }),
        }
    }
}

/// Kernel of a dense layer: a weight for each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dense;

impl Kernel for Dense {
    fn inputs(&self, fan_in: usize) -> usize {
        fan_in
    }

    fn keras_shape(&self, fan_in: usize, units: usize) -> Vec<usize> {
        vec![fan_in, units]
    }

    fn channels(&self, below: usize) -> usize {
        below
    }

    fn multiply_add(&self, weights: Rows<'_>, inputs: &Inputs, sums: &mut [f32]) {
        match bytes_of(inputs, sums.len() / inputs.n_rows().max(1)) {
            Some(bytes) => kernel::multiply_add_bytes_transposed(weights, bytes, sums),
            None => kernel::multiply_add(weights, inputs.features(), sums),
        }
    }

    fn update(
        &self,
        fan_in: usize,
        neurons: NeuronsMut<'_>,
        deltas: &Array2<f32>,
        inputs: &Inputs,
        step: &NeuronStep<'_>,
    ) {
        let rows = inputs.n_rows();
        let deltas = deltas.as_slice().expect("deltas are contiguous");
        let NeuronsMut {
            numbers,
            stride,
            moments,
            moments_stride: width,
        } = neurons;
        let count = numbers.len() / stride;
        let samples = match bytes_of(inputs, count) {
            Some(bytes) => Samples::Bytes(bytes),
            None => Samples::Numbers(inputs.samples()),
        };
        let update = |numbers: &mut [f32], moments: &mut [f32], deltas: &[f32]| {
            let neurons = NeuronsMut {
                numbers,
                stride,
                moments,
                moments_stride: width,
            };
            update_rows(fan_in, neurons, deltas, samples, step);
        };
        if !kernel::is_worth_threads(count, rows * fan_in) {
            return update(numbers, moments, deltas);
        }
        let block = kernel::rows_per_thread(count);
        let blocks = numbers
            .par_chunks_mut(block * stride)
            .zip(deltas.par_chunks(block * rows));
        if width == 0 {
            blocks.for_each(|(numbers, deltas)| update(numbers, &mut [], deltas));
        } else {
            blocks
                .zip(moments.par_chunks_mut(block * width))
                .for_each(|((numbers, deltas), moments)| update(numbers, moments, deltas));
        }
    }

    fn propagate(
        &self,
        fan_in: usize,
        weights: &[f32],
        stride: usize,
        deltas: &Array2<f32>,
    ) -> Array2<f32> {
        let mut errors = Array2::zeros((fan_in, deltas.ncols()));
        let values = errors.as_slice_mut().expect("a new array is contiguous");
        let left = Rows::transposed(weights, stride, fan_in);
        kernel::multiply_add(left, &Panels::pack(deltas.view()), values);
        errors
    }
}

/// Bytes of a batch, if it has any and the neurons are few enough to compute from them.
fn bytes_of(inputs: &Inputs, neurons: usize) -> Option<&ByteMatrix> {
    inputs.bytes().filter(|_| neurons <= FEW_NEURONS)
}

/// Values that a gradient is computed from, `[rows, features]`.
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

    /// Adds the products of `deltas` and the samples to the gradients, whose rows are `stride` apart.
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

/// Gradient and optimizer step of some neurons, a tile at a time so that the gradient never leaves the cache.
fn update_rows(
    fan_in: usize,
    neurons: NeuronsMut<'_>,
    deltas: &[f32],
    samples: Samples<'_>,
    step: &NeuronStep<'_>,
) {
    let rows = samples.rows();
    let NeuronsMut {
        numbers,
        stride,
        moments,
        moments_stride: width,
    } = neurons;
    let of_gradient = fan_in + 1;
    let tile_rows = kernel::TILE_ROWS.min(numbers.len() / stride);
    let mut gradients = vec![0.0; tile_rows * of_gradient];
    for (tile, numbers) in numbers.chunks_mut(kernel::TILE_ROWS * stride).enumerate() {
        let first = tile * kernel::TILE_ROWS;
        let count = numbers.len() / stride;
        let deltas = &deltas[first * rows..][..count * rows];
        let gradients = &mut gradients[..count * of_gradient];
        if tile > 0 {
            gradients.fill(0.0);
        }
        samples.add_gradients(Rows::new(deltas, rows, rows), gradients, of_gradient);
        for (i, (numbers, gradient)) in numbers
            .chunks_exact_mut(stride)
            .zip(gradients.chunks_exact_mut(of_gradient))
            .enumerate()
        {
            let moments = &mut moments[(first + i) * width..][..width];
            step(numbers, moments, gradient, &deltas[i * rows..][..rows]);
        }
    }
}
