//! Learning-rate schedules: the rate of each training step, a pure function of its number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schedule of the learning rate over a run, as a factor of the optimizer's `learning_rate`.
///
/// Epochs may be fractions: the rate is recomputed at every step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// `factor` to the power of the number of whole `every_epochs` that have passed.
    Step {
        /// Epochs between two drops.
        #[schemars(range(min = 1))]
        every_epochs: u32,
        /// Factor of each drop.
        #[schemars(range(min = 0.0, max = 1.0))]
        factor: f32,
    },
    /// `decay_rate` to the power of (epochs passed / `decay_epochs`).
    Exponential {
        /// Factor of the rate after every `decay_epochs`.
        #[schemars(range(min = 0.0, max = 1.0))]
        decay_rate: f32,
        /// Epochs in which the rate falls by `decay_rate`.
        #[serde(default = "one")]
        #[schemars(range(min = 1))]
        decay_epochs: u32,
    },
    /// Falls along half a cosine from 1 to `alpha` at the end of the last epoch
    /// (Loshchilov & Hutter 2017, without restarts).
    Cosine {
        /// The factor at the end.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        alpha: f32,
    },
}

fn one() -> u32 {
    1
}

impl Schedule {
    /// The learning rate of training step `step` (from 1).
    ///
    /// During the first `warmup_epochs` the rate also rises linearly from near 0 (Goyal et al. 2017).
    pub fn learning_rate(
        &self,
        base: f32,
        step: u64,
        steps_per_epoch: u64,
        epochs: u32,
        warmup_epochs: f32,
    ) -> f32 {
        let per_epoch = steps_per_epoch.max(1) as f64;
        let passed = (step - 1) as f64 / per_epoch;
        let factor = match *self {
            Self::Constant => 1.0,
            Self::Step {
                every_epochs,
                factor,
            } => libm::pow(
                f64::from(factor),
                (passed / f64::from(every_epochs.max(1))).floor(),
            ),
            Self::Exponential {
                decay_rate,
                decay_epochs,
            } => libm::pow(
                f64::from(decay_rate),
                passed / f64::from(decay_epochs.max(1)),
            ),
            Self::Cosine { alpha } => {
                let fraction = (passed / f64::from(epochs.max(1))).min(1.0);
                let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * fraction));
                f64::from(alpha) + (1.0 - f64::from(alpha)) * cosine
            }
        };
        let warmup_steps = f64::from(warmup_epochs) * per_epoch;
        let warmup = if warmup_steps > 0.0 {
            (step as f64 / warmup_steps).min(1.0)
        } else {
            1.0
        };
        (f64::from(base) * factor * warmup) as f32
    }
}
