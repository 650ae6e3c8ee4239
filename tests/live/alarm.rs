//! A broker that takes no messages for a while.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use cuttlefish::transport::amqp::{Broker, Session, Wiring};
use cuttlefish::transport::{Error, Link, LinkState};
use cuttlefish_core::ids::{Address, CommitPoint, Generation};
use cuttlefish_core::protocol::{Envelope, Message};
use futures_util::StreamExt;
use serde_json::Value;

use crate::support::{assert_gone, digest, docker, live, service, text, wait_until};
use crate::transport::graph;

/// The memory alarm of the broker of `scripts/services`: lifted when this is dropped.
struct Alarm {
    broker: PathBuf,
}

impl Alarm {
    fn set() -> Self {
        let tls = PathBuf::from(service("CUTTLEFISH_BROKER_TLS_DIR"));
        let alarm = Self {
            broker: tls.parent().unwrap().to_owned(),
        };
        alarm.watermark("1");
        alarm
    }

    /// The bytes from which the broker holds senders back.
    fn watermark(&self, bytes: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let output = Command::new(script)
            .arg("--dir")
            .arg(&self.broker)
            .args(["ctl", "set_vm_memory_high_watermark", "absolute", bytes])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // As infra/rabbitmq/cuttlefish.conf has it.
        self.watermark("2000000000");
    }
}

#[test]
fn a_run_waits_for_a_broker_that_takes_no_messages_and_says_why() {
    let Some(live) = live() else { return };
    let file = live.file("alarm", "");
    let epochs = ["--epochs", "200", "--neurons-per-unit", "4"];
    let local = live.local_digest(&file, &epochs);
    let (broker, api) = (
        service("CUTTLEFISH_BROKER"),
        service("CUTTLEFISH_BROKER_API"),
    );
    let broker_args = ["--broker", &broker, "--broker-api", &api];
    let train = ["train", &file, "--target", "docker", "--json"];
    let attached = live.start(&[&train[..], &epochs, &broker_args].concat());
    let units = || -> Vec<Value> {
        let listed = live.output(&["ps", "alarm", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        listed["actors"].as_array().cloned().unwrap_or_default()
    };
    wait_until("the run trains", || {
        units()
            .iter()
            .any(|unit| unit["actor"] == "hidden.0" && unit["tick"].as_f64() > Some(20.0))
    });

    // Nothing is computed meanwhile, or the run might be over before the broker is asked.
    docker(&["pause", "cf.alarm.hidden.0"]);
    let alarm = Alarm::set();
    docker(&["unpause", "cf.alarm.hidden.0"]);
    let state = "the broker takes no messages: low on memory";
    wait_until("somebody says why", || {
        units().iter().any(|unit| unit["state"] == state)
    });
    let blocked = units()
        .into_iter()
        .find(|unit| unit["state"] == state)
        .unwrap();
    let url = format!("{}/healthz", blocked["inspect"].as_str().unwrap());
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let mut answer = ureq::Agent::from(config).get(&url).call().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body_mut().read_to_string().unwrap().trim(), state);
    assert!(live.ok(&["ps", "alarm"]).contains(state));
    drop(alarm);

    let output = attached.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(digest(&trained), local, "{}", text(&output.stderr));
    live.ok(&["down", "alarm"]);
    assert_gone(&live, "alarm");
}

/// Messages that were held back are lost, and the trainer may wait for them for half an hour: it is told at
/// once by the units that boot again.
#[test]
fn a_session_whose_messages_were_held_back_ends_when_the_broker_takes_them_again() {
    let Some(_live) = live() else { return };
    let broker = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let graph = graph("held-back");
    let link = Arc::new(Link::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let opened = Session::open(&broker, &graph, Address::Trainer, &link, true).await;
        let Session {
            transport,
            mut inbox,
            ..
        } = opened.unwrap();
        let send = || {
            let envelope = Envelope {
                generation: Generation(1),
                message: Message::Rewind(CommitPoint::default()),
            };
            transport.send(Address::Synapse(0), envelope)
        };
        let alarm = Alarm::set();
        // The broker says so when it gets the first message.
        wait_until("messages are held back", || {
            send()
                == Err(Error::Blocked {
                    to: Address::Synapse(0),
                })
        });
        assert_eq!(link.state(), LinkState::Blocked("low on memory".to_owned()));
        drop(alarm);
        let ended = async { while inbox.next().await.is_some() {} };
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
        ended.expect("the session ends");
        assert_eq!(
            link.state(),
            LinkState::Lost("messages were lost while the broker took none".to_owned())
        );
        let connection = broker.connect("test", SMALL_FRAMES).await.unwrap();
        Wiring::new(&graph).remove(&connection).await.unwrap();
    });
}
