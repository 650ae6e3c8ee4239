//! Activation functions: what a neuron does with its weighted sum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Slope of `leaky_relu` below zero (the default of Keras).
pub const NEGATIVE_SLOPE: f32 = 0.2;

/// The activation function of a layer, by its Keras name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// z
    #[default]
    Linear,
    /// max(z, 0)
    Relu,
    /// z above 0, 0.2 z below
    LeakyRelu,
    /// z above 0, exp(z) - 1 below
    Elu,
    /// 1 / (1 + exp(-z))
    Sigmoid,
    /// tanh(z)
    Tanh,
    /// exp(z) / sum of exp over the layer; for the output layer only, applied by the trainer
    Softmax,
}

impl Activation {
    /// Every activation, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Linear,
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Softmax,
    ];

    /// True if every number is the activation of some sum.
    pub fn reaches_every_number(self) -> bool {
        match self {
            Self::Linear | Self::LeakyRelu => true,
            Self::Relu | Self::Elu | Self::Sigmoid | Self::Tanh | Self::Softmax => false,
        }
    }

    /// Replaces the weighted sums `z` of one neuron by their activations.
    ///
    /// `Softmax` needs the whole layer and is applied by the trainer's head, so that here it
    /// passes its sums on as they are.
    pub fn apply(self, z: &mut [f32]) {
        match self {
            Self::Linear | Self::Softmax => {}
            Self::Relu => each(z, |z| if z > 0.0 { z } else { 0.0 * z }),
            Self::LeakyRelu => each(z, |z| if z > 0.0 { z } else { NEGATIVE_SLOPE * z }),
            Self::Elu => each(z, |z| if z > 0.0 { z } else { libm::expm1f(z) }),
            Self::Sigmoid => each(z, sigmoid),
            Self::Tanh => each(z, libm::tanhf),
        }
    }

    /// Multiplies the errors `e` (dLoss/da) by the derivative da/dz, given the activations `a`.
    pub fn backpropagate(self, a: &[f32], e: &mut [f32]) {
        match self {
            Self::Linear | Self::Softmax => {}
            Self::Relu => pairs(a, e, |a| if a > 0.0 { 1.0 } else { 0.0 }),
            Self::LeakyRelu => pairs(a, e, |a| if a > 0.0 { 1.0 } else { NEGATIVE_SLOPE }),
            Self::Elu => pairs(a, e, |a| if a > 0.0 { 1.0 } else { a + 1.0 }),
            Self::Sigmoid => pairs(a, e, |a| a * (1.0 - a)),
            Self::Tanh => pairs(a, e, |a| 1.0 - a * a),
        }
    }
}

/// The logistic function, by the pure-Rust `exp`.
pub fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-z))
}

fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for value in values {
        *value = f(*value);
    }
}

fn pairs(a: &[f32], e: &mut [f32], derivative: impl Fn(f32) -> f32) {
    for (e, &a) in e.iter_mut().zip(a) {
        *e *= derivative(a);
    }
}
