//! Batch normalization: a stage of the neurons before it. Its formulas are in [`crate::math::normalization`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::neuron_keys::yes;
use super::{LayerSpec, Misplacement, Stack};
use crate::math::Activation;

/// Keys of a batch normalization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNormalizationSpec {
    /// What its tensors are called in exported files; as the layer before it by default.
    #[serde(default)]
    #[schemars(regex(pattern = super::neuron_keys::NAME))]
    pub name: Option<String>,
    /// Share of the moving mean and variance that a training batch keeps.
    #[serde(default = "momentum")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f32,
    /// Added to the variance, so that a neuron that always says the same divides by more than 0.
    #[serde(default = "epsilon")]
    #[schemars(range(min = 1e-7, max = 1.0))]
    pub epsilon: f32,
    /// Whether beta is learned and added.
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether gamma is learned and multiplied with.
    #[serde(default = "yes")]
    pub scale: bool,
    /// What a neuron does with its normalized values.
    #[serde(default)]
    pub activation: Activation,
}

fn momentum() -> f32 {
    0.99
}

fn epsilon() -> f32 {
    1e-3
}

/// Batch normalization of each neuron's values over the rows of a batch, and for a filter the places of its
/// map: gamma (x - mean) / sqrt(variance + epsilon) + beta, with the mean and variance of the batch in
/// training, and with their moving averages elsewhere (Ioffe & Szegedy 2015, as Keras 3 has it).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Normalization {
    /// Name of its tensors in files for other programs.
    pub name: String,
    /// Share of the moving averages that a training batch keeps.
    pub momentum: f32,
    /// Number added to the variance, which keeps the division finite.
    pub epsilon: f32,
    /// True if beta is learned; it is 0 otherwise.
    pub center: bool,
    /// True if gamma is learned; it is 1 otherwise.
    pub scale: bool,
    /// Function of a neuron's normalized values. `Linear` where the trainer's head does it.
    pub activation: Activation,
    /// True if it normalizes what a filter's pool has left, and not what the pool is given.
    pub after_pool: bool,
}

/// Problem with its place: it is a part of the neurons before it, as their pool is.
pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
    use LayerSpec::{BatchNormalization, Dropout, Flatten};
    // A pool may stand between the neurons and their normalization.
    let unpooled = match before {
        [unpooled @ .., pool] if pool.is_pool() => unpooled,
        _ => before,
    };
    match before {
        [] => Some((
            "batch normalization before the first layer with weights",
            "neurons normalize what they say themselves, and inputs are not neurons",
        )),
        [.., Dropout(_)] => Some((
            "batch normalization behind dropout",
            "put it before the dropout, which is the last thing that a neuron does",
        )),
        [.., Flatten(_)] => Some((
            "batch normalization behind flatten",
            "put it before: each filter normalizes its map, not each place of it",
        )),
        _ if matches!(unpooled, [.., BatchNormalization(_)]) => Some((
            "a second batch normalization of the same neurons",
            "leave one of them out",
        )),
        _ => None,
    }
}

impl BatchNormalizationSpec {
    pub(super) fn add_to(&self, stack: &mut Stack) {
        if let Some(below) = stack.top() {
            below.normalization = Some(Normalization {
                name: self.name.clone().unwrap_or_else(|| below.name.clone()),
                momentum: self.momentum,
                epsilon: self.epsilon,
                center: self.center,
                scale: self.scale,
                activation: self.activation,
                after_pool: below.pool.is_some(),
            });
        }
    }
}
