//! What the console keeps of a run goes with the run, whoever removes it.

use super::*;

/// Trains a run of this name by hand, for so many epochs.
fn train(console: &Console, name: &str, epochs: u32, more: &[&str]) {
    let file = console.home.path().join("by-hand.yaml");
    std::fs::write(&file, digits(name, epochs)).expect("a file");
    let file = file.to_str().expect("a plain path");
    console.command(&[&["train", file], more].concat());
}

/// Creates a run that comes up and fails.
fn fail(console: &Console, name: &str) {
    let topology = digits(name, 5).replace("learning_rate: 0.05", "learning_rate: 1.0e20");
    console.post("/runs", &new_run(&topology)).json(202);
    let began = Instant::now();
    while console.get(&format!("/runs/{name}")).json(200)["state"] != "failed" {
        assert!(began.elapsed() < PATIENCE, "it does not fail");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(console.get(&format!("/runs/{name}/log")).text(), "");
}

/// Asserts that a run is shown as it was trained by hand for two epochs.
#[track_caller]
fn assert_by_hand(console: &Console, name: &str) {
    let run = console.get(&format!("/runs/{name}")).json(200);
    assert_eq!(run["state"], "complete", "{run}");
    assert_eq!(run["detail"], json!(null), "{run}");
    let topology = console.get(&format!("/runs/{name}/topology"));
    assert_eq!(topology.status, 200);
    assert!(topology.text().contains("epochs: 2"), "{}", topology.text());
    console.get(&format!("/runs/{name}/log")).problem(404);
    let runs = console.get("/runs").json(200);
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
}

#[test]
fn a_run_that_is_removed_by_hand_leaves_nothing_to_the_next_of_its_name() {
    for how in ["down", "rm", "overwrite"] {
        let mut console = Console::start();
        fail(&console, "again");
        match how {
            "down" => drop(console.command(&["down", "again"])),
            "rm" => std::fs::remove_dir_all(console.home.path().join("runs/again"))
                .expect("it is there"),
            _ => {}
        }
        if how == "overwrite" {
            train(&console, "again", 2, &["--overwrite"]);
        } else {
            assert_eq!(console.get("/runs").json(200), json!({"runs": []}), "{how}");
            console.get("/runs/again/log").problem(404);
            console = console.killed_and_started_again();
            assert_eq!(console.get("/runs").json(200), json!({"runs": []}), "{how}");
            train(&console, "again", 2, &[]);
        }
        assert_by_hand(&console, "again");
        let console = console.killed_and_started_again();
        assert_by_hand(&console, "again");
    }
}

#[test]
fn a_run_that_never_came_up_is_shown_until_there_is_one_of_its_name() {
    let console = Console::start();
    // It is refused by the command alone: another process has the directory.
    let runs = console.home.path().join("runs");
    std::fs::create_dir_all(&runs).expect("a directory");
    std::fs::write(runs.join("taken"), "").expect("a file");
    console
        .post("/runs", &new_run(&digits("taken", 5)))
        .json(202);
    let failed = |console: &Console| {
        let began = Instant::now();
        loop {
            let run = console.get("/runs/taken").json(200);
            if run["state"] == "failed" {
                break run["detail"].as_str().expect("a text").to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "{run}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let detail = failed(&console);
    let console = console.killed_and_started_again();
    assert_eq!(failed(&console), detail);
    assert_eq!(
        console.get("/runs/taken/topology").text(),
        digits("taken", 5)
    );
    std::fs::remove_file(runs.join("taken")).expect("it is there");
    train(&console, "taken", 2, &[]);
    assert_by_hand(&console, "taken");
}

#[test]
fn a_replacement_that_does_not_come_up_leaves_the_run_as_it_was_and_says_why() {
    let console = Console::start();
    console
        .post("/runs", &new_run(&digits("kept", 2)))
        .json(202);
    let kept = console.wait_for("kept", "complete");
    let lock = std::fs::File::open(console.home.path().join("runs/kept/lock")).expect("a file");
    lock.lock().expect("nobody has it");
    let mut new = new_run(&digits("kept", 5));
    new["overwrite"] = json!(true);
    let began = Instant::now();
    // The first command ends a moment after its last commit.
    while console.post("/runs", &new).status != 202 {
        assert!(began.elapsed() < PATIENCE, "it is being trained");
        std::thread::sleep(Duration::from_millis(50));
    }
    let is_refused = || {
        let log = console.get("/runs/kept/log").text();
        log.contains("is working on it")
    };
    while !is_refused() {
        assert!(began.elapsed() < PATIENCE, "it is replaced");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(lock);
    let now = console.get("/runs/kept").json(200);
    assert_eq!(now["state"], "complete", "{now}");
    assert_eq!(now["weights_sha256"], kept["weights_sha256"]);
    assert_eq!(console.get("/runs/kept/topology").text(), digits("kept", 2));
    let console = console.killed_and_started_again();
    let log = console.get("/runs/kept/log").text();
    assert!(log.contains("is working on it"), "{log}");
}
