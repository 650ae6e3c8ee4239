//! Which containers a run should have.

use std::collections::{BTreeMap, BTreeSet};

use cuttlefish::deploy::docker::desired::{
    CONTAINERS_PER_BRIDGE, Container, Site, container_name, networks, probe,
};
use cuttlefish_core::data::Feed;
use serde_json::{Value, json};

use super::{document, graph, shapes, with_companions, with_given_services};
use crate::snapshot::assert_snapshot;

/// Containers as people read them, by name; what is known of the network is a hash.
fn shown(containers: &[Container]) -> Value {
    let shown = containers.iter().map(|container| {
        let Container {
            name,
            actor,
            role,
            image,
            command,
            environment,
            mounts,
            networks,
            ports,
            cpu,
            memory,
            open_files,
            user,
            actor_fingerprint,
        } = container;
        assert!(
            matches!(actor_fingerprint.len(), 0 | 64),
            "a SHA-256, or nothing"
        );
        let environment = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let mounts = mounts.iter().map(|mount| {
            let how = if mount.writable { "rw" } else { "ro" };
            format!("{}:{}:{how}", mount.source.display(), mount.target)
        });
        let shown = json!({
            "actor": actor,
            "role": role,
            "image": image,
            "command": command.join(" "),
            "environment": environment.collect::<Vec<_>>(),
            "mounts": mounts.collect::<Vec<_>>(),
            "networks": networks.join(" "),
            "ports": ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
            "cpu": cpu,
            "memory": memory.map(|bytes| format!("{} MiB", bytes >> 20)),
            "open_files": open_files,
            "user": user,
            "knows": if actor_fingerprint.is_empty() { "nothing" } else { "(sha256)" },
        });
        (name.clone(), shown)
    });
    Value::Object(shown.collect())
}

#[test]
fn a_run_brings_broker_and_store_along() {
    let containers = shapes(&[], &with_companions());
    assert_snapshot("docker/companions.json", shown(&containers));
}

#[test]
fn a_run_at_given_services_has_actors_alone_and_broadcasts() {
    let containers = shapes(&[], &with_given_services());
    assert_snapshot("docker/given_services.json", shown(&containers));
}

#[test]
fn one_bridge_too_few_means_a_second_one_that_reaches_broker_and_store() {
    let sets = [
        "network.layers[0].units=900",
        "deployment.neurons_per_unit=1",
    ];
    let containers = shapes(&sets, &with_companions());
    let mut on = BTreeMap::<&str, usize>::new();
    for container in &containers {
        for network in &container.networks {
            *on.entry(network).or_default() += 1;
        }
        if container.role.is_actor() {
            assert_eq!(container.networks.len(), 1, "{}", container.name);
        }
    }
    // 902 neurons, a synapse, the trainer; broker and store are on both.
    assert_eq!(
        on,
        BTreeMap::from([
            ("cf.shapes.0", CONTAINERS_PER_BRIDGE + 2),
            ("cf.shapes.1", 4 + 2)
        ])
    );
    assert_eq!(
        networks("shapes", 904, CONTAINERS_PER_BRIDGE),
        ["cf.shapes.0", "cf.shapes.1"]
    );
    assert_eq!(
        networks("shapes", 900, CONTAINERS_PER_BRIDGE),
        ["cf.shapes.0"]
    );
    assert_eq!(
        networks("shapes", 0, CONTAINERS_PER_BRIDGE),
        ["cf.shapes.0"]
    );
}

/// With others, an `up` of a run that is there would replace all of its containers.
#[test]
fn fingerprints_of_actors_stay_as_they_are() {
    let containers = shapes(&[], &with_given_services());
    let fingerprints = containers
        .iter()
        .map(|one| (one.actor.as_str(), one.actor_fingerprint.as_str()));
    let expected = [
        (
            "hidden.0",
            "0807b9d39cf362c3d46423d65150455a3a2d9ad4c2f8ecd69127e98cca5ba3a1",
        ),
        (
            "hidden.1",
            "c9a90c93511ee5436d1e1a6cc0cfd8a1a8b3405b3a13f67d0c803df15323b2ec",
        ),
        (
            "shape.0",
            "09afb37c8e5aa7a65578b7307e502dd2a88f29013319928cdf7ebb05bed4363b",
        ),
        (
            "synapse.hidden-shape",
            "539764f3480122d394048266c6aee1ca9c7d8460c7c49cbbd3c1d068de096c03",
        ),
        (
            "trainer",
            "b409b367fa58774ece36983d209fd7d01b4cb9f58125155d5a901c4a760977a3",
        ),
    ];
    assert_eq!(fingerprints.collect::<Vec<_>>(), expected);
    assert_eq!(
        containers[0].fingerprint(),
        "e3de110322c9e847952cb2716bd09250133e157b1ad99e580d2cff0be41cc86b"
    );
}

#[test]
fn names_are_unique_and_begin_with_the_run() {
    let containers = shapes(&["deployment.neurons_per_unit=1"], &with_companions());
    let names: BTreeSet<&str> = containers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), containers.len());
    for container in &containers {
        assert_eq!(container.name, container_name("shapes", &container.actor));
    }
}

/// The containers that have to be replaced when a run that is as `before` is to be as `after`.
fn replaced(before: &[Container], after: &[Container]) -> Vec<String> {
    let known: BTreeMap<_, _> = before.iter().map(|c| (&c.name, c.fingerprint())).collect();
    let is_other = |c: &&Container| known.get(&c.name) != Some(&c.fingerprint());
    let other = after.iter().filter(is_other);
    other.map(|c| c.actor.clone()).collect()
}

#[test]
fn a_change_replaces_what_it_is_about_and_nothing_else() {
    let site = with_companions();
    let before = shapes(&[], &site);
    let actors = ["hidden.0", "hidden.1", "shape.0", "synapse.hidden-shape"];
    let all_actors: Vec<&str> = actors.into_iter().chain(["trainer"]).collect();
    let cases: [(&str, &[&str]); 6] = [
        ("seed=0", &[]),
        ("training.epochs=77", &["trainer"]),
        (
            "network.layers[0].resources.memory=97MiB",
            &["hidden.0", "hidden.1"],
        ),
        ("deployment.resources.cpu=0.2", &["shape.0"]),
        (
            "training.optimizer={type: sgd, learning_rate: 0.3}",
            &["hidden.0", "hidden.1", "shape.0", "trainer"],
        ),
        ("training.batch_size=7", &all_actors),
    ];
    for (set, expected) in cases {
        let after = shapes(&[set], &site);
        assert_eq!(replaced(&before, &after), expected, "{set}");
    }
}

#[test]
fn a_change_of_the_site_replaces_what_it_is_about() {
    let site = with_companions();
    let before = shapes(&[], &site);
    let replaced = |site: Site| replaced(&before, &shapes(&[], &site));
    let broadcast = Site {
        feed: Feed::Broadcast,
        ..site.clone()
    };
    assert_eq!(replaced(broadcast), ["hidden.0", "hidden.1", "trainer"]);
    let image = Some("another:1".to_owned());
    let broker = Site {
        broker_image: image,
        ..site.clone()
    };
    assert_eq!(replaced(broker), ["broker"]);
    let other_program = Site {
        program: None,
        ..site.clone()
    };
    let all_actors = [
        "hidden.0",
        "hidden.1",
        "shape.0",
        "synapse.hidden-shape",
        "trainer",
    ];
    assert_eq!(replaced(other_program), all_actors);
}

/// Who is told where the certificates are that it is to trust.
fn trusting(has_certificates: bool) -> Vec<String> {
    let site = Site {
        has_certificates,
        ..with_given_services()
    };
    let graph = graph(&document(&[]));
    let mut all = shapes(&[], &site);
    all.push(probe(&graph, &site));
    let path = |container: &Container| {
        let mut environment = container.environment.iter();
        let (_, path) = environment.find(|(name, _)| name == "SSL_CERT_FILE")?;
        let mut mounts = container.mounts.iter();
        let mount = mounts.find(|mount| path.starts_with(&mount.target))?;
        Some(path.replace(&mount.target, &mount.source.display().to_string()))
    };
    let named =
        |container: Container| path(&container).map(|path| format!("{} {path}", container.actor));
    all.into_iter().filter_map(named).collect()
}

#[test]
fn who_uses_broker_and_store_is_told_whom_to_trust_where_that_matters() {
    assert_eq!(trusting(false), [""; 0]);
    let all = trusting(true);
    assert_eq!(all.len(), shapes(&[], &with_given_services()).len() + 1);
    let of = |actor: &str| {
        let start = format!("{actor} ");
        all.iter().find_map(|line| line.strip_prefix(&start))
    };
    let actors = "/runs/shapes/secrets/actor/ca-certificates.pem";
    assert_eq!(of("probe"), Some(actors));
    assert_eq!(
        of("trainer"),
        Some("/runs/shapes/secrets/trainer/ca-certificates.pem")
    );
}
