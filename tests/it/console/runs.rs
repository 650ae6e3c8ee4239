//! Runs over their whole life.

use super::*;

#[test]
fn a_run_of_the_console_has_the_bits_of_the_command_line() {
    let console = Console::start();
    let created = console.post("/runs", &new_run(&digits("of-console", 3)));
    assert_eq!(created.header("location"), Some("/api/v1/runs/of-console"));
    assert_eq!(created.json(202)["name"], "of-console");
    let run = console.wait_for("of-console", "complete");
    assert_eq!(run["epoch"], 3);
    assert_eq!(run["history"].as_array().map(Vec::len), Some(3));
    assert_eq!(run["image"], json!([8, 8, 1]));

    // The file that the console shows, trained by the command.
    let shown = console.get("/runs/of-console/topology").text();
    assert_eq!(shown, digits("of-console", 3));
    let file = console.home.path().join("shown.yaml");
    std::fs::write(&file, shown).expect("a file");
    let file = file.to_str().expect("a plain path");
    let trained = console.command(&["train", file, "--set", "name=of-command", "--json"]);
    let trained: Value = serde_json::from_str(&trained).expect("a document");
    assert_eq!(run["weights_sha256"], trained["weights_sha256"]);
    assert_eq!(run["test"]["accuracy"], trained["test"]["accuracy"]);

    // What the command says of it, the console says.
    let evaluation = console.post("/runs/of-console/evaluate", &json!({"part": "test"}));
    assert_eq!(
        evaluation.json(200)["accuracy"],
        trained["test"]["accuracy"]
    );
    let exported = console.home.path().join("weights.npz");
    let exported = exported.to_str().expect("a plain path");
    console.command(&["export", "of-console", "--format", "npz", "-o", exported]);
    let download = console.get("/runs/of-console/export?format=npz");
    assert_eq!(download.status, 200);
    assert_eq!(download.body, std::fs::read(exported).expect("a file"));

    // One sample: its answer is that of its row, and the last layer says it.
    let sample = console
        .get("/runs/of-console/samples/5?part=test")
        .json(200);
    assert_eq!(sample["values"].as_array().map(Vec::len), Some(64));
    let rows = json!({"rows": [sample["values"]]});
    let predicted = console.post("/runs/of-console/predict", &rows).json(200);
    let values = json!({"values": sample["values"]});
    let responses = console
        .post("/runs/of-console/responses", &values)
        .json(200);
    assert_eq!(responses["answer"], predicted["predictions"][0]);
    let last = &responses["layers"][1]["activations"];
    let probabilities = responses["answer"]["probabilities"]
        .as_object()
        .expect("classes");
    let numbers = |values: Vec<&Value>| -> Vec<f32> {
        values
            .iter()
            .map(|value| value.as_f64().expect("a number") as f32)
            .collect()
    };
    assert_eq!(
        numbers(last.as_array().expect("activations").iter().collect()),
        numbers(probabilities.values().collect())
    );

    // Neurons of the last commit, in three forms.
    let figures = console.get("/runs/of-console/neurons").json(200);
    assert_eq!(figures["live"], false);
    assert_eq!(
        figures["layers"][0]["weight_norm"].as_array().map(Vec::len),
        Some(128)
    );
    let neuron = console
        .get("/runs/of-console/layers/hidden/neurons/3")
        .json(200);
    assert_eq!(
        neuron["weight_norm"],
        figures["layers"][0]["weight_norm"][3]
    );
    let weights = "/runs/of-console/layers/hidden/neurons/3/weights";
    let numbers = console.get(weights).json(200);
    assert_eq!(numbers["weights"].as_array().map(Vec::len), Some(64));
    assert!(
        console
            .get(&format!("{weights}?format=png"))
            .body
            .starts_with(b"\x89PNG")
    );
    assert!(
        console
            .get(&format!("{weights}?format=npy"))
            .body
            .starts_with(b"\x93NUMPY")
    );
    let wrong = console
        .get("/runs/of-console/layers/hidden/neurons/128")
        .problem(404);
    assert_eq!(wrong, "layer `hidden` has neurons 0 to 127, not `128`");

    let removed = console.delete("/runs/of-console");
    assert_eq!(removed.status, 204, "{}", removed.text());
    console.get("/runs/of-console").problem(404);
    console.get("/runs/of-console/log").problem(404);
    assert!(!console.home.path().join("runs/of-console").exists());
}

#[test]
fn a_run_goes_on_when_the_console_is_killed_and_is_found_again() {
    let console = Console::start();
    let mut new = new_run(&digits("long", 100_000));
    new["neurons_per_unit"] = json!(1);
    console.post("/runs", &new).json(202);
    console.wait_for("long", "running");
    let console = console.killed_and_started_again();
    let before = live_tick(&console);
    let after = live_tick(&console);
    assert!(after > before, "it trains on: {before}, {after}");

    // Live neurons of a local run, as those of containers.
    let neuron = console.get("/runs/long/layers/hidden/neurons/3").json(200);
    assert_eq!(neuron["live"], true, "{neuron}");
    assert!(
        neuron["last_batch"]["activation"]["mean"].is_number(),
        "{neuron}"
    );
    let problem = console
        .post("/runs/long/actors/hidden.003/kill", &json!({}))
        .problem(409);
    assert!(problem.contains("only actors in containers"), "{problem}");
    // It is in use, and says by whom.
    let problem = console.delete("/runs/long").problem(409);
    assert!(problem.contains("is working on it"), "{problem}");
    let problem = console.post("/runs", &new).problem(409);
    assert!(problem.contains("it exists already"), "{problem}");

    console.post("/runs/long/stop", &json!({})).json(202);
    let stopped = console.wait_for("long", "stopped");
    assert!(stopped["weights_sha256"].is_string());
    let problem = console.post("/runs/long/stop", &json!({})).problem(409);
    assert!(problem.contains("is not being trained"), "{problem}");

    let epochs = stopped["epoch"].as_u64().expect("a number") + 3;
    console
        .post("/runs/long/resume", &json!({"epochs": epochs}))
        .json(202);
    let complete = console.wait_for("long", "complete");
    assert_eq!(complete["epoch"], epochs);
    // Its command ends a moment after its last commit.
    let began = Instant::now();
    let problem = loop {
        let problem = console
            .post("/runs/long/resume", &json!({"epochs": 1}))
            .problem(409);
        if !problem.contains("is working on it") || began.elapsed() > PATIENCE {
            break problem;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(problem.contains("cannot end after 1"), "{problem}");
}

/// The newest tick that a neuron has applied; waits until the trainer's process shows it.
fn live_tick(console: &Console) -> u64 {
    let began = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let figures = console.get("/runs/long/neurons").json(200);
        if let Some(tick) = figures["tick"].as_u64().filter(|_| figures["live"] == true) {
            return tick;
        }
        assert!(began.elapsed() < PATIENCE, "{figures}");
    }
}

#[test]
fn a_request_that_is_sent_again_creates_nothing_more() {
    let console = Console::start();
    let body = new_run(&digits("once", 2)).to_string();
    let send = |body: &str, key: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        console.request("POST", "/runs", &headers, body.as_bytes())
    };
    send(&body, "one").json(202);
    send(&body, "one").json(202);
    console.wait_for("once", "complete");
    assert_eq!(send(&body, "one").json(202)["state"], "complete");
    let problem = send(&new_run(&digits("once", 3)).to_string(), "one").problem(422);
    assert!(problem.contains("Idempotency-Key"), "{problem}");
    let problem = send(&body, "two").problem(409);
    assert!(problem.contains("it exists already"), "{problem}");
    send(&body, "").problem(400);
}

#[test]
fn a_topology_with_mistakes_makes_nothing_and_says_where_they_are() {
    let console = Console::start();
    let wrong = digits("Wrong", 2).replace("activation: relu", "activation: rellu");
    let answer = console.post("/runs", &new_run(&wrong));
    assert!(answer.problem(422).contains("did you mean `relu`?"));
    let document = answer.json(422);
    let problems = document["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 2, "{document}");
    assert_eq!(problems[0]["path"], "name");
    assert!(problems[1]["line"].is_u64() && problems[1]["column"].is_u64());
    assert_eq!(console.get("/runs").json(200), json!({"runs": []}));

    let validation = console.post("/topologies/validate", &json!({"topology": wrong}));
    assert_eq!(validation.json(200)["problems"], document["problems"]);
    let right = json!({"topology": digits("right", 2)});
    let validation = console.post("/topologies/validate", &right).json(200);
    assert_eq!(validation["valid"], true);
    // From the form back to a text, which means the same.
    let formatted = console.post("/topologies/format", &json!({"spec": validation["spec"]}));
    let formatted = json!({"topology": formatted.json(200)["topology"]});
    let again = console.post("/topologies/validate", &formatted).json(200);
    assert_eq!(again["spec"], validation["spec"]);

    let planned = console.post("/topologies/plan", &right).json(200);
    let text = planned["text"].as_str().expect("a text");
    let file = console.home.path().join("right.yaml");
    std::fs::write(&file, digits("right", 2)).expect("a file");
    assert_eq!(
        text,
        console.command(&["plan", file.to_str().expect("a plain path")])
    );
}

#[test]
fn a_command_that_fails_is_told_with_its_own_words() {
    let console = Console::start();
    let topology = digits("diverges", 5).replace("learning_rate: 0.05", "learning_rate: 1.0e20");
    console.post("/runs", &new_run(&topology)).json(202);
    let began = Instant::now();
    let failed = loop {
        let run = console.get("/runs/diverges").json(200);
        if run["state"] == "failed" {
            break run;
        }
        assert!(began.elapsed() < PATIENCE, "{run}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let detail = failed["detail"].as_str().expect("a text");
    assert!(detail.contains("a number that is not finite"), "{detail}");
    let console = console.killed_and_started_again();
    assert_eq!(console.get("/runs/diverges").json(200)["detail"], detail);
    assert_eq!(console.remove("/runs/diverges"), 204);
}
