//! Penalties on the size of a kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A penalty that is added to the loss: `l1 * sum |w| + l2 * sum w^2` (both terms as in Keras).
///
/// The reported loss is that of the data alone; the penalty acts through the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regularizer {
    /// Factor of the sum of absolute weights.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub l1: f32,
    /// Factor of the sum of squared weights.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub l2: f32,
}

impl Regularizer {
    /// Adds the penalty's gradient `l1 * sign(w) + 2 * l2 * w` to `gradient`.
    pub fn add_gradient(&self, weights: &[f32], gradient: &mut [f32]) {
        if self.l1 > 0.0 {
            for (g, &w) in gradient.iter_mut().zip(weights) {
                *g += if w > 0.0 {
                    self.l1
                } else if w < 0.0 {
                    -self.l1
                } else {
                    0.0
                };
            }
        }
        if self.l2 > 0.0 {
            let factor = 2.0 * self.l2;
            for (g, &w) in gradient.iter_mut().zip(weights) {
                *g += factor * w;
            }
        }
    }
}
