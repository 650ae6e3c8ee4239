//! Decisions of early stopping, replayed from `optuna.json`, which `optuna_cases.py` wrote.

use std::collections::HashMap;

use cuttlefish_core::sweep::{Decision, Report, StoppingRule, decide, is_rung};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    rule: StoppingRule,
    /// Task, epoch, value (none for NaN), and true if the task ends there.
    events: Vec<(u32, u32, Option<f64>, bool)>,
}

#[derive(Deserialize)]
struct Cases {
    asha: Vec<Case>,
    median: Vec<Case>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("optuna.json")).expect("stored cases")
}

fn replay(case: &Case) {
    let mut seen: HashMap<u32, Vec<f64>> = HashMap::new();
    let mut rungs: HashMap<u32, Vec<Report>> = HashMap::new();
    for (number, &(task, epoch, value, stops)) in case.events.iter().enumerate() {
        let value = value.unwrap_or(f64::NAN);
        let values = seen.entry(task).or_default();
        values.push(value);
        assert_eq!(values.len() as u32, epoch);
        let rung = rungs.entry(epoch).or_default();
        if is_rung(&case.rule, epoch) {
            rung.push(Report {
                task: task.to_string(),
                value,
                best: values.iter().copied().fold(f64::NAN, f64::min),
                mean: values.iter().sum::<f64>() / values.len() as f64,
            });
        }
        let expected = if stops {
            Decision::Stop
        } else {
            Decision::Continue
        };
        let decision = decide(&case.rule, epoch, rung);
        assert_eq!(decision, expected, "{:?}, event {number}", case.rule);
    }
}

#[test]
fn asha_decides_as_optuna() {
    let cases = cases().asha;
    assert_eq!(cases.len(), 6);
    cases.iter().for_each(replay);
}

#[test]
fn the_median_rule_decides_as_an_independent_implementation() {
    let cases = cases().median;
    assert_eq!(cases.len(), 4);
    cases.iter().for_each(replay);
}

const ASHA: StoppingRule = StoppingRule::Asha {
    grace_period: 2,
    reduction_factor: 3,
};
const MEDIAN: StoppingRule = StoppingRule::Median {
    grace_period: 3,
    min_trials: 2,
};

fn reports(values: &[f64]) -> Vec<Report> {
    let numbered = values.iter().enumerate();
    let report = |(task, &value): (usize, &f64)| Report {
        task: task.to_string(),
        value,
        best: value,
        mean: value,
    };
    numbered.map(report).collect()
}

#[test]
fn rungs_are_powers_of_the_factor_times_the_grace_period() {
    let rungs = |rule| (0..=60).filter(move |&epoch| is_rung(rule, epoch));
    assert_eq!(rungs(&ASHA).collect::<Vec<_>>(), [2, 6, 18, 54]);
    assert!(rungs(&MEDIAN).eq(3..=60));
    assert!(!is_rung(&ASHA, u32::MAX));
}

#[test]
fn nobody_is_compared_away_from_rungs_or_with_nobody() {
    let worse = reports(&[1.0, 1.0, 1.0, 9.0]);
    assert_eq!(decide(&ASHA, 6, &worse), Decision::Stop);
    assert_eq!(decide(&ASHA, 5, &worse), Decision::Continue);
    assert_eq!(decide(&MEDIAN, 2, &worse), Decision::Continue);
    for rule in [ASHA, MEDIAN] {
        assert_eq!(decide(&rule, 6, &[]), Decision::Continue);
        assert_eq!(decide(&rule, 6, &reports(&[9.0])), Decision::Continue);
    }
}

#[test]
fn nan_ends_a_trial_and_counts_for_no_other() {
    let nan = f64::NAN;
    for rule in [ASHA, MEDIAN] {
        assert_eq!(decide(&rule, 6, &reports(&[nan])), Decision::Stop);
        let after = reports(&[nan, nan, nan, 9.0]);
        assert_eq!(decide(&rule, 6, &after), Decision::Continue);
    }
}

#[test]
fn the_median_of_an_even_number_lies_between_the_middle_ones() {
    let with = |own: f64| reports(&[4.0, 1.0, 8.0, 2.0, own]);
    assert_eq!(decide(&MEDIAN, 3, &with(3.0)), Decision::Continue);
    assert_eq!(decide(&MEDIAN, 3, &with(3.1)), Decision::Stop);
    let few = reports(&[1.0, 9.0]);
    assert_eq!(decide(&MEDIAN, 3, &few), Decision::Continue);
}

#[test]
fn a_report_is_not_compared_with_itself() {
    let mut twice = reports(&[5.0, 1.0, 1.0]);
    twice[2].task = twice[1].task.clone();
    assert_eq!(decide(&MEDIAN, 3, &twice), Decision::Continue, "one other");
    twice[2].value = 2.0;
    assert_eq!(decide(&ASHA, 2, &twice), Decision::Continue);
}
