//! A run in containers from its first to its last moment, with the broker and store that it brings.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{
    Live, assert_gone, containers, digest, docker, live, setting, text, wait_until,
};

/// Answer of a unit's inspection to a bearer of `token`.
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
    let names = containers("life");
    assert_eq!(names.len(), 26, "{names:?}");

    // Converging changes nothing that is as it should be.
    let stderr = live.stderr(&["up", &file]);
    assert!(stderr.contains("nothing to change"), "{stderr}");
    // The image that would have been built is the same when somebody names it.
    let image = docker(&["inspect", "-f", "{{.Config.Image}}", "cf.life.trainer"]).remove(0);
    let size = docker(&["image", "inspect", "-f", "{{.Size}}", &image]).remove(0);
    assert!(size.parse::<u64>().unwrap() <= 30_000_000, "{size} bytes");
    let stderr = live.stderr(&["up", &file, "--image", &image]);
    assert!(stderr.contains("nothing to change"), "{stderr}");
    assert_eq!(containers("life"), names);
    services_of_a_run_that_is_up_stay(&live, &file);
    assert_eq!(containers("life"), names);

    // Output that people see.
    let listed = live.json(&["ps", "life", "--json"]);
    let units = listed["actors"].as_array().unwrap();
    let find = |name: &str| units.iter().find(|unit| unit["actor"] == name).unwrap();
    let neuron = find("hidden.03");
    assert_eq!(neuron["state"], "running");
    assert_eq!(neuron["tick"].as_f64(), trained["ticks"].as_f64());
    let neurons: Vec<_> = units.iter().filter(|unit| unit["role"] == "unit").collect();
    assert_eq!(neurons.len(), 22);
    for unit in neurons {
        let private = unit["private_bytes"].as_f64().unwrap();
        assert!(private < 12e6, "{unit}");
        assert!(unit["resident_bytes"].as_f64().unwrap() > private);
    }
    assert_eq!(neuron["messages_refused"], 0.0);
    the_data_set_is_in_memory_once();
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
    answers_are_those_of_the_local_run(&live);
    a_neuron_is_inspected_where_it_is(&live, url, &state);
    assert!(
        live.ok(&["logs", "life", "trainer"])
            .contains("epoch finished")
    );
    the_log_is_followed(&live);
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
    let stderr = live.stderr(&["up", &changed]);
    assert!(stderr.contains("22 containers created"), "{stderr}");
    let longer = live.local_digest(&file, &["--epochs", "6"]);
    let resumed = live.json(&["train", "--resume", "life", "--epochs", "6", "--json"]);
    assert_eq!(digest(&resumed), longer, "resumed after a change");

    // None has a volume, though the broker's image declares one: what it keeps is in memory.
    let mut mounts = vec!["inspect", "-f", "{{range .Mounts}}{{println .Type}}{{end}}"];
    let names = containers("life");
    mounts.extend(names.iter().filter_map(|of| of.split(' ').next()));
    let mounts = docker(&mounts);
    assert!(mounts.contains(&"bind".to_owned()), "{mounts:?}");
    assert!(!mounts.contains(&"volume".to_owned()), "{mounts:?}");
    live.ok(&["down", "life"]);
    assert_gone(&live, "life");
}

/// The data set that the first layer's containers map is in memory once for all of them.
fn the_data_set_is_in_memory_once() {
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", "cf.life.hidden.03"]).remove(0);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let of_data = maps.split_once(" /data/rows.ctlf").expect("it is mapped").1;
    let kib = |what: &str| -> f64 {
        let of = of_data.split_once(&format!("\n{what}:")).unwrap().1;
        of.split_whitespace().next().unwrap().parse().unwrap()
    };
    // A page of twelve neurons and the trainer counts for each of them by its share.
    let (resident, share) = (kib("Rss"), kib("Pss"));
    assert!(
        resident > 0.0 && share < resident / 8.0,
        "{share} of {resident} KiB"
    );
}

/// `logs --follow` goes on after what there is.
fn the_log_is_followed(live: &Live) {
    let tail = live.ok(&["logs", "life", "trainer", "--tail", "2"]);
    assert_eq!(tail.lines().count(), 2, "{tail}");
    let mut following = live
        .command(&["logs", "life", "trainer", "--tail", "2", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    assert_eq!(lines, tail.lines().collect::<Vec<_>>());
    assert!(following.try_wait().unwrap().is_none(), "it goes on");
    following.kill().unwrap();
    following.wait().unwrap();
}

/// The run's weights evaluate and answer rows as those of `local`, trained on the same file.
fn answers_are_those_of_the_local_run(live: &Live) {
    for part in ["test", "validation", "train"] {
        let eval = |run| {
            let mut evaluation = live.json(&["eval", run, "--part", part, "--json"]);
            let accuracy = evaluation["evaluation"]["accuracy"].as_f64();
            assert!(accuracy.unwrap() > 0.5, "{evaluation}");
            evaluation["run"] = Value::Null;
            evaluation
        };
        assert_eq!(eval("life"), eval("local"), "{part}");
    }
    let pixel = |row: usize, i: usize| ((row * 7 + i * i) % 17).to_string();
    let row = |row| (0..64).map(|i| pixel(row, i)).collect::<Vec<_>>().join(",");
    let rows: Vec<String> = (0..20).map(row).collect();
    let input = live.path("rows.csv");
    std::fs::write(&input, rows.join("\n")).unwrap();
    let predict = |run| live.ok(&["predict", run, "--input", input.to_str().unwrap()]);
    let answers = predict("life");
    assert_eq!(answers, predict("local"));
    let classes = answers.lines().skip(1).map(|line| line.split(',').nth(1));
    let classes: BTreeSet<_> = classes.collect();
    assert!(classes.len() > 1, "rows of several classes: {answers}");
}

/// `inspect` asks the neuron itself; what the store holds of it is shown on demand, and when it
/// does not answer.
fn a_neuron_is_inspected_where_it_is(live: &Live, url: &str, state: &Value) {
    let output = live.output(&["inspect", "life/hidden/3"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    for line in ["state ", "last batch delta norm ", "messages sent "] {
        assert!(stdout.contains(&format!("\n{line}")), "{line}: {stdout}");
    }
    let url = format!("{url}/neurons/3");
    assert!(stderr.contains(&url), "{stderr}");
    assert!(stderr.contains("/secrets/token"), "{stderr}");
    let of_state = ["tick", "generation", "weight_norm", "last_batch"];
    let document = live.json(&["inspect", "life/hidden/3", "--json"]);
    assert_eq!(document["url"], url);
    for key in of_state {
        assert_eq!(document[key], state[key], "{key}");
    }
    let token = std::fs::read_to_string(document["token_file"].as_str().unwrap()).unwrap();
    assert_eq!(get(&url, &token).0, 200);
    for output in [&stdout, &stderr, &document.to_string()] {
        assert!(!output.contains(&token), "{output}");
    }

    let committed = live.json(&["inspect", "life/hidden/3", "--json", "--committed"]);
    assert_eq!(committed["weights"].as_array().unwrap().len(), 64);
    let bias = |document: &Value| document["bias"].as_f64().map(|bias| bias as f32);
    assert_eq!(bias(&committed), bias(&document));
    docker(&["pause", "cf.life.hidden.03"]);
    let output = live.output(&["inspect", "life/hidden/3", "--json"]);
    docker(&["unpause", "cf.life.hidden.03"]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("hidden.03 does not answer"), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document, committed);

    let (code, stderr) = live.fails(&["inspect", "life/hidden/12"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("has neurons 0 to 11"), "{stderr}");
}

/// Services that the environment names are for new runs; a flag that names another place is refused.
fn services_of_a_run_that_is_up_stay(live: &Live, file: &str) {
    let (broker, store) = ("amqp://u:p@127.0.0.1:1/v", "http://127.0.0.1:1");
    let mut command = live.command(&["up", file]);
    command
        .env("CUTTLEFISH_BROKER", broker)
        .env("AWS_ENDPOINT_URL_DYNAMODB", store);
    let output = command.output().unwrap();
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("nothing to change"), "{stderr}");
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
    let description = docker(&[
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
        assert!(!description.contains(&secret), "{name} in docker inspect");
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
        let units = listed["actors"].as_array().cloned().unwrap_or_default();
        units
            .iter()
            .any(|unit| unit["actor"] == "hidden.02" && unit["tick"].as_f64() > Some(40.0))
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
    for (per_unit, data) in [("8", "broadcast"), ("1", "broadcast"), ("8", "reference")] {
        let how = ["--neurons-per-unit", per_unit, "--data", data, "--down"];
        let mut args = vec!["train", &file, "--target", "docker", "--json"];
        args.extend(how);
        assert_eq!(digest(&live.json(&args)), local, "{how:?}");
        assert_gone(&live, "wire");
    }
}

#[test]
fn actors_on_several_bridges_reach_each_other_and_change_no_bit() {
    let Some(live) = live() else { return };
    let file = live.file("bridges", "");
    let local = live.local_digest(&file, &[]);
    // Trainer, synapse, 22 neurons: on three bridges.
    let detached = ["train", &file, "--target", "docker", "--detach"];
    live.ok(&[&detached[..], &["--containers-per-bridge", "9"]].concat());
    let trained = live.json(&["attach", "bridges", "--json"]);
    assert_eq!(digest(&trained), local, "let go, and attached to again");
    assert_eq!(trained["rewinds"], 0);
    let label = "label=io.cuttlefish.run=bridges";
    let networks = docker(&["network", "ls", "--filter", label, "--format", "{{.Name}}"]);
    assert_eq!(networks.len(), 3, "{networks:?}");
    // The run remembers how it is laid out.
    let names = containers("bridges");
    let stderr = live.stderr(&["up", &file]);
    assert!(stderr.contains("nothing to change"), "{stderr}");
    assert_eq!(containers("bridges"), names);
    live.ok(&["down", "bridges"]);
    assert_gone(&live, "bridges");
}

#[test]
fn a_resumed_run_keeps_its_table_and_its_feed() {
    let Some(live) = live() else { return };
    let file = live.file("kept", "");
    let longer = live.local_digest(&file, &["--epochs", "8"]);
    let docker_args = ["--target", "docker", "--neurons-per-unit", "8"];
    let mut args = vec!["train", &file, "--json"];
    args.extend(docker_args);
    args.extend(["--data", "broadcast", "--table", "nets"]);
    live.json(&args);
    // Environment of a container, and number of the containers.
    let environment = |actor: &str| {
        let name = format!("cf.kept.{actor}");
        let format = "{{range .Config.Env}}{{println .}}{{end}}";
        docker(&["inspect", "-f", format, &name])
    };
    let is_so = |actor: &str, variable: &str| environment(actor).contains(&variable.to_owned());
    let (table, feed) = ("CUTTLEFISH_TABLE=nets", "CUTTLEFISH_FEED=broadcast");
    let reads_data = |actor: &str| {
        environment(actor)
            .iter()
            .any(|v| v.starts_with("CUTTLEFISH_DATA="))
    };
    assert!(is_so("trainer", table) && is_so("trainer", feed));
    assert!(!reads_data("hidden.0"));

    live.json(&["train", "--resume", "kept", "--epochs", "5", "--json"]);
    assert!(is_so("trainer", table) && is_so("trainer", feed), "kept");
    assert!(is_so("hidden.0", table) && !reads_data("hidden.0"), "kept");

    let other_table = ["train", "--resume", "kept", "--table", "other"];
    let (_, stderr) = live.fails(&other_table);
    assert!(
        stderr.contains("the run's table cannot be changed"),
        "{stderr}"
    );
    let broker = ["--broker", "amqp://u:p@127.0.0.1:1/%2f"];
    let (_, stderr) = live.fails(&["train", "--resume", "kept", broker[0], broker[1]]);
    assert!(
        stderr.contains("the run's broker cannot be changed"),
        "{stderr}"
    );

    // Grouping and feed may change: they change no bit.
    let mut args = vec!["train", "--resume", "kept", "--epochs", "8", "--json"];
    args.extend(["--neurons-per-unit", "4", "--data", "reference"]);
    assert_eq!(digest(&live.json(&args)), longer);
    assert!(is_so("trainer", table) && !is_so("trainer", feed));
    assert!(reads_data("hidden.0"));
    // Trainer, synapse, 3 + 3 units, broker, store.
    assert_eq!(containers("kept").len(), 10);
    live.ok(&["down", "kept"]);
    assert_gone(&live, "kept");
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
