//! The `sweep` section of a topology file as a person writes it.
//!
//! Search spaces have the names and bounds of Ray Tune, rules of early stopping those of Optuna.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Search for the best values of some keys of this file, by training with many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// Search space of each parameter, by its path in this file: `training.optimizer.learning_rate` or
    /// `network.layers[hidden].units`, the same paths as those of `--set`.
    pub parameters: BTreeMap<String, Space>,
    /// Figure of the validation rows by which trials are compared. By default the accuracy for classes, the
    /// mean squared error for numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Direction in which the metric is better; each metric has its own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Trainings of every configuration, each with a seed of its own: the file's, the next one, and so on.
    #[serde(default = "default::seeds")]
    #[schemars(range(min = 1, max = 1000))]
    pub seeds: u32,
    /// Parts of k-fold cross-validation. Without it the file's validation rows compare the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100))]
    pub folds: Option<u32>,
    /// Most configurations that are tried. By default all of a grid, 20 of any other search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_trials: Option<u32>,
    /// Seconds after which no further trial begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_time: Option<f64>,
    /// Rule by which configurations are chosen.
    #[serde(default)]
    pub search: Search,
    /// Rule by which trials end that do worse than others. Without it all train to their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<StoppingRule>,
}

/// Values among which a parameter is searched, in the words of Ray Tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "space", rename_all = "snake_case", deny_unknown_fields)]
pub enum Space {
    /// One of several values; each is as likely.
    Choice {
        /// The values: numbers, words, or whole mappings.
        #[schemars(length(min = 1))]
        categories: Vec<Value>,
    },
    /// Values that are all tried, with every combination of the other `grid_search` parameters.
    GridSearch {
        /// The values: numbers, words, or whole mappings.
        #[schemars(length(min = 1))]
        values: Vec<Value>,
    },
    /// A number, each as likely.
    Uniform {
        /// Least value.
        lower: f64,
        /// Greatest value.
        upper: f64,
    },
    /// A multiple of `q`: a number between the bounds, rounded, then cut off at the bounds. Whole numbers if
    /// `lower`, `upper` and `q` are.
    Quniform {
        /// Least value.
        lower: f64,
        /// Greatest value.
        upper: f64,
        /// Step between values.
        q: f64,
    },
    /// A number whose logarithm is drawn, each as likely: 0.001 to 0.01 as often as 0.01 to 0.1.
    Loguniform {
        /// Least value.
        lower: f64,
        /// Greatest value.
        upper: f64,
    },
    /// A whole number, each as likely.
    Randint {
        /// Least value.
        #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
        lower: i64,
        /// Bound above all values: it is itself none of them.
        #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
        upper: i64,
    },
}

/// Rule by which the configurations of a sweep are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Search {
    /// Every combination of the values, the last parameter changing fastest.
    Grid,
    /// Each parameter at random; those with `grid_search` take their combinations in turn (Bergstra & Bengio
    /// 2012).
    #[default]
    Random,
    /// Tree-structured Parzen estimator (Bergstra et al. 2011): values that are likelier among the best tenth
    /// of the trials than among the others.
    Tpe {
        /// Trials at random before the first that learns from others.
        #[serde(default = "default::startup_trials")]
        #[schemars(range(max = 1_000_000))]
        startup_trials: u32,
        /// Configurations of which the most promising one is tried.
        #[serde(default = "default::candidates")]
        #[schemars(range(min = 1, max = 10_000))]
        candidates: u32,
        /// Trials that are chosen without knowing each other's results, and so may train at once. More workers
        /// than this wait for each other.
        #[serde(default = "default::cohort")]
        #[schemars(range(min = 1, max = 10_000))]
        cohort: u32,
    },
}

/// Rule by which trials end that do worse than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StoppingRule {
    /// Asynchronous successive halving (Li et al. 2020): at epochs that are `reduction_factor` times as far
    /// apart each time, only the best of those that came so far go on.
    Asha {
        /// Epochs before the first comparison.
        #[serde(default = "default::grace_period")]
        #[schemars(range(min = 1, max = 1_000_000))]
        grace_period: u32,
        /// Trials of which one goes on.
        #[serde(default = "default::reduction_factor")]
        #[schemars(range(min = 2, max = 1000))]
        reduction_factor: u32,
    },
    /// Median stopping (Golovin et al. 2017): a trial ends at the first epoch at which its best value is worse
    /// than the median of the means of the others.
    Median {
        /// Epochs before the first comparison.
        #[serde(default = "default::grace_period")]
        #[schemars(range(min = 1, max = 1_000_000))]
        grace_period: u32,
        /// Other trials that must have come as far.
        #[serde(default = "default::min_trials")]
        #[schemars(range(min = 1, max = 1_000_000))]
        min_trials: u32,
    },
}

/// Figure by which trials are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean loss.
    Loss,
    /// Share of the rows that are classified rightly.
    Accuracy,
    /// Mean over classes of the share of their rows that is classified rightly.
    BalancedAccuracy,
    /// Harmonic mean of precision and recall, its mean over classes if there are more than two.
    F1,
    /// Area under the receiver operating characteristic.
    Auc,
    /// Mean of -ln p of the right class.
    LogLoss,
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    Mae,
    /// Share of the variance that is explained.
    R2,
}

/// Direction in which a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Smaller is better.
    Minimize,
    /// Greater is better.
    Maximize,
}

impl SweepSpec {
    /// A random search of these parameters, everything else as the file's defaults have it.
    pub fn new(parameters: BTreeMap<String, Space>) -> Self {
        Self {
            parameters,
            metric: None,
            goal: None,
            seeds: default::seeds(),
            folds: None,
            max_trials: None,
            max_time: None,
            search: Search::default(),
            early_stopping: None,
        }
    }
}

impl Search {
    /// The Tree-structured Parzen estimator with the file's defaults.
    pub fn tpe() -> Self {
        Self::Tpe {
            startup_trials: default::startup_trials(),
            candidates: default::candidates(),
            cohort: default::cohort(),
        }
    }
}

impl Metric {
    /// Its word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::F1 => "f1",
            Self::Auc => "auc",
            Self::LogLoss => "log_loss",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::R2 => "r2",
        }
    }

    /// The direction in which it is better.
    pub fn goal(self) -> Goal {
        match self {
            Self::Loss | Self::LogLoss | Self::Mse | Self::Mae => Goal::Minimize,
            Self::Accuracy | Self::BalancedAccuracy | Self::F1 | Self::Auc | Self::R2 => {
                Goal::Maximize
            }
        }
    }
}

impl Goal {
    /// A value of the metric as searches and rules of stopping compare it: smaller is better.
    pub fn score(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }
}

/// Defaults of single keys: one training a configuration, Optuna's for `tpe` and `asha`, Vizier's grace and
/// Optuna's startup trials for `median`.
mod default {
    pub fn seeds() -> u32 {
        1
    }
    pub fn startup_trials() -> u32 {
        10
    }
    pub fn candidates() -> u32 {
        24
    }
    pub fn cohort() -> u32 {
        4
    }
    pub fn grace_period() -> u32 {
        1
    }
    pub fn reduction_factor() -> u32 {
        4
    }
    pub fn min_trials() -> u32 {
        5
    }
}
