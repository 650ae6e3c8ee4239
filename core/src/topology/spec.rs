//! The topology file as a person writes it: the one source of its keys, defaults and ranges.
//!
//! The JSON Schema is generated from these types, and files are checked against that schema, so
//! that editors and error messages say the same.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use super::csv_source::{
    CsvSource, CsvTask, DateColumn, DatePart, DateReading, Decimal, Missing, TableFormat,
    TextEncoding, Thousands,
};
use super::expand::MAX_LAYERS;
use super::graph::Monitor;
pub use super::own_images::{ColorMode, DataFormat, IdxSource, ImagesSource, NpzSource, OwnSplit};
pub use super::split_keys::SplitKeys;
use crate::data::Augmentation;
pub use crate::data::{Folds, TargetScaling};
pub use crate::layers::{LayerSpec, Resources};
use crate::math::{Loss, Optimizer, Schedule};
use crate::sweep::SweepSpec;

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
    /// Data set that the network learns from.
    pub data: Data,
    /// Layers and loss.
    pub network: NetworkSpec,
    /// Training of the network.
    #[serde(default)]
    pub training: TrainingSpec,
    /// Neurons and resources of each container; without effect on the weights.
    #[serde(default)]
    pub deployment: Deployment,
    /// Search for the best values of some keys; a file without it is trained as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepSpec>,
}

/// Data set that the network learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Data {
    /// 1,797 handwritten digits of 8 x 8 pixels, built in (UCI optical digits).
    #[schemars(transform = any_rows_validate)]
    Digits(ImageSource),
    /// 70,000 handwritten digits of 28 x 28 pixels.
    Mnist(ImageSource),
    /// 70,000 pictures of clothes of 28 x 28 pixels.
    FashionMnist(ImageSource),
    /// A table in a CSV file with a header line.
    Csv(CsvSource),
    /// Images and labels in a pair of IDX files.
    Idx(IdxSource),
    /// Rows or images and their right answers in an npz file of NumPy.
    Npz(NpzSource),
    /// PNG or JPEG files, in a directory for each class.
    Images(ImagesSource),
}

/// Keys of a data set of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// Share of the training rows that validate: the last ones.
    #[serde(default = "default::validation_split")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_split: f64,
    /// Changes of training images in every epoch; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// Keys of the split that every source has.
    #[serde(flatten)]
    pub split_keys: SplitKeys,
}

impl Default for ImageSource {
    fn default() -> Self {
        Self {
            validation_split: default::validation_split(),
            augmentation: None,
            split_keys: SplitKeys::default(),
        }
    }
}

/// Says of a source's schema that validation takes rows from anywhere, not the last ones.
fn any_rows_validate(schema: &mut Schema) {
    if let Some(split) = schema.pointer_mut("/properties/validation_split/description") {
        *split = "Share of the training rows that validate.".into();
    }
}

impl Data {
    /// Augmentation of training images; `None` leaves them as they are.
    pub fn augmentation(&self) -> Option<Augmentation> {
        match self {
            Self::Digits(images) | Self::Mnist(images) | Self::FashionMnist(images) => {
                images.augmentation
            }
            Self::Csv(table) => table.augmentation,
            Self::Idx(IdxSource { split, .. })
            | Self::Npz(NpzSource { split, .. })
            | Self::Images(ImagesSource { split, .. }) => split.augmentation,
        }
    }

    /// Share of the training rows that validate, unless there are folds.
    pub fn validation_split(&self) -> f64 {
        match self {
            Self::Digits(images) | Self::Mnist(images) | Self::FashionMnist(images) => {
                images.validation_split
            }
            Self::Csv(table) => table.validation_split,
            Self::Idx(IdxSource { split, .. })
            | Self::Npz(NpzSource { split, .. })
            | Self::Images(ImagesSource { split, .. }) => split.validation_split,
        }
    }

    /// Scaling of the target that was asked for; `None` leaves it to the network.
    pub fn target_scaling(&self) -> Option<TargetScaling> {
        match self {
            Self::Csv(table) => table.target_scaling,
            Self::Idx(source) => source.target_scaling,
            Self::Npz(source) => source.target_scaling,
            _ => None,
        }
    }
}

/// Layers and loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// The layers, input side first.
    #[schemars(length(min = 1, max = MAX_LAYERS))]
    pub layers: Vec<LayerEntry>,
    /// Loss that training minimizes.
    pub loss: Loss,
}

/// One layer, or a block of layers that is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LayerEntry {
    /// A block of layers that is repeated.
    Repeat(RepeatSpec),
    /// One layer.
    Layer(LayerSpec),
}

/// A block of layers that is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatSpec {
    /// Number of times that the block is there, one on the other.
    #[schemars(range(min = 1, max = MAX_LAYERS))]
    pub repeat: usize,
    /// Layers of the block, input side first. Each repetition has weights of its own, and adds its number to the
    /// names in the block: `hidden-1`, `hidden-2`, ...
    #[schemars(length(min = 1, max = MAX_LAYERS))]
    pub layers: Vec<LayerEntry>,
}

impl<L: Into<LayerSpec>> From<L> for LayerEntry {
    fn from(layer: L) -> Self {
        Self::Layer(layer.into())
    }
}

/// Training of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSpec {
    /// Passes over the training rows; 0 writes the initial weights.
    #[schemars(range(max = 1_000_000))]
    pub epochs: u32,
    /// Rows of one step.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
    /// True if each epoch takes the rows in an order of its own.
    pub shuffle: bool,
    /// Step from a gradient to new weights.
    pub optimizer: Optimizer,
    /// Schedule of the learning rate.
    pub learning_rate_schedule: Schedule,
    /// Epochs in which the learning rate rises to its full value.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub warmup_epochs: f32,
    /// Condition of a stop before the last epoch.
    pub early_stopping: Option<EarlyStoppingSpec>,
}

/// Stops a run that no longer improves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingSpec {
    /// Figure that is watched.
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

/// Neurons and resources of each container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// Neurons in one container. On the local target whole layers are one unit unless the
    /// command line says otherwise.
    #[schemars(range(min = 1, max = 65536))]
    pub neurons_per_unit: usize,
    /// Resources of one container.
    pub resources: Resources,
}

impl Default for TrainingSpec {
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

/// Defaults of single keys.
pub(super) mod default {
    pub fn validation_split() -> f64 {
        0.1
    }
    pub fn test_split() -> f64 {
        0.2
    }
}
