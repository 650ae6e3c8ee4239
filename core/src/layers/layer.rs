//! Layer of neurons: what every kind has, in a network that is checked.

use ndarray::Array2;
use serde::Serialize;

use super::LayerKind;
use super::batch_normalization::{INITIAL, Normalization, OPTIMIZED};
use super::neuron_keys::NeuronSpec;
use super::resources::{ContainerResources, Resources};
use crate::math::conv::{Pool, Size};
use crate::math::{Activation, Initializer, Regularizer};

/// A layer of neurons with everything that follows a neuron's sum inside the same neuron.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Unique name.
    pub name: String,
    /// Weights of each neuron, and for a dense layer its inputs.
    pub fan_in: usize,
    /// Neurons.
    pub units: usize,
    /// Its kind, with the geometry of a convolution. Fingerprints know that as `maps`.
    #[serde(rename = "maps")]
    pub kind: LayerKind,
    /// Pool of a filter's map, behind the activation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Function of a neuron's sum. `Linear` for an output layer whose activation the
    /// trainer's head applies.
    pub activation: Activation,
    /// Bias of the neurons: there or not.
    pub use_bias: bool,
    /// Start of the weights.
    pub kernel_initializer: Initializer,
    /// Start of the bias.
    pub bias_initializer: Initializer,
    /// Penalty on the weights.
    pub kernel_regularizer: Regularizer,
    /// Batch normalization behind the activation.
    pub normalization: Option<Normalization>,
    /// Share of activations set to 0 in training, 0 for none.
    pub dropout: f32,
    /// Neurons hosted by one unit; at least 1, at most `units`.
    pub neurons_per_unit: usize,
    /// Resources of the container of one unit. Not serialized: they are no part of what neurons compute.
    #[serde(skip_serializing)]
    pub resources: ContainerResources,
}

impl Layer {
    /// A layer with the keys of the file that its neurons have and no stages behind them; `index` counts
    /// layers of neurons from 0.
    pub fn new(neurons: &NeuronSpec<'_>, index: usize, kind: LayerKind, fan_in: usize) -> Self {
        let keys = neurons.keys;
        Self {
            name: neurons.title(index),
            fan_in,
            units: neurons.count,
            kind,
            pool: None,
            activation: keys.activation,
            use_bias: keys.use_bias,
            kernel_initializer: keys.kernel_initializer,
            bias_initializer: keys.bias_initializer,
            kernel_regularizer: keys.kernel_regularizer.unwrap_or_default(),
            normalization: None,
            dropout: 0.0,
            neurons_per_unit: 1,
            resources: (&Resources::default()).into(),
        }
    }

    /// Numbers that a neuron remembers: its weights, its bias, and if it is normalized gamma, beta, moving
    /// mean and moving variance.
    pub fn numbers(&self) -> usize {
        let normalized = self.normalization.as_ref().map_or(0, |_| INITIAL.len());
        self.fan_in + 1 + normalized
    }

    /// Numbers that an optimizer changes, and keeps moments for: all but the moving ones.
    pub fn optimized_numbers(&self) -> usize {
        self.numbers() - self.moving_numbers()
    }

    /// The moving mean and variance of a normalized neuron.
    pub fn moving_numbers(&self) -> usize {
        let normalized = self.normalization.as_ref();
        normalized.map_or(0, |_| INITIAL.len() - OPTIMIZED)
    }

    /// Trainable numbers, as Keras counts them: all weights, and bias, gamma and beta where there are any.
    pub fn parameters(&self) -> usize {
        let learned = |n: &Normalization| usize::from(n.center) + usize::from(n.scale);
        let of_normalization = self.normalization.as_ref().map_or(0, learned);
        self.units * (self.fan_in + usize::from(self.use_bias) + of_normalization)
    }

    /// Numbers that training changes without a gradient, as Keras counts them.
    pub fn non_trainable_parameters(&self) -> usize {
        self.units * self.moving_numbers()
    }

    /// Features that each neuron is given.
    pub fn inputs(&self) -> usize {
        self.kind.inputs(self.fan_in)
    }

    /// Map of a filter before its pool; `None` for a neuron that has one sum for one row.
    pub fn map(&self) -> Option<Size> {
        self.kind.map()
    }

    /// Sums of a neuron for one row: the places of a filter's map.
    pub fn positions(&self) -> usize {
        self.map().map_or(1, Size::area)
    }

    /// Values of a neuron that the next layer is given for one row: a filter's map, pooled.
    pub fn outputs(&self) -> usize {
        self.pool
            .map_or(self.positions(), |pool| pool.window.positions.area())
    }

    /// Map of a filter as the next layer sees it, behind its pool; `None` for a neuron that has one value for one row.
    pub fn pooled_map(&self) -> Option<Size> {
        let map = self.map()?;
        Some(self.pool.map_or(map, |pool| pool.window.positions))
    }

    /// Features that the next layer is given for one row: the outputs of all neurons, one after the other.
    pub fn features(&self) -> usize {
        self.units * self.outputs()
    }

    /// Bytes that the filters of a layer keep of their maps before pooling, for a batch of `rows`: the
    /// activations and deltas of the tick that they work on and of the one that they show, and what a
    /// normalization makes of the former.
    pub fn map_bytes(&self, rows: usize) -> u64 {
        let maps = self.map().map_or(0, |map| self.units * map.area());
        let arrays = 4 + usize::from(self.normalization.is_some());
        (arrays * size_of::<f32>() * maps * rows) as u64
    }

    /// Fan out of the kernel, as Keras counts it.
    pub fn fan_out(&self) -> usize {
        self.units * self.kind.receptive_field()
    }

    /// Errors that all neurons of the layer hand down, W^T * deltas: dLoss/d(output) of the layer below,
    /// `[inputs, rows]`, each summed in neuron order.
    ///
    /// `deltas` is dLoss/dz, `[neurons, positions * rows]`, and `weights` has one row of `stride` numbers for
    /// each neuron.
    pub fn propagate(&self, weights: &[f32], stride: usize, deltas: &Array2<f32>) -> Array2<f32> {
        self.kind.propagate(self.fan_in, weights, stride, deltas)
    }

    /// Shape of the layer's kernel in Keras.
    pub fn keras_shape(&self) -> Vec<usize> {
        self.kind.keras_shape(self.fan_in, self.units)
    }

    /// Tensors of Keras with one number a neuron, in their order: name, and index of the number in a neuron.
    pub fn keras_vectors(&self) -> Vec<(String, usize)> {
        let bias = (format!("{}/bias", self.name), self.fan_in);
        let bias = self.use_bias.then_some(bias);
        let normalization = self.normalization.iter().flat_map(Normalization::tensors);
        let normalization = normalization.map(|(name, place)| (name, self.fan_in + 1 + place));
        bias.into_iter().chain(normalization).collect()
    }

    /// Indices of a neuron's weights in the order of Keras, which has the channels of a place side by side
    /// where a neuron has the places of a channel so. `below` is the number of channels of what lies below: the
    /// neurons of the layer there, or the channels of the data.
    pub fn weights_as_keras(&self, below: usize) -> impl Iterator<Item = usize> + use<> {
        let channels = self.kind.channels(below);
        let places = self.fan_in / channels;
        (0..places)
            .flat_map(move |place| (0..channels).map(move |channel| channel * places + place))
    }

    /// The units of this layer: the first neuron and the number of neurons of each.
    pub fn unit_ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        let size = self.neurons_per_unit;
        (0..self.units.div_ceil(size)).map(move |u| u * size..((u + 1) * size).min(self.units))
    }

    /// True if one of the units hosts exactly the `count` neurons from `first`.
    pub fn has_unit(&self, first: usize, count: usize) -> bool {
        let size = self.neurons_per_unit;
        first < self.units && first.is_multiple_of(size) && count == size.min(self.units - first)
    }
}
