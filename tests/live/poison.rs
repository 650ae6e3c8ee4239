//! Messages that nobody of the run has sent, and a unit that cannot work.

use cuttlefish::deploy::docker::DockerRun;
use cuttlefish::run_dir::RunDir;
use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::codec;
use cuttlefish_core::protocol::{Envelope, Message};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use serde_json::Value;

use crate::support::{Live, assert_gone, digest, docker, live, text, wait_until};

/// Entry of an actor in the output of `ps`.
fn entry(live: &Live, run: &str, actor: &str) -> Value {
    let output = live.output(&["ps", run, "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let units = listed["actors"].as_array().cloned().unwrap_or_default();
    let entry = units.into_iter().find(|unit| unit["actor"] == actor);
    entry.unwrap_or_default()
}

fn encode(generation: u64, message: Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    let generation = Generation(generation);
    let envelope = Envelope {
        generation,
        message,
    };
    codec::encode(&envelope, &mut bytes);
    bytes
}

#[test]
fn foreign_messages_are_dropped_and_counted_and_change_no_bit() {
    let Some(live) = live() else { return };
    let file = live.file("poison", "");
    let args = ["--epochs", "300", "--neurons-per-unit", "4"];
    let local = live.local_digest(&file, &args);
    let train = ["train", &file, "--target", "docker", "--json"];
    let attached = live.start(&[&train[..], &args].concat());
    wait_until("the run trains", || {
        entry(&live, "poison", "hidden.0")["tick"].as_f64() > Some(20.0)
    });
    let from = Address::Unit { layer: 0, index: 0 };
    let ready = encode(1, Message::Ready { from });
    let mut of_a_newer_release = ready.clone();
    of_a_newer_release[4] = 9;
    let poison = [
        Vec::new(),
        b"{\"hello\": \"world\"}".to_vec(),
        vec![0xff; 1 << 20],
        ready[..20].to_vec(),
        of_a_newer_release,
        // Well-formed, but nobody says so to a unit.
        ready,
    ];
    let runs = live.path("runs");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let run = RunDir::new(&runs, "poison").unwrap();
        let deployed = DockerRun::open(run).await.unwrap();
        let broker = deployed.broker().await.unwrap();
        let connection = broker.connect("poison", SMALL_FRAMES).await.unwrap();
        let connection = connection.into_client();
        let channel = connection.create_channel().await.unwrap();
        for actor in ["hidden.1", "synapse.hidden-digit", "trainer"] {
            for message in &poison {
                let published = channel.basic_publish(
                    "cf.poison".into(),
                    format!("cf.poison.{actor}.in").into(),
                    BasicPublishOptions::default(),
                    message,
                    BasicProperties::default(),
                );
                published.await.unwrap();
            }
        }
        // In the order of the protocol's own: all have left when this returns.
        connection.close(200, "done".into()).await.unwrap();
    });
    for actor in ["hidden.1", "synapse.hidden-digit", "trainer"] {
        wait_until("they are counted", || {
            entry(&live, "poison", actor)["messages_refused"].as_f64() == Some(5.0)
        });
    }
    let foreign = |actor: &str| entry(&live, "poison", actor)["messages_foreign"].as_f64();
    assert_eq!(foreign("hidden.1"), Some(1.0));
    assert_eq!(foreign("hidden.2"), Some(0.0));

    let output = attached.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(digest(&trained), local);
    assert_eq!(trained["rewinds"], 0, "{}", text(&output.stderr));
    live.ok(&["down", "poison"]);
    assert_gone(&live, "poison");
}

#[test]
fn a_unit_without_its_data_ends_the_run_by_name() {
    let Some(live) = live() else { return };
    let file = live.file("nodata", "");
    let args = ["--epochs", "600", "--neurons-per-unit", "4"];
    let train = ["train", &file, "--target", "docker", "--json"];
    let attached = live.start(&[&train[..], &args].concat());
    wait_until("the run trains", || {
        entry(&live, "nodata", "hidden.0")["tick"].as_f64() > Some(20.0)
    });
    let data = live.path("runs/nodata/data/rows.ctlf");
    std::fs::rename(&data, live.path("away")).unwrap();
    docker(&["restart", "-t", "0", "cf.nodata.hidden.0"]);
    let output = attached.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`hidden.0`: failed to "), "{stderr}");
    assert!(stderr.contains("rows.ctlf"), "{stderr}");
    assert!(entry(&live, "nodata", "hidden.0")["state"] != "restarting");

    // It is written anew, and the run goes on by that alone.
    let tick = |unit: &str| entry(&live, "nodata", unit)["tick"].as_f64();
    wait_until("the others have stopped", || tick("hidden.1").is_some());
    let stopped_at = tick("hidden.1");
    live.ok(&[&["up", &file][..], &args].concat());
    wait_until("the run trains again", || tick("hidden.0") > stopped_at);

    live.ok(&["down", "nodata"]);
    assert_gone(&live, "nodata");
}
