//! The topology file as a person writes it: the one source of its keys, defaults and ranges.
//!
//! The JSON Schema is generated from these types, and files are checked against that schema, so
//! that editors and error messages say the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extent::Extent;
use super::graph::Monitor;
use crate::data::Augmentation;
use crate::math::conv::Padding;
use crate::math::{Activation, Initializer, Loss, Optimizer, Regularizer, Schedule};

/// A network, how it is trained, on what data, and what its containers need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Cuttlefish topology")]
pub struct Spec {
    /// Name of the run: lower-case letters, digits and dashes. It names queues and containers.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"))]
    pub name: String,
    /// Seed of every random draw: initial weights, order of rows, dropout.
    #[serde(default)]
    pub seed: u64,
    /// What the network learns from.
    pub data: Data,
    /// Layers and loss.
    pub network: Network,
    /// How it is trained.
    #[serde(default)]
    pub training: Training,
    /// What containers host and need; without effect on the weights.
    #[serde(default)]
    pub deployment: Deployment,
}

/// What the network learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Data {
    /// 1,797 handwritten digits of 8 x 8 pixels, built in (UCI optical digits).
    Digits {
        /// Share of the training rows that validate.
        #[serde(default = "default::validation_split")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation_split: f64,
        /// How training images are changed in every epoch; as they are by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        augmentation: Option<Augmentation>,
    },
    /// 70,000 handwritten digits of 28 x 28 pixels.
    Mnist {
        /// Share of the training rows that validate: the last ones.
        #[serde(default = "default::validation_split")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation_split: f64,
        /// How training images are changed in every epoch; as they are by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        augmentation: Option<Augmentation>,
    },
    /// 70,000 pictures of clothes of 28 x 28 pixels.
    FashionMnist {
        /// Share of the training rows that validate: the last ones.
        #[serde(default = "default::validation_split")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation_split: f64,
        /// How training images are changed in every epoch; as they are by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        augmentation: Option<Augmentation>,
    },
    /// A table in a CSV file with a header line.
    Csv {
        /// The file, relative to the topology file.
        path: String,
        /// Name of the column to predict.
        target: String,
        /// Whether the target is a class or a number; by default text and whole numbers with
        /// at most 20 different values are classes.
        #[serde(default)]
        task: CsvTask,
        /// What to do about empty cells.
        #[serde(default)]
        missing: Missing,
        /// Columns to leave out.
        #[serde(default)]
        ignore: Vec<String>,
        /// Share of all rows that test.
        #[serde(default = "default::test_split")]
        #[schemars(range(min = 0.0, max = 0.9))]
        test_split: f64,
        /// Share of the other rows that validate.
        #[serde(default = "default::validation_split")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation_split: f64,
        /// Only images can be changed, and a table has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        augmentation: Option<Augmentation>,
    },
}

impl Data {
    /// How training images are changed.
    pub fn augmentation(&self) -> Option<Augmentation> {
        match *self {
            Self::Digits { augmentation, .. }
            | Self::Mnist { augmentation, .. }
            | Self::FashionMnist { augmentation, .. }
            | Self::Csv { augmentation, .. } => augmentation,
        }
    }
}

/// What the target column of a CSV file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CsvTask {
    /// Decided by the column.
    #[default]
    Auto,
    /// A class.
    Classification,
    /// A number.
    Regression,
}

/// What to do about empty cells of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Report them and stop.
    #[default]
    Error,
    /// Numbers become the mean of the training rows, categories the most frequent one.
    Mean,
    /// Numbers become the median of the training rows, categories the most frequent one.
    Median,
    /// Leave the rows out.
    DropRow,
}

/// Layers and loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The layers, input side first.
    #[schemars(length(min = 1, max = 64))]
    pub layers: Vec<LayerSpec>,
    /// What training makes small.
    pub loss: Loss,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Every neuron is connected to all inputs.
    Dense {
        /// Name of the layer; `dense_1`, `dense_2`, ... by default.
        #[serde(default)]
        #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$"))]
        name: Option<String>,
        /// Number of neurons.
        #[schemars(range(min = 1, max = 65536))]
        units: usize,
        /// What a neuron does with its weighted sum.
        #[serde(default)]
        activation: Activation,
        /// Whether neurons have a bias.
        #[serde(default = "default::yes")]
        use_bias: bool,
        /// How the weights start.
        #[serde(default = "default::kernel_initializer")]
        kernel_initializer: Initializer,
        /// How the bias starts.
        #[serde(default = "default::bias_initializer")]
        bias_initializer: Initializer,
        /// Penalty on the size of the weights.
        #[serde(default)]
        kernel_regularizer: Option<Regularizer>,
        /// Neurons in one container, for this layer.
        #[serde(default)]
        #[schemars(range(min = 1, max = 65536))]
        neurons_per_unit: Option<usize>,
        /// What one container of this layer needs.
        #[serde(default)]
        resources: Option<Resources>,
    },
    /// Every neuron is a filter: a kernel that slides over the maps before it and makes one map.
    #[serde(rename = "conv2d")]
    Conv2d {
        /// Name of the layer; `conv2d_1`, `conv2d_2`, ... by default.
        #[serde(default)]
        #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$"))]
        name: Option<String>,
        /// Number of filters.
        #[schemars(range(min = 1, max = 65536))]
        filters: usize,
        /// Height and width of the kernel: one number, or two.
        kernel_size: Extent,
        /// Steps of the kernel down and across: one number, or two.
        #[serde(default)]
        strides: Extent,
        /// What happens at the edges of the maps.
        #[serde(default)]
        padding: Padding,
        /// What a filter does with its weighted sums.
        #[serde(default)]
        activation: Activation,
        /// Whether filters have a bias.
        #[serde(default = "default::yes")]
        use_bias: bool,
        /// How the weights start.
        #[serde(default = "default::kernel_initializer")]
        kernel_initializer: Initializer,
        /// How the bias starts.
        #[serde(default = "default::bias_initializer")]
        bias_initializer: Initializer,
        /// Penalty on the size of the weights.
        #[serde(default)]
        kernel_regularizer: Option<Regularizer>,
        /// Filters in one container, for this layer.
        #[serde(default)]
        #[schemars(range(min = 1, max = 65536))]
        neurons_per_unit: Option<usize>,
        /// What one container of this layer needs.
        #[serde(default)]
        resources: Option<Resources>,
    },
    /// The largest value of each window of the maps of the filters before it.
    #[serde(rename = "max_pooling2d")]
    MaxPooling2d {
        /// Height and width of the window: one number, or two.
        #[serde(default = "default::pool_size")]
        pool_size: Extent,
        /// Steps of the window down and across; those of `pool_size` by default.
        #[serde(default)]
        strides: Option<Extent>,
        /// What happens at the edges of the maps.
        #[serde(default)]
        padding: Padding,
    },
    /// The mean of each window of the maps of the filters before it.
    #[serde(rename = "average_pooling2d")]
    AveragePooling2d {
        /// Height and width of the window: one number, or two.
        #[serde(default = "default::pool_size")]
        pool_size: Extent,
        /// Steps of the window down and across; those of `pool_size` by default.
        #[serde(default)]
        strides: Option<Extent>,
        /// What happens at the edges of the maps.
        #[serde(default)]
        padding: Padding,
    },
    /// Each neuron before it normalizes its values over the rows of a batch, and a filter over the places
    /// of its map.
    BatchNormalization {
        /// What its tensors are called in exported files; as the layer before it by default.
        #[serde(default)]
        #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$"))]
        name: Option<String>,
        /// Share of the moving mean and variance that a training batch keeps.
        #[serde(default = "default::momentum")]
        #[schemars(range(min = 0.0, max = 1.0))]
        momentum: f32,
        /// Added to the variance, so that a neuron that always says the same divides by more than 0.
        #[serde(default = "default::epsilon")]
        #[schemars(range(min = 1e-7, max = 1.0))]
        epsilon: f32,
        /// Whether beta is learned and added.
        #[serde(default = "default::yes")]
        center: bool,
        /// Whether gamma is learned and multiplied with.
        #[serde(default = "default::yes")]
        scale: bool,
        /// What a neuron does with its normalized values.
        #[serde(default)]
        activation: Activation,
    },
    /// Maps become numbers in a row, for a dense layer.
    Flatten {},
    /// Sets a random share of the activations of the layer before it to 0, in training only.
    Dropout {
        /// The share.
        #[schemars(range(min = 0.0, max = 0.99))]
        rate: f32,
    },
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Passes over the training rows; 0 writes the initial weights.
    #[schemars(range(max = 1_000_000))]
    pub epochs: u32,
    /// Rows of one step.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
    /// Whether each epoch takes the rows in an order of its own.
    pub shuffle: bool,
    /// How a gradient changes the weights.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub learning_rate_schedule: Schedule,
    /// Epochs in which the learning rate rises to its full value.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub warmup_epochs: f32,
    /// When to stop before the last epoch.
    pub early_stopping: Option<EarlyStoppingSpec>,
}

/// Stops a run that no longer improves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingSpec {
    /// What is watched.
    #[serde(default)]
    pub monitor: Monitor,
    /// Epochs without improvement after which training ends.
    #[schemars(range(min = 1))]
    pub patience: u32,
    /// A smaller change is no improvement.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_delta: f32,
}

/// What containers host and need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// Neurons in one container. On the local target whole layers are one unit unless the
    /// command line says otherwise.
    #[schemars(range(min = 1, max = 65536))]
    pub neurons_per_unit: usize,
    /// What one container needs.
    pub resources: Resources,
}

/// What one container needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processors.
    #[schemars(range(min = 0.01, max = 64.0))]
    pub cpu: f64,
    /// Memory with a unit: `64MiB`.
    #[schemars(regex(pattern = r"^[0-9]+(KiB|MiB|GiB)$"))]
    pub memory: String,
}

impl Resources {
    /// Resources with the memory as a number.
    pub fn checked(&self) -> super::graph::Resources {
        super::graph::Resources {
            cpu: self.cpu,
            memory: self.memory_bytes(),
        }
    }

    /// The memory in bytes; a number beyond 64 bits is as much as fits.
    pub fn memory_bytes(&self) -> u64 {
        let unit = self.memory.find(|c: char| !c.is_ascii_digit());
        let (digits, unit) = self.memory.split_at(unit.unwrap_or(self.memory.len()));
        let scale: u64 = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 1,
        };
        // The schema lets only digits through, so that an error means too many of them.
        digits.parse().unwrap_or(u64::MAX).saturating_mul(scale)
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            shuffle: true,
            optimizer: Optimizer::Sgd {
                learning_rate: 0.01,
                momentum: 0.0,
                nesterov: false,
            },
            learning_rate_schedule: Schedule::Constant,
            warmup_epochs: 0.0,
            early_stopping: None,
        }
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            neurons_per_unit: 1,
            resources: Resources::default(),
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: 0.1,
            memory: "64MiB".to_owned(),
        }
    }
}

/// Defaults of single keys.
mod default {
    use crate::math::Initializer;
    use crate::topology::extent::Extent;

    pub fn validation_split() -> f64 {
        0.1
    }
    pub fn test_split() -> f64 {
        0.2
    }
    pub fn pool_size() -> Extent {
        Extent::square(2)
    }
    pub fn momentum() -> f32 {
        0.99
    }
    pub fn epsilon() -> f32 {
        1e-3
    }
    pub fn yes() -> bool {
        true
    }
    pub fn kernel_initializer() -> Initializer {
        Initializer::GlorotUniform
    }
    pub fn bias_initializer() -> Initializer {
        Initializer::Zeros
    }
}
