//! Sweeps: many trainings of one topology with other values of some of its keys.
//!
//! [`SweepSpec`] is the section of the file, [`configuration`] says what each trial is given, [`decide`]
//! which trials end early. All of it is pure: the same file, seed and results give the same sweep, on any
//! number of workers. Nothing here trains anything, or knows what a topology is made of.

mod check;
mod search;
mod space;
mod spec;
mod stopping;
mod tpe;

pub use check::{MAX_GRID, SweepProblem};
pub use search::{
    Configuration, DEFAULT_TRIALS, Observation, configuration, trials, trials_before,
};
pub use spec::{Goal, Metric, Search, Space, StoppingRule, SweepSpec};
pub use stopping::{Decision, Report, decide, is_rung};
