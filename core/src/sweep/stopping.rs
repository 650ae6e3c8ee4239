//! Rules of early stopping: which trials go on.
//!
//! Trials are compared at rungs, epochs at which each that comes that far reports. A decision depends on the
//! reports that came before, and so on who trained faster. It is a pure function of a rung's reports in the
//! order of their arrival: that list is the log of decisions, and replaying it gives the same ones.

use serde::{Deserialize, Serialize};

use super::spec::StoppingRule;

/// Report of a trial at a rung. In all values smaller is better (see [`super::Goal::score`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Trial, or training of one of its seeds or folds; each reports once at a rung.
    pub task: String,
    /// Value of this epoch.
    pub value: f64,
    /// Best value of its epochs so far.
    pub best: f64,
    /// Mean of the values of its epochs so far.
    pub mean: f64,
}

/// Decision about a trial at a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Trains on.
    Continue,
    /// Ends.
    Stop,
}

/// True if trials are compared at the end of an epoch, from 1.
pub fn is_rung(rule: &StoppingRule, epoch: u32) -> bool {
    match *rule {
        StoppingRule::Asha {
            grace_period,
            reduction_factor,
        } => {
            // A factor of 1 would never reach a later epoch.
            let next = |rung: &u32| rung.checked_mul(reduction_factor.max(2));
            std::iter::successors(Some(grace_period.max(1)), next)
                .take_while(|rung| *rung <= epoch)
                .any(|rung| rung == epoch)
        }
        StoppingRule::Median { grace_period, .. } => epoch >= grace_period.max(1),
    }
}

/// The decision about the last report of a rung, from those before it and itself. Goes on where there is no
/// report, or no rung at this epoch.
///
/// A trial whose value is NaN ends, and counts for no other.
pub fn decide(rule: &StoppingRule, epoch: u32, rung: &[Report]) -> Decision {
    let Some((own, before)) = rung.split_last() else {
        return Decision::Continue;
    };
    if !is_rung(rule, epoch) {
        return Decision::Continue;
    }
    let others = before.iter().filter(|other| other.task != own.task);
    let goes_on = !own.value.is_nan()
        && match *rule {
            StoppingRule::Asha {
                reduction_factor, ..
            } => is_promoted(own.value, others.map(|other| other.value), reduction_factor),
            StoppingRule::Median { min_trials, .. } => {
                keeps_up(own.best, others.map(|other| other.mean), min_trials)
            }
        };
    if goes_on {
        Decision::Continue
    } else {
        Decision::Stop
    }
}

/// Successive halving as Optuna has it (`SuccessiveHalvingPruner`): of n values, the own one included, the
/// best n / factor go on, or the best one if that is none; equal ones too. Unlike Li et al. 2020 (section 3.3)
/// nothing that ended goes on later.
fn is_promoted(own: f64, others: impl Iterator<Item = f64>, factor: u32) -> bool {
    let others: Vec<f64> = others.filter(|value| !value.is_nan()).collect();
    let promoted = ((others.len() + 1) / factor.max(2) as usize).max(1);
    let better = others.iter().filter(|value| **value < own).count();
    better < promoted
}

/// Median stopping (Golovin et al. 2017, section 3.2.1): the own best value against the median of the others'
/// means, once there are enough of them; equal ones go on.
fn keeps_up(own: f64, others: impl Iterator<Item = f64>, min_trials: u32) -> bool {
    let mut means: Vec<f64> = others.filter(|mean| !mean.is_nan()).collect();
    if own.is_nan() {
        return false;
    }
    if means.len() < min_trials.max(1) as usize {
        return true;
    }
    means.sort_by(f64::total_cmp);
    let half = means.len() / 2;
    let median = if means.len() % 2 == 1 {
        means[half]
    } else {
        0.5 * (means[half - 1] + means[half])
    };
    own <= median
}
