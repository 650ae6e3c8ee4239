//! From YAML to a graph: every rule seen failing and passing, the exact words of messages, and
//! hostile input.

mod broken;
mod examples;
mod graph;
mod hostile;
mod overrides;
mod plan;
mod repeat;
mod roster;
mod rules;
mod yaml;

use cuttlefish_core::topology::{DataShape, Document, Graph, Grouping, TaskShape, parse};

/// A file in which nothing is wrong.
const VALID: &str = "\
name: test
data: {source: digits}
network:
  layers:
    - {type: dense, name: hidden, units: 8, activation: relu}
    - {type: dense, name: out, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
";

/// Parts of files.
const HIDDEN: &str = "{type: dense, units: 8, activation: relu}";
const DROPOUT: &str = "{type: dropout, rate: 0.5}";
const SOFTMAX: &str = "{type: dense, units: 10, activation: softmax}";
const SPARSE: &str = "sparse_categorical_crossentropy";
const BCE: &str = "binary_crossentropy";
const MSE: &str = "mean_squared_error";

/// The digits: 64 features, 10 classes.
const DIGITS: DataShape = DataShape {
    features: 64,
    image: None,
    value_bytes: 1,
    task: TaskShape::Classification { classes: 10 },
    train_rows: 1294,
    validation_rows: 143,
    test_rows: 360,
};

/// Two classes.
const BINARY: DataShape = DataShape {
    task: TaskShape::Classification { classes: 2 },
    ..DIGITS
};

/// One number.
const REGRESSION: DataShape = DataShape {
    task: TaskShape::Regression { targets: None },
    ..DIGITS
};

/// Problems of a text, as people see them.
fn problems(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    match parse(text, &overrides) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

/// A text in which nothing is wrong.
fn document(text: &str, overrides: &[&str]) -> Document {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    parse(text, &overrides).unwrap_or_else(|problems| panic!("{}", problems.render("file", text)))
}

/// The graph of a text in which nothing is wrong.
fn graph(text: &str, shape: &DataShape, grouping: Grouping) -> Graph {
    let graph = document(text, &[]).graph(shape, grouping);
    graph.unwrap_or_else(|problems| panic!("{}", problems.render("file", text)))
}

/// A file with these layers and this loss, and more keys after them.
fn file(layers: &[&str], loss: &str, more: &str) -> String {
    let layers: String = layers
        .iter()
        .map(|layer| format!("    - {layer}\n"))
        .collect();
    format!(
        "name: test\ndata: {{source: digits}}\nnetwork:\n  layers:\n{layers}  loss: {loss}\n{more}"
    )
}
