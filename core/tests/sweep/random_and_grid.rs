//! Configurations of searches that learn nothing.

use cuttlefish_core::sweep::{Configuration, configuration, trials, trials_before};
use cuttlefish_core::topology::parse;

use crate::sweep;

fn all(text: &str, seed: u64) -> Vec<Configuration> {
    let spec = sweep(text);
    let drawn: Vec<_> = (0..)
        .map_while(|n| configuration(&spec, seed, n, &[]))
        .collect();
    assert_eq!(drawn.len() as u32, trials(&spec));
    drawn
}

fn texts(configurations: &[Configuration]) -> Vec<String> {
    configurations
        .iter()
        .map(|c| c.overrides().join(" "))
        .collect()
}

/// A sweep over one parameter, `p`.
fn one(space: &str, more: &str) -> String {
    format!(r#"{{"parameters": {{"p": {space}}}{more}}}"#)
}

#[test]
fn a_grid_has_every_combination_and_the_last_parameter_is_fastest() {
    let text = r#"{"parameters": {
        "b": {"space": "grid_search", "values": [1, {"type": "adam"}]},
        "a": {"space": "choice", "categories": ["x", null]},
        "c": {"space": "randint", "lower": -1, "upper": 1}},
        "search": {"type": "grid"}}"#;
    let expected = [
        r#"a="x" b=1 c=-1"#,
        r#"a="x" b=1 c=0"#,
        r#"a="x" b={"type":"adam"} c=-1"#,
        r#"a="x" b={"type":"adam"} c=0"#,
        r#"a=null b=1 c=-1"#,
        r#"a=null b=1 c=0"#,
        r#"a=null b={"type":"adam"} c=-1"#,
        r#"a=null b={"type":"adam"} c=0"#,
    ];
    assert_eq!(texts(&all(text, 0)), expected);
}

#[test]
fn quniform_has_multiples_without_noise_cut_off_at_the_bounds() {
    let grid = |space: &str| texts(&all(&one(space, r#", "search": {"type": "grid"}"#), 0));
    let decimal = r#"{"space": "quniform", "lower": 0.05, "upper": 0.75, "q": 0.1}"#;
    assert_eq!(
        grid(decimal),
        [
            "p=0.05", "p=0.1", "p=0.2", "p=0.3", "p=0.4", "p=0.5", "p=0.6", "p=0.7", "p=0.75"
        ]
    );
    let whole = r#"{"space": "quniform", "lower": -8, "upper": 16, "q": 8}"#;
    assert_eq!(grid(whole), ["p=-8", "p=0", "p=8", "p=16"]);
    let small = r#"{"space": "quniform", "lower": 0, "upper": 3e-7, "q": 1.5e-7}"#;
    assert_eq!(grid(small), ["p=0.0", "p=1.5e-7", "p=3e-7"]);
}

#[test]
fn random_values_lie_in_their_spaces_and_reach_all_of_them() {
    let drawn = |space: &str| -> Vec<f64> {
        let drawn = all(&one(space, r#", "max_trials": 2000"#), 7);
        let value = |c: &Configuration| c.0[0].1.as_f64().expect("a number");
        drawn.iter().map(value).collect()
    };
    let share = |values: &[f64], below: f64| {
        values.iter().filter(|v| **v < below).count() as f64 / values.len() as f64
    };
    let uniform = drawn(r#"{"space": "uniform", "lower": -1, "upper": 3}"#);
    assert!(uniform.iter().all(|v| (-1.0..=3.0).contains(v)));
    assert!((share(&uniform, 0.0) - 0.25).abs() < 0.03);
    let log = drawn(r#"{"space": "loguniform", "lower": 0.0001, "upper": 1}"#);
    assert!(log.iter().all(|v| (0.0001..=1.0).contains(v)));
    assert!((share(&log, 0.01) - 0.5).abs() < 0.04, "a logarithm");
    let whole = drawn(r#"{"space": "randint", "lower": 2, "upper": 5}"#);
    assert!(whole.iter().all(|v| [2.0, 3.0, 4.0].contains(v)));
    assert!((share(&whole, 2.5) - 1.0 / 3.0).abs() < 0.04);
    let steps = drawn(r#"{"space": "quniform", "lower": 0, "upper": 4, "q": 2}"#);
    assert!(steps.iter().all(|v| [0.0, 2.0, 4.0].contains(v)));
    assert!((share(&steps, 1.0) - 0.25).abs() < 0.03, "half as likely");
}

#[test]
fn lists_of_a_random_search_are_crossed_and_the_rest_is_drawn() {
    let text = r#"{"parameters": {
        "a": {"space": "grid_search", "values": [1, 2]},
        "b": {"space": "grid_search", "values": [3, 4]},
        "c": {"space": "uniform", "lower": 0, "upper": 1}}}"#;
    let drawn = all(text, 3);
    assert_eq!(drawn.len(), 20);
    let pair = |c: &Configuration| format!("{}{}", c.0[0].1, c.0[1].1);
    for (configuration, expected) in drawn.iter().zip(["13", "14", "23", "24"].iter().cycle()) {
        assert_eq!(pair(configuration), *expected);
    }
    let different: std::collections::BTreeSet<String> =
        drawn.iter().map(|c| c.0[2].1.to_string()).collect();
    assert_eq!(different.len(), 20);
    let lists = text.replace(
        r#""uniform", "lower": 0, "upper": 1"#,
        r#""grid_search", "values": [5]"#,
    );
    assert_eq!(all(&lists, 3).len(), 4, "no combination comes twice");
}

#[test]
fn a_configuration_depends_on_seed_and_number_alone() {
    let text = one(
        r#"{"space": "loguniform", "lower": 0.0001, "upper": 1}"#,
        "",
    );
    let drawn = texts(&all(&text, 42));
    // Stored bits: they must be the same on every machine and in every build.
    assert_eq!(drawn[..3], FIRST_OF_SEED_42);
    assert_ne!(drawn, texts(&all(&text, 43)));
    let spec = sweep(&text);
    let again = configuration(&spec, 42, 2, &[]).expect("there are 20");
    assert_eq!(texts(&[again]), drawn[2..3]);
    assert_eq!(trials_before(&spec, 19), 0);
    assert_eq!(configuration(&spec, 42, 20, &[]), None);
}

const FIRST_OF_SEED_42: [&str; 3] = [
    "p=0.0050072131603070376",
    "p=0.00017876284811988642",
    "p=0.0008797805817348328",
];

#[test]
fn overrides_are_read_as_what_they_say() {
    let text = r#"{"parameters": {
        "network.layers[hidden].units": {"space": "quniform", "lower": 8, "upper": 64, "q": 8},
        "training.optimizer": {"space": "choice", "categories": [{"type": "adam", "learning_rate": 1e-5}]},
        "training.shuffle": {"space": "choice", "categories": [false]}}}"#;
    let file = "name: t\ndata: {source: digits}\nnetwork:\n  layers:\n    - {type: dense, name: hidden, units: 8, activation: relu}\n    - {type: dense, units: 10, activation: softmax}\n  loss: sparse_categorical_crossentropy\n";
    for drawn in all(text, 0) {
        let document = parse(file, &drawn.overrides()).unwrap_or_else(|p| panic!("{p}"));
        let training = &document.spec().training;
        assert_eq!(training.optimizer.learning_rate(), 1e-5);
        assert!(!training.shuffle);
        let units = document.layers()[0].neurons().expect("dense").count;
        assert_eq!(
            drawn.get("network.layers[hidden].units"),
            Some(&units.into())
        );
    }
}

#[test]
fn a_configuration_survives_storage() {
    let text = one(r#"{"space": "uniform", "lower": 0, "upper": 1}"#, "");
    for drawn in all(&text, 1) {
        let stored = serde_json::to_string(&drawn).expect("JSON");
        let read: Configuration = serde_json::from_str(&stored).expect("what was stored");
        assert_eq!(read, drawn);
    }
}
