//! Keys of the split: stratified classes and folds.

use cuttlefish_core::data::{Folds, TestRows, ValidationRows};
use cuttlefish_core::topology::spec::{CsvSource, Data, SplitKeys};
use cuttlefish_core::topology::{Spec, Topology, parse};

use super::check;
use crate::{SOFTMAX, SPARSE, document, file, problems};

/// A file with this data.
fn with_data(data: &str) -> String {
    file(&[SOFTMAX], SPARSE, "").replace("{source: digits}", &format!("{{{data}}}"))
}

const SOURCES: [&str; 7] = [
    "source: digits",
    "source: mnist",
    "source: fashion-mnist",
    "source: csv, path: a.csv, target: y",
    "source: idx, images: a, labels: b, test_images: c, test_labels: d",
    "source: npz, path: a.npz, test_split: 0.5",
    "source: images, path: pets, augmentation: {shift: 1}",
];

#[test]
fn every_source_has_them_and_none_by_default() {
    let folds = Some(Folds { count: 5, fold: 2 });
    for source in SOURCES {
        let spec = document(&with_data(source), &[]).spec().clone();
        assert_eq!(spec.data.split_keys(), SplitKeys::default());
        let json = serde_json::to_string(&spec).unwrap();
        assert!(
            !json.contains("stratify") && !json.contains("folds"),
            "{json}"
        );
        let data = format!("{source}, stratify: true, folds: {{count: 5, fold: 2}}");
        let spec = document(&with_data(&data), &[]).spec().clone();
        let keys = spec.data.split_keys();
        assert_eq!((keys.stratify, keys.folds), (true, folds));
        // As a record keeps it.
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    }
}

#[test]
fn a_fold_takes_the_place_of_a_share() {
    let folds = Folds { count: 5, fold: 2 };
    let mut table = CsvSource::new("a.csv", "y");
    assert_eq!(table.split_rules().validation, ValidationRows::Drawn(0.1));
    table.split_keys.folds = Some(folds);
    assert_eq!(table.split_rules().validation, ValidationRows::Fold(folds));
    assert_eq!(table.split_rules().test, TestRows::Drawn(0.2));
    // Of a program, which cannot leave the share out.
    table.validation_split = 0.3;
    let topology = Topology::new("t", Data::Csv(table)).layer(cuttlefish_core::layers::dense(1));
    let text = topology
        .loss(cuttlefish_core::math::Loss::MeanSquaredError)
        .text();
    let spec = parse(&text, &[]).unwrap().spec().clone();
    assert_eq!(spec.data.split_keys().folds, Some(folds));
}

#[test]
fn a_fold_beside_a_share_is_refused() {
    let both = "source: digits, validation_split: 0.1, folds: {count: 5, fold: 2}";
    check(
        &with_data(both),
        &[
            "2:42: data.validation_split: `folds` says which rows validate (remove `validation_split`, or remove `folds`)",
        ],
    );
    let share = with_data("source: digits, validation_split: 0.1");
    for overrides in [
        &["data.folds={count: 5, fold: 2}"][..],
        &["data.folds.count=5", "data.folds.fold=2"],
    ] {
        // Of a command line, to try folds of a file that says a share.
        assert_eq!(problems(&share, overrides), "");
    }
    let fold = with_data("source: digits, folds: {count: 5, fold: 2}");
    for (text, overrides) in [
        (&fold, &["data.validation_split=0.2"][..]),
        (
            &share,
            &[
                "data.folds={count: 5, fold: 2}",
                "data.validation_split=0.2",
            ],
        ),
    ] {
        let found = problems(text, overrides);
        assert!(
            found.contains("`folds` says which rows validate"),
            "{found}"
        );
    }
    assert_eq!(problems(&fold, &["data.folds.fold=3"]), "");
}

#[test]
fn folds_that_there_are_not_are_refused() {
    let with = |folds: &str| with_data(&format!("source: digits, folds: {{{folds}}}"));
    check(
        &with("count: 5, fold: 6"),
        &["2:48: data.folds.fold: there are 5 folds, found `6` (the last one is `fold: 5`)"],
    );
    check(
        &with("count: 1, fold: 0"),
        &[
            "2:39: data.folds.count: must be at least 2, found `1` (number of folds)",
            "2:48: data.folds.fold: must be at least 1, found `0` (fold that validates, from 1)",
        ],
    );
    check(
        &with("count: 5"),
        &["2:31: data.folds: missing key `fold` (fold that validates, from 1)"],
    );
    for fold in ["1", "5"] {
        check(&with(&format!("count: 5, fold: {fold}")), &[]);
    }
}

#[test]
fn numbers_are_not_stratified() {
    check(
        &with_data("source: csv, path: a, target: y, task: regression, stratify: true"),
        &["2:69: data.stratify: a regression has no classes (leave it out)"],
    );
    check(
        &with_data("source: csv, path: a, target: y, stratify: true"),
        &[],
    );
}

#[test]
fn a_fold_can_stop_early() {
    let stop = "training: {early_stopping: {patience: 1}}\n";
    let text = file(&[SOFTMAX], SPARSE, stop);
    let with = |keys: &str| text.replace("source: digits", &format!("source: digits, {keys}"));
    check(&with("folds: {count: 2, fold: 1}"), &[]);
    let found = problems(
        &with("validation_split: 0"),
        &["data.folds={count: 2, fold: 1}"],
    );
    assert_eq!(found, "");
}
