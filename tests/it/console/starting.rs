//! Runs that have been created and have not come up yet, and what is left of those that never did.

use super::*;

/// A table that takes about a second to be read.
fn slow(console: &Console, name: &str) -> Value {
    let path = console.home.path().join("slow.csv");
    if !path.exists() {
        let mut text = "a,b,c,d,e,y\n".to_owned();
        for row in 0..400_000 {
            text += &format!(
                "{row},{},{},0.25,{},{}.5\n",
                row % 7,
                row % 11,
                row % 13,
                row % 17
            );
        }
        std::fs::write(&path, text).expect("a file");
    }
    let path = path.display();
    new_run(&format!(
        "name: {name}\ndata: {{source: csv, path: \"{path}\", target: y}}\nnetwork:\n  \
         layers: [{{type: dense, units: 1}}]\n  loss: mean_squared_error\ntraining: {{epochs: 200}}\n"
    ))
}

/// Waits until a run is gone.
#[track_caller]
fn wait_until_gone(console: &Console, run: &str) {
    let began = Instant::now();
    while console.get(&format!("/runs/{run}")).status != 404 {
        assert!(began.elapsed() < PATIENCE, "it is there");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(console.get("/runs").json(200), json!({"runs": []}));
    assert!(!console.home.path().join(format!("runs/{run}")).exists());
}

#[test]
fn a_run_that_is_starting_is_stopped_and_removed() {
    let console = Console::start();
    assert_eq!(
        console.post("/runs", &slow(&console, "slow")).json(202)["state"],
        "starting"
    );
    assert_eq!(console.delete("/runs/slow").status, 204);
    wait_until_gone(&console, "slow");
    // It does not come up later.
    std::thread::sleep(Duration::from_secs(2));
    wait_until_gone(&console, "slow");

    console.post("/runs", &slow(&console, "slow")).json(202);
    console.post("/runs/slow/stop", &json!({})).json(202);
    let began = Instant::now();
    loop {
        let run = console.get("/runs/slow");
        // Interrupted while it came up, or right after.
        if run.status == 404 || run.json(200)["state"] == "stopped" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{}", run.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(console.get("/info").status, 200, "the console lives");
}

#[test]
fn a_command_that_is_killed_is_a_failure_and_a_key_begins_anew_what_is_gone() {
    let console = Console::start();
    let body = slow(&console, "killed").to_string();
    let send = || {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "one"),
        ];
        console.request("POST", "/runs", &headers, body.as_bytes())
    };
    send().json(202);
    let killed = Command::new("pkill")
        .args([
            "-9",
            "-f",
            &format!("{}.*killed/topology.yaml", console.home.path().display()),
        ])
        .status();
    assert!(killed.expect("pkill starts").success());
    let began = Instant::now();
    let failed = loop {
        let run = console.get("/runs/killed").json(200);
        if run["state"] == "failed" {
            break run;
        }
        assert!(began.elapsed() < PATIENCE, "{run}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let detail = failed["detail"].as_str().expect("a text");
    assert!(detail.contains("signal: 9"), "{detail}");
    // The same request is answered with what it made, be it a failure, until that is gone.
    assert_eq!(send().json(202)["state"], "failed");
    assert_eq!(console.delete("/runs/killed").status, 204);
    assert_eq!(send().json(202)["state"], "starting");
    console.delete("/runs/killed");
}

#[test]
fn what_a_request_says_wrongly_starts_nothing() {
    let console = Console::start();
    let mut new = new_run(&digits("strict", 2));
    new["overwite"] = json!(true);
    let problem = console.post("/runs", &new).problem(400);
    assert!(problem.contains("overwite"), "{problem}");
    console
        .post("/runs", &new_run(&digits("strict", 2)))
        .json(202);
    console.wait_for("strict", "complete");
    for body in [json!({"epochs": "300"}), json!({"epoch": 4}), json!([])] {
        console.post("/runs/strict/resume", &body).problem(400);
    }
    let rows = vec![b'0'; 5 << 20];
    console
        .request("POST", "/runs/strict/predict", &[], &rows)
        .problem(413);
    std::fs::write(console.home.path().join("runs/strict/run.json"), "{").expect("a file");
    console.delete("/runs/strict").problem(409);
    assert!(console.home.path().join("runs/strict").exists());
}
