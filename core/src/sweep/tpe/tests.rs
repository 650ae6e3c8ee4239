//! Densities compared with Optuna's (`tests/sweep/optuna_cases.py`), and the split.

use serde::Deserialize;
use serde_json::Value;

use super::super::spec::Space;
use super::*;

#[derive(Deserialize)]
struct Case {
    last: i64,
    trials: Vec<[Value; 4]>,
    points: Vec<[Value; 4]>,
    log_densities: Vec<f64>,
}

#[derive(Deserialize)]
struct Cases {
    tpe: Vec<Case>,
}

fn spaces(last: i64) -> [Space; 4] {
    [
        Space::Uniform {
            lower: -1.0,
            upper: 2.0,
        },
        Space::Loguniform {
            lower: 1e-4,
            upper: 1.0,
        },
        Space::Randint {
            lower: 0,
            upper: last + 1,
        },
        Space::Choice {
            categories: [0, 1, 2].map(Value::from).to_vec(),
        },
    ]
}

fn positions(spaces: &[Space], rows: &[[Value; 4]]) -> Vec<Vec<f64>> {
    let row = |row: &[Value; 4]| {
        let positions = spaces.iter().zip(row).map(|(s, v)| s.position(v));
        positions.collect::<Option<_>>().expect("within the space")
    };
    rows.iter().map(row).collect()
}

#[test]
fn densities_are_those_of_optuna() {
    let text = include_str!("../../../tests/sweep/optuna.json");
    let cases: Cases = serde_json::from_str(text).expect("stored cases");
    assert_eq!(cases.tpe.len(), 8);
    for case in cases.tpe {
        let spaces = spaces(case.last);
        let axes = spaces.each_ref().map(Space::axis);
        let trials = positions(&spaces, &case.trials);
        let trials: Vec<&[f64]> = trials.iter().map(Vec::as_slice).collect();
        let estimator = Parzen::new(&axes, &trials);
        for (point, expected) in positions(&spaces, &case.points)
            .iter()
            .zip(&case.log_densities)
        {
            let found = estimator.log_density(&axes, point);
            let n = trials.len();
            assert!((found - expected).abs() < 1e-9, "{n}: {found}, {expected}");
        }
    }
}

#[test]
fn the_best_tenth_is_by_score_and_failed_trials_are_worst() {
    let scores = [
        None,
        Some(f64::INFINITY),
        Some(2.0),
        Some(1.0),
        Some(1.0),
        None,
        Some(3.0),
        Some(-1.0),
        Some(5.0),
        Some(5.0),
        Some(9.0),
    ];
    let numbered = scores.iter().enumerate();
    let observations: Vec<Observed> = numbered.map(|(i, s)| (vec![i as f64], *s)).collect();
    let firsts = |positions: Vec<&[f64]>| positions.iter().map(|p| p[0]).collect::<Vec<_>>();
    let (best, others) = split(&observations);
    assert_eq!(firsts(best), [3.0, 7.0]);
    assert_eq!(
        firsts(others),
        [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0]
    );
    let (best, _) = split(&observations[..2]);
    assert_eq!(firsts(best), [1.0], "even infinity is better than nothing");
    let many = vec![(vec![0.0], Some(0.0)); 400];
    assert_eq!(split(&many).0.len(), 25);
}
