//! Services that the command reaches and containers do not: told before anything waits for them.

use std::net::SocketAddr;

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::Management;

use crate::support::{Live, Server, assert_gone, broker_address, live, service};

/// Error text of `up`, which has left nothing.
fn refusal(live: &Live, run: &str, options: &[&str]) -> String {
    let file = live.file(run, "");
    let args = [&["up", &file][..], options].concat();
    let (code, stderr) = live.fails(&args);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("containers cannot use what this machine can"),
        "{stderr}"
    );
    assert!(stderr.contains(&format!("network cf.{run}.0")), "{stderr}");
    assert!(stderr.contains("host.docker.internal is 1"), "{stderr}");
    assert_gone(live, run);
    stderr
}

#[test]
fn a_broker_that_listens_on_loopback_only_is_refused_and_nothing_is_left() {
    let Some(live) = live() else { return };
    let broker = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let api = service("CUTTLEFISH_BROKER_API");
    let proxy = Server::socat("127.0.0.1", "TCP-LISTEN", "", broker_address(&broker));
    let url = broker.at("127.0.0.1", proxy.address.port()).secret_url();
    let stderr = refusal(
        &live,
        "near-broker",
        &["--broker", &url, "--broker-api", &api],
    );
    let expected = format!(
        "connect to amqp://cf.near-broker.actor:***@host.docker.internal:{}/cf.near-broker",
        proxy.address.port()
    );
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(stderr.contains("Connection refused"), "{stderr}");
    let management = Management::new(Some(&api), &broker);
    let users = management.get("/api/users").unwrap().to_string();
    assert!(!users.contains("near-broker"), "{users}");
    let vhosts = management.get("/api/vhosts").unwrap().to_string();
    assert!(!vhosts.contains("near-broker"), "{vhosts}");
}

#[test]
fn a_store_that_listens_on_loopback_only_is_refused_and_nothing_is_left() {
    let Some(live) = live() else { return };
    let database = live.path("store.db");
    let serve = |address: SocketAddr| {
        let listen = address.to_string();
        live.command(&[
            "store",
            "--listen",
            &listen,
            "--file",
            database.to_str().unwrap(),
        ])
    };
    let store = Server::start("127.0.0.1", serve);
    let url = format!("http://{}", store.address);
    let stderr = refusal(&live, "near-store", &["--store", &url]);
    assert!(
        stderr.contains("the store failed: GetItem got no answer"),
        "{stderr}"
    );
}
