//! Searches: the configuration of every trial of a sweep.
//!
//! Trials have numbers from 0. A configuration of `grid` and `random` is a pure function of the sweep, its
//! seed and the number. One of `tpe` depends on results too, but only on those of earlier *cohorts*: groups
//! of trials with consecutive numbers that are chosen without knowing each other. So the same sweep tries
//! the same configurations however many workers train, and in whatever order they finish.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::space::Axis;
use super::spec::{Search, Space, SweepSpec};
use super::tpe;
use crate::math::stream::{Purpose, stream};

/// Trials of a search that is no grid, unless `max_trials` says how many.
pub const DEFAULT_TRIALS: u32 = 20;

/// Values of one trial's parameters, in the order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Configuration(pub Vec<(String, Value)>);

/// Result of a trial, for those that are chosen later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Number of the trial.
    pub number: u32,
    /// Its configuration.
    pub configuration: Configuration,
    /// Score, smaller is better (see [`super::Goal::score`]); `None` of a trial that failed, which ranks last
    /// as NaN does.
    pub score: Option<f64>,
}

impl Configuration {
    /// The value of a parameter.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut values = self.0.iter();
        values.find(|(of, _)| of == path).map(|(_, value)| value)
    }

    /// The values as overrides of the topology file, `training.epochs=3`: JSON, which is YAML. Numbers have the
    /// fewest digits that give the same bits.
    pub fn overrides(&self) -> Vec<String> {
        let text = |(path, value): &(String, Value)| format!("{path}={value}");
        self.0.iter().map(text).collect()
    }
}

/// Number of configurations that a sweep tries if neither time nor anything else ends it.
pub fn trials(spec: &SweepSpec) -> u32 {
    let crosses_all = spec
        .parameters
        .values()
        .all(|space| matches!(space, Space::GridSearch { .. }));
    let most = match spec.search {
        // Beyond the last combination a search of nothing else would only repeat itself.
        Search::Random if crosses_all => grid_size(spec),
        Search::Grid => grid_size(spec),
        Search::Random | Search::Tpe { .. } => spec.max_trials.unwrap_or(DEFAULT_TRIALS).into(),
    };
    let most = most.min(u32::MAX.into()) as u32;
    spec.max_trials.map_or(most, |max| max.min(most))
}

/// Number of trials, the first ones, that must have ended before the configuration of `number` can be asked
/// for; 0 for searches that learn nothing.
pub fn trials_before(spec: &SweepSpec, number: u32) -> u32 {
    match spec.search {
        Search::Tpe {
            startup_trials,
            cohort,
            ..
        } => {
            let first = number - number % cohort.max(1);
            if first < startup_trials { 0 } else { first }
        }
        Search::Grid | Search::Random => 0,
    }
}

/// The configuration of trial `number`, from 0, of a sweep that [`SweepSpec::check`] finds nothing wrong with;
/// `None` after the last one.
///
/// `earlier` are results of other trials, in any order. Those of [`trials_before`] must all be there; others
/// are ignored, and so is what does not lie in the search space.
pub fn configuration(
    spec: &SweepSpec,
    seed: u64,
    number: u32,
    earlier: &[Observation],
) -> Option<Configuration> {
    if number >= trials(spec) {
        return None;
    }
    let mut rng = stream(seed, Purpose::Sweep, 0, number as usize);
    if let Search::Tpe { candidates, .. } = spec.search {
        let observations = observations(spec, earlier, trials_before(spec, number));
        // Without any result there is no best tenth.
        if observations.iter().any(|(_, score)| score.is_some()) {
            let axes: Vec<Axis> = spec.parameters.values().map(Space::axis).collect();
            let positions = tpe::suggest(&axes, &observations, candidates, &mut rng);
            let values = spec.parameters.iter().zip(positions);
            let values = values.map(|((path, space), at)| (path.clone(), space.at(at)));
            return Some(Configuration(values.collect()));
        }
    }
    let mut crossed = combination(spec, u64::from(number)).into_iter();
    let values = spec.parameters.iter().map(|(path, space)| {
        let value = if is_crossed(spec.search, space) {
            space.nth(crossed.next().unwrap_or(0))
        } else {
            space.sample(&mut rng)
        };
        (path.clone(), value)
    });
    Some(Configuration(values.collect()))
}

/// True of a parameter whose values are all tried.
fn is_crossed(search: Search, space: &Space) -> bool {
    search == Search::Grid || search == Search::Random && matches!(space, Space::GridSearch { .. })
}

/// Numbers of values of the parameters that are crossed.
fn radices(spec: &SweepSpec) -> impl DoubleEndedIterator<Item = u64> {
    let crossed = spec
        .parameters
        .values()
        .filter(|space| is_crossed(spec.search, space));
    crossed.map(|space| space.count().unwrap_or(0))
}

/// Number of combinations of the parameters that are crossed: 1 if none is, saturating.
pub(super) fn grid_size(spec: &SweepSpec) -> u128 {
    radices(spec).fold(1, |size, count| size.saturating_mul(count.into()))
}

/// Digits of a number in the mixed radix of the crossed parameters, the last of which changes fastest.
fn combination(spec: &SweepSpec, mut number: u64) -> Vec<u64> {
    let digit = |radix: u64| {
        let digit = number % radix.max(1);
        number /= radix.max(1);
        digit
    };
    let mut digits: Vec<u64> = radices(spec).rev().map(digit).collect();
    digits.reverse();
    digits
}

/// Positions and scores of the trials before `first`, in the order of their numbers.
fn observations(spec: &SweepSpec, earlier: &[Observation], first: u32) -> Vec<tpe::Observed> {
    let mut known: Vec<&Observation> = earlier.iter().filter(|o| o.number < first).collect();
    known.sort_by_key(|observation| observation.number);
    known.dedup_by_key(|observation| observation.number);
    let position = |observation: &Observation| {
        let of =
            |(path, space): (&String, &Space)| space.position(observation.configuration.get(path)?);
        spec.parameters.iter().map(of).collect::<Option<Vec<f64>>>()
    };
    let both = |observation: &&Observation| {
        let score = observation.score.filter(|score| !score.is_nan());
        Some((position(observation)?, score))
    };
    known.iter().filter_map(both).collect()
}
