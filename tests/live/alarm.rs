//! A broker that takes no messages for a while.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{assert_gone, digest, live, service, text, wait_until};

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
    let epochs = ["--epochs", "100", "--neurons-per-unit", "4"];
    let local = live.local_digest(&file, &epochs);
    let (broker, api) = (
        service("CUTTLEFISH_BROKER"),
        service("CUTTLEFISH_BROKER_API"),
    );
    let given = ["--broker", &broker, "--broker-api", &api];
    let train = ["train", &file, "--target", "docker", "--json"];
    let attached = live.start(&[&train[..], &epochs, &given].concat());
    let units = || -> Vec<Value> {
        let listed = live.output(&["ps", "alarm", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        listed["units"].as_array().cloned().unwrap_or_default()
    };
    let trainer = |units: &[Value]| units.iter().find(|unit| unit["unit"] == "trainer").cloned();
    wait_until("the run trains", || {
        units()
            .iter()
            .any(|unit| unit["unit"] == "hidden.0" && unit["tick"].as_f64() > Some(20.0))
    });

    let alarm = Alarm::set();
    let said = "the broker takes no messages: low on memory";
    wait_until("somebody says why", || {
        units().iter().any(|unit| unit["state"] == said)
    });
    let blocked = units()
        .into_iter()
        .find(|unit| unit["state"] == said)
        .unwrap();
    let url = format!("{}/healthz", blocked["inspect"].as_str().unwrap());
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let mut answer = ureq::Agent::from(config).get(&url).call().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body_mut().read_to_string().unwrap().trim(), said);
    assert!(live.ok(&["ps", "alarm"]).contains(said));
    let stands_at = trainer(&units()).unwrap()["generation"].clone();
    drop(alarm);

    let output = attached.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(digest(&trained), local, "{}", text(&output.stderr));
    assert!(
        trained["rewinds"].as_f64() > Some(0.0),
        "messages were lost: {stands_at}"
    );
    live.ok(&["down", "alarm"]);
    assert_gone(&live, "alarm");
}
