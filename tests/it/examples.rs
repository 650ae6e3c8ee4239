//! Programs that call the library, as `cargo test` has built them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An example's program.
fn program(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_cuttlefish")).parent();
    let program = directory.expect("a directory").join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build --release --examples",
        program.display()
    );
    program
}

fn stdout(name: &str) -> String {
    let output = Command::new(program(name)).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_program_trains_and_predicts() {
    let stdout = stdout("digits");
    assert!(stdout.contains("epoch 10: loss 0."), "{stdout}");
    assert!(stdout.contains("accuracy Some(0.9"), "{stdout}");
    assert!(stdout.contains("probabilities [[0."), "{stdout}");
}

#[test]
fn a_program_begins_with_the_weights_of_another_run() {
    let stdout = stdout("weights");
    assert!(stdout.starts_with("the kernel moved by "), "{stdout}");
}

#[test]
fn examples_are_short() {
    for entry in std::fs::read_dir("examples").expect("examples") {
        let path = entry.expect("a file").path();
        let lines = std::fs::read_to_string(&path)
            .expect("text")
            .lines()
            .count();
        assert!(lines < 40, "{} has {lines} lines", path.display());
    }
}
