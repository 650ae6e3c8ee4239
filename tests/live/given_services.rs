//! A run at a broker that was there: with a virtual host and users of its own.

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::Management;

use crate::support::{assert_gone, digest, live, setting, wait_until};

#[test]
fn a_run_has_its_own_part_of_a_given_broker_and_leaves_none_of_it() {
    let Some(live) = live() else { return };
    let url = setting("CUTTLEFISH_BROKER").expect("scripts/test starts a broker");
    let api = setting("CUTTLEFISH_BROKER_API").expect("scripts/test starts a broker");
    let broker = Broker::parse(&url, None).unwrap();
    let management = Management::new(Some(&api), &broker);
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
    let users = || management.get("/api/users").unwrap().to_string();
    assert!(users().contains("cf.given.actor"));
    live.ok(&["down", "given"]);
    assert_gone(&live, "given");
    assert!(!users().contains("cf.given"), "users");
    let vhosts = management.get("/api/vhosts").unwrap().to_string();
    assert!(!vhosts.contains("cf.given"), "{vhosts}");
}

#[test]
fn a_wrong_password_is_named_and_leaves_nothing() {
    let Some(live) = live() else { return };
    let url = setting("CUTTLEFISH_BROKER").expect("scripts/test starts a broker");
    let broker = Broker::parse(&url, None).unwrap();
    let wrong = broker
        .for_user("cuttlefish", "wrong-one", broker.vhost())
        .secret_url();
    let file = live.file("password", "");
    let (_, stderr) = live.fails(&["up", &file, "--broker", &wrong]);
    assert!(stderr.contains("check user and password"), "{stderr}");
    assert!(!stderr.contains("wrong-one"), "{stderr}");
    assert_gone(&live, "password");
}
