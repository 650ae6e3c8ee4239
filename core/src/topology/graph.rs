//! The checked network: what the machines are built from. Every number in it is valid.

use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, TargetScale};
use crate::layers::Layer;
use crate::math::{Activation, Loss, Optimizer, Schedule};

/// A network whose shapes fit, with everything that training needs to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// Name of the run, from the file.
    pub name: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// Features of one row.
    pub inputs: usize,
    /// Channels of a row that is an image, which other programs have side by side for each place; 1 for
    /// others. Not serialized: it is no part of what neurons compute.
    #[serde(skip_serializing)]
    pub channels: usize,
    /// The layers with weights, input side first; never empty.
    pub layers: Vec<Layer>,
    /// Loss, which training minimizes.
    pub loss: Loss,
    /// Function that the trainer applies to the last layer's outputs.
    pub head: Head,
    /// Scaling of a target that is a number: what the last layer answers is not in the target's unit.
    #[serde(skip_serializing_if = "TargetScale::is_identity")]
    pub target_scale: TargetScale,
    /// Schedule of its training.
    pub training: Training,
}

/// Function of the sums of the last layer that the trainer applies before the loss.
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

/// Training of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows of a tick; the last tick of an epoch may have fewer.
    pub batch_size: usize,
    /// True if each epoch has its own order of rows.
    pub shuffle: bool,
    /// Changes of training images in every epoch; none by default.
    pub augmentation: Option<Augmentation>,
    /// Optimizer: the step from a gradient to weights.
    pub optimizer: Optimizer,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// Epochs in which the learning rate rises to its full value.
    pub warmup_epochs: f32,
    /// Condition of a stop before the last epoch.
    pub early_stopping: Option<EarlyStopping>,
}

/// Stops a run that no longer improves, after the words of Keras.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Figure that is watched.
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
    /// Channels of what a layer is given: the neurons of the layer below, or the channels of the data.
    pub fn channels_below(&self, layer: usize) -> usize {
        let below = layer.checked_sub(1);
        below.map_or(self.channels, |below| self.layers[below].units)
    }

    /// Outputs of the last layer.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].units
    }

    /// True for a layer whose neurons hand on logits: the last one, where the trainer applies softmax or
    /// sigmoid.
    pub fn has_logits(&self, layer: usize) -> bool {
        layer + 1 == self.layers.len() && self.head != Head::Identity
    }

    /// Functions of the sums of a layer's neurons, in the words of the file: `relu`, or with a
    /// normalization `batch_normalization, relu`; whoever computes it.
    pub fn activation_words(&self, layer: usize) -> String {
        let word = |value: serde_json::Result<serde_json::Value>| match value {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        };
        let has_logits = self.has_logits(layer);
        let layer = &self.layers[layer];
        let activation = |activation: Activation| match has_logits {
            true => word(serde_json::to_value(self.head)),
            false => word(serde_json::to_value(activation)),
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
