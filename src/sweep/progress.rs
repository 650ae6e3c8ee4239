//! Progress of a sweep: which tasks are done, what trials came to, and which are the best. Pure.
//!
//! Of trials that are done it keeps the best and some counts, however many there are; a search that learns from
//! all trials has them all.

use std::collections::BTreeMap;

use cuttlefish_core::sweep::{Configuration, Goal, Metric, Observation};

use super::task::{Outcome, TaskId, TaskResult};
use super::trial::value;

/// Trials that are ranked.
const RANKED: usize = 20;

/// A trial all of whose tasks are done.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedTrial {
    /// Its number, from 0.
    pub number: u32,
    /// Values of its parameters, by their paths.
    pub values: Vec<(String, serde_json::Value)>,
    /// What became of it.
    pub verdict: Verdict,
    /// Time that its tasks took together, in seconds.
    pub seconds: f64,
}

/// Result of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All of its tasks were trained to their ends.
    Completed(Completed),
    /// One of its tasks was stopped early.
    Stopped {
        /// Epoch of the stop.
        epoch: u32,
    },
    /// One of its tasks failed: the reason.
    Failed(String),
}

/// Figures of a trial over its seeds and folds.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// Mean of the sweep's metric.
    pub mean: f64,
    /// Sample standard deviation of it; `None` for a single task.
    pub deviation: Option<f64>,
    /// The first task, and the SHA-256 of its weights.
    pub first: (TaskId, String),
}

/// A trial some of whose tasks are under way.
struct OpenTrial {
    configuration: Configuration,
    /// By task; `None` as long as it is not done.
    results: BTreeMap<TaskId, Option<TaskResult>>,
}

/// Progress of a sweep.
pub struct Progress {
    metric: Metric,
    goal: Goal,
    open: BTreeMap<u32, OpenTrial>,
    best: Vec<FinishedTrial>,
    /// Trials in the order of their numbers, where the search learns from them.
    observations: Option<BTreeMap<u32, Observation>>,
    /// Trials that are done, and those of them that were stopped early or failed.
    pub n_finished: u32,
    /// Trials that were stopped early.
    pub n_stopped: u32,
    /// Trials that failed, and the first reason.
    pub n_failed: u32,
    /// The first failure, as an example.
    pub failure: Option<String>,
    /// Epochs that were trained.
    pub n_epochs: u64,
}

impl Progress {
    /// Nothing done yet. With `is_learning` every trial's score is kept for the search.
    pub fn new(metric: Metric, goal: Goal, is_learning: bool) -> Self {
        Self {
            metric,
            goal,
            open: BTreeMap::new(),
            best: Vec::new(),
            observations: is_learning.then(BTreeMap::new),
            n_finished: 0,
            n_stopped: 0,
            n_failed: 0,
            failure: None,
            n_epochs: 0,
        }
    }

    /// A trial begins.
    pub fn begin(
        &mut self,
        number: u32,
        configuration: Configuration,
        tasks: impl IntoIterator<Item = TaskId>,
    ) {
        let results = tasks.into_iter().map(|task| (task, None)).collect();
        let trial = OpenTrial {
            configuration,
            results,
        };
        self.open.insert(number, trial);
    }

    /// Notes a result, once; the trial, if this was its last task.
    pub fn note(&mut self, task: TaskId, result: TaskResult) -> Option<FinishedTrial> {
        let trial = self.open.get_mut(&task.trial)?;
        let place = trial.results.get_mut(&task)?;
        if place.is_none() {
            self.n_epochs += u64::from(result.epochs);
        }
        place.get_or_insert(result);
        if trial.results.values().any(Option::is_none) {
            return None;
        }
        let trial = self.open.remove(&task.trial)?;
        let results = trial.results.into_iter();
        let results: Vec<_> = results
            .filter_map(|(id, result)| Some((id, result?)))
            .collect();
        let finished = FinishedTrial {
            number: task.trial,
            values: trial.configuration.0.clone(),
            verdict: verdict(self.metric, &results),
            seconds: results.iter().map(|(_, result)| result.seconds).sum(),
        };
        self.count(&finished, trial.configuration);
        Some(finished)
    }

    fn count(&mut self, trial: &FinishedTrial, configuration: Configuration) {
        self.n_finished += 1;
        let mut score = None;
        match &trial.verdict {
            Verdict::Completed(completed) => {
                score = Some(self.goal.score(completed.mean));
                let rank = |other: &FinishedTrial| match &other.verdict {
                    Verdict::Completed(other) => self.goal.score(other.mean),
                    _ => f64::INFINITY,
                };
                let own = (rank(trial), trial.number);
                let at = self
                    .best
                    .partition_point(|other| (rank(other), other.number) < own);
                self.best.insert(at, trial.clone());
                self.best.truncate(RANKED);
            }
            Verdict::Stopped { .. } => self.n_stopped += 1,
            Verdict::Failed(reason) => {
                self.n_failed += 1;
                let example = format!("trial {}: {reason}", trial.number);
                self.failure.get_or_insert(example);
            }
        }
        if let Some(observations) = &mut self.observations {
            let number = trial.number;
            let observation = Observation {
                number,
                configuration,
                score,
            };
            observations.insert(number, observation);
        }
    }

    /// The best trials, best first; of equals the one that was proposed first.
    pub fn best(&self) -> &[FinishedTrial] {
        &self.best
    }

    /// Scores of trials that are done, for the search: in the order of their numbers up to the first that is
    /// not done.
    pub fn observations(&self) -> Vec<Observation> {
        let Some(observations) = &self.observations else {
            return Vec::new();
        };
        let in_order = observations.iter().enumerate();
        in_order
            .take_while(|(index, (number, _))| *index as u32 == **number)
            .map(|(_, (_, observation))| observation.clone())
            .collect()
    }
}

/// Figures of a trial.
fn verdict(metric: Metric, results: &[(TaskId, TaskResult)]) -> Verdict {
    let mut values = Vec::new();
    let mut first = None;
    let mut stopped = None;
    for (id, result) in results {
        match &result.outcome {
            Outcome::Completed {
                loss,
                scores,
                weights_sha256,
            } => {
                first.get_or_insert_with(|| (*id, weights_sha256.clone()));
                match value(metric, *loss, scores) {
                    Some(value) => values.push(value),
                    None => {
                        return Verdict::Failed(
                            "its answers are no finite numbers, or its validation rows have one class \
                             only: the metric has no value"
                                .to_owned(),
                        );
                    }
                }
            }
            Outcome::Stopped { .. } => stopped = Some(result.epochs),
            Outcome::Failed(reason) => return Verdict::Failed(reason.clone()),
        }
    }
    match (stopped, first) {
        (Some(epoch), _) => Verdict::Stopped { epoch },
        (None, None) => Verdict::Failed("it has no tasks".to_owned()),
        (None, Some(first)) => {
            let (mean, deviation) = mean_and_deviation(&values);
            Verdict::Completed(Completed {
                mean,
                deviation,
                first,
            })
        }
    }
}

fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    (mean, deviation)
}
