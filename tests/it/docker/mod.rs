//! What a run is on a Docker host, as far as that is a pure function: its containers, how they are
//! said to Docker, to Compose and to Kubernetes, and what its broker is started with.
//!
//! What a reader should be able to see at a glance is checked in under `tests/snapshots/`.

mod compose;
mod desired;
mod kubernetes;
mod own_services;
mod render;

use std::path::PathBuf;

use cuttlefish::deploy::docker::desired::{CONTAINERS_PER_BRIDGE, Container, Site, containers};
use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{DataShape, Document, Graph, Grouping, TaskShape, parse};

/// Two units of two neurons, then one of two.
const SHAPES: &str = "
name: shapes
data: {source: digits}
network:
  layers:
    - type: dense
      name: hidden
      units: 4
      activation: relu
      resources: {cpu: 0.5, memory: 96MiB}
    - {type: dropout, rate: 0.5}
    - {type: dense, name: shape, units: 2, activation: softmax}
  loss: sparse_categorical_crossentropy
deployment:
  neurons_per_unit: 2
  resources: {cpu: 0.1, memory: 48MiB}
";

fn document(sets: &[&str]) -> Document {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    parse(SHAPES, &sets).unwrap()
}

fn graph(document: &Document) -> Graph {
    let shape = DataShape {
        features: 64,
        image: None,
        value_bytes: 1,
        task: TaskShape::Classification { classes: 2 },
        train_rows: 100,
        validation_rows: 10,
        test_rows: 10,
    };
    document.graph(&shape, Grouping::FromFile).unwrap()
}

/// A site with a broker and a store of the run's own.
fn with_companions() -> Site {
    let dir = |name: &str| PathBuf::from("/runs/shapes").join(name);
    Site {
        image: "cuttlefish-neuron:0123456789ab".to_owned(),
        program: Some(dir("program/cuttlefish-neuron")),
        broker_image: Some("rabbitmq:4-management".to_owned()),
        own_store: true,
        has_certificates: false,
        store_environment: vec![
            (
                "AWS_ENDPOINT_URL_DYNAMODB".to_owned(),
                "http://store:8000".to_owned(),
            ),
            ("AWS_REGION".to_owned(), "local".to_owned()),
        ],
        table: "cuttlefish".to_owned(),
        user: "1000:1000".to_owned(),
        secrets_dir: dir("secrets"),
        data_dir: dir("data"),
        store_dir: dir("store"),
        per_bridge: CONTAINERS_PER_BRIDGE,
        feed: Feed::Reference,
    }
}

/// A site in a directory that can be moved.
fn in_a_directory() -> Site {
    let here = |name: &str| PathBuf::from(".").join(name);
    Site {
        program: None,
        secrets_dir: here("secrets"),
        data_dir: here("data"),
        store_dir: here("store"),
        ..with_companions()
    }
}

/// A site with a broker and a store that were there, whose hosts do not share the data.
fn with_given_services() -> Site {
    Site {
        program: None,
        broker_image: None,
        own_store: false,
        store_environment: vec![("AWS_REGION".to_owned(), "eu-west-1".to_owned())],
        table: "nets".to_owned(),
        feed: Feed::Broadcast,
        ..with_companions()
    }
}

/// The containers of [`SHAPES`] with changes.
fn shapes(sets: &[&str], site: &Site) -> Vec<Container> {
    let document = document(sets);
    containers(&graph(&document), site)
}
