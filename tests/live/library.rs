//! A program that trains in containers and asks one of them.

use std::path::Path;
use std::process::Command;

use crate::support::{assert_gone, live, service, text};

#[test]
fn a_program_trains_in_containers_and_asks_a_neuron() {
    let Some(live) = live() else { return };
    let directory = Path::new(env!("CARGO_BIN_EXE_cuttlefish")).parent();
    let program = directory.unwrap().join("examples/containers");
    let output = Command::new(program)
        .arg(service("CUTTLEFISH_BROKER_IMAGE"))
        .output()
        .expect("cargo test has built it");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("neuron hidden/3: {"), "{stdout}");
    assert!(stdout.contains("weights sha256 "), "{stdout}");
    assert_gone(&live, "living");
}
