//! Arrays that become a data set, and those that are refused, with their texts.

use std::path::PathBuf;

use cuttlefish_core::data::{Dataset, Labels, Task, Values};
use cuttlefish_core::topology::spec::{DataFormat, OwnSplit, SplitKeys};

use crate::data::array::{Array, ElementType, Numbers};
use crate::data::examples::{Examples, NamedArray, dataset};

fn named(name: &str, dims: &[usize], element: ElementType, numbers: Numbers) -> NamedArray {
    NamedArray {
        path: PathBuf::from("a.npz"),
        name: name.to_owned(),
        array: Array {
            dims: dims.to_vec(),
            element,
            numbers,
        },
    }
}

fn bytes(dims: &[usize], values: &[u8]) -> NamedArray {
    named("x", dims, ElementType::U8, Numbers::Bytes(values.to_vec()))
}

fn floats(name: &str, dims: &[usize], values: &[f32]) -> NamedArray {
    named(
        name,
        dims,
        ElementType::F32,
        Numbers::Floats(values.to_vec()),
    )
}

fn classes(values: &[i64]) -> NamedArray {
    let numbers = Numbers::Integers(values.to_vec());
    named("y", &[values.len()], ElementType::I64, numbers)
}

fn load(rows: NamedArray, answers: NamedArray) -> Result<Dataset, String> {
    with_names(rows, answers, None)
}

fn with_names(
    rows: NamedArray,
    answers: NamedArray,
    names: Option<&[&str]>,
) -> Result<Dataset, String> {
    let names = names.map(|names| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>());
    let examples = Examples { rows, answers };
    let format = DataFormat::ChannelsLast;
    let rules = OwnSplit::default().rules(SplitKeys::default());
    dataset("npz", examples, None, format, names.as_deref(), rules)
        .map_err(|error| error.to_string())
}

fn class_names(dataset: &Dataset) -> &[String] {
    match &dataset.task {
        Task::Classification { class_names, .. } => class_names,
        Task::Regression { .. } => panic!("classes were given"),
    }
}

#[track_caller]
fn check_problem(result: Result<Dataset, String>, expected: &str) {
    let problem = result.unwrap_err();
    let expected = format!("read `a.npz`: {expected}");
    assert!(problem.starts_with(&expected), "{problem}");
    assert!(problem.ends_with(')'), "{problem}");
}

#[test]
fn channels_side_by_side_become_channels_one_after_the_other() {
    let values = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60];
    let planes = [1, 2, 3, 10, 20, 30, 4, 5, 6, 40, 50, 60];
    let last = load(bytes(&[2, 1, 3, 2], &values), classes(&[0, 1])).unwrap();
    let examples = Examples {
        rows: bytes(&[2, 2, 1, 3], &planes),
        answers: classes(&[0, 1]),
    };
    let rules = OwnSplit::default().rules(SplitKeys::default());
    let first = dataset(
        "npz",
        examples,
        None,
        DataFormat::ChannelsFirst,
        None,
        rules,
    )
    .unwrap();
    for dataset in [last, first] {
        assert_eq!((dataset.features, dataset.image), (6, Some((1, 3))));
        let Values::Bytes { bytes, scale } = &dataset.values else {
            panic!("bytes stay bytes");
        };
        assert_eq!((&bytes[..], *scale), (&planes[..], 1.0 / 255.0));
    }
}

#[test]
fn classes_have_any_numbers_and_names() {
    let rows = || bytes(&[4, 1], &[1, 2, 3, 4]);
    let dataset = load(rows(), classes(&[7, -1, 7, 26])).unwrap();
    assert_eq!(class_names(&dataset), ["-1", "7", "26"]);
    let Labels::Classes(labels) = dataset.task.labels() else {
        panic!("classes were given");
    };
    assert_eq!(labels, [1, 0, 1, 2]);
    let dataset = with_names(rows(), classes(&[7, 1, 7, 26]), Some(&["a", "g", "z"])).unwrap();
    assert_eq!(class_names(&dataset), ["a", "g", "z"]);
    // A class without rows keeps its place.
    let dataset = with_names(rows(), classes(&[0, 2, 0, 2]), Some(&["a", "b", "c"])).unwrap();
    let Labels::Classes(labels) = dataset.task.labels() else {
        panic!("classes were given");
    };
    assert_eq!(labels, [0, 2, 0, 2]);
    check_problem(
        with_names(rows(), classes(&[7, 1, 7, 26]), Some(&["a", "b"])),
        "the array `y` has 3 classes, the last one 26, and `class_names` has 2 (",
    );
}

#[test]
fn floating_point_answers_are_numbers_to_predict() {
    let rows = || floats("x", &[2, 1], &[0.5, 7.0]);
    let dataset = load(rows(), floats("price", &[2, 1], &[1.5, -2.0])).unwrap();
    let Task::Regression {
        target_name,
        targets,
    } = &dataset.task
    else {
        panic!("numbers were given");
    };
    assert_eq!(
        (target_name.as_str(), &targets[..]),
        ("price", &[1.5, -2.0][..])
    );
    assert!(matches!(&dataset.values, Values::Floats(values) if values[..] == [0.5, 7.0]));
    check_problem(
        with_names(rows(), floats("y", &[2], &[1.5, -2.0]), Some(&["a", "b"])),
        "the array `y` has numbers to predict, and `class_names` names classes (",
    );
}

#[test]
fn what_is_no_row_or_answer_is_named() {
    let two = || classes(&[0, 1]);
    check_problem(
        load(bytes(&[2], &[1, 2]), two()),
        "the array `x` has the shape 2 (rows have 2 dimensions",
    );
    check_problem(
        load(bytes(&[0, 3], &[]), classes(&[])),
        "the array `x` has the shape 0 x 3, in which there are no values (",
    );
    check_problem(
        load(bytes(&[1, 3, 8, 8], &[0; 192]), classes(&[0])),
        "the array `x` has the shape 1 x 3 x 8 x 8, in which the last dimension is that of the channels (",
    );
    check_problem(
        load(floats("x", &[2, 2], &[0.0, 1.0, 2.0, f32::NAN]), two()),
        "the array `x` has a number that is not finite in row 1 (",
    );
    let integers = named(
        "x",
        &[2, 1],
        ElementType::I64,
        Numbers::Integers(vec![1, 2]),
    );
    check_problem(
        load(integers, two()),
        "the array `x` has values of type int64 (write it with `.astype(\"uint8\")`",
    );
    check_problem(
        load(bytes(&[3, 1], &[1, 2, 3]), two()),
        "the array `y` has the shape 2, and there are 3 rows (",
    );
    let one_hot = named(
        "y",
        &[2, 2],
        ElementType::U8,
        Numbers::Bytes(vec![1, 0, 0, 1]),
    );
    check_problem(
        load(bytes(&[2, 1], &[1, 2]), one_hot),
        "the array `y` has the shape 2 x 2, and there are 2 rows (",
    );
    let many: Vec<i64> = (0..1001).collect();
    check_problem(
        load(bytes(&[1001, 1], &[0; 1001]), classes(&many)),
        "the array `y` has 1001 different whole numbers, the limit of classes is 1000 (",
    );
}

#[test]
fn rows_that_test_are_alike_and_the_others_are_split_at_random() {
    let load = |rows: NamedArray, answers: NamedArray| {
        let examples = Examples {
            rows: bytes(&[40, 1], &[9; 40]),
            answers: classes(&[&[0; 20][..], &[1; 20]].concat()),
        };
        let test = Examples { rows, answers };
        let rules = OwnSplit::default().rules(SplitKeys::default());
        dataset(
            "npz",
            examples,
            Some(test),
            DataFormat::ChannelsLast,
            None,
            rules,
        )
        .map_err(|error| error.to_string())
    };
    let split = load(bytes(&[2, 1], &[8, 7]), classes(&[1, 0]))
        .unwrap()
        .split;
    assert_eq!((split.train.len(), split.validation.len()), (36, 4));
    assert_eq!(split.test, [40, 41]);
    // Files are often in the order of their classes: the last rows are one class.
    assert!(split.validation.iter().any(|&row| row < 20), "{split:?}");
    check_problem(
        load(bytes(&[1, 2], &[8, 7]), classes(&[1])),
        "the array `x` is 2 numbers in a row, and the training rows are 1 numbers in a row (",
    );
    check_problem(
        load(floats("x", &[1, 1], &[0.5]), classes(&[1])),
        "the array `x` is floating-point, and the training rows are bytes (",
    );
    check_problem(
        load(bytes(&[1, 1], &[8]), classes(&[3])),
        "the array `y` has the class 3 in row 0, which no training row has (",
    );
    check_problem(
        load(bytes(&[1, 1], &[8]), floats("y", &[1], &[0.5])),
        "the array `y` is numbers to predict, and the training rows are classes (",
    );
}

#[test]
fn classes_beyond_64_bits_are_refused() {
    let large = |element| {
        let numbers = Numbers::Integers(vec![3, i64::MAX]);
        named("y", &[2], element, numbers)
    };
    check_problem(
        load(bytes(&[2, 1], &[1, 2]), large(ElementType::U64)),
        "the array `y` has a class beyond 9223372036854775806 in row 1 (",
    );
    load(bytes(&[2, 1], &[1, 2]), large(ElementType::I64)).unwrap();
}
