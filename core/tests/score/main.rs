//! Scores of answers are those of scikit-learn, and say so where there is nothing to be said.

use cuttlefish_core::data::Labels;
use cuttlefish_core::score::{Scores, baseline, classification, regression};
use ndarray::{Array2, ArrayView2, array};
use serde::Deserialize;

/// A case of `cases.json`, which `make.py` writes.
#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    labels: Vec<u32>,
    classes: Option<usize>,
    #[serde(default)]
    targets: Vec<f32>,
    /// `[outputs, rows]`
    answers: Vec<Vec<f32>>,
    scores: Scores,
    /// Right answers of training rows.
    train: Vec<f32>,
    baseline: Scores,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
        (found, expected) => found == expected,
    }
}

#[track_caller]
fn check(name: &str, found: &Scores, expected: &Scores) {
    let all = |scores: &Scores| {
        [
            scores.accuracy,
            scores.balanced_accuracy,
            scores.f1,
            scores.auc,
            scores.log_loss,
            scores.mse,
            scores.mae,
            scores.r2,
        ]
    };
    let mut pairs = all(found).into_iter().zip(all(expected));
    let is_close = pairs.all(|(found, expected)| close(found, expected));
    assert!(is_close, "{name}: {found:?}\nexpected {expected:?}");
}

fn columns(answers: &[Vec<f32>]) -> Array2<f32> {
    let shape = (answers.len(), answers[0].len());
    Array2::from_shape_vec(shape, answers.concat()).unwrap()
}

#[test]
fn scores_are_those_of_scikit_learn() {
    let cases = cases();
    assert!(cases.len() > 20);
    for case in cases {
        let found = match case.classes {
            Some(classes) => classification(&case.labels, classes, columns(&case.answers).view()),
            None => regression(&case.targets, &case.answers[0]),
        };
        check(&case.name, &found, &case.scores);
    }
}

#[test]
fn a_baseline_is_a_dummy_of_scikit_learn() {
    for case in cases() {
        let classes: Vec<u32> = case.train.iter().map(|&class| class as u32).collect();
        let (train, validation) = match case.classes {
            Some(_) => (Labels::Classes(&classes), Labels::Classes(&case.labels)),
            None => (Labels::Values(&case.train), Labels::Values(&case.targets)),
        };
        let found = baseline(train, validation, case.classes);
        check(&case.name, &found, &case.baseline);
    }
}

#[test]
fn a_baseline_answers_the_first_of_equally_frequent_classes() {
    let train = Labels::Classes(&[2, 1, 2, 1, 0]);
    let of = |label: u32| baseline(train, Labels::Classes(&[label]), Some(3)).accuracy;
    assert_eq!([of(0), of(1), of(2)], [0.0, 1.0, 0.0].map(Some));
}

#[test]
fn answers_that_are_not_finite_have_no_scores() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let answers = array![[0.5, 0.2, bad], [0.5, 0.8, 0.1]];
        let scores = classification(&[0, 1, 0], 2, answers.view());
        assert_eq!(scores, Scores::default());
        assert_eq!(regression(&[1.0, 2.0], &[1.0, bad]), Scores::default());
    }
}

#[test]
fn no_rows_have_no_scores() {
    let nothing = ArrayView2::from_shape((3, 0), &[]).unwrap();
    assert_eq!(classification(&[], 3, nothing), Scores::default());
    assert_eq!(regression(&[], &[]), Scores::default());
    for (some, none) in [
        (Labels::Classes(&[0, 1]), Labels::Classes(&[])),
        (Labels::Values(&[0.5, 1.0]), Labels::Values(&[])),
    ] {
        assert_eq!(baseline(some, none, None), Scores::default());
        assert_eq!(baseline(none, some, None), Scores::default());
        assert_ne!(baseline(some, some, None), Scores::default());
    }
}

#[test]
fn numbers_far_from_zero_are_scored_as_others_are() {
    let targets: Vec<f32> = (0..100).map(|i| 1e6 + i as f32).collect();
    let scores = baseline(Labels::Values(&targets), Labels::Values(&targets), None);
    // The variance of 0..100.
    assert!(close(scores.mse, Some(833.25)), "{scores:?}");
    assert!(close(scores.r2, Some(0.0)), "{scores:?}");
}

#[test]
fn scores_outlive_a_file() {
    let scores = regression(&[1.0, 2.0], &[1.5, 2.0]);
    let json = serde_json::to_string(&scores).unwrap();
    assert!(json.contains(r#""auc":null"#), "{json}");
    assert_eq!(serde_json::from_str::<Scores>(&json).unwrap(), scores);
}
