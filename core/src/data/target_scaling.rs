//! Scaling of a target that is a number: the network learns numbers of about 1, whatever the target's unit is, and
//! people get answers, errors and losses in that unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::math::{Activation, Loss};

/// Scaling of a target, as a topology file asks for it. Fitted on the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetScaling {
    /// To mean 0 and deviation 1.
    Standard,
    /// To 0 for the smallest and 1 for the largest.
    MinMax,
    /// Learned as it is.
    None,
}

/// Statistics of the targets of the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the rows themselves, not an estimate for others).
    pub deviation: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// A fitted scaling: the network learns `(target - offset) / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetScale {
    /// Target that the network learns as 0.
    pub offset: f64,
    /// Difference of targets that the network learns as 1; above 0.
    pub scale: f64,
}

impl TargetScaling {
    /// The scaling for an output layer with this activation, unless the file asks for another: a standardised
    /// target has negative numbers, and numbers above 1.
    pub fn usual(output: Activation) -> Self {
        if output.reaches_every_number() {
            Self::Standard
        } else {
            Self::MinMax
        }
    }

    /// The scaling for targets with these statistics. Targets that are all the same are only moved.
    pub fn fit(self, statistics: &TargetStatistics) -> TargetScale {
        let TargetStatistics {
            mean,
            deviation,
            min,
            max,
        } = *statistics;
        let (offset, scale) = match self {
            Self::Standard => (mean, deviation),
            Self::MinMax => (min, max - min),
            Self::None => return TargetScale::IDENTITY,
        };
        TargetScale {
            offset,
            scale: if scale > 0.0 { scale } else { 1.0 },
        }
    }
}

impl TargetStatistics {
    /// Statistics of the targets of the rows `train`, summed in their order; `None` without rows.
    pub fn of(targets: &[f32], train: &[u32]) -> Option<Self> {
        let values = || train.iter().map(|&row| f64::from(targets[row as usize]));
        let count = train.len() as f64;
        let min = values().reduce(f64::min)?;
        let max = values().reduce(f64::max)?;
        let mean = values().sum::<f64>() / count;
        let squares: f64 = values().map(|value| (value - mean) * (value - mean)).sum();
        Some(Self {
            mean,
            deviation: (squares / count).sqrt(),
            min,
            max,
        })
    }
}

impl TargetScale {
    /// Targets as they are.
    pub const IDENTITY: Self = Self {
        offset: 0.0,
        scale: 1.0,
    };

    /// True if targets are learned as they are.
    pub fn is_identity(&self) -> bool {
        *self == Self::IDENTITY
    }

    /// A target as the network learns it.
    pub fn learned(&self, target: f32) -> f32 {
        ((f64::from(target) - self.offset) / self.scale) as f32
    }

    /// A number that the network has learned, in the target's unit.
    pub fn in_units(&self, learned: f32) -> f64 {
        self.offset + self.scale * f64::from(learned)
    }

    /// Factor from a loss of what is learned to the loss in the target's unit.
    pub fn loss_factor(&self, loss: Loss) -> f64 {
        match loss {
            Loss::MeanSquaredError => self.scale * self.scale,
            // Of classes, which have no unit.
            Loss::BinaryCrossentropy
            | Loss::CategoricalCrossentropy
            | Loss::SparseCategoricalCrossentropy => 1.0,
        }
    }
}

impl Default for TargetScale {
    fn default() -> Self {
        Self::IDENTITY
    }
}
