//! The Tree-structured Parzen estimator: that it learns, and from whom.

use cuttlefish_core::sweep::{
    Configuration, Observation, Search, SweepSpec, configuration, trials_before,
};

use crate::sweep;

const SPACES: &str = r#"{"parameters": {
    "kind": {"space": "choice", "categories": ["good", "bad", "worse"]},
    "rate": {"space": "loguniform", "lower": 1e-5, "upper": 1},
    "units": {"space": "quniform", "lower": 8, "upper": 256, "q": 8},
    "x": {"space": "uniform", "lower": -5, "upper": 5}},
    "max_trials": 60,
    "search": {"type": "tpe"}}"#;

/// A bowl around x = 1, a rate of 0.001 and 64 units, with a penalty for the wrong kind.
fn objective(configuration: &Configuration) -> f64 {
    let number = |path| configuration.get(path).and_then(|v| v.as_f64());
    let [x, rate, units] = ["x", "rate", "units"].map(|path| number(path).expect("a number"));
    let kind = match configuration.get("kind").and_then(|v| v.as_str()) {
        Some("good") => 0.0,
        Some("bad") => 2.0,
        _ => 4.0,
    };
    let decades = rate.log10() + 3.0;
    (x - 1.0).powi(2) + decades.powi(2) + ((units - 64.0) / 64.0).powi(2) + kind
}

/// All trials, one after the other.
fn run(spec: &SweepSpec, seed: u64) -> Vec<Observation> {
    let mut observations = Vec::new();
    for number in 0.. {
        let Some(configuration) = configuration(spec, seed, number, &observations) else {
            break;
        };
        observations.push(Observation {
            number,
            score: Some(objective(&configuration)),
            configuration,
        });
    }
    observations
}

fn best(observations: &[Observation]) -> f64 {
    let scores = observations.iter().filter_map(|o| o.score);
    scores.fold(f64::INFINITY, f64::min)
}

#[test]
fn it_beats_random_search() {
    let tpe = sweep(SPACES);
    let random = SweepSpec {
        search: Search::Random,
        ..tpe.clone()
    };
    let seeds = 0..20;
    let pairs: Vec<(f64, f64)> = seeds
        .map(|seed| (best(&run(&tpe, seed)), best(&run(&random, seed))))
        .collect();
    let wins = pairs.iter().filter(|(tpe, random)| tpe < random).count();
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / 20.0;
    let (tpe, random) = (mean(|pair| pair.0), mean(|pair| pair.1));
    assert!(wins >= 16, "{wins} of 20: {pairs:?}");
    assert!(tpe < random / 2.0, "{tpe} against {random}");
}

#[test]
fn its_start_is_that_of_a_random_search() {
    let tpe = sweep(SPACES);
    let random = SweepSpec {
        search: Search::Random,
        ..tpe.clone()
    };
    let (tpe, random) = (run(&tpe, 5), run(&random, 5));
    // The cohort in which the tenth trial lies is at random too.
    assert_eq!(tpe[..12], random[..12]);
    assert_ne!(tpe[12], random[12]);
}

#[test]
fn only_earlier_cohorts_count_in_whatever_order_they_came() {
    let spec = sweep(SPACES);
    let whole = run(&spec, 9);
    for number in [12, 15, 16, 39] {
        let suggest = |known: &[Observation]| configuration(&spec, 9, number, known);
        let expected = Some(whole[number as usize].configuration.clone());
        let first = trials_before(&spec, number);
        assert_eq!(first, number / 4 * 4);
        let (known, later) = whole.split_at(first as usize);
        assert_eq!(suggest(known), expected);
        let mut reversed: Vec<_> = whole.iter().rev().cloned().collect();
        assert_eq!(suggest(&reversed), expected, "later results are not seen");
        reversed.rotate_left(17);
        assert_eq!(suggest(&reversed), expected);
        let changed = later
            .iter()
            .cloned()
            .map(|o| Observation { score: None, ..o });
        let changed = [known, &changed.collect::<Vec<_>>()].concat();
        assert_eq!(suggest(&changed), expected);
    }
    assert_eq!(trials_before(&spec, 11), 0);
}

#[test]
fn earlier_cohorts_do_count() {
    let spec = sweep(SPACES);
    let whole = run(&spec, 9);
    let mut other = whole.clone();
    other[3].score = Some(-100.0);
    let (one, two) = (
        configuration(&spec, 9, 40, &whole),
        configuration(&spec, 9, 40, &other),
    );
    assert_ne!(one, two);
}

#[test]
fn suggestions_have_the_same_bits_everywhere() {
    let last = run(&sweep(SPACES), 1).pop().expect("60 trials");
    assert_eq!(last.configuration.overrides().join(" "), LAST_OF_SEED_1);
}

const LAST_OF_SEED_1: &str =
    r#"kind="good" rate=0.0010152541771294556 units=56 x=0.5671140773884078"#;

#[test]
fn failed_trials_and_strange_results_are_survived() {
    let spec = sweep(SPACES);
    let mut known = run(&spec, 2);
    for observation in &mut known {
        observation.score = None;
    }
    let random = SweepSpec {
        search: Search::Random,
        ..spec.clone()
    };
    assert_eq!(
        configuration(&spec, 2, 30, &known),
        configuration(&random, 2, 30, &[]),
        "nothing is known"
    );
    known[4].score = Some(f64::NAN);
    known[5].score = Some(f64::INFINITY);
    known[6].score = Some(f64::NEG_INFINITY);
    known[7].configuration.0.clear();
    known[8].configuration.0[3].1 = 1e9.into();
    assert!(configuration(&spec, 2, 30, &known).is_some());
}
