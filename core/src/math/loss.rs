//! Loss functions by their Keras names. What they compute is in [`crate::trainer::head`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Loss that training minimizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean over outputs of (a - y)^2.
    MeanSquaredError,
    /// Mean over outputs of -(y ln p + (1 - y) ln(1 - p)), for `sigmoid` outputs.
    BinaryCrossentropy,
    /// -sum over classes of y ln p with one-hot targets, for a `softmax` output layer.
    CategoricalCrossentropy,
    /// -ln p of the right class, for a `softmax` output layer and class indices as targets.
    SparseCategoricalCrossentropy,
}
