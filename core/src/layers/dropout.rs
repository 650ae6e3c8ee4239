//! Dropout: a stage of the neurons before it. What it computes is in [`crate::math::dropout`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LayerSpec, Misplacement, Stack, flatten};

/// Keys of a dropout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropoutSpec {
    /// The share.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub rate: f32,
}

/// A dropout of this share of the activations before it.
pub fn dropout(rate: f32) -> LayerSpec {
    LayerSpec::Dropout(DropoutSpec { rate })
}

pub(super) fn misplacement(before: &[LayerSpec], after: &[LayerSpec]) -> Option<Misplacement> {
    let has_neurons = |layers: &[LayerSpec]| layers.iter().any(|layer| layer.neurons().is_some());
    if !has_neurons(before) {
        return Some((
            "dropout before the first layer with weights",
            "it acts on the neurons before it, and inputs are not neurons",
        ));
    }
    if !has_neurons(after) {
        return Some((
            "dropout after the last layer with weights",
            "it would set answers of the network to 0",
        ));
    }
    let is_second = matches!(flatten::skipped(before), Some(LayerSpec::Dropout(_)));
    is_second.then_some((
        "dropout right after another dropout",
        "give the first one a higher `rate` instead",
    ))
}

impl DropoutSpec {
    pub(super) fn add_to(&self, stack: &mut Stack) {
        if let Some(below) = stack.top() {
            below.dropout = self.rate;
        }
    }
}
