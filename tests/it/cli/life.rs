//! Runs that are interrupted, killed, resumed, regrouped and looked at.

use super::*;

#[test]
fn every_grouping_ends_with_the_same_digest() {
    let program = TestProgram::new();
    let digest = |name: &str, more: &[&str]| {
        let name = format!("name={name}");
        let mut args = vec!["train", DIGITS, "--epochs", "5", "--json", "--set", &name];
        args.extend(more);
        program.json(&args)["weights_sha256"].clone()
    };
    let whole = digest("whole", &[]);
    assert_eq!(whole, digest("single", &["--neurons-per-unit", "1"]));
    assert_eq!(whole, digest("three", &["--neurons-per-unit", "3"]));
    assert_ne!(
        whole,
        digest("seed", &["--seed", "8"]),
        "another seed, other weights"
    );
    assert_ne!(
        whole,
        digest("order", &["--no-shuffle"]),
        "another order, other weights"
    );
}

#[test]
fn a_run_that_is_interrupted_and_killed_ends_with_the_bits_of_an_undisturbed_one() {
    let program = TestProgram::new();
    let calm = start(&program, &long(&["--set", "name=calm"]));
    let calm = calm.wait_with_output().expect("it ends");
    assert!(calm.status.success(), "{}", text(&calm.stderr));
    let calm: Value = serde_json::from_slice(&calm.stdout).expect("one JSON document");

    // Ctrl-C: commits, says how to go on, exit code 130. One actor a neuron, so that there is time for
    // it on a busy machine.
    let slow = ["--set", "name=rough", "--neurons-per-unit", "1"];
    let child = start(&program, &long(&slow));
    let mut tick = wait_for_commit_after(&program, "rough", 0);
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cuttlefish train --resume rough"));
    let stopped: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert!(
        stopped["ticks"].as_u64() >= Some(tick),
        "it committed when it was asked to stop"
    );

    // kill -9, twice, each with another grouping, and after a commit of its own.
    tick = stopped["ticks"].as_u64().expect("a number");
    for neurons in ["5", "1"] {
        let args = [
            "train",
            "--resume",
            "rough",
            "--neurons-per-unit",
            neurons,
            "--json",
        ];
        let mut child = start(&program, &args.map(str::to_owned));
        tick = wait_for_commit_after(&program, "rough", tick);
        signal(&child, "-KILL");
        child.wait().expect("it ends");
    }
    let rough = program.json(&["train", "--resume", "rough", "--json"]);
    assert_eq!(rough["weights_sha256"], calm["weights_sha256"]);
    assert_eq!(rough["test"], calm["test"]);
    assert_eq!(
        rough["validation"], calm["validation"],
        "metrics are those of the whole run"
    );
    assert_eq!(rough["train"], calm["train"]);
    // As are its other figures: it went back to a commit after each kill, and took the time of all four.
    assert!(rough["rewinds"].as_u64() >= Some(2), "{rough}");
    let seconds = |result: &Value| result["wall_seconds"].as_f64().expect("a number");
    assert!(seconds(&rough) > seconds(&stopped), "{rough}");
}

#[test]
fn a_finished_run_can_be_given_more_epochs() {
    let program = TestProgram::new();
    let whole = program.json(&[
        "train",
        DIGITS,
        "--epochs",
        "6",
        "--set",
        "name=whole",
        "--json",
    ]);
    program.json(&[
        "train",
        DIGITS,
        "--epochs",
        "2",
        "--set",
        "name=parts",
        "--json",
    ]);
    let parts = program.json(&["train", "--resume", "parts", "--epochs", "6", "--json"]);
    assert_eq!(parts["weights_sha256"], whole["weights_sha256"]);
    assert_eq!(parts["test"], whole["test"]);
    // Resuming what is complete changes nothing.
    let again = program.json(&["train", "--resume", "parts", "--json"]);
    assert_eq!(again["weights_sha256"], whole["weights_sha256"]);
    assert_eq!(again["rewinds"], parts["rewinds"]);
    assert!(again["samples_per_second"].as_f64() > Some(0.0), "{again}");
    let (code, stderr) = program.fails(&["train", "--resume", "parts", "--epochs", "3"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("has begun epoch 6"), "{stderr}");
    let (code, stderr) = program.fails(&["train", "--resume", "parts", "--seed", "9"]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("can change when a run is resumed"),
        "{stderr}"
    );
}

#[test]
fn no_epochs_write_the_initial_weights() {
    let program = TestProgram::new();
    let zero = program.json(&["train", DIGITS, "--epochs", "0", "--json"]);
    assert_eq!(zero["epochs"], 0);
    assert_eq!(
        zero["weights_sha256"],
        program.ok(&["digest", "digits"]).trim()
    );
    let five = program.json(&["train", "--resume", "digits", "--epochs", "5", "--json"]);
    let fresh = program.json(&["train", DIGITS, "--epochs", "5", "--overwrite", "--json"]);
    assert_eq!(five["weights_sha256"], fresh["weights_sha256"]);
}

#[test]
fn a_run_that_a_process_works_on_is_left_alone() {
    let program = TestProgram::new();
    let slow = ["--set", "name=busy", "--neurons-per-unit", "1"];
    let mut child = start(&program, &long(&slow));
    wait_for_commit_after(&program, "busy", 0);
    assert_eq!(
        program.json(&["ps", "busy", "--json"])[0]["state"],
        "running"
    );
    for args in [&["down", "busy"][..], &["train", "--resume", "busy"]] {
        let output = program.output(args);
        assert_eq!(output.status.code(), Some(4));
        let pid = child.id().to_string();
        assert!(
            text(&output.stderr).contains(&pid),
            "{}",
            text(&output.stderr)
        );
    }
    program.ok(&["inspect", "busy/hidden/0"]);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    assert_eq!(
        program.json(&["ps", "busy", "--json"])[0]["state"],
        "stopped"
    );
    program.ok(&["down", "busy"]);
}

#[test]
fn what_a_killed_process_left_half_made_is_no_run() {
    let program = TestProgram::new();
    let dir = program.home.path().join("runs/digits");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("store.db"), "").expect("an empty store");
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    let (code, _) = program.fails(&["train", DIGITS, "--epochs", "1", "-q"]);
    assert_eq!(
        code, 4,
        "a whole run is not replaced unless that is asked for"
    );
    program.ok(&["train", DIGITS, "--epochs", "2", "-q", "--overwrite"]);
    assert_eq!(program.json(&["ps", "--json"])[0]["epoch"], 2);
    assert!(
        program
            .output(&["train", DIGITS, "--overwrite", "--set", "name=b"])
            .status
            .success()
    );
}

#[test]
fn files_in_a_directory_that_is_no_run_are_left_alone() {
    let program = TestProgram::new();
    let dir = program.home.path().join("runs/digits");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("thesis.tex"), "years of work").expect("a file");
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    let kept = std::fs::read_to_string(dir.join("thesis.tex"));
    assert_eq!(kept.expect("it is there"), "years of work");
}

#[test]
fn an_end_that_would_change_the_bits_is_refused() {
    let program = TestProgram::new();
    let stopping = "training.early_stopping={monitor: validation_loss, patience: 1, min_delta: 9}";
    program.ok(&[
        "train",
        DIGITS,
        "-q",
        "--set",
        "name=early",
        "--set",
        stopping,
    ]);
    let (code, stderr) = program.fails(&["train", "--resume", "early", "--epochs", "99"]);
    assert!(
        code == 2 && stderr.contains("early stopping ended"),
        "{stderr}"
    );
    let cosine = "training.learning_rate_schedule={type: cosine}";
    program.ok(&[
        "train", DIGITS, "-q", "--epochs", "2", "--set", "name=cos", "--set", cosine,
    ]);
    let (code, stderr) = program.fails(&["train", "--resume", "cos", "--epochs", "4"]);
    assert!(code == 2 && stderr.contains("cosine schedule"), "{stderr}");
}

#[test]
fn looking_at_a_run_keeps_nobody_from_it() {
    let program = TestProgram::new();
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    std::thread::scope(|scope| {
        let watchers = [0, 1]
            .map(|_| scope.spawn(|| (0..20).for_each(|_| drop(program.ok(&["ps", "digits"])))));
        for _ in 0..15 {
            program.ok(&["train", "--resume", "digits", "-q"]);
        }
        for watcher in watchers {
            watcher.join().expect("looking does not fail");
        }
    });
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let program = TestProgram::new();
    let slow = ["--set", "name=twice", "--neurons-per-unit", "1"];
    let child = start(&program, &long(&slow));
    wait_for_commit_after(&program, "twice", 0);
    signal(&child, "-INT");
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--resume twice"));
}
