//! What can go wrong before anything trains: each with an error that says what, and nothing left.

use crate::support::{assert_gone, docker, live};

#[test]
fn bad_hosts_brokers_stores_and_images_are_named_and_leave_nothing() {
    let Some(live) = live() else { return };
    let file = live.file("bad", "");
    let cases: [(&[&str], &str); 5] = [
        (
            &["--broker", "amqp://u:secret@127.0.0.1:1/%2f"],
            "failed to connect to amqp://u:***@127.0.0.1:1",
        ),
        (
            &["--broker", "http://127.0.0.1"],
            "the broker's address is not valid",
        ),
        (
            &["--image", "no-such-image:1"],
            "failed to find the neuron image `no-such-image:1`",
        ),
        (
            &["--broker-image", "localhost:1/no-such-broker:1"],
            "failed to pull the broker's image `localhost:1/no-such-broker:1`",
        ),
        (
            &["--store", "dynamo"],
            "`dynamo` is neither `aws` nor a URL",
        ),
    ];
    for (options, expected) in cases {
        let mut args = vec!["up", &file];
        args.extend(options);
        let (_, stderr) = live.fails(&args);
        assert!(stderr.contains(expected), "{options:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
        assert_gone(&live, "bad");
    }
}

#[test]
fn a_store_that_cannot_be_reached_is_named_and_leaves_nothing() {
    let Some(live) = live() else { return };
    let file = live.file("no-store", "");
    let mut command = live.command(&["up", &file, "--store", "http://127.0.0.1:1"]);
    command
        .env("AWS_ACCESS_KEY_ID", "k")
        .env("AWS_SECRET_ACCESS_KEY", "s");
    let output = command.output().unwrap();
    let stderr = crate::support::text(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("the store failed"), "{stderr}");
    assert_gone(&live, "no-store");
}

#[test]
fn no_daemon_is_named() {
    let Some(live) = live() else { return };
    let file = live.file("no-daemon", "");
    let mut command = live.command(&["up", &file]);
    let socket = live.path("no.sock");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let output = command.output().unwrap();
    let stderr = crate::support::text(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("failed to reach Docker"), "{stderr}");
    assert_gone(&live, "no-daemon");
}

#[test]
fn a_name_that_somebody_else_has_is_refused_and_theirs_is_left_alone() {
    let Some(live) = live() else { return };
    let file = live.file("taken", "");
    let image = docker(&["images", "-q", "cuttlefish-neuron"]);
    let Some(image) = image.first() else {
        // The first test to bring a run up builds it.
        live.ok(&["image", "build"]);
        return a_name_that_somebody_else_has_is_refused_and_theirs_is_left_alone();
    };
    docker(&["create", "--name", "cf.taken.hidden.05", image, "store"]);
    let (_, stderr) = live.fails(&["up", &file]);
    let removed = docker(&["rm", "-f", "cf.taken.hidden.05"]);
    assert!(stderr.contains("`cf.taken.hidden.05`"), "{stderr}");
    assert_eq!(removed, ["cf.taken.hidden.05"], "it was left alone");
    assert_gone(&live, "taken");
}

#[test]
fn a_run_that_the_host_cannot_carry_is_refused_and_leaves_nothing() {
    let Some(live) = live() else { return };
    let file = live.file("too-large", "");
    let too_many = ["--set", "network.layers[0].units=20000"];
    // A layer of 4,000 in one container that may have 6 MiB.
    let too_small = [
        "--set",
        "network.layers[0].units=4000",
        "--set",
        "deployment={neurons_per_unit: 4000, resources: {cpu: 0.1, memory: 6MiB}}",
    ];
    let cases: [(&[&str], &[&str]); 2] = [
        (
            &too_many,
            &[
                "processes and threads: 500,",
                "memory, expected use: ",
                "--neurons-per-unit",
            ],
        ),
        (
            &too_small,
            &[
                "one container of units of hidden: ",
                "6.0 MiB available",
                "deployment.resources.memory",
            ],
        ),
    ];
    for (options, expected) in cases {
        for command in [&["up", &file][..], &["train", &file, "--target", "docker"]] {
            let args = [command, options].concat();
            let (_, stderr) = live.fails(&args);
            assert!(
                stderr.contains("run `too-large` is too large for Docker "),
                "{stderr}"
            );
            for part in expected {
                assert!(stderr.contains(part), "{part}: {stderr}");
            }
            assert_gone(&live, "too-large");
        }
        let args = [&["plan", &file, "--target", "docker", "--json"], options].concat();
        let plan = live.json(&args);
        let limits = plan["limits"].as_array().expect("limits");
        assert!(
            limits.iter().any(|limit| limit["standing"] == "exceeded"),
            "{plan}"
        );
    }
    let plan = live.json(&["plan", &file, "--target", "docker", "--json"]);
    let limits = plan["limits"].as_array().expect("limits");
    assert!(
        limits.iter().all(|limit| limit["standing"] == "holds"),
        "{plan}"
    );
    assert!(plan["host"]["memory"]["most"].as_u64() > Some(0), "{plan}");
}

#[test]
fn a_run_that_is_not_to_be_replaced_by_one_too_large_stays() {
    let Some(live) = live() else { return };
    let file = live.file("stays", "");
    live.ok(&["train", &file, "--epochs", "1", "-q"]);
    let digest = live.ok(&["digest", "stays"]);
    let (_, stderr) = live.fails(&[
        "up",
        &file,
        "--overwrite",
        "--set",
        "network.layers[0].units=20000",
    ]);
    assert!(stderr.contains("nothing was made"), "{stderr}");
    assert_eq!(live.ok(&["digest", "stays"]), digest);
}
