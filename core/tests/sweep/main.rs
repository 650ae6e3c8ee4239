//! Sweeps: the section of the file with its rules, the configurations of each search, and decisions of early
//! stopping as Optuna makes them.

mod file;
mod random_and_grid;
mod stopping;
mod tpe;

use cuttlefish_core::sweep::SweepSpec;

/// A sweep from the text of its section, as JSON.
fn sweep(text: &str) -> SweepSpec {
    let spec: SweepSpec = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(spec.check(), [], "{text}");
    spec
}
