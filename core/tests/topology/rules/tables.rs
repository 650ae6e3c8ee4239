//! Tables in CSV files: how they are written, and how their target is scaled.

use cuttlefish_core::data::TargetStatistics;
use cuttlefish_core::topology::{DataShape, Grouping, TaskShape};

use super::{check, check_fit};
use crate::{DIGITS, HIDDEN, MSE, REGRESSION, VALID, file, graph};

#[test]
fn a_csv_source_is_complete() {
    let with = |keys: &str| VALID.replace("source: digits", &format!("source: csv, {keys}"));
    check(&with("path: a.csv, target: y"), &[]);
    check(
        &with("path: '', target: y, ignore: [x, y]"),
        &[
            "2:27: data.path: the path is empty (name a CSV file)",
            "2:39: data.target: `y` is also in `ignore` (a column cannot be both)",
        ],
    );
}

#[test]
fn a_table_says_how_it_is_written() {
    let with = |keys: &str| {
        let source = format!("source: csv, path: a.csv, target: y, {keys}");
        VALID.replace("source: digits", &source)
    };
    check(
        &with("decimal: ',', thousands: ' ', encoding: windows-1252, dates: [a]"),
        &[],
    );
    check(
        &with("dates: [a, {column: b, format: '%d.%m.%Y', parts: [year, weekday]}]"),
        &[],
    );
    check(
        &with("decimal: ';', thousands: _, encoding: utf8"),
        &[
            "2:54: data.decimal: unknown value `;` (valid: `.`, `,`)",
            "2:70: data.thousands: unknown value `_` (valid: `,`, `.`, ` `, `'`)",
            "2:83: data.encoding: unknown value `utf8` (did you mean `utf-8`?)",
        ],
    );
    check(&with("thousands: .,  decimal: ','"), &[]);
    check(
        &with("thousands: ."),
        &["2:56: data.thousands: `.` is also what `decimal` says (add `decimal: \",\"`)"],
    );
    check(
        &with("decimal: ',', thousands: ','"),
        &["2:70: data.thousands: `,` is also what `decimal` says (use another one)"],
    );
    check(
        &with("ignore: [b], dates: [y, b, a, {column: a, parts: [day, day]}]"),
        &[
            "2:66: data.dates[0]: `y` is the target (a date cannot be predicted: remove it from one)",
            "2:69: data.dates[1]: `b` is also in `ignore` (a column cannot be both)",
            "2:75: data.dates[3]: `a` is listed twice (list all of its `parts` at once)",
            "2:100: data.dates[3].parts[1]: this part is listed twice (remove it)",
        ],
    );
    check(
        &with("ignore: [b], dates: [c], categories: [y, b, c]"),
        &[
            "2:66: data.dates[0]: `c` is also in `categories` (a column cannot be both)",
            "2:83: data.categories[0]: `y` is the target (set `task: classification` instead)",
            "2:86: data.categories[1]: `b` is also in `ignore` (a column cannot be both)",
        ],
    );
    check(
        &with("dates: a"),
        &[
            "2:52: data.dates: expected a list, found the text `a` (columns of dates, which become numbers)",
        ],
    );
    check(
        &with("dates: [1, {format: x, parts: [], pats: 1}]"),
        &[
            "2:53: data.dates[0]: expected text, found `1` (put it in quotes)",
            "2:56: data.dates[1]: missing key `column` (name of the column)",
            "2:75: data.dates[1].parts: expected at least 1 in this list, found 0",
            "2:79: data.dates[1].pats: unknown key `pats` (valid: `column`, `format`, `parts`)",
        ],
    );
}

#[test]
fn a_target_is_scaled_as_its_kind_and_its_output_layer_allow() {
    let statistics = TargetStatistics {
        mean: 100.0,
        deviation: 20.0,
        min: 50.0,
        max: 150.0,
    };
    let shape = DataShape {
        task: TaskShape::Regression {
            targets: Some(statistics),
        },
        ..DIGITS
    };
    let with = |activation: &str, scaling: &str| {
        let last = format!("{{type: dense, units: 1, activation: {activation}}}");
        let source = format!("source: csv, path: a.csv, target: y{scaling}");
        file(&[HIDDEN, &last], MSE, "").replace("source: digits", &source)
    };
    let scale = |activation: &str, scaling: &str, shape: &DataShape| {
        let scale = graph(&with(activation, scaling), shape, Grouping::FromFile).target_scale;
        (scale.offset, scale.scale)
    };
    let (standard, min_max) = (", target_scaling: standard", ", target_scaling: min_max");
    assert_eq!(scale("linear", "", &shape), (100.0, 20.0));
    assert_eq!(scale("linear", standard, &shape), (100.0, 20.0));
    assert_eq!(scale("linear", min_max, &shape), (50.0, 100.0));
    assert_eq!(
        scale("linear", ", target_scaling: none", &shape),
        (0.0, 1.0)
    );
    // Half of a standardised target is below 0.
    for bounded in ["relu", "sigmoid", "tanh", "elu"] {
        assert_eq!(scale(bounded, "", &shape), (50.0, 100.0));
    }
    assert_eq!(scale("leaky_relu", "", &shape), (100.0, 20.0));
    // A run of an earlier version.
    assert_eq!(scale("linear", standard, &REGRESSION), (0.0, 1.0));
    check_fit(
        &with("relu", standard),
        &shape,
        &[
            "2:61: data.target_scaling: a standardised target has numbers that the output layer never answers (use `activation: linear` there, or `target_scaling: min_max`)",
        ],
    );
    let classes = VALID.replace(
        "source: digits",
        "source: csv, path: a.csv, target: y, target_scaling: min_max",
    );
    check_fit(
        &classes,
        &DIGITS,
        &[
            "2:61: data.target_scaling: the target is a class, which has no scale (leave it out, or set `task: regression`)",
        ],
    );
    check_fit(&classes.replace("min_max", "none"), &DIGITS, &[]);
    assert!(
        graph(VALID, &DIGITS, Grouping::FromFile)
            .target_scale
            .is_identity()
    );
}
