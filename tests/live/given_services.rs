//! A run at a broker that was there: with a virtual host and users of its own.

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::{Management, Permissions};
use serde_json::Value;

use crate::support::{assert_gone, digest, live, service, wait_until};

#[test]
fn a_run_has_its_own_part_of_a_given_broker_and_leaves_none_of_it() {
    let Some(live) = live() else { return };
    let (url, api) = (
        service("CUTTLEFISH_BROKER"),
        service("CUTTLEFISH_BROKER_API"),
    );
    let management = Management::new(Some(&api), &Broker::parse(&url, None).unwrap());
    let file = live.file("given", "");
    let local = live.local_digest(&file, &[]);
    let broker = ["--broker", &url, "--broker-api", &api];
    let mut args = vec![
        "train",
        &file,
        "--target",
        "docker",
        "--json",
        "--neurons-per-unit",
        "4",
    ];
    args.extend(broker);
    assert_eq!(digest(&live.json(&args)), local);
    let queues = || management.queues("cf.given", "cf.given.").unwrap();
    // In, out and back of 3 + 3 units, the first layer without back; trainer and synapse.
    assert_eq!(queues().len(), 3 * 2 + 3 * 3 + 2);
    // The broker counts consumers every second.
    wait_until("somebody listens to every queue", || {
        queues().iter().all(|queue| queue.consumers == 1)
    });
    // Connections report every few seconds.
    wait_until("every actor has one connection, with its name", || {
        let connections = management.get("/api/vhosts/cf.given/connections");
        let connections = connections.unwrap().as_array().cloned().unwrap_or_default();
        let name = |of: &Value| {
            of["client_properties"]["connection_name"]
                .as_str()
                .map(str::to_owned)
        };
        let mut names: Vec<String> = connections.iter().filter_map(name).collect();
        names.sort();
        names == names_of_connections()
    });
    let users = || management.get("/api/users").unwrap().to_string();
    assert!(users().contains("cf.given.actor"));
    live.ok(&["down", "given"]);
    assert_gone(&live, "given");
    assert!(!users().contains("cf.given"), "users");
    let vhosts = management.get("/api/vhosts").unwrap().to_string();
    assert!(!vhosts.contains("cf.given"), "{vhosts}");
}

/// The actors of `given`, and the trainer's second one.
fn names_of_connections() -> Vec<String> {
    let units = |layer| (0..3).map(move |unit| format!("cf.given.{layer}.{unit}"));
    let others = ["synapse.hidden-digit", "trainer", "trainer wires"];
    let others = others.map(|name| format!("cf.given.{name}"));
    units("digit")
        .chain(units("hidden"))
        .chain(others)
        .collect()
}

/// A user who may make no users and no virtual hosts is given one, and shares it with others.
#[test]
fn a_run_of_a_plain_user_leaves_none_of_its_queues() {
    let Some(live) = live() else { return };
    let broker = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let management = Management::new(Some(&service("CUTTLEFISH_BROKER_API")), &broker);
    let (vhost, user) = ("shared", "plain");
    let all = || ".*".to_owned();
    let everything = Permissions {
        configure: all(),
        write: all(),
        read: all(),
    };
    management.ensure_vhost(vhost, "of a test").unwrap();
    management.ensure_user(user, "word").unwrap();
    management.permit(vhost, user, &everything).unwrap();
    let plain = broker.for_user(user, "word", vhost).secret_url();
    let file = live.file("plain", "");
    let local = live.local_digest(&file, &[]);
    let mut args = vec!["train", &file, "--target", "docker", "--json"];
    args.extend(["--neurons-per-unit", "4", "--broker", &plain]);
    assert_eq!(digest(&live.json(&args)), local);
    let queues = || management.queues(vhost, "").unwrap();
    assert_eq!(queues().len(), 3 * 2 + 3 * 3 + 2);
    let users = management.get("/api/users").unwrap().to_string();
    assert!(!users.contains("cf.plain"), "{users}");
    live.ok(&["down", "plain"]);
    assert_gone(&live, "plain");
    let remaining = queues();
    assert!(remaining.is_empty(), "{remaining:?}");
    let exchanges = format!("/api/exchanges/{vhost}");
    let exchanges = management.get(&exchanges).unwrap().to_string();
    assert!(!exchanges.contains("cf."), "{exchanges}");
    management.remove_vhost(vhost).unwrap();
    management.remove_user(user).unwrap();
}

#[test]
fn a_wrong_password_is_named_and_leaves_nothing() {
    let Some(live) = live() else { return };
    let broker = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let wrong = broker
        .for_user("cuttlefish", "wrong-one", broker.vhost())
        .secret_url();
    let file = live.file("password", "");
    let (_, stderr) = live.fails(&["up", &file, "--broker", &wrong]);
    assert!(stderr.contains("check user and password"), "{stderr}");
    assert!(!stderr.contains("wrong-one"), "{stderr}");
    assert_gone(&live, "password");
}
