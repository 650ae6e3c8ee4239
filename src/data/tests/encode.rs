//! The encoder: fitted on training rows only, saved, and used on other tables.

use std::fmt::Write as _;

use cuttlefish_core::topology::spec::{CsvSource, Missing};

use super::csv::{floats, options, read};
use crate::data::Encoder;
use crate::data::csv::{CsvProblem, encode_bytes, encode_table};

const TABLE: &str = "size,colour,y\n1,red,cat\n3,blue,dog\n1,red,ant\n3,red,cat\n";

fn fit_encoder(missing: Missing) -> Encoder {
    read(
        TABLE,
        &CsvSource {
            missing,
            ..options()
        },
    )
    .1
}

#[track_caller]
fn check_problem(encoder: &Encoder, text: &str, expected: &str) {
    let problem = encode_bytes(encoder, text.as_bytes()).unwrap_err();
    assert_eq!(problem.to_string(), expected);
}

/// 50 rows; those that do not train have numbers and categories of their own.
fn outliers(options: &CsvSource) -> (String, Vec<bool>) {
    let plain = (0..50).fold("x,c,y\n".to_owned(), |mut text, i| {
        writeln!(text, "{i},u,{}", i % 2).unwrap();
        text
    });
    let split = read(&plain, options).0.split;
    let trains: Vec<bool> = (0..50).map(|row| split.train.contains(&row)).collect();
    let mut text = "x,c,y\n".to_owned();
    for (i, &train) in trains.iter().enumerate() {
        let (x, c) = match (train, i % 2) {
            (true, 0) => ("2", "u"),
            (true, _) => ("4", "v"),
            (false, _) => ("1000", "w"),
        };
        writeln!(text, "{x},{c},{}", i % 2).unwrap();
    }
    (text, trains)
}

#[test]
fn everything_is_fitted_on_training_rows_only() {
    for (test_split, validation_split) in [(0.3, 0.0), (0.0, 0.3), (0.2, 0.2)] {
        let options = CsvSource {
            test_split,
            validation_split,
            ..options()
        };
        let (text, trains) = outliers(&options);
        assert!(trains.contains(&false));
        let (dataset, encoder) = read(&text, &options);
        assert_eq!(encoder.feature_names(), ["x", "c=u", "c=v"]);
        let rows: Vec<&[f32]> = floats(&dataset).chunks(3).collect();
        let training = || rows.iter().zip(&trains).filter(|(_, train)| **train);
        let count = training().count() as f32;
        let mean = training().map(|(row, _)| row[0]).sum::<f32>() / count;
        let squares = training().map(|(row, _)| row[0] * row[0]).sum::<f32>() / count;
        assert!(mean.abs() < 1e-5 && (squares - 1.0).abs() < 1e-5);
        for (row, train) in rows.iter().zip(&trains) {
            match train {
                true => assert_eq!(row[1] + row[2], 1.0),
                // A category that no training row has is no category at all.
                false => assert!(row[0] > 100.0 && row[1..] == [0.0, 0.0]),
            }
        }
    }
}

#[test]
fn fill_is_fitted_on_training_rows_only() {
    let options = CsvSource {
        missing: Missing::Mean,
        test_split: 0.3,
        ..options()
    };
    let (text, trains) = outliers(&options);
    let test_row = trains.iter().position(|train| !train).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .map(|(i, line)| match i == test_row + 1 {
            true => format!(",,{}\n", test_row % 2),
            false => format!("{line}\n"),
        });
    let (dataset, _) = read(&lines.collect::<String>(), &options);
    let row = &floats(&dataset)[test_row * 3..][..3];
    assert_eq!(row[0], 0.0);
    // Not `w`, although it is among the most frequent of all rows.
    assert_eq!(row[1] + row[2], 1.0);
}

#[test]
fn column_without_training_values_is_refused() {
    let options = CsvSource {
        missing: Missing::Mean,
        test_split: 0.5,
        ..options()
    };
    let (text, trains) = outliers(&options);
    let lines = text.lines().enumerate().map(|(i, line)| match i {
        0 => format!("z,{line}\n"),
        _ if trains[i - 1] => format!(",{line}\n"),
        _ => format!("1,{line}\n"),
    });
    let text: String = lines.collect();
    let problem = crate::data::csv::parse(text.into_bytes(), &options).unwrap_err();
    let column = "z".to_owned();
    assert_eq!(problem, CsvProblem::NoTrainingValues { column });
}

#[test]
fn saved_encoder_encodes_the_same_bits() {
    let (dataset, encoder) = read(TABLE, &options());
    let json = serde_json::to_string(&encoder).unwrap();
    let saved: Encoder = serde_json::from_str(&json).unwrap();
    assert_eq!(saved, encoder);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, TABLE).unwrap();
    let encoded = encode_table(&saved, &path).unwrap();
    assert_eq!(encoded.values, floats(&dataset));
    assert_eq!(encoded.rows, [0, 1, 2, 3]);
    assert_eq!(encoded.lines, [2, 3, 4, 5]);
    assert!(encoded.unseen.is_empty());
    assert!(encode_table(&saved, &dir.path().join("absent.csv")).is_err());
    assert!(encode_table(&saved, dir.path()).is_err());
}

#[test]
fn order_of_columns_is_free_and_others_are_left_out() {
    let encoder = fit_encoder(Missing::Error);
    let text = "note;colour;size\ninf;blue;5\n;green;2\n";
    let encoded = encode_bytes(&encoder, text.as_bytes()).unwrap();
    assert_eq!(encoded.values, [3.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(encoded.unseen, [("colour".to_owned(), 1)]);
}

#[test]
fn missing_cells_follow_the_policy_of_training() {
    let text = "size,colour\n,red\n3,blue\n5,\n";
    let encoded = encode_bytes(&fit_encoder(Missing::Median), text.as_bytes()).unwrap();
    let filled = [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 3.0, 0.0, 1.0];
    assert_eq!(encoded.values, filled);
    let encoded = encode_bytes(&fit_encoder(Missing::DropRow), text.as_bytes()).unwrap();
    assert_eq!(
        (encoded.values, encoded.rows, encoded.lines),
        (vec![1.0, 1.0, 0.0], vec![1], vec![3])
    );
    check_problem(
        &fit_encoder(Missing::Error),
        text,
        "2 cells are missing: line 2, column `size`; line 4, column `colour` (fill them in, list \
         the column under `ignore`, or set `missing` to `mean`, `median` or `drop_row`)",
    );
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let encoder = fit_encoder(Missing::DropRow);
    check_problem(
        &encoder,
        "size,color\n1,red\n",
        "there is no column `colour`, which the network was trained with (did you mean `color`?)",
    );
    check_problem(
        &encoder,
        "size,colour,size\n1,red,2\n",
        "columns number 1 and 3 are both called `size` (rename one)",
    );
    check_problem(
        &encoder,
        "size,colour\nbig,red\n",
        "line 2, column `size`: `big` is not a number (in the table that the network was trained \
         with, all are)",
    );
    check_problem(
        &encoder,
        "size,colour\n1,red\ninf,red\n",
        "line 3, column `size`: `inf` is not a finite 32-bit number (correct it, or leave the \
         cell empty)",
    );
    check_problem(
        &encoder,
        "size,colour\n",
        "there is a header line and no rows (add one line a row)",
    );
    check_problem(
        &encoder,
        "size,colour\n,red\n",
        "each of the 1 rows has a missing cell, so none is left (choose another `missing`)",
    );
}

#[test]
fn numbers_far_from_training_stay_finite() {
    let (_, encoder) = read("x,y\n1e-38,a\n2e-38,b\n", &options());
    let encoded = encode_bytes(&encoder, b"x\n3e38\n-3e38\n").unwrap();
    assert_eq!(encoded.values, [f32::MAX, f32::MIN]);
}
