//! The `sweep` section of a topology file: keys, defaults, and every rule seen failing.

use cuttlefish_core::sweep::{Goal, Metric, Search, Space, StoppingRule, SweepSpec};
use cuttlefish_core::topology::{Spec, parse};

const FILE: &str = "\
name: test
data: {source: digits}
network:
  layers:
    - {type: dense, name: hidden, units: 8, activation: relu}
    - {type: dense, name: out, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
sweep:
";

/// Problems of a sweep whose first line is line 9 of the file.
fn problems(sweep: &str) -> Vec<String> {
    match parse(&format!("{FILE}{sweep}"), &[]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Problems of a sweep over one parameter, in line 10.
fn of_space(space: &str, more: &str) -> Vec<String> {
    problems(&format!(
        "  parameters:\n    training.epochs: {{{space}}}\n{more}"
    ))
}

fn read(sweep: &str) -> SweepSpec {
    let document = parse(&format!("{FILE}{sweep}"), &[]).unwrap_or_else(|p| panic!("{p}"));
    let spec = document.spec();
    let stored = serde_json::to_string(spec).expect("JSON");
    let again: Spec = serde_json::from_str(&stored).expect("what was stored");
    assert_eq!(again, *spec);
    spec.sweep.clone().expect("a sweep")
}

#[test]
fn a_short_sweep_has_defaults() {
    let spec = read("  parameters:\n    training.epochs: {space: randint, lower: 1, upper: 9}\n");
    let epochs = (
        "training.epochs".to_owned(),
        Space::Randint { lower: 1, upper: 9 },
    );
    assert_eq!(spec, SweepSpec::new([epochs].into()));
    assert_eq!((spec.seeds, spec.search), (1, Search::Random));
}

#[test]
fn a_long_sweep_is_read() {
    let spec = read(
        "  parameters:
    training.optimizer:
      space: choice
      categories: [{type: adam, learning_rate: 0.001}, {type: sgd}]
    network.layers[hidden].units: {space: quniform, lower: 8, upper: 64, q: 8}
  metric: auc
  goal: maximize
  seeds: 3
  folds: 5
  max_trials: 30
  max_time: 3600
  search: {type: tpe, cohort: 8}
  early_stopping: {type: median, grace_period: 2}
",
    );
    let tpe = Search::Tpe {
        startup_trials: 10,
        candidates: 24,
        cohort: 8,
    };
    assert_eq!(
        (spec.metric, spec.goal),
        (Some(Metric::Auc), Some(Goal::Maximize))
    );
    assert_eq!(
        (spec.seeds, spec.folds, spec.max_trials),
        (3, Some(5), Some(30))
    );
    assert_eq!((spec.max_time, spec.search), (Some(3600.0), tpe));
    let median = StoppingRule::Median {
        grace_period: 2,
        min_trials: 5,
    };
    assert_eq!(spec.early_stopping, Some(median));
    assert_eq!(spec.parameters.len(), 2);
}

#[test]
fn a_file_without_a_sweep_says_nothing_of_it() {
    let text = FILE.replace("sweep:\n", "");
    let document = parse(&text, &[]).unwrap_or_else(|p| panic!("{p}"));
    let stored = serde_json::to_value(document.spec()).expect("JSON");
    assert_eq!(stored.get("sweep"), None);
}

#[test]
fn the_schema_checks_keys_words_and_ranges() {
    assert_eq!(
        of_space("space: uniform, lower: 0, uper: 2", ""),
        [
            "10:49: sweep.parameters.training.epochs.uper: unknown key `uper` (did you mean `upper`?)"
        ]
    );
    for (space, message) in [
        (
            "space: randint, lower: 1.5, upper: 3",
            "expected a whole number, found `1.5`",
        ),
        (
            "space: randint, lower: 1, upper: 1e30",
            "expected a whole number, found `1000000000000000000000000000000`",
        ),
        (
            "space: normal, lower: 1, upper: 2",
            "unknown space `normal`",
        ),
        (
            "space: choice, categories: []",
            "expected at least 1 in this list, found 0",
        ),
        (
            "space: choice, categories: [{a: [1, .nan]}]",
            "must be a finite number, found `.nan`",
        ),
        (
            "space: uniform, lower: 0, upper: .inf",
            "must be a finite number, found `.inf`",
        ),
    ] {
        let found = of_space(space, "");
        assert!(found.len() == 1 && found[0].contains(message), "{found:?}");
    }
    for (more, message) in [
        ("  seeds: 0\n", "must be between 1 and 1000, found `0`"),
        ("  folds: 1\n", "must be between 2 and 100, found `1`"),
        (
            "  max_trials: 0\n",
            "must be between 1 and 1000000, found `0`",
        ),
        ("  max_time: -1\n", "must be at least 0, found `-1`"),
        (
            "  early_stopping: {type: asha, reduction_factor: 1}\n",
            "must be between 2 and 1000",
        ),
        ("  search: {type: bayes}\n", "unknown type `bayes`"),
        (
            "  metric: acuracy\n",
            "unknown value `acuracy` (did you mean `accuracy`?)",
        ),
    ] {
        let found = of_space("space: randint, lower: 1, upper: 9", more);
        assert!(found.len() == 1 && found[0].contains(message), "{found:?}");
    }
}

#[test]
fn bounds_leave_something_between_them() {
    let at = "sweep.parameters.training.epochs";
    for (space, expected) in [
        (
            "space: uniform, lower: 2, upper: 2",
            format!(
                "10:46: {at}.lower: must be below `upper`, 2, found `2` (leave out a parameter that has one value)"
            ),
        ),
        (
            "space: uniform, lower: -1e308, upper: 1e308",
            format!("10:46: {at}.lower: too far from `upper` (use closer bounds, or `loguniform`)"),
        ),
        (
            "space: randint, lower: 3, upper: 3",
            format!(
                "10:46: {at}.lower: must be below `upper`, 3, found `3` (`upper` is itself none of the values)"
            ),
        ),
        (
            "space: loguniform, lower: 0, upper: 2",
            format!(
                "10:49: {at}.lower: must be above 0, found `0` (0 and less have no logarithm: 0.0001 for example)"
            ),
        ),
        (
            "space: quniform, lower: 0, upper: 2, q: 0",
            format!(
                "10:63: {at}.q: must be above 0 and at most 2, found `0` (`q` is the step between `lower` and `upper`)"
            ),
        ),
        (
            "space: quniform, lower: 0, upper: 2, q: 2.5",
            format!(
                "10:63: {at}.q: must be above 0 and at most 2, found `2.5` (`q` is the step between `lower` and `upper`)"
            ),
        ),
        (
            "space: quniform, lower: 0, upper: 1, q: 1e-17",
            format!("10:63: {at}.q: too small a step, found `0.00000000000000001` (use `uniform`)"),
        ),
    ] {
        assert_eq!(of_space(space, ""), [expected]);
    }
    for space in [
        "space: quniform, lower: 0, upper: 2, q: 2",
        "space: randint, lower: 3, upper: 4",
        "space: loguniform, lower: 1e-9, upper: 2",
    ] {
        assert_eq!(of_space(space, ""), [""; 0]);
    }
}

#[test]
fn what_a_program_builds_is_checked_too() {
    let of = |space: Space| {
        let parameter = ("p".to_owned(), space);
        let found = SweepSpec::new([parameter].into()).check();
        found.into_iter().map(|p| p.path).collect::<Vec<_>>()
    };
    let nan = f64::NAN;
    assert_eq!(
        of(Space::Uniform {
            lower: nan,
            upper: 1.0
        }),
        ["parameters.p.lower"]
    );
    assert_eq!(
        of(Space::Quniform {
            lower: 0.0,
            upper: 1.0,
            q: nan
        }),
        ["parameters.p.q"]
    );
    assert_eq!(
        of(Space::Choice { categories: vec![] }),
        ["parameters.p.categories"]
    );
    assert_eq!(
        of(Space::GridSearch { values: vec![] }),
        ["parameters.p.values"]
    );
    let endless = SweepSpec {
        max_time: Some(f64::INFINITY),
        ..SweepSpec::new([].into())
    };
    let paths: Vec<_> = endless.check().into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["parameters", "max_time"]);
}

#[test]
fn spaces_and_searches_go_together() {
    let grid = "  search: {type: grid}\n";
    for (space, name) in [
        ("uniform, lower: 1, upper: 2", "uniform"),
        ("loguniform, lower: 1, upper: 2", "loguniform"),
    ] {
        assert_eq!(
            of_space(&format!("space: {space}"), grid),
            [format!(
                "10:30: sweep.parameters.training.epochs.space: a grid has no end of values of `{name}` (use `grid_search` with some `values`, or `quniform`)"
            )]
        );
    }
    for space in [
        "quniform, lower: 1, upper: 2, q: 1",
        "randint, lower: 1, upper: 2",
        "choice, categories: [1]",
        "grid_search, values: [1]",
    ] {
        assert_eq!(of_space(&format!("space: {space}"), grid), [""; 0]);
    }
    let values = "space: grid_search, values: [1, 2]";
    assert_eq!(of_space(values, ""), [""; 0]);
    assert_eq!(
        of_space(values, "  search: {type: tpe}\n"),
        [
            "10:30: sweep.parameters.training.epochs.space: `tpe` does not try every value of a list (use `choice` with the same values as `categories`)"
        ]
    );
}

#[test]
fn a_grid_is_bounded() {
    let twelve = "space: randint, lower: 1, upper: 13";
    let with = |max: u32| format!("  search: {{type: grid}}\n  max_trials: {max}\n");
    assert_eq!(of_space(twelve, &with(12)), [""; 0]);
    assert_eq!(
        of_space(twelve, &with(11)),
        [
            "12:15: sweep.max_trials: the grid has 12 configurations, `max_trials` is 11 (raise it, use fewer values, or another search)"
        ]
    );
    let large = "  parameters:\n    training.epochs: {space: randint, lower: 0, upper: 1001}\n    training.batch_size: {space: randint, lower: 0, upper: 1000}\n";
    assert_eq!(problems(large), [""; 0]);
    assert_eq!(
        problems(&format!("{large}  search: {{type: grid}}\n")),
        [
            "10:5: sweep.parameters: the grid has 1001000 configurations (at most 1000000: use fewer values, or another search)"
        ]
    );
    let huge = "space: randint, lower: -9007199254740991, upper: 9007199254740991";
    let many: String = (0..40).map(|i| format!("    p{i}: {{{huge}}}\n")).collect();
    let found = problems(&format!("  parameters:\n{many}  search: {{type: grid}}\n"));
    assert!(found[0].contains("the grid has "), "{found:?}");
}

#[test]
fn some_keys_are_not_for_a_trial_to_set() {
    let space = "{space: choice, categories: [1]}";
    for (path, refused, help) in [
        ("name", "name", "it names the sweep as a whole"),
        (
            "seed",
            "seed",
            "`seeds` trains every configuration with several",
        ),
        ("sweep", "sweep", "a sweep cannot change itself"),
        ("sweep.search.type", "sweep", "a sweep cannot change itself"),
        (
            "data.folds",
            "data.folds",
            "`folds` of the sweep says how many there are",
        ),
    ] {
        assert_eq!(
            problems(&format!("  parameters:\n    {path}: {space}\n")),
            [format!(
                "10:{}: sweep.parameters.{path}: `{refused}` is not for a trial to set ({help})",
                path.len() + 7
            )]
        );
    }
    for path in ["names", "data.foldsy", "data.validation_split"] {
        assert_eq!(
            problems(&format!("  parameters:\n    {path}: {space}\n")),
            [""; 0]
        );
    }
    for path in ["a..b", "a[", "\"a=b\"", "\" a\"", "\"\""] {
        let found = problems(&format!("  parameters:\n    {path}: {space}\n"));
        assert!(
            found.len() == 1 && found[0].contains("is not a path"),
            "{found:?}"
        );
        assert!(found[0].starts_with("10:"), "{found:?}");
    }
}

#[test]
fn a_parameter_is_not_a_part_of_another() {
    let space = "{space: choice, categories: [1]}";
    let two = |one: &str, other: &str| {
        problems(&format!(
            "  parameters:\n    {one}: {space}\n    {other}: {space}\n"
        ))
    };
    assert_eq!(
        two("training.optimizer", "training.optimizer.learning_rate"),
        [
            "11:39: sweep.parameters.training.optimizer.learning_rate: it is a part of the parameter `training.optimizer` (leave one of the two out)"
        ]
    );
    assert_eq!(
        two("network.layers[hidden].units", "network.layers").len(),
        1
    );
    assert_eq!(two("training.epochs", "training.epochsy"), [""; 0]);
    assert_eq!(
        problems("  parameters: {}\n"),
        [
            "9:15: sweep.parameters: there is no parameter (name one, `training.optimizer.learning_rate` for example)"
        ]
    );
}
