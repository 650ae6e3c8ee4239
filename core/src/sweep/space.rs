//! Values of a search space: by their number, at random, and as positions on an axis.

use ndarray_rand::rand::RngCore;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::spec::Space;

/// Whole numbers up to this size, and no greater ones, are all exact in an `f64`.
const EXACT: f64 = (1u64 << 53) as f64;

/// Axis of a search space on which distances mean something, or none.
pub(super) enum Axis {
    /// So many values without an order, by their index.
    Categories(usize),
    /// Numbers from low to high; only whole ones, those within half a step of a value, if `is_discrete`.
    Numbers {
        low: f64,
        high: f64,
        is_discrete: bool,
    },
}

/// A number from 0 up to, but not, 1: 53 random bits.
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / EXACT
}

/// A whole number below `n`.
fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}

impl Space {
    /// Some of its values, to see whether a topology can have any: the first ones, or both ends.
    pub fn examples(&self) -> Vec<Value> {
        match self {
            Self::Choice { categories: values } | Self::GridSearch { values } => values.clone(),
            Self::Uniform { lower, upper }
            | Self::Loguniform { lower, upper }
            | Self::Quniform { lower, upper, .. } => vec![(*lower).into(), (*upper).into()],
            Self::Randint { lower, upper } => vec![(*lower).into(), (*upper - 1).into()],
        }
    }

    /// The name in the file.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Choice { .. } => "choice",
            Self::GridSearch { .. } => "grid_search",
            Self::Uniform { .. } => "uniform",
            Self::Quniform { .. } => "quniform",
            Self::Loguniform { .. } => "loguniform",
            Self::Randint { .. } => "randint",
        }
    }

    /// Number of values; `None` for a continuum.
    pub(super) fn count(&self) -> Option<u64> {
        match *self {
            Self::Choice {
                categories: ref values,
            }
            | Self::GridSearch { ref values } => Some(values.len() as u64),
            Self::Quniform { lower, upper, q } => {
                let count = (upper / q).round_ties_even() - (lower / q).round_ties_even() + 1.0;
                Some(count as u64)
            }
            Self::Randint { lower, upper } => {
                Some((i128::from(upper) - i128::from(lower)).max(0) as u64)
            }
            Self::Uniform { .. } | Self::Loguniform { .. } => None,
        }
    }

    /// The value with a number below [`Self::count`]; nothing in a continuum.
    pub(super) fn nth(&self, index: u64) -> Value {
        match *self {
            Self::Choice {
                categories: ref values,
            }
            | Self::GridSearch { ref values } => {
                values.get(index as usize).cloned().unwrap_or(Value::Null)
            }
            Self::Quniform { lower, upper, q } => {
                let first = (lower / q).round_ties_even() as i64;
                let value = multiple(first.saturating_add_unsigned(index), q);
                let value = value.max(lower).min(upper);
                if [lower, upper, q].into_iter().all(is_whole) {
                    Value::from(value as i64)
                } else {
                    Value::from(value)
                }
            }
            Self::Randint { lower, .. } => Value::from(lower.saturating_add_unsigned(index)),
            Self::Uniform { .. } | Self::Loguniform { .. } => Value::Null,
        }
    }

    /// A random value.
    pub(super) fn sample(&self, rng: &mut ChaCha8Rng) -> Value {
        match *self {
            // Rounded after it was drawn, as in Ray Tune: the bounds are half as likely as the others.
            Self::Quniform { lower, upper, q } => {
                let drawn = lower + unit(rng) * (upper - lower);
                let steps = (drawn / q).round_ties_even() - (lower / q).round_ties_even();
                self.nth(steps as u64)
            }
            Self::Uniform { lower, upper } => self.at(lower + unit(rng) * (upper - lower)),
            Self::Loguniform { lower, upper } => {
                let (low, high) = (libm::log(lower), libm::log(upper));
                self.at(low + unit(rng) * (high - low))
            }
            _ => self.nth(below(rng, self.count().unwrap_or(0))),
        }
    }

    /// The axis on which its values have positions.
    pub(super) fn axis(&self) -> Axis {
        let numbers = |low, high, is_discrete| Axis::Numbers {
            low,
            high,
            is_discrete,
        };
        match *self {
            Self::Choice {
                categories: ref values,
            }
            | Self::GridSearch { ref values } => Axis::Categories(values.len()),
            Self::Uniform { lower, upper } => numbers(lower, upper, false),
            Self::Loguniform { lower, upper } => numbers(libm::log(lower), libm::log(upper), false),
            Self::Quniform { .. } | Self::Randint { .. } => {
                numbers(-0.5, self.count().unwrap_or(1) as f64 - 0.5, true)
            }
        }
    }

    /// The value at a position of [`Self::axis`].
    pub(super) fn at(&self, position: f64) -> Value {
        match *self {
            Self::Uniform { lower, upper } => Value::from(position.max(lower).min(upper)),
            Self::Loguniform { lower, upper } => {
                Value::from(libm::exp(position).max(lower).min(upper))
            }
            _ => self.nth(position as u64),
        }
    }

    /// The position of a value on [`Self::axis`]; `None` if it is not one of the space.
    pub(super) fn position(&self, value: &Value) -> Option<f64> {
        let position = match *self {
            Self::Choice {
                categories: ref values,
            }
            | Self::GridSearch { ref values } => {
                return values.iter().position(|v| v == value).map(|i| i as f64);
            }
            Self::Uniform { .. } => value.as_f64()?,
            Self::Loguniform { .. } => libm::log(value.as_f64()?),
            Self::Quniform { lower, q, .. } => {
                (value.as_f64()? / q).round_ties_even() - (lower / q).round_ties_even()
            }
            Self::Randint { lower, .. } => (value.as_i64()?.checked_sub(lower)?) as f64,
        };
        let Axis::Numbers { low, high, .. } = self.axis() else {
            return None;
        };
        (low..=high).contains(&position).then_some(position)
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= EXACT
}

/// `k` times `q` as people would write it: 3 times 0.1 is 0.3, not 0.30000000000000004.
///
/// The product is taken of the decimal digits of `q`, and rounded to an `f64` once.
fn multiple(k: i64, q: f64) -> f64 {
    let exact = || {
        let text = format!("{q:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, d)| d.len() as i32);
        let digits: i128 = mantissa.replace('.', "").parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()? - decimals;
        let product = digits.checked_mul(i128::from(k))?;
        format!("{product}e{exponent}").parse().ok()
    };
    exact().unwrap_or(k as f64 * q)
}
