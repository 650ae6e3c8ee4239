//! Services that speak TLS: whom the command trusts there, containers trust too, and nobody else.

use std::path::PathBuf;
use std::process::Command;

use cuttlefish::transport::amqp::Broker;

use crate::support::{Live, Server, assert_gone, containers, digest, docker, live, service, text};

/// A file of `scripts/services`: `ca.pem`, `cert.pem` or `key.pem`.
fn tls(file: &str) -> String {
    let path = PathBuf::from(service("CUTTLEFISH_BROKER_TLS_DIR")).join(file);
    path.to_str().unwrap().to_owned()
}

/// The authority that signed nothing here.
fn other_authority(live: &Live) -> String {
    let (path, key) = (live.path("other-ca.pem"), live.path("other-ca.key"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Somebody else",
            "-keyout",
        ])
        .args([&key, &PathBuf::from("-out"), &path])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_run_trains_over_an_encrypted_broker_whose_authority_is_named() {
    let Some(live) = live() else { return };
    let file = live.file("amqps", "");
    let local = live.local_digest(&file, &[]);
    let (broker, ca) = (service("CUTTLEFISH_BROKER_TLS"), tls("ca.pem"));
    let api = service("CUTTLEFISH_BROKER_TLS_API");
    let mut args = vec!["train", &file, "--target", "docker", "--json"];
    args.extend([
        "--neurons-per-unit",
        "4",
        "--broker",
        &broker,
        "--broker-ca",
        &ca,
    ]);
    args.extend(["--broker-api", &api]);
    assert_eq!(digest(&live.json(&args)), local);
    // The management API is reached with the same trust.
    assert!(
        live.ok(&["ps", "amqps", "--json"])
            .contains("\"queued_messages\": 0")
    );
    // The other containers are told no more than they need.
    let environment = docker(&[
        "inspect",
        "cf.amqps.hidden.0",
        "--format",
        "{{.Config.Env}}",
    ]);
    assert!(environment[0].contains("SSL_CERT_FILE=/run/cuttlefish/ca-certificates.pem"));
    assert_eq!(
        std::fs::read_to_string(live.path("runs/amqps/secrets/actor/ca-certificates.pem")).unwrap(),
        std::fs::read_to_string(&ca).unwrap(),
        "nothing else speaks TLS here"
    );
    live.ok(&["down", "amqps"]);
    assert_gone(&live, "amqps");
}

#[test]
fn an_encrypted_broker_that_cannot_be_trusted_is_refused_and_nothing_is_left() {
    let Some(live) = live() else { return };
    let file = live.file("untrusted", "");
    let url = service("CUTTLEFISH_BROKER_TLS");
    let (ca, other) = (tls("ca.pem"), other_authority(&live));
    let key = tls("key.pem");
    let broker = Broker::parse(&url, None).unwrap();
    let elsewhere = broker.at("localhost", broker.port()).secret_url();
    let plain = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let not_tls = broker.at(plain.host(), plain.port()).secret_url();
    let cases: [(&[&str], &str); 5] = [
        (&["--broker", &url], "name the authority that signed"),
        (
            &["--broker", &url, "--broker-ca", &other],
            "name the authority that signed",
        ),
        (
            &["--broker", &elsewhere, "--broker-ca", &ca],
            "does not cover this name or address",
        ),
        (
            &["--broker", &url, "--broker-ca", &key],
            "there is no certificate in it",
        ),
        (
            &["--broker", &not_tls, "--broker-ca", &ca],
            "check the broker's certificate, and that this is its port for TLS",
        ),
    ];
    for (options, expected) in cases {
        let mut args = vec!["up", &file];
        args.extend(options);
        let (_, stderr) = live.fails(&args);
        assert!(stderr.contains(expected), "{options:?}: {stderr}");
        assert!(!stderr.contains(broker.credentials().1), "{stderr}");
        assert_gone(&live, "untrusted");
    }
}

#[test]
fn containers_trust_an_encrypted_store_as_the_command_does() {
    let Some(live) = live() else { return };
    let file = live.file("https", "");
    let local = live.local_digest(&file, &[]);
    let database = live.path("store.db");
    let store = Server::start("127.0.0.1", |address| {
        let listen = address.to_string();
        live.command(&[
            "store",
            "--listen",
            &listen,
            "--file",
            database.to_str().unwrap(),
        ])
    });
    let bridge = Broker::parse(&service("CUTTLEFISH_BROKER_TLS"), None).unwrap();
    let options = format!(",cert={},key={},verify=0", tls("cert.pem"), tls("key.pem"));
    let proxy = Server::socat(bridge.host(), "OPENSSL-LISTEN", &options, store.address);
    let url = format!("https://{}", proxy.address);

    let (_, stderr) = live.fails(&["up", &file, "--store", &url]);
    assert!(
        stderr.contains("invalid peer certificate: UnknownIssuer"),
        "{stderr}"
    );
    assert!(stderr.contains("SSL_CERT_FILE"), "{stderr}");
    assert_gone(&live, "https");

    // A person with an authority of their own names it in the environment.
    let trusting = |args: &[&str]| {
        let mut command = live.command(args);
        command
            .env("SSL_CERT_FILE", tls("ca.pem"))
            .env_remove("SSL_CERT_DIR");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let train = [
        "train", &file, "--target", "docker", "--json", "--store", &url,
    ];
    let trained = trusting(&[&train[..], &["--neurons-per-unit", "4"]].concat());
    assert_eq!(digest(&serde_json::from_str(&trained).unwrap()), local);
    assert!(
        containers("https")
            .iter()
            .all(|name| !name.starts_with("cf.https.store"))
    );
    trusting(&["down", "https"]);
    assert_gone(&live, "https");
}
