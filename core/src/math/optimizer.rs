//! Optimizers with the formulas and defaults of Keras 3.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Step from a gradient to new weights.
///
/// In all formulas `g` is the gradient, `w` the weight, `lr` the tick's learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent: v = momentum v - lr g; w += v, or with `nesterov`
    /// w += momentum v - lr g.
    Sgd {
        /// Step size.
        #[serde(default = "rate::sgd")]
        #[schemars(range(min = 0.0))]
        learning_rate: f32,
        /// Share of the last step that is kept.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        momentum: f32,
        /// Look ahead along the momentum (Nesterov 1983).
        #[serde(default)]
        nesterov: bool,
    },
    /// Adagrad (Duchi et al. 2011): s += g^2; w -= lr g / sqrt(s + epsilon).
    Adagrad {
        /// Step size.
        #[serde(default = "rate::adaptive")]
        #[schemars(range(min = 0.0))]
        learning_rate: f32,
        /// Initial value of s.
        #[serde(default = "rate::accumulator")]
        #[schemars(range(min = 0.0))]
        initial_accumulator_value: f32,
        /// Keeps the division finite.
        #[serde(default = "rate::epsilon")]
        #[schemars(range(min = 0.0))]
        epsilon: f32,
    },
    /// RMSprop (Hinton 2012): s = rho s + (1 - rho) g^2; w -= lr g / sqrt(s + epsilon).
    Rmsprop {
        /// Step size.
        #[serde(default = "rate::adaptive")]
        #[schemars(range(min = 0.0))]
        learning_rate: f32,
        /// Share of the running mean that is kept.
        #[serde(default = "rate::rho")]
        #[schemars(range(min = 0.0, max = 1.0))]
        rho: f32,
        /// Keeps the division finite.
        #[serde(default = "rate::epsilon")]
        #[schemars(range(min = 0.0))]
        epsilon: f32,
    },
    /// Adam (Kingma & Ba 2015) in the form of Keras:
    /// w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(s) + epsilon).
    Adam {
        /// Step size.
        #[serde(default = "rate::adaptive")]
        #[schemars(range(min = 0.0))]
        learning_rate: f32,
        /// Share of the mean of gradients that is kept.
        #[serde(default = "rate::beta_1")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta_1: f32,
        /// Share of the mean of squared gradients that is kept.
        #[serde(default = "rate::beta_2")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta_2: f32,
        /// Keeps the division finite.
        #[serde(default = "rate::epsilon")]
        #[schemars(range(min = 0.0))]
        epsilon: f32,
    },
}

/// Defaults of Keras.
mod rate {
    pub fn sgd() -> f32 {
        0.01
    }
    pub fn adaptive() -> f32 {
        0.001
    }
    pub fn accumulator() -> f32 {
        0.1
    }
    pub fn epsilon() -> f32 {
        1e-7
    }
    pub fn rho() -> f32 {
        0.9
    }
    pub fn beta_1() -> f32 {
        0.9
    }
    pub fn beta_2() -> f32 {
        0.999
    }
}

/// Numbers of one step, which are common to every weight of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The learning rate that the schedule gives for this step.
    pub learning_rate: f32,
    /// Number of the training step, from 1.
    pub number: u64,
}

impl Optimizer {
    /// The learning rate before any schedule.
    pub fn learning_rate(&self) -> f32 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::Adagrad { learning_rate, .. }
            | Self::Rmsprop { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// Numbers of state that a weight needs.
    pub fn moments(&self) -> usize {
        match self {
            Self::Sgd { momentum, .. } => usize::from(*momentum != 0.0),
            Self::Adagrad { .. } | Self::Rmsprop { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// Initial value of every number of state.
    pub fn initial_moment(&self) -> f32 {
        match *self {
            Self::Adagrad {
                initial_accumulator_value,
                ..
            } => initial_accumulator_value,
            _ => 0.0,
        }
    }

    /// Applies one step to the weights of one neuron.
    ///
    /// `weights` and `gradient` have length n, `moments` has [`Self::moments`] * n: first all of
    /// the first moment, then all of the second.
    pub fn update(&self, step: Step, weights: &mut [f32], moments: &mut [f32], gradient: &[f32]) {
        let lr = step.learning_rate;
        let weights_and_gradient = weights.iter_mut().zip(gradient);
        match *self {
            Self::Sgd { momentum: 0.0, .. } => {
                for (w, &g) in weights_and_gradient {
                    *w -= lr * g;
                }
            }
            Self::Sgd {
                momentum,
                nesterov: false,
                ..
            } => {
                for ((w, &g), v) in weights_and_gradient.zip(moments) {
                    *v = momentum * *v - lr * g;
                    *w += *v;
                }
            }
            Self::Sgd { momentum, .. } => {
                for ((w, &g), v) in weights_and_gradient.zip(moments) {
                    *v = momentum * *v - lr * g;
                    *w += momentum * *v - lr * g;
                }
            }
            Self::Adagrad { epsilon, .. } => {
                for ((w, &g), s) in weights_and_gradient.zip(moments) {
                    *s += g * g;
                    *w -= lr * g / (*s + epsilon).sqrt();
                }
            }
            Self::Rmsprop { rho, epsilon, .. } => {
                for ((w, &g), s) in weights_and_gradient.zip(moments) {
                    *s = rho * *s + (1.0 - rho) * (g * g);
                    *w -= lr * g / (*s + epsilon).sqrt();
                }
            }
            Self::Adam {
                beta_1,
                beta_2,
                epsilon,
                ..
            } => {
                let t = step.number as f64;
                let correction = (1.0 - libm::pow(f64::from(beta_2), t)).sqrt()
                    / (1.0 - libm::pow(f64::from(beta_1), t));
                let alpha = (f64::from(lr) * correction) as f32;
                let (first, second) = moments.split_at_mut(weights_and_gradient.len());
                for (((w, &g), m), s) in weights_and_gradient.zip(first).zip(second) {
                    *m = beta_1 * *m + (1.0 - beta_1) * g;
                    *s = beta_2 * *s + (1.0 - beta_2) * (g * g);
                    *w -= alpha * *m / (s.sqrt() + epsilon);
                }
            }
        }
    }
}
