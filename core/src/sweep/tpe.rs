//! Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kégl 2011, section 4), with the defaults of
//! Optuna 5: kernels over all parameters at once, as many as there are trials and a wide one beside them.
//!
//! Trials are split into the best tenth and the others, a density is estimated from each, and of some draws
//! from that of the best the one is tried whose ratio of the two is greatest. Its logarithms are those of
//! `libm`, and sums run in the order of trials, so that suggestions are the same on every machine.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use rand_chacha::ChaCha8Rng;

use super::space::{Axis, unit};

/// Positions of a trial's values, one for each axis, and its score: smaller is better, `None` worst.
pub(super) type Observed = (Vec<f64>, Option<f64>);

/// Most trials that count as the best.
const MAX_BEST: usize = 25;
/// The newest trials, which weigh 1; older ones weigh less the older they are.
const RECENT: usize = 25;
/// Narrowest kernel as a share of the axis, once there are many trials.
const NARROWEST: f64 = 100.0;

/// The position to try next on each axis. `observations` are in the order of trials, and not empty.
pub(super) fn suggest(
    axes: &[Axis],
    observations: &[Observed],
    candidates: u32,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let (best, others) = split(observations);
    let (best, others) = (Parzen::new(axes, &best), Parzen::new(axes, &others));
    let mut chosen = (best.sample(axes, rng), f64::NEG_INFINITY);
    for candidate in 0..candidates.max(1) {
        let position = if candidate == 0 {
            chosen.0.clone()
        } else {
            best.sample(axes, rng)
        };
        let ratio = best.log_density(axes, &position) - others.log_density(axes, &position);
        if ratio > chosen.1 {
            chosen = (position, ratio);
        }
    }
    chosen.0
}

/// Positions of the best trials and of the others, both in the order of trials.
fn split(observations: &[Observed]) -> (Vec<&[f64]>, Vec<&[f64]>) {
    let n_best = observations.len().div_ceil(10).min(MAX_BEST);
    let score = |&i: &usize| observations[i].1.unwrap_or(f64::INFINITY);
    let mut ranked: Vec<usize> = (0..observations.len()).collect();
    // Stable: of equal trials the earlier one is better. A failed one is worse than any infinity.
    ranked.sort_by(|a, b| {
        let failed = |&i: &usize| observations[i].1.is_none();
        let order = score(a).total_cmp(&score(b));
        failed(a).cmp(&failed(b)).then(order)
    });
    let (best, others) = ranked.split_at_mut(n_best);
    best.sort_unstable();
    others.sort_unstable();
    let positions = |indices: &[usize]| {
        let position = |&i: &usize| observations[i].0.as_slice();
        indices.iter().map(position).collect()
    };
    (positions(best), positions(others))
}

/// A density: a mixture of kernels, each a product over the axes. The last kernel is the prior.
struct Parzen {
    /// Weight of each kernel; their sum is 1.
    weights: Vec<f64>,
    /// The kernels' factors on each axis.
    factors: Vec<Factors>,
}

/// Factors of all kernels on one axis.
enum Factors {
    /// Category of each kernel but the prior.
    Categories(Vec<usize>),
    /// Normal distributions, cut off at the ends of the axis.
    Normals(Vec<Normal>),
}

struct Normal {
    mean: f64,
    deviation: f64,
    /// Logarithm of its mass between the ends of the axis.
    log_mass: f64,
}

impl Parzen {
    fn new(axes: &[Axis], positions: &[&[f64]]) -> Self {
        let mut weights = weights(positions.len());
        weights.push(1.0);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let factors = axes.iter().enumerate().map(|(index, axis)| {
            let on_axis = positions.iter().map(|position| position[index]);
            match *axis {
                Axis::Categories(_) => Factors::Categories(on_axis.map(|at| at as usize).collect()),
                Axis::Numbers { low, high, .. } => {
                    Factors::Normals(normals(on_axis.collect(), low, high))
                }
            }
        });
        Self {
            weights,
            factors: factors.collect(),
        }
    }

    /// A position drawn from the density.
    fn sample(&self, axes: &[Axis], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let kernel = draw(self.weights.iter().copied(), rng);
        let position = |(axis, factors): (&Axis, &Factors)| match (axis, factors) {
            (&Axis::Categories(count), Factors::Categories(seen)) => {
                let shares = (0..count).map(|category| self.share(seen, kernel, category, count));
                draw(shares, rng) as f64
            }
            (
                &Axis::Numbers {
                    low,
                    high,
                    is_discrete,
                },
                Factors::Normals(normals),
            ) => {
                let drawn = normals[kernel].sample(low, high, rng);
                if is_discrete {
                    drawn.round_ties_even().clamp(low + 0.5, high - 0.5)
                } else {
                    drawn
                }
            }
            _ => unreachable!("factors are made for their axis"),
        };
        axes.iter().zip(&self.factors).map(position).collect()
    }

    /// Logarithm of the density at a position.
    fn log_density(&self, axes: &[Axis], position: &[f64]) -> f64 {
        let mut logs: Vec<f64> = self.weights.iter().map(|&w| libm::log(w)).collect();
        for ((axis, factors), &at) in axes.iter().zip(&self.factors).zip(position) {
            for (kernel, log) in logs.iter_mut().enumerate() {
                *log += match (axis, factors) {
                    (&Axis::Categories(count), Factors::Categories(seen)) => {
                        libm::log(self.share(seen, kernel, at as usize, count))
                    }
                    (&Axis::Numbers { is_discrete, .. }, Factors::Normals(normals)) => {
                        normals[kernel].log_density(at, is_discrete)
                    }
                    _ => unreachable!("factors are made for their axis"),
                };
            }
        }
        // The greatest is taken out: the others cannot overflow, and the prior keeps it finite.
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|&log| libm::exp(log - greatest)).sum();
        libm::log(sum) + greatest
    }

    /// Probability of a category in a kernel: mostly the category of its trial, the same for all in the prior.
    fn share(&self, seen: &[usize], kernel: usize, category: usize, count: usize) -> f64 {
        let base = 1.0 / self.weights.len() as f64;
        let own = seen.get(kernel);
        let extra = f64::from(u8::from(own == Some(&category)));
        let sum = f64::from(u8::from(own.is_some())) + base * count as f64;
        (base + extra) / sum
    }
}

/// Weights of so many trials, oldest first: a ramp up to the newest 25, which weigh 1.
fn weights(count: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(RECENT);
    let lowest = 1.0 / count as f64;
    let step = (1.0 - lowest) / (ramp.max(2) - 1) as f64;
    let weight = |i: usize| {
        if i < ramp {
            lowest + i as f64 * step
        } else {
            1.0
        }
    };
    (0..count).map(weight).collect()
}

/// A kernel for each mean, as wide as the farther of its neighbours is away, and the prior.
fn normals(means: Vec<f64>, low: f64, high: f64) -> Vec<Normal> {
    let range = high - low;
    let narrowest = range / NARROWEST.min(2.0 + means.len() as f64);
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let mut deviations = vec![range; means.len()];
    for (rank, &index) in order.iter().enumerate() {
        let mean = means[index];
        let before = rank.checked_sub(1).map(|rank| mean - means[order[rank]]);
        let after = order.get(rank + 1).map(|&next| means[next] - mean);
        let deviation = match (before, after) {
            (Some(before), Some(after)) => before.max(after),
            // The ends of the axis are no neighbours where there is one.
            (Some(gap), None) | (None, Some(gap)) => gap,
            (None, None) => (mean - low).max(high - mean),
        };
        deviations[index] = deviation.clamp(narrowest, range);
    }
    let kernels = means.into_iter().zip(deviations);
    let prior = (0.5 * (low + high), range);
    let normal = |(mean, deviation): (f64, f64)| Normal {
        mean,
        deviation,
        log_mass: log_mass((low - mean) / deviation, (high - mean) / deviation),
    };
    kernels.chain([prior]).map(normal).collect()
}

impl Normal {
    /// A number between the ends of the axis.
    ///
    /// By rejection: the mean lies between the ends and the deviation is at most their distance, so that at
    /// least a third of the draws do too.
    fn sample(&self, low: f64, high: f64, rng: &mut ChaCha8Rng) -> f64 {
        loop {
            // Box and Muller's method; 1 - u is above 0 for the logarithm.
            let radius = (-2.0 * libm::log(1.0 - unit(rng))).sqrt();
            let drawn = self.mean + self.deviation * radius * libm::cos(TAU * unit(rng));
            if (low..=high).contains(&drawn) {
                return drawn;
            }
        }
    }

    /// Logarithm of its density, or of its mass within half a step of a whole number.
    fn log_density(&self, at: f64, is_discrete: bool) -> f64 {
        let z = |x: f64| (x - self.mean) / self.deviation;
        let within = if is_discrete {
            log_mass(z(at - 0.5), z(at + 0.5))
        } else {
            -0.5 * z(at) * z(at) - libm::log(self.deviation) - 0.5 * libm::log(TAU)
        };
        within - self.log_mass
    }
}

/// Logarithm of the mass of the standard normal distribution between two numbers.
fn log_mass(a: f64, b: f64) -> f64 {
    let (a, b) = (a * FRAC_1_SQRT_2, b * FRAC_1_SQRT_2);
    // In a tail the small masses are subtracted, not those near 1.
    let twice = if a > 0.0 {
        libm::erfc(a) - libm::erfc(b)
    } else if b < 0.0 {
        libm::erfc(-b) - libm::erfc(-a)
    } else {
        libm::erf(b) - libm::erf(a)
    };
    libm::log(0.5 * twice)
}

/// An index, as likely as its share; the shares sum to 1.
fn draw(shares: impl Iterator<Item = f64>, rng: &mut ChaCha8Rng) -> usize {
    let drawn = unit(rng);
    let mut sum = 0.0;
    let mut last = 0;
    for (index, share) in shares.enumerate() {
        sum += share;
        last = index;
        if drawn < sum {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests;
