//! The released archive, as somebody without Rust uses it: in one process, in containers, as an image.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Live, assert_gone, digest, docker, live, service, text};

const IMAGE: &str = "cuttlefish-command:test";

/// The directory of the archive, unpacked.
fn unpacked(live: &Live) -> PathBuf {
    let made = Command::new("scripts/release")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the script starts");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let archive = text(&made.stdout).trim().to_owned();
    let unpacked = Command::new("tar")
        .args(["-xzf", &archive, "-C"])
        .arg(live.path(""))
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()), "{archive}");
    let name = Path::new(&archive).file_name().unwrap().to_string_lossy();
    live.path(name.trim_end_matches(".tar.gz"))
}

/// The archive's program, in its directory and in an environment that has nothing of a checkout.
fn program(live: &Live, directory: &Path, args: &[&str]) -> Output {
    Command::new(directory.join("cuttlefish"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("CUTTLEFISH_RUNS_DIR", live.path("runs"))
        .env(
            "CUTTLEFISH_BROKER_IMAGE",
            service("CUTTLEFISH_BROKER_IMAGE"),
        )
        .output()
        .expect("the program starts")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn the_archive_trains_without_rust_in_one_process_and_in_containers() {
    let Some(live) = live() else { return };
    let expected = live.local_digest("topology/digits.yaml", &["--epochs", "2"]);
    let directory = unpacked(&live);
    let args = [
        "train",
        "topology/digits.yaml",
        "--epochs",
        "2",
        "--json",
        "-q",
    ];
    let local = json(&program(&live, &directory, &args));
    assert_eq!(digest(&local), expected);

    let grouped = [
        "--target",
        "docker",
        "--neurons-per-unit",
        "16",
        "--set",
        "name=released",
    ];
    let contained = program(&live, &directory, &[&args[..], &grouped].concat());
    assert_eq!(digest(&json(&contained)), expected);
    let removed = program(&live, &directory, &["down", "released"]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    assert_gone(&live, "released");

    let context = directory.to_str().expect("a plain path");
    docker(&["build", "--quiet", "--tag", IMAGE, context]);
    let train = ["run", "--rm", IMAGE, "train", "/topology/digits.yaml"];
    let trained = docker(&[&train[..], &["--epochs", "2", "--json", "-q"]].concat());
    docker(&["image", "rm", IMAGE]);
    let trained: Value = serde_json::from_str(&trained.join("\n")).expect("one JSON document");
    assert_eq!(digest(&trained), expected);

    for (file, word) in [
        ("man/cuttlefish-train.1", "topology"),
        ("completions/cuttlefish.bash", "complete"),
        ("THIRD-PARTY-LICENCES.txt", "\ntokio "),
        ("topology/topology.schema.json", "\"$schema\""),
        ("infra/cloudformation/cuttlefish.yaml", "AWS::ECS::Cluster"),
    ] {
        let content = std::fs::read_to_string(directory.join(file)).expect(file);
        assert!(content.contains(word), "{file} has no {word}");
    }
}
