//! Filters as containers: the bits of the local run, with filters killed, and weights from elsewhere.

use serde_json::Value;

use crate::support::{Live, assert_gone, digest, docker, live, text, wait_until};

const NETWORK: &str = "
seed: 7
data: {source: digits, validation_split: 0.1, augmentation: {shift: 1}}
network:
  layers:
    - {type: conv2d, name: small, filters: 4, kernel_size: 3, padding: same}
    - {type: batch_normalization, activation: relu}
    - {type: max_pooling2d}
    - {type: conv2d, name: large, filters: 6, kernel_size: 3, activation: relu,
       resources: {memory: 96MiB}}
    - {type: dropout, rate: 0.1}
    - {type: flatten}
    - {type: dense, name: digit, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
training:
  batch_size: 64
  optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9}
";

fn file(live: &Live, run: &str) -> String {
    let path = live.path(&format!("{run}.yaml"));
    std::fs::write(&path, format!("name: {run}{NETWORK}")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn tick(live: &Live, run: &str, unit: &str) -> f64 {
    let output = live.output(&["ps", run, "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let units = listed["actors"].as_array().cloned().unwrap_or_default();
    let row = units.iter().find(|one| one["actor"] == unit);
    row.and_then(|one| one["tick"].as_f64()).unwrap_or(0.0)
}

#[test]
fn filters_in_containers_have_the_bits_of_the_local_run_even_when_killed() {
    let Some(live) = live() else { return };
    let file = file(&live, "filters");
    let local = live.local_digest(&file, &["--epochs", "40"]);
    let train = [
        "train", &file, "--target", "docker", "--json", "--epochs", "40",
    ];
    let attached = live.start(&train);
    // Ticks that even a run that has ended meanwhile has had.
    for (filter, ticks) in [("large.2", 20.0), ("small.1", 60.0)] {
        wait_until("the filter works", || {
            tick(&live, "filters", filter) > ticks
        });
        docker(&["kill", &format!("cf.filters.{filter}")]);
    }
    let output = attached.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(digest(&trained), local);
    let limits = docker(&[
        "inspect",
        "--format",
        "{{.HostConfig.Memory}}",
        "cf.filters.large.0",
        "cf.filters.digit.0",
    ]);
    assert_eq!(limits, ["100663296", "67108864"]);

    // As if these weights came from another program.
    let weights = live.path("filters.safetensors");
    let weights = weights.to_str().unwrap();
    live.ok(&["export", "filters", "-o", weights]);
    live.ok(&["down", "filters"]);
    assert_gone(&live, "filters");
    let import = ["import", weights, "--into", &file, "--target", "docker"];
    live.ok(&[&import[..], &["--neurons-per-unit", "3", "--epochs", "0"]].concat());
    wait_until("it has the weights", || {
        live.ok(&["digest", "filters"]).contains(&local)
    });
    live.ok(&["down", "filters"]);
    assert_gone(&live, "filters");
}
