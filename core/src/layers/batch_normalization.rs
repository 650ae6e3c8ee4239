//! Batch normalization: a stage of the neurons before it. Its formulas are in [`crate::math::normalization`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::neuron_keys::yes;
use super::{LayerSpec, Misplacement, Stack};
use crate::math::normalization::{Normalizer, Statistics};
use crate::math::{Activation, Optimizer, Step};

/// Keys of a batch normalization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNormalizationSpec {
    /// Name of its tensors in exported files; that of the layer before it by default.
    #[serde(default)]
    #[schemars(regex(pattern = super::neuron_keys::NAME))]
    pub name: Option<String>,
    /// Share of the moving mean and variance that a training batch keeps.
    #[serde(default = "momentum")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f32,
    /// Added to the variance, so that a neuron that always says the same divides by more than 0.
    #[serde(default = "epsilon")]
    #[schemars(range(min = 1e-7, max = 1.0))]
    pub epsilon: f32,
    /// True if beta is learned and added.
    #[serde(default = "yes")]
    pub center: bool,
    /// True if gamma is learned and multiplied with.
    #[serde(default = "yes")]
    pub scale: bool,
    /// Function of a neuron's normalized values.
    #[serde(default)]
    pub activation: Activation,
}

/// A batch normalization with Keras's defaults.
pub fn batch_normalization() -> LayerSpec {
    LayerSpec::BatchNormalization(BatchNormalizationSpec {
        name: None,
        momentum: momentum(),
        epsilon: epsilon(),
        center: yes(),
        scale: yes(),
        activation: Activation::default(),
    })
}

fn momentum() -> f32 {
    0.99
}

fn epsilon() -> f32 {
    1e-3
}

/// Batch normalization of each neuron's values over the rows of a batch, and for a filter the places of its
/// map: gamma (x - mean) / sqrt(variance + epsilon) + beta, with the mean and variance of the batch in
/// training, and with their moving averages elsewhere (Ioffe & Szegedy 2015, as Keras 3 has it).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Normalization {
    /// Name of its tensors in files for other programs.
    pub name: String,
    /// Share of the moving averages that a training batch keeps.
    pub momentum: f32,
    /// Number added to the variance, which keeps the division finite.
    pub epsilon: f32,
    /// True if beta is learned; it is 0 otherwise.
    pub center: bool,
    /// True if gamma is learned; it is 1 otherwise.
    pub scale: bool,
    /// Function of a neuron's normalized values. `Linear` where the trainer's head does it.
    pub activation: Activation,
    /// True if it normalizes what a filter's pool has left, and not what the pool is given.
    pub after_pool: bool,
}

/// Problem with its place: it is a part of the neurons before it, as their pool is.
pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
    use LayerSpec::{BatchNormalization, Dropout, Flatten, Reshape};
    // A pool may stand between the neurons and their normalization.
    let unpooled = match before {
        [unpooled @ .., pool] if pool.is_pool() => unpooled,
        _ => before,
    };
    match before {
        [] | [.., Reshape(_)] => Some((
            "batch normalization before the first layer with weights",
            "neurons normalize what they say themselves, and inputs are not neurons",
        )),
        [.., Dropout(_)] => Some((
            "batch normalization behind dropout",
            "put it before the dropout, which is the last thing that a neuron does",
        )),
        [.., Flatten(_)] => Some((
            "batch normalization behind flatten",
            "put it before: each filter normalizes its map, not each place of it",
        )),
        _ if matches!(unpooled, [.., BatchNormalization(_)]) => Some((
            "a second batch normalization of the same neurons",
            "leave one of them out",
        )),
        _ => None,
    }
}

impl BatchNormalizationSpec {
    pub(super) fn add_to(&self, stack: &mut Stack) {
        if let Some(below) = stack.top() {
            below.normalization = Some(Normalization {
                name: self.name.clone().unwrap_or_else(|| below.name.clone()),
                momentum: self.momentum,
                epsilon: self.epsilon,
                center: self.center,
                scale: self.scale,
                activation: self.activation,
                after_pool: below.pool.is_some(),
            });
        }
    }
}

/// Numbers of a normalized neuron before training, behind its bias: gamma, beta, moving mean, moving variance.
pub const INITIAL: [f32; 4] = [1.0, 0.0, 0.0, 1.0];

/// Numbers among them that an optimizer changes: gamma and beta.
pub const OPTIMIZED: usize = 2;

/// Gradient and statistics of a training batch for the normalization of one neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// dLoss/dgamma and dLoss/dbeta.
    pub gradient: [f32; OPTIMIZED],
    /// Statistics of the batch, which the moving averages follow.
    pub batch: Statistics,
}

impl Normalization {
    /// Normalizes values, those of each neuron after those of the one before it: by their own statistics in
    /// `training`, otherwise by the moving ones. Returns the statistics of each neuron.
    pub fn apply(
        &self,
        neurons: impl ExactSizeIterator<Item = Normalizer>,
        values: &mut [f32],
        training: bool,
    ) -> Vec<Statistics> {
        let each = (values.len() / neurons.len()).max(1);
        let neurons = neurons.zip(values.chunks_exact_mut(each));
        let normalize = |(normalizer, values): (Normalizer, &mut [f32])| {
            let statistics = match training {
                true => Statistics::of(values),
                false => normalizer.moving(),
            };
            normalizer.apply(values, statistics, self.epsilon);
            self.activation.apply(values);
            statistics
        };
        neurons.map(normalize).collect()
    }

    /// Replaces dLoss/d(output) by dLoss/d(input), for what [`Self::apply`] made of `input` in training.
    pub fn backpropagate(
        &self,
        neurons: impl ExactSizeIterator<Item = Normalizer>,
        input: &[f32],
        output: &[f32],
        batch: &[Statistics],
        errors: &mut [f32],
    ) -> Vec<Change> {
        self.activation.backpropagate(output, errors);
        let each = (errors.len() / neurons.len()).max(1);
        let values = input.chunks_exact(each).zip(errors.chunks_exact_mut(each));
        let change = |((normalizer, (input, errors)), &batch): ((Normalizer, _), _)| Change {
            gradient: normalizer.backpropagate(input, batch, self.epsilon, errors),
            batch,
        };
        neurons.zip(values).zip(batch).map(change).collect()
    }

    /// One optimizer step of gamma and beta, and the batch's share of the moving averages, in the numbers of
    /// one neuron.
    pub fn update(
        &self,
        optimizer: &Optimizer,
        step: Step,
        numbers: &mut [f32],
        moments: &mut [f32],
        change: &Change,
    ) {
        let (gains, moving) = numbers.split_at_mut(OPTIMIZED);
        let [gamma, beta] = change.gradient;
        let gradient = [
            if self.scale { gamma } else { 0.0 },
            if self.center { beta } else { 0.0 },
        ];
        optimizer.update(step, gains, moments, &gradient);
        let Statistics { mean, variance } = change.batch;
        for (moving, now) in moving.iter_mut().zip([mean, variance]) {
            *moving = *moving * self.momentum + now * (1.0 - self.momentum);
        }
    }

    /// Names of its tensors in Keras, each with the place of its number in [`INITIAL`].
    pub(super) fn tensors(&self) -> impl Iterator<Item = (String, usize)> {
        let tensors = [
            (self.scale, "gamma"),
            (self.center, "beta"),
            (true, "moving_mean"),
            (true, "moving_variance"),
        ];
        let present = tensors
            .into_iter()
            .enumerate()
            .filter(|(_, (is_there, _))| *is_there);
        present.map(|(place, (_, name))| (format!("{}/{name}", self.name), place))
    }
}
