//! The checked network: what the machines are built from. Every number in it is valid.

use serde::{Deserialize, Serialize};

use crate::data::Augmentation;
use crate::math::{Activation, Initializer, Loss, Maps, Optimizer, Regularizer, Schedule};

/// A network whose shapes fit, with everything that training needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Name of the run, from the file.
    pub name: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// Features of one row.
    pub inputs: usize,
    /// The layers with weights, input side first; never empty.
    pub layers: Vec<Layer>,
    /// What training makes small.
    pub loss: Loss,
    /// What the trainer applies to the last layer's outputs.
    pub head: Head,
    /// How it is trained.
    pub training: Training,
}

/// A layer of neurons with everything that follows a neuron's sum inside the same neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Unique name.
    pub name: String,
    /// Weights of each neuron, and for a dense layer its inputs.
    pub fan_in: usize,
    /// Neurons.
    pub units: usize,
    /// For a convolution, where a neuron is a filter: what it slides over, and what it makes of it.
    pub maps: Option<Maps>,
    /// What a neuron does with its sum. `Linear` for an output layer whose activation the
    /// trainer's [`Head`] applies.
    pub activation: Activation,
    /// Whether neurons have a bias.
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
    pub resources: Resources,
}

/// Resources of one container.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processors, as a weight against other containers.
    pub cpu: f64,
    /// Limit of memory in bytes.
    pub memory: u64,
}

/// Batch normalization of each neuron's values over the rows of a batch, and for a filter the places of its
/// map: gamma (x - mean) / sqrt(variance + epsilon) + beta, with the mean and variance of the batch in
/// training, and with their moving averages elsewhere (Ioffe & Szegedy 2015, as Keras 3 has it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// What its tensors are called in files for other programs.
    pub name: String,
    /// Share of the moving averages that a training batch keeps.
    pub momentum: f32,
    /// Keeps the division finite.
    pub epsilon: f32,
    /// Whether beta is learned; 0 otherwise.
    pub center: bool,
    /// Whether gamma is learned; 1 otherwise.
    pub scale: bool,
    /// What a neuron does with its normalized values. `Linear` where the trainer's [`Head`] does it.
    pub activation: Activation,
    /// Whether it normalizes what a filter's pool has left, and not what the pool is given.
    pub after_pool: bool,
}

/// What the trainer does with the sums of the last layer before the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Nothing: the last layer's neurons applied their activation themselves.
    Identity,
    /// The logistic function, joined with binary cross-entropy so that nothing saturates.
    Sigmoid,
    /// Softmax over the layer, which no single neuron could compute.
    Softmax,
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows of a tick; the last tick of an epoch may have fewer.
    pub batch_size: usize,
    /// Whether each epoch has its own order of rows.
    pub shuffle: bool,
    /// How training images are changed in every epoch, if they are.
    pub augmentation: Option<Augmentation>,
    /// How a gradient changes the weights.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Epochs in which the learning rate rises to its full value.
    pub warmup_epochs: f32,
    /// When to stop before the last epoch.
    pub early_stopping: Option<EarlyStopping>,
}

/// Stops a run that no longer improves, after the words of Keras.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// What is watched.
    pub monitor: Monitor,
    /// Epochs without improvement after which training ends.
    pub patience: u32,
    /// A smaller change is no improvement.
    pub min_delta: f32,
}

/// A figure that early stopping can watch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Mean loss of the validation rows.
    #[default]
    ValidationLoss,
    /// Share of the validation rows that are classified rightly.
    ValidationAccuracy,
    /// Mean loss of the epoch's training rows.
    Loss,
}

impl Graph {
    /// Outputs of the last layer.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].units
    }

    /// What becomes of the sums of a layer's neurons, in the words of the file: `relu`, or with a
    /// normalization `batch_normalization, relu`; whoever computes it.
    pub fn activation_words(&self, layer: usize) -> String {
        let word = |value: serde_json::Result<serde_json::Value>| match value {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        };
        let is_last = layer + 1 == self.layers.len();
        let layer = &self.layers[layer];
        let activation = |activation: Activation| match self.head {
            Head::Softmax | Head::Sigmoid if is_last => word(serde_json::to_value(self.head)),
            _ => word(serde_json::to_value(activation)),
        };
        let Some(normalization) = &layer.normalization else {
            return activation(layer.activation);
        };
        let words = [
            word(serde_json::to_value(layer.activation)),
            "batch_normalization".to_owned(),
            activation(normalization.activation),
        ];
        let words = words.iter().filter(|word| *word != "linear");
        words.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Trainable numbers of all layers.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(Layer::parameters).sum()
    }
}

impl Layer {
    /// Numbers that a neuron remembers: its weights, its bias, and if it is normalized gamma, beta, moving
    /// mean and moving variance.
    pub fn numbers(&self) -> usize {
        let normalized = self.normalization.as_ref().map_or(0, |_| 4);
        self.fan_in + 1 + normalized
    }

    /// Those of them that an optimizer changes, and keeps moments for: all but the moving ones.
    pub fn optimized_numbers(&self) -> usize {
        self.numbers() - self.moving_numbers()
    }

    /// The moving mean and variance of a normalized neuron.
    pub fn moving_numbers(&self) -> usize {
        self.normalization.as_ref().map_or(0, |_| 2)
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
        self.maps.map_or(self.fan_in, |maps| maps.inputs())
    }

    /// Sums of a neuron for one row: the places of a filter's map.
    pub fn positions(&self) -> usize {
        self.maps.map_or(1, |maps| maps.positions())
    }

    /// Values of a neuron for one row that the next layer is given: a filter's map, pooled.
    pub fn outputs(&self) -> usize {
        self.maps.map_or(1, |maps| maps.output().area())
    }

    /// What the next layer is given for one row: the outputs of all neurons, one after the other.
    pub fn features(&self) -> usize {
        self.units * self.outputs()
    }

    /// Bytes that the filters of a layer keep of their maps before pooling, for a batch of `rows`: the
    /// activations and deltas of the tick that they work on and of the one that they show, and what a
    /// normalization makes of the former.
    pub fn map_bytes(&self, rows: usize) -> u64 {
        let maps = self.maps.map_or(0, |maps| self.units * maps.positions());
        let arrays = 4 + usize::from(self.normalization.is_some());
        (arrays * size_of::<f32>() * maps * rows) as u64
    }

    /// What Keras calls the fan out of the kernel.
    pub fn fan_out(&self) -> usize {
        self.units * self.maps.map_or(1, |maps| maps.window.size.area())
    }

    /// The units of this layer: the first neuron and the number of neurons of each.
    pub fn unit_ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        let size = self.neurons_per_unit;
        (0..self.units.div_ceil(size)).map(move |u| u * size..((u + 1) * size).min(self.units))
    }

    /// Whether one of the units hosts exactly the `count` neurons from `first`.
    pub fn has_unit(&self, first: usize, count: usize) -> bool {
        let size = self.neurons_per_unit;
        first < self.units && first.is_multiple_of(size) && count == size.min(self.units - first)
    }
}
