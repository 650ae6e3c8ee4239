//! Faults of every kind against a run in containers, which ends with the bits of the local one.

use serde_json::Value;

use crate::support::{Live, assert_gone, containers, digest, docker, live, text, wait_until};

const FOREVER: &str = "training.epochs=1000000";

/// Starts a run that does not end by itself.
fn start(live: &Live, file: &str, run: &str) {
    live.ok(&["up", file, "-q", "--set", FOREVER]);
    wait_until("the run trains", || tick(live, run, "trainer") > 10.0);
}

fn tick(live: &Live, run: &str, unit: &str) -> f64 {
    let output = live.output(&["ps", run, "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let units = listed["actors"].as_array().cloned().unwrap_or_default();
    let row = units.iter().find(|one| one["actor"] == unit);
    row.and_then(|one| one["tick"].as_f64()).unwrap_or(0.0)
}

/// Ends a run some epochs later, as it goes on meanwhile, and compares it with the same run in one
/// process.
fn ends_as_the_local_one(live: &Live, file: &str, run: &str) {
    let listed = live.json(&["ps", "--json"]);
    let runs = listed.as_array().expect("a list of runs");
    let row = runs.iter().find(|one| one["run"] == run).expect("the run");
    let epochs = row["epoch"].as_u64().expect("an epoch") + 50;
    let epochs = epochs.to_string();
    let trained = live.json(&[
        "train", "--resume", run, "--json", "-q", "--epochs", &epochs,
    ]);
    let local = live.local_digest(file, &["--epochs", &epochs]);
    assert_eq!(digest(&trained), local, "the bits after {epochs} epochs");
    live.ok(&["down", run]);
    assert_gone(live, run);
}

/// As `docker compose stop` and an attached command's Ctrl-C do it.
#[test]
fn a_trainer_that_is_stopped_commits_what_has_been_done() {
    let Some(live) = live() else { return };
    let file = live.file("stopped", "");
    start(&live, &file, "stopped");
    let ticks = tick(&live, "stopped", "trainer");
    docker(&["stop", "-t", "60", "cf.stopped.trainer"]);
    let committed = live.json(&["inspect", "stopped/digit/0", "--committed", "--json"]);
    let at = committed["tick"].as_f64().expect("a tick");
    assert!(at >= ticks, "committed {at}, ticks before the stop {ticks}");
    live.ok(&["down", "stopped"]);
    assert_gone(&live, "stopped");
}

#[test]
fn a_run_survives_every_kind_of_fault_with_its_bits() {
    let Some(live) = live() else { return };
    let file = live.file("chaos", "");
    start(&live, &file, "chaos");
    let output = live.output(&["chaos", "chaos", "--seed", "1", "--pause", "1s", "--json"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ending"], "enough", "{stderr}");
    assert_eq!(
        report["messages_refused"],
        serde_json::json!({}),
        "{stderr}"
    );
    let faults = report["faults"].as_array().unwrap();
    for kind in [
        "kill",
        "docker-kill",
        "freeze",
        "zombie",
        "slow",
        "slow-network",
        "replay",
        "cut",
        "broker-restart",
        "broker-kill",
        "broker-wipe",
        "full",
        "store-restart",
        "store-kill",
        "asleep",
    ] {
        let fault = faults.iter().find(|fault| fault["kind"] == kind);
        let Some(fault) = fault else {
            // Said where the caller may not kill processes of the host.
            assert!(
                stderr.contains(&format!("without {kind}: ")),
                "{kind}: {stderr}"
            );
            continue;
        };
        assert!(fault["problem"].is_null(), "{fault}");
        assert!(fault["recovered_seconds"].is_number(), "{fault}");
    }
    let ticks = |name: &str| report[name].as_u64().unwrap();
    let again = ticks("most_ticks_recomputed_in_a_rewind");
    let commit = ticks("most_ticks_in_a_commit_interval");
    assert!((1..=2 * commit).contains(&again), "{again} of {commit}");
    ends_as_the_local_one(&live, &file, "chaos");
}

#[test]
fn an_interrupted_fault_is_undone() {
    let Some(live) = live() else { return };
    let file = live.file("undone", "");
    start(&live, &file, "undone");
    let chaos = live.start(&[
        "chaos", "undone", "--only", "zombie", "--pause", "0", "--json",
    ]);
    let paused = || {
        docker(&[
            "ps",
            "-q",
            "--filter",
            "status=paused",
            "--filter",
            "name=cf.undone.",
        ])
    };
    wait_until("somebody is frozen", || !paused().is_empty());
    let pid = chaos.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    let output = chaos.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ending"], "interrupted");
    assert_eq!(paused(), [""; 0]);
    ends_as_the_local_one(&live, &file, "undone");
}

#[test]
fn only_a_run_at_work_in_containers_is_disturbed() {
    let Some(live) = live() else { return };
    let file = live.file("ended", "");
    live.ok(&["train", &file, "-q", "--set", "name=here"]);
    let (code, stderr) = live.fails(&["chaos", "here"]);
    assert!(
        code == 4 && stderr.contains("has no containers"),
        "{stderr}"
    );
    live.ok(&[
        "train",
        &file,
        "-q",
        "--target",
        "docker",
        "--neurons-per-unit",
        "12",
    ]);
    let (code, stderr) = live.fails(&["chaos", "ended"]);
    assert!(code == 4 && stderr.contains("has ended"), "{stderr}");
    docker(&["stop", "cf.ended.trainer"]);
    let (_, stderr) = live.fails(&["chaos", "ended"]);
    assert!(stderr.contains("cf.ended.trainer has exited"), "{stderr}");
    assert_eq!(containers("ended").len(), 6, "left alone");
    live.ok(&["down", "ended"]);
    assert_gone(&live, "ended");
}

/// A queue that only its neuron listens to, which cannot make it again.
#[test]
fn a_removed_queue_comes_back() {
    let Some(live) = live() else { return };
    let file = live.file("queue", "");
    start(&live, &file, "queue");
    docker(&[
        "exec",
        "cf.queue.broker",
        "rabbitmqctl",
        "-q",
        "-p",
        "cf.queue",
        "delete_queue",
        "cf.queue.hidden.03.in",
    ]);
    let before = tick(&live, "queue", "trainer");
    wait_until("the run goes on", || {
        tick(&live, "queue", "hidden.03") > before + 100.0
    });
    ends_as_the_local_one(&live, &file, "queue");
}
