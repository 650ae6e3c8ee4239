//! A run in containers from its first to its last moment, with the broker and store that it brings.

use serde_json::Value;

use crate::support::{
    Live, assert_gone, containers, digest, docker, live, setting, text, wait_until,
};

/// What a unit's inspection answers to a bearer of `token`.
fn get(url: &str, token: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let agent: ureq::Agent = config.into();
    let header = format!("Bearer {token}");
    let mut response = agent
        .get(url)
        .header("authorization", header)
        .call()
        .unwrap();
    let body = response.body_mut().read_to_vec().unwrap();
    (response.status().as_u16(), text(&body))
}

#[test]
fn a_run_in_containers_lives_and_ends_as_the_local_one() {
    let Some(live) = live() else { return };
    let file = live.file("life", "");
    let local = live.local_digest(&file, &[]);
    let trained = live.json(&["train", &file, "--target", "docker", "--json"]);
    assert_eq!(digest(&trained), local, "the bits");
    assert_eq!(trained["target"], "docker");
    assert_eq!(trained["rewinds"], 0, "an undisturbed run");
    // Trainer, synapse, 22 neurons, broker, store.
    let made = containers("life");
    assert_eq!(made.len(), 26, "{made:?}");

    // Converging changes nothing that is as it should be.
    let told = live.told(&["up", &file]);
    assert!(told.contains("nothing to change"), "{told}");
    assert_eq!(containers("life"), made);
    services_of_a_run_that_is_up_stay(&live, &file);
    assert_eq!(containers("life"), made);

    // What people see.
    let listed = live.json(&["ps", "life", "--json"]);
    let units = listed["units"].as_array().unwrap();
    let find = |name: &str| units.iter().find(|unit| unit["unit"] == name).unwrap();
    let neuron = find("hidden.03");
    assert_eq!(neuron["state"], "running");
    assert_eq!(neuron["tick"].as_f64(), trained["ticks"].as_f64());
    assert!(neuron["resident_bytes"].as_f64().unwrap() > 0.0);
    assert_eq!(neuron["messages_refused"], 0.0);
    let url = neuron["inspect"].as_str().unwrap();
    let token = std::fs::read_to_string(live.path("runs/life/secrets/token")).unwrap();
    assert_eq!(get(&format!("{url}/healthz"), "").0, 200);
    assert_eq!(get(&format!("{url}/neurons/3"), "wrong").0, 401);
    let (status, json) = get(&format!("{url}/neurons/3"), &token);
    let state: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &state["tick"]), (200, &trained["ticks"]), "{json}");
    let (status, _) = get(&format!("{url}/neurons/3/weights?format=png"), &token);
    assert_eq!(status, 200);
    assert_eq!(live.ok(&["digest", "life"]).trim(), local);
    assert!(live.ok(&["eval", "life"]).contains("accuracy"));
    assert!(
        live.ok(&["inspect", "life/hidden/3"])
            .contains("weight norm")
    );
    assert!(
        live.ok(&["logs", "life", "trainer"])
            .contains("epoch finished")
    );
    let npz = live.path("life.npz");
    live.ok(&[
        "export",
        "life",
        "--format",
        "npz",
        "-o",
        npz.to_str().unwrap(),
    ]);
    assert!(npz.exists());
    secrets_are_nowhere(&live.path("runs/life/secrets"));

    // A changed resource replaces what it is about, more epochs replace the trainer.
    let changed = live.file(
        "life",
        "deployment: {resources: {cpu: 0.1, memory: 48MiB}}\n",
    );
    let told = live.told(&["up", &changed]);
    assert!(told.contains("22 containers created"), "{told}");
    let longer = live.local_digest(&file, &["--epochs", "6"]);
    let resumed = live.json(&["train", "--resume", "life", "--epochs", "6", "--json"]);
    assert_eq!(digest(&resumed), longer, "resumed after a change");

    live.ok(&["down", "life"]);
    assert_gone(&live, "life");
}

/// What the environment names is for new runs; a flag that names another place is refused.
fn services_of_a_run_that_is_up_stay(live: &Live, file: &str) {
    let (broker, store) = ("amqp://u:p@127.0.0.1:1/v", "http://127.0.0.1:1");
    let mut named = live.command(&["up", file]);
    named
        .env("CUTTLEFISH_BROKER", broker)
        .env("AWS_ENDPOINT_URL_DYNAMODB", store);
    let output = named.output().unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("nothing to change"), "{told}");
    for (flag, place) in [("--broker", broker), ("--store", store)] {
        let (code, stderr) = live.fails(&["up", file, flag, place]);
        assert_eq!(code, 1);
        assert!(
            stderr.contains("cannot be changed while it is up"),
            "{stderr}"
        );
    }
}

/// No secret of a run is in what Docker shows of its containers.
fn secrets_are_nowhere(dir: &std::path::Path) {
    let shown = docker(&[
        "inspect",
        "cf.life.hidden.03",
        "cf.life.trainer",
        "cf.life.broker",
    ])
    .join("\n");
    let logs = docker(&["logs", "cf.life.trainer"]).join("\n");
    for name in [
        "token",
        "store/access-key",
        "broker/admin-password",
        "broker/actor-password",
    ] {
        let secret = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(secret.len() >= 32, "{name}");
        assert!(!shown.contains(&secret), "{name} in docker inspect");
        assert!(!logs.contains(&secret), "{name} in the log");
    }
}

#[test]
fn killed_neurons_and_a_killed_trainer_come_back_and_change_no_bit() {
    let Some(live) = live() else { return };
    let file = live.file("kill", "");
    let epochs = ["--epochs", "60"];
    let local = live.local_digest(&file, &epochs);
    let args = [
        "train", &file, "--target", "docker", "--json", "--epochs", "60",
    ];
    let attached = live.start(&args);
    let is_training = || {
        let listed = live.output(&["ps", "kill", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let units = listed["units"].as_array().cloned().unwrap_or_default();
        units
            .iter()
            .any(|unit| unit["unit"] == "hidden.02" && unit["tick"].as_f64() > Some(40.0))
    };
    wait_until("the run trains", is_training);
    for name in ["hidden.02", "digit.7", "trainer", "synapse.hidden-digit"] {
        docker(&["kill", &format!("cf.kill.{name}")]);
    }
    let output = attached.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("started cf.kill.hidden.02 again"),
        "{stderr}"
    );
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(digest(&trained), local, "{stderr}");
    live.ok(&["down", "kill"]);
    assert_gone(&live, "kill");
}

#[test]
fn values_on_the_wire_and_other_groupings_change_no_bit() {
    let Some(live) = live() else { return };
    let file = live.file("wire", "");
    let local = live.local_digest(&file, &[]);
    let grouped = ["--neurons-per-unit", "8", "--data", "broadcast", "--down"];
    let mut args = vec!["train", &file, "--target", "docker", "--json"];
    args.extend(grouped);
    assert_eq!(digest(&live.json(&args)), local);
    assert_gone(&live, "wire");
}

#[test]
fn an_interrupted_up_leaves_nothing() {
    let Some(live) = live() else { return };
    let file = live.file("ctrl-c", "");
    let up = live.start(&["up", &file]);
    wait_until("containers appear", || containers("ctrl-c").len() > 3);
    let pid = up.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    let output = up.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_gone(&live, "ctrl-c");
    assert!(
        setting("CUTTLEFISH_BROKER_IMAGE").is_some(),
        "the test's own broker"
    );
}
