//! The rules that no schema can state, each seen failing and passing.

mod images;
mod layers;
mod split;
mod steps;
mod tables;
mod training;

use cuttlefish_core::topology::{DataShape, Grouping};

use crate::{DIGITS, document, problems};

const IMAGES: DataShape = DataShape {
    image: Some((8, 8)),
    ..DIGITS
};

/// Checks the problems of a file by itself, line by line.
fn check(text: &str, expected: &[&str]) {
    let problems = problems(text, &[]);
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines, expected, "\n{text}");
}

/// Checks the problems of a valid file with its data.
fn check_fit(text: &str, shape: &DataShape, expected: &[&str]) {
    let problems = match document(text, &[]).graph(shape, Grouping::FromFile) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    };
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines, expected, "\n{text}");
}
