//! Batch normalization (Ioffe & Szegedy 2015) of the values of one neuron: all rows of a batch, and for a
//! filter all places of its map.
//!
//! Every sum is taken in the order of [`kernel::sum`](super::kernel::sum), so that its bits depend on the
//! neuron's values alone.

use serde::Serialize;

use super::LANES;

/// Parameters and moving statistics of a normalized neuron beside its weights and bias, by the names of Keras.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Normalizer {
    /// Factor of the normalized values.
    pub gamma: f32,
    /// Offset that is added to them.
    pub beta: f32,
    /// Moving average of the means of training batches.
    pub moving_mean: f32,
    /// Moving average of their variances.
    pub moving_variance: f32,
}

impl Normalizer {
    /// Reads the numbers behind a neuron's bias, in the order of the fields; `None` if there are none.
    pub fn read(numbers: &[f32]) -> Option<Self> {
        let &[gamma, beta, moving_mean, moving_variance] = numbers else {
            return None;
        };
        Some(Self {
            gamma,
            beta,
            moving_mean,
            moving_variance,
        })
    }

    /// The moving averages.
    pub fn moving(self) -> Statistics {
        Statistics {
            mean: self.moving_mean,
            variance: self.moving_variance,
        }
    }

    /// Replaces values `x` by `gamma (x - mean) / sqrt(variance + epsilon) + beta`.
    pub fn apply(self, x: &mut [f32], with: Statistics, epsilon: f32) {
        let standardize = with.standardize(epsilon);
        for x in x {
            *x = self.gamma * standardize(*x) + self.beta;
        }
    }

    /// Replaces dLoss/dy by dLoss/dx, where `y` are the values `x` of a batch normalized with its own
    /// statistics; returns dLoss/dgamma and dLoss/dbeta.
    pub fn backpropagate(
        self,
        x: &[f32],
        batch: Statistics,
        epsilon: f32,
        errors: &mut [f32],
    ) -> [f32; 2] {
        let standardize = batch.standardize(epsilon);
        let for_gamma = sum(errors, x, |error, x| error * standardize(x));
        let for_beta = sum(errors, x, |error, _| error);
        let n = x.len() as f32;
        let (slope, shift) = (for_gamma / n, for_beta / n);
        let factor = self.gamma * batch.inverse_deviation(epsilon);
        for (error, &x) in errors.iter_mut().zip(x) {
            *error = factor * (*error - shift - standardize(x) * slope);
        }
        [for_gamma, for_beta]
    }
}

/// Mean and variance of the values of a neuron: of a batch, or the moving ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Their mean.
    pub mean: f32,
    /// The mean of their squared distances from it.
    pub variance: f32,
}

impl Statistics {
    /// Statistics of a batch, which has at least one value.
    pub fn of(values: &[f32]) -> Self {
        let n = values.len() as f32;
        let mean = sum(values, values, |value, _| value) / n;
        let square = |value: f32, _| (value - mean) * (value - mean);
        let variance = sum(values, values, square) / n;
        Self { mean, variance }
    }

    /// A value as the number of standard deviations that it lies above the mean.
    fn standardize(self, epsilon: f32) -> impl Fn(f32) -> f32 {
        let inverse = self.inverse_deviation(epsilon);
        move |value| (value - self.mean) * inverse
    }

    fn inverse_deviation(self, epsilon: f32) -> f32 {
        1.0 / (self.variance + epsilon).sqrt()
    }
}

/// Sums up what `term` makes of pairs of values: lane by lane, then over the lanes.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(a, b);
        }
    }
    lanes.iter().sum()
}
