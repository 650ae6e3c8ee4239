//! Tables as data sets.

use std::fmt::Write as _;

use cuttlefish_core::data::{Dataset, Task, Values};
use cuttlefish_core::topology::spec::{CsvSource, CsvTask, Missing};

use crate::data::Encoder;
use crate::data::csv::parse;

/// All rows train, missing cells are errors, the target is `y`.
pub fn options() -> CsvSource {
    CsvSource {
        test_split: 0.0,
        validation_split: 0.0,
        ..CsvSource::new("t.csv", "y")
    }
}

#[track_caller]
pub fn read(text: &str, options: &CsvSource) -> (Dataset, Encoder) {
    match parse(text.as_bytes().to_vec(), options) {
        Ok(read) => read,
        Err(problem) => panic!("{problem}"),
    }
}

pub fn floats(dataset: &Dataset) -> &[f32] {
    match &dataset.values {
        Values::Floats(values) => values,
        Values::Bytes { .. } => panic!("tables have numbers"),
    }
}

#[track_caller]
fn classes(dataset: &Dataset) -> (Vec<&str>, &[u32]) {
    match &dataset.task {
        Task::Classification {
            class_names,
            labels,
        } => (class_names.iter().map(String::as_str).collect(), labels),
        Task::Regression { .. } => panic!("expected classes"),
    }
}

#[track_caller]
pub fn targets(dataset: &Dataset) -> &[f32] {
    match &dataset.task {
        Task::Regression { targets, .. } => targets,
        Task::Classification { .. } => panic!("expected numbers"),
    }
}

#[test]
fn classes_are_read_from_numbers_and_categories() {
    let text = "size,colour,y\n1,red,cat\n3,blue,dog\n1,red,ant\n3,red,cat\n";
    let (dataset, encoder) = read(text, &options());
    let names = ["size", "colour=blue", "colour=red"];
    assert_eq!(dataset.feature_names, names);
    assert_eq!((dataset.features, encoder.features()), (3, 3));
    #[rustfmt::skip]
    assert_eq!(floats(&dataset), [
        -1.0, 0.0, 1.0,
         1.0, 1.0, 0.0,
        -1.0, 0.0, 1.0,
         1.0, 0.0, 1.0,
    ]);
    assert_eq!(
        classes(&dataset),
        (vec!["ant", "cat", "dog"], &[1, 2, 0, 1][..])
    );
    assert_eq!((dataset.rows(), dataset.split.train.len()), (4, 4));
    assert_eq!((dataset.name.as_str(), dataset.image), ("csv", None));
}

#[test]
fn regression_targets_stay_as_they_are() {
    let (dataset, _) = read("y,same,x\n10.5,7,2\n-3,7,4\n", &options());
    // `same` is constant: 0, not divided by 0.
    assert_eq!(floats(&dataset), [0.0, -1.0, 0.0, 1.0]);
    assert_eq!(targets(&dataset), [10.5, -3.0]);
}

#[test]
fn constant_column_that_is_no_sum_of_powers_of_two_is_zero() {
    let text = format!("x,y\n{}", "0.1,a\n0.1,b\n0.1,a\n".repeat(33));
    assert!(floats(&read(&text, &options()).0).iter().all(|&x| x == 0.0));
    let missing = Missing::Mean;
    let options = CsvSource {
        missing,
        ..options()
    };
    let text = format!("{text},b\n");
    assert!(floats(&read(&text, &options).0).iter().all(|&x| x == 0.0));
}

#[test]
fn whole_numbers_are_classes_up_to_twenty_and_sorted_as_numbers() {
    let (dataset, _) = read("x,y\n1,10\n2,9\n3,9.0\n4,-1\n", &options());
    assert_eq!(
        classes(&dataset),
        (vec!["-1", "9", "10"], &[2, 1, 1, 0][..])
    );
    let table = |classes: usize| {
        (0..40).fold("x,y\n".to_owned(), |mut text, i| {
            writeln!(text, "{i},{}", i % classes).unwrap();
            text
        })
    };
    assert_eq!(read(&table(20), &options()).0.task.classes(), Some(20));
    assert_eq!(read(&table(21), &options()).0.task.classes(), None);
    let with = |task| CsvSource { task, ..options() };
    let classes_only = with(CsvTask::Classification);
    assert_eq!(read(&table(21), &classes_only).0.task.classes(), Some(21));
    let numbers_only = with(CsvTask::Regression);
    assert_eq!(read(&table(2), &numbers_only).0.task.classes(), None);
    assert_eq!(read("x,y\n1,0.5\n2,1\n", &options()).0.task.classes(), None);
}

#[test]
fn every_delimiter_and_dialect_is_the_same_table() {
    let (plain, _) = read("a,b,y\n1,u,p\n2,v w,q\n", &options());
    for text in [
        "a;b;y\n1;u;p\n2;v w;q\n",
        "a\tb\ty\n1\tu\tp\n2\tv w\tq\n",
        "a|b|y\n1|u|p\n2|v w|q\n",
        "\u{feff}a,b,y\r\n1,u,p\r\n2,v w,q",
        "\n\na , b, y\r1, u, p\r\r2,\"v w\",\"q\"\r",
        "\"a\",\"b\",y\n1,\"u\",p\n\n2,v w,q\n\n",
    ] {
        let (dataset, _) = read(text, &options());
        assert_eq!(floats(&dataset), floats(&plain), "{text:?}");
        assert_eq!(dataset.feature_names, plain.feature_names, "{text:?}");
        assert_eq!(classes(&dataset), classes(&plain), "{text:?}");
    }
}

#[test]
fn delimiter_inside_cells_does_not_mislead() {
    let (dataset, _) = read("\"last, first\";z;y\nu,v;0;a\nu,v;1;b\n", &options());
    assert_eq!(dataset.feature_names, ["last, first=u,v", "z"]);
    let (dataset, _) = read("x,y\n\"a, \"\"b\"\"\nc\",1\nd,0\n", &options());
    assert_eq!(dataset.feature_names, ["x=a, \"b\"\nc", "x=d"]);
    // Inches.
    let (dataset, _) = read("x,y\n1,a\n5\",b\n", &options());
    assert_eq!(dataset.feature_names, ["x=1", "x=5\""]);
}

#[test]
fn ignored_columns_are_not_looked_at() {
    let ignore = vec!["id".to_owned(), String::new()];
    let options = CsvSource {
        ignore,
        ..options()
    };
    let (dataset, _) = read(",id,x,y\n,NA,1,a\ninf,,2,b\n", &options);
    assert_eq!(dataset.feature_names, ["x"]);
}

#[test]
fn rows_with_missing_cells_are_left_out() {
    let missing = Missing::DropRow;
    let options = CsvSource {
        missing,
        ..options()
    };
    let (dataset, _) = read("x,y\n1,a\n,b\n3,c\n9,\n", &options);
    assert_eq!(floats(&dataset), [-1.0, 1.0]);
    assert_eq!(classes(&dataset), (vec!["a", "c"], &[0, 1][..]));
}

#[test]
fn missing_cells_are_filled_with_mean_or_median_and_the_most_frequent() {
    let text = "x,c,y\n0,u,1.5\n0,v,1.5\n9,v,1.5\n,,1.5\n";
    for (missing, filled) in [(Missing::Mean, 3.0), (Missing::Median, 0.0)] {
        let (dataset, _) = read(
            text,
            &CsvSource {
                missing,
                ..options()
            },
        );
        let column = [0.0, 0.0, 9.0, filled];
        let mean = column.iter().sum::<f64>() / 4.0;
        let squares: f64 = column.iter().map(|x| (x - mean) * (x - mean)).sum();
        let scaled = column.map(|x| ((x - mean) / (squares / 4.0).sqrt()) as f32);
        #[rustfmt::skip]
        assert_eq!(floats(&dataset), [
            scaled[0], 1.0, 0.0,
            scaled[1], 0.0, 1.0,
            scaled[2], 0.0, 1.0,
            scaled[3], 0.0, 1.0,
        ]);
    }
}
