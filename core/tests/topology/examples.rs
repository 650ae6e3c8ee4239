//! The files that people start from.

use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{DataShape, Grouping, Plan, schema, schema_text};

use crate::{DIGITS, graph};

const IMAGES: DataShape = DataShape {
    features: 784,
    image: Some((28, 28)),
    train_rows: 54_000,
    validation_rows: 6_000,
    test_rows: 10_000,
    ..DIGITS
};

const PICTURES: DataShape = DataShape {
    image: Some((8, 8)),
    ..DIGITS
};

#[test]
fn the_examples_are_valid() {
    for (text, shape, parameters) in [
        (include_str!("../../../topology/digits.yaml"), DIGITS, 9_610),
        (
            include_str!("../../../topology/mnist.yaml"),
            IMAGES,
            101_770,
        ),
        (
            include_str!("../../../topology/fashion-mnist.yaml"),
            IMAGES,
            235_146,
        ),
        (
            include_str!("../../../topology/lenet5.yaml"),
            IMAGES,
            61_706,
        ),
        (
            include_str!("../../../topology/cnn-fashion.yaml"),
            IMAGES,
            79_242,
        ),
        (
            include_str!("../../../topology/digits-steps.yaml"),
            PICTURES,
            8_650,
        ),
    ] {
        let hint = "# yaml-language-server: $schema=topology.schema.json\n";
        assert!(
            text.starts_with(hint),
            "an editor needs the hint in the first line"
        );
        let graph = graph(text, &shape, Grouping::FromFile);
        assert_eq!(graph.parameters(), parameters);
        Plan::new(&graph, &shape, true, Feed::Reference);
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let checked_in: serde_json::Value =
        serde_json::from_str(include_str!("../../../topology/topology.schema.json"))
            .expect("the schema is JSON");
    // Compared as values: the order of keys depends on how `serde_json` was built.
    assert_eq!(
        &checked_in,
        schema(),
        "out of date: cargo run -p cuttlefish-core --example schema > topology/topology.schema.json"
    );
    assert!(schema_text().starts_with("{\n  \"$schema\""));
}
