//! Flatten: maps become numbers in a row. No value changes, and none moves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Flow, LayerSpec, Misplacement, Stack};

/// Keys of a flatten: none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlattenSpec {}

/// A flatten.
pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten(FlattenSpec {})
}

pub(super) fn misplacement(after: &[LayerSpec]) -> Option<Misplacement> {
    let is_last = after.iter().all(|layer| layer.neurons().is_none());
    is_last.then_some((
        "flatten after the last layer with weights",
        "the last layer's answers are numbers in a row already",
    ))
}

/// The last layer that changes a value.
pub(super) fn skipped(layers: &[LayerSpec]) -> Option<&LayerSpec> {
    let changes_values = |layer: &&LayerSpec| !matches!(layer, LayerSpec::Flatten(_));
    layers.iter().rfind(changes_values)
}

pub(super) fn add_to(stack: &mut Stack) {
    if !matches!(stack.flow, Flow::Unknown) {
        stack.flow = Flow::Row(stack.flow.features());
    }
}
