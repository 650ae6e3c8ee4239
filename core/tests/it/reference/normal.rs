//! Batch normalization in plain loops, from its definition.

use cuttlefish_core::topology::{Layer, Normalization};

use super::plain::{activate, slope};

/// Normalization of the values of one neuron, `[place][row]`.
pub struct Normal {
    /// Mean and variance of the values.
    pub batch: [f64; 2],
    /// With the mean and variance in use taken out.
    hats: Vec<Vec<f64>>,
    /// Before the activation that follows.
    sums: Vec<Vec<f64>>,
    /// 1 / sqrt(variance + epsilon)
    inverse: f64,
}

/// The layer's normalization, if it comes where it is looked for: before the pool, or behind it.
pub fn at(layer: &Layer, after_pool: bool) -> Option<&Normalization> {
    let normalization = layer.normalization.as_ref();
    normalization.filter(|n| n.after_pool == after_pool)
}

impl Normal {
    /// `neuron` is its row of numbers; its moving averages are used unless there is `training`.
    pub fn new(
        layer: &Layer,
        how: &Normalization,
        neuron: &[f64],
        values: &[Vec<f64>],
        training: bool,
    ) -> Self {
        let (gamma, beta) = (neuron[layer.fan_in + 1], neuron[layer.fan_in + 2]);
        let n = (values.len() * values[0].len()) as f64;
        let mut batch = [0.0, 0.0];
        for value in values.iter().flatten() {
            batch[0] += value / n;
        }
        for value in values.iter().flatten() {
            batch[1] += (value - batch[0]).powi(2) / n;
        }
        let [mean, variance] = match training {
            true => batch,
            false => [neuron[layer.fan_in + 3], neuron[layer.fan_in + 4]],
        };
        let inverse = 1.0 / (variance + f64::from(how.epsilon)).sqrt();
        let each = |values: &[Vec<f64>], f: &dyn Fn(f64) -> f64| -> Vec<Vec<f64>> {
            let row = |row: &Vec<f64>| row.iter().map(|&x| f(x)).collect();
            values.iter().map(row).collect()
        };
        let hats = each(values, &|x| (x - mean) * inverse);
        let sums = each(&hats, &|hat| gamma * hat + beta);
        Self {
            batch,
            hats,
            sums,
            inverse,
        }
    }

    /// Normalized values, `[place][row]`.
    pub fn outputs(&self, how: &Normalization) -> Vec<Vec<f64>> {
        let row = |sums: &Vec<f64>| sums.iter().map(|&z| activate(how.activation, z)).collect();
        self.sums.iter().map(row).collect()
    }

    /// Turns dLoss/d(output) into dLoss/d(value), by the whole Jacobian; returns the gradients of gamma and
    /// beta.
    pub fn backward(&self, how: &Normalization, gamma: f64, errors: &mut [Vec<f64>]) -> [f64; 2] {
        let mut gradient = [0.0, 0.0];
        for place in 0..errors.len() {
            for row in 0..errors[0].len() {
                errors[place][row] *= slope(how.activation, self.sums[place][row]);
                gradient[0] += errors[place][row] * self.hats[place][row];
                gradient[1] += errors[place][row];
            }
        }
        let flat: Vec<f64> = errors.iter().flatten().copied().collect();
        let hats: Vec<f64> = self.hats.iter().flatten().copied().collect();
        let n = flat.len() as f64;
        let rows = errors[0].len();
        for i in 0..flat.len() {
            let mut sum = 0.0;
            for j in 0..flat.len() {
                let same = f64::from(u8::from(i == j));
                sum += flat[j] * gamma * self.inverse * (same - 1.0 / n - hats[i] * hats[j] / n);
            }
            errors[i / rows][i % rows] = sum;
        }
        [
            gradient[0] * f64::from(u8::from(how.scale)),
            gradient[1] * f64::from(u8::from(how.center)),
        ]
    }
}
