//! `--set path=value`.

use cuttlefish_core::math::{Optimizer, Schedule};
use cuttlefish_core::topology::spec::LayerSpec;

use crate::{VALID, document, problems};

fn units(layer: &LayerSpec) -> usize {
    match layer {
        LayerSpec::Dense(dense) => dense.units,
        _ => 0,
    }
}

fn check(text: &str, expected: &str) {
    let expected = format!("--set {text}: {expected}");
    assert_eq!(problems(VALID, &[text]), expected);
}

#[test]
fn an_override_replaces_what_the_file_says_and_creates_what_it_does_not() {
    let document = document(
        VALID,
        &[
            "training.epochs=3",
            "network.layers[0].units=5",
            "network.layers[hidden].use_bias=false",
            "training.optimizer={type: adam, learning_rate: 0.5}",
            "training.learning_rate_schedule.type=cosine",
            "name=\"other\"",
            " training.epochs =4",
        ],
    );
    let spec = document.spec();
    assert_eq!(spec.name, "other");
    assert_eq!(spec.training.epochs, 4, "the last one counts");
    let layers = document.layers();
    assert_eq!(units(&layers[0]), 5);
    assert_eq!(units(&layers[1]), 10);
    let hidden = layers[0].neurons().unwrap();
    assert!(!hidden.keys.use_bias);
    assert!(matches!(
        spec.training.optimizer,
        Optimizer::Adam {
            learning_rate: 0.5,
            ..
        }
    ));
    assert_eq!(
        spec.training.learning_rate_schedule,
        Schedule::Cosine { alpha: 0.0 }
    );
}

#[test]
fn an_override_can_mend_a_broken_file() {
    let text = VALID.replace("units: 8", "units: eight");
    assert!(!problems(&text, &[]).is_empty());
    assert_eq!(problems(&text, &["network.layers[0].units=8"]), "");
}

#[test]
fn problems_of_an_override_name_it_instead_of_a_line() {
    check(
        "training.epochs=x",
        "training.epochs: expected a whole number, found the text `x` (passes over the training rows; 0 writes the initial weights)",
    );
    check(
        "training.epoch=3",
        "training.epoch: unknown key `epoch` (did you mean `epochs`?)",
    );
    check(
        "training.epochs",
        "there is no `=` (write `path=value`, `training.epochs=3` for example)",
    );
    check(
        "=3",
        "`` is not a path (write `path=value`, `training.epochs=3` for example)",
    );
    check(
        "training..epochs=3",
        "`training..epochs` is not a path (write `path=value`, `training.epochs=3` for example)",
    );
    check(
        "network.layers[0=3",
        "`network.layers[0` is not a path (write `path=value`, `training.epochs=3` for example)",
    );
    check(
        "network.layers[]=3",
        "`network.layers[]` is not a path (write `path=value`, `training.epochs=3` for example)",
    );
    check(
        "network.layers[2].units=3",
        "network.layers: there is no item 2 (the list has the items 0 to 1)",
    );
    check(
        "network.layers[deep].units=3",
        "network.layers: there is no item with the name `deep`",
    );
    check("network[0]=3", "network: not a list");
    check("name.first=x", "name: not a mapping, so it has no `first`");
    check("training.epochs=[1", "not valid YAML: unclosed bracket '['");
    check(
        "training.epochs=*x",
        "aliases are not supported (repeat the value)",
    );
    check(
        "training.optimizer.momentum=1",
        "training.optimizer: missing key `type` (one of `sgd`, `adagrad`, `rmsprop`, `adam`)",
    );
    check(
        "training.optimizer={type: sgd, momentum: 1}",
        "training.optimizer.momentum: must be below 1, found `1` (0.9 for example)",
    );
    check(
        "network.layers[out].activation=relu",
        "network.layers[1].activation: `sparse_categorical_crossentropy` needs a softmax output layer (use `activation: softmax` here, or another loss)",
    );
    check(
        "name=",
        "name: expected text, found nothing (name of the run: lower-case letters, digits and dashes)",
    );
}

#[test]
fn problems_of_the_file_come_before_those_of_overrides() {
    let text = format!("{VALID}extra: 1\n");
    let report = problems(&text, &["training.epochs=x", "no"]);
    let starts = ["8:1: extra: ", "--set no: ", "--set training.epochs=x: "];
    assert_eq!(report.lines().count(), starts.len(), "{report}");
    for (line, start) in report.lines().zip(starts) {
        assert!(line.starts_with(start), "{report}");
    }
}

#[test]
fn endless_paths_and_values_are_refused() {
    let path = vec!["a"; 40].join(".");
    assert!(problems(VALID, &[&format!("{path}=1")]).contains("the path is too long"));
    let path = vec!["a"; 20].join(".");
    let value = "[".repeat(20) + &"]".repeat(20);
    assert!(problems(VALID, &[&format!("{path}={value}")]).contains("nested too deeply"));
}
