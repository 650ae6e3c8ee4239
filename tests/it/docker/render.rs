//! A container as Docker reads it.

use cuttlefish::deploy::docker::desired::Container;
use cuttlefish::deploy::docker::render;
use serde_json::{Value, json};

use super::{shapes, with_companions};
use crate::snapshot::assert_snapshot;

/// Request that creates the container of an actor. Its fingerprint, a hash of the rest, is checked here.
fn request(actor: &str) -> Value {
    let containers = shapes(&[], &with_companions());
    let is_wanted = |container: &&Container| container.actor == actor;
    let container = containers.iter().find(is_wanted).unwrap();
    let mut request = json!(render::container(container, "shapes", "0wner"));
    let fingerprint = &mut request["Labels"][render::label::FINGERPRINT];
    assert_eq!(*fingerprint, json!(container.fingerprint()));
    *fingerprint = json!("(sha256)");
    let body = request.as_object_mut().unwrap();
    body.retain(|_, value| !value.is_null());
    request
}

#[test]
fn a_unit_of_the_first_layer_is_hardened_and_reads_the_data() {
    assert_snapshot("docker/unit.json", request("hidden.0"));
}

#[test]
fn the_trainer_has_secrets_of_its_own() {
    assert_snapshot("docker/trainer.json", request("trainer"));
}

#[test]
fn the_store_writes_to_its_directory_and_nowhere_else() {
    assert_snapshot("docker/store.json", request("store"));
}

#[test]
fn the_broker_keeps_nothing() {
    assert_snapshot("docker/broker.json", request("broker"));
}

#[test]
fn a_layer_without_limits_of_its_own_has_those_of_the_deployment() {
    let host_config = &request("shape.0")["HostConfig"];
    assert_eq!(host_config["CpuShares"], 102);
    assert_eq!(host_config["Memory"], 48 << 20);
}

#[test]
fn what_is_said_of_every_container() {
    for container in shapes(&[], &with_companions()) {
        let request = request(&container.actor);
        let host = &request["HostConfig"];
        let name = &container.name;
        for (_, bindings) in host["PortBindings"].as_object().unwrap() {
            for binding in bindings.as_array().unwrap() {
                assert_eq!(binding["HostIp"], "127.0.0.1", "{name}");
            }
        }
        assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]), "{name}");
        assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{name}");
        assert_eq!(host["LogConfig"]["Config"]["max-size"], "1m", "{name}");
        assert_eq!(request["Labels"][render::label::RUN], "shapes", "{name}");
        assert_eq!(request["Labels"][render::label::OWNER], "0wner", "{name}");
        // Secrets are files; where they are is all that anybody is told.
        for variable in request["Env"].as_array().unwrap() {
            let variable = variable.as_str().unwrap();
            let (key, value) = variable.split_once('=').unwrap();
            let is_secret = ["KEY", "PASSWORD", "TOKEN", "SECRET", "CREDENTIALS"]
                .iter()
                .any(|word| key.contains(word));
            assert!(!is_secret || value.starts_with("/run/cuttlefish"), "{name}");
        }
    }
}
