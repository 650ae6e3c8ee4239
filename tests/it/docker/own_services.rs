//! What the broker of a run is started with: who may do what.

use cuttlefish::deploy::docker::desired::Role;
use cuttlefish::deploy::docker::own_services::{Names, Passwords, definitions, settings};
use cuttlefish::transport::amqp::Wiring;
use cuttlefish::transport::amqp::management::Permissions;
use regex_lite::Regex;
use serde_json::Value;

use super::{document, graph, shapes, with_companions};
use crate::snapshot::assert_snapshot;

fn passwords() -> Passwords {
    Passwords {
        admin: "of the admin".to_owned(),
        trainer: "of the trainer".to_owned(),
        actor: "of the actors".to_owned(),
    }
}

#[test]
fn users_may_do_what_they_need_and_passwords_are_not_told() {
    let passwords = passwords();
    let text = definitions(&Names::new("shapes"), &passwords);
    for password in [&passwords.admin, &passwords.trainer, &passwords.actor] {
        assert!(!text.contains(password), "{password}");
    }
    let definitions: Value = serde_json::from_str(&text).unwrap();
    assert_snapshot("docker/definitions.json", definitions);
}

#[test]
fn the_same_password_has_the_same_hash_and_another_one_another() {
    let names = Names::new("shapes");
    let text = definitions(&names, &passwords());
    assert_eq!(definitions(&names, &passwords()), text);
    let other = Passwords {
        actor: "another".to_owned(),
        ..passwords()
    };
    assert_ne!(definitions(&names, &other), text);
}

#[test]
fn the_broker_reads_its_definitions_where_they_are_mounted() {
    let containers = shapes(&[], &with_companions());
    let broker = containers.iter().find(|c| c.role == Role::Broker).unwrap();
    let settings = settings();
    let load = settings
        .lines()
        .find_map(|line| line.strip_prefix("load_definitions = "));
    let targets = broker.mounts.iter().map(|mount| mount.target.as_str());
    assert!(targets.collect::<Vec<_>>().contains(&load.unwrap()));
    assert!(broker.mounts.iter().all(|mount| !mount.writable));
}

/// Whether the broker lets somebody do something with a name: it looks for the expression anywhere
/// in the name.
fn may(expression: &str, name: &str) -> bool {
    Regex::new(expression).unwrap().is_match(name)
}

/// Everything that a run has at the broker.
fn own_names() -> Vec<String> {
    let graph = graph(&document(&["deployment.neurons_per_unit=1"]));
    let wiring = Wiring::new(&graph);
    let mut own: Vec<String> = wiring.queues.into_iter().chain(wiring.fan_outs).collect();
    own.push(wiring.exchange);
    own
}

#[test]
fn the_trainer_may_do_everything_with_all_of_its_run() {
    let Permissions {
        configure,
        write,
        read,
    } = Names::new("shapes").trainer_may();
    let own = own_names();
    // In, out and back of 4 and 2 neurons, without back of the first layer; trainer and synapse;
    // the exchanges.
    assert_eq!(own.len(), 4 * 2 + 2 * 3 + 2 + 3);
    assert!(own.iter().any(|name| name == "cf.shapes.trainer.in"));
    for name in own {
        for expression in [&configure, &write, &read] {
            assert!(may(expression, &name), "{expression} {name}");
        }
    }
}

#[test]
fn an_actor_may_send_and_listen_and_change_nothing() {
    let Permissions {
        configure,
        write,
        read,
    } = Names::new("shapes").actor_may();
    for name in own_names() {
        assert!(!may(&configure, &name), "{name}");
        assert!(may(&write, &name), "{name}");
        assert!(may(&read, &name), "{name}");
    }
}

#[test]
fn nobody_may_do_anything_with_what_is_not_the_runs() {
    let names = Names::new("shapes");
    let (trainer, actor) = (names.trainer_may(), names.actor_may());
    let expressions = [
        &trainer.configure,
        &trainer.write,
        &trainer.read,
        &actor.configure,
        &actor.write,
        &actor.read,
    ];
    for name in [
        "cf.shapes2",
        "cf.shapes2.hidden.0.in",
        "cf.shapes-2.hidden.0.in",
        "cf.shape.hidden.0.in",
        "cf.shape",
        "cfxshapes",
        "cfxshapes.hidden.0.in",
        "cf.shapesxhidden",
        "other.cf.shapes",
        "other.cf.shapes.hidden.0.in",
        "amq.direct",
        "amq.gen-cf.shapes",
        "cf",
    ] {
        for expression in expressions {
            assert!(!may(expression, name), "{expression} {name}");
        }
    }
}
