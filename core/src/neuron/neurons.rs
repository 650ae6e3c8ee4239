//! The numbers of some neurons of one layer, and how a training step changes them.

use ndarray::Array2;

use crate::layers::Layer;
use crate::layers::batch_normalization::{self, Change};
use crate::layers::kernel::NeuronsMut;
use crate::math::kernel;
use crate::math::normalization::Normalizer;
use crate::math::{Inputs, Optimizer, Step};
use crate::protocol::NeuronState;

/// Weights, biases and optimizer state of consecutive neurons of a layer.
#[derive(Clone, Debug)]
pub struct Neurons {
    pub(super) layer: Layer,
    pub(super) layer_idx: usize,
    pub(super) first: usize,
    pub(super) seed: u64,
    optimizer: Optimizer,
    /// `[neurons, numbers]`: the weights of a neuron, its bias, and if it is normalized gamma, beta, moving
    /// mean and moving variance.
    pub(super) weights: Vec<f32>,
    /// `[neurons, moments * optimized]`: each moment of a neuron's weights and bias after the other, then
    /// each of its gamma and beta.
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
        let mut weights = Vec::with_capacity(range.len() * layer.numbers());
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
            if layer.normalization.is_some() {
                weights.extend(batch_normalization::INITIAL);
            }
        }
        let moments = optimizer.moments() * range.len() * layer.optimized_numbers();
        let moments = vec![optimizer.initial_moment(); moments];
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
        let position = neurons.position(|weights| !is_finite(weights));
        position.map(|neuron| self.first + neuron)
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

    /// Normalizer of the neuron at a place among these; `None` for one that is not normalized.
    pub fn normalizer(&self, place: usize) -> Option<Normalizer> {
        let row = &self.weights[place * self.stride()..][..self.stride()];
        Normalizer::read(&row[self.layer.fan_in + 1..])
    }

    /// Normalizers of neurons that are normalized.
    pub(super) fn normalizers(&self) -> impl ExactSizeIterator<Item = Normalizer> + '_ {
        let normalizer = |place| self.normalizer(place);
        (0..self.count()).map(move |place| normalizer(place).expect("these are normalized"))
    }

    /// Number of neurons.
    pub fn count(&self) -> usize {
        self.weights.len() / self.stride()
    }

    pub(super) fn stride(&self) -> usize {
        self.layer.numbers()
    }

    fn moments_stride(&self) -> usize {
        self.optimizer.moments() * self.layer.optimized_numbers()
    }

    /// The weights without biases, `[neurons, fan_in]`.
    pub fn kernel(&self) -> Array2<f32> {
        let fan_in = self.layer.fan_in;
        Array2::from_shape_fn((self.count(), fan_in), |(neuron, i)| {
            self.weights[neuron * self.stride() + i]
        })
    }

    /// dLoss/d(output) of the layer below, `[inputs, rows]`, if these neurons are the whole layer.
    pub fn propagate(&self, deltas: &Array2<f32>) -> Array2<f32> {
        self.layer.propagate(&self.weights, self.stride(), deltas)
    }

    /// One optimizer step of weights and biases. `deltas` is dLoss/dz `[neurons, positions * rows]`.
    pub fn update(&mut self, step: Step, deltas: &Array2<f32>, inputs: &Inputs) {
        let rows = inputs.n_rows();
        if rows == 0 {
            return;
        }
        let (stride, moments_stride) = (self.stride(), self.moments_stride());
        let (layer, optimizer) = (&self.layer, &self.optimizer);
        let step =
            |numbers: &mut [f32], moments: &mut [f32], gradient: &mut [f32], deltas: &[f32]| {
                finish(layer, optimizer, step, numbers, moments, gradient, deltas);
            };
        let neurons = NeuronsMut {
            numbers: &mut self.weights,
            stride,
            moments: &mut self.moments,
            moments_stride,
        };
        layer
            .kind
            .update(layer.fan_in, neurons, deltas, inputs, &step);
    }

    /// One optimizer step of the neurons' normalizations, from what [`Self::deltas`] says of each.
    pub fn update_normalization(&mut self, step: Step, changes: &[Change]) {
        let Some(normalization) = &self.layer.normalization else {
            return;
        };
        let (stride, width) = (self.stride(), self.moments_stride());
        let first = self.layer.fan_in + 1;
        let neurons = self.weights.chunks_exact_mut(stride).enumerate();
        for ((neuron, numbers), change) in neurons.zip(changes) {
            let moments = &mut self.moments[neuron * width..][..width];
            let moments = &mut moments[self.optimizer.moments() * first..];
            let numbers = &mut numbers[first..];
            normalization.update(&self.optimizer, step, numbers, moments, change);
        }
    }
}

/// Bias and penalty of one neuron's gradient, and the step of its weights and bias.
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
    let moments = &mut moments[..optimizer.moments() * gradient.len()];
    optimizer.update(step, &mut weights[..gradient.len()], moments, gradient);
}
