//! How containers are said to Kubernetes.

use std::collections::BTreeSet;
use std::path::Path;

use cuttlefish::config::ContainerConfig;
use cuttlefish::deploy::bundle::FIRST_LINE;
use cuttlefish::deploy::docker::desired::{Container, Role, Site, containers, recorder};
use cuttlefish::deploy::kubernetes::{Data, Error, Names, Run, documents, manifests};
use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{Problems, yaml};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{document, graph, in_a_directory};
use crate::snapshot::assert_text;

const DATA: Data = Data::Inside("rows.ctlf", b"CTLFROWS");

fn of(sets: &[&str]) -> Vec<Container> {
    let site = Site {
        user: "65532:65532".to_owned(),
        store_environment: vec![(
            "AWS_ENDPOINT_URL_DYNAMODB".to_owned(),
            "http://cf-shapes-store:8000".to_owned(),
        )],
        feed: Feed::Broadcast,
        ..in_a_directory()
    };
    let document = document(sets);
    let graph = graph(&document);
    let mut all = vec![recorder(&graph, &site, Path::new("./record/record.json"))];
    all.extend(containers(&graph, &site));
    all
}

fn secrets() -> Vec<(String, String)> {
    let files = [
        (
            "actor/broker",
            "amqp://cf.shapes.actor:1@cf-shapes-broker:5672/cf.shapes",
        ),
        ("actor/token", "2"),
        (
            "trainer/broker",
            "amqp://cf.shapes.trainer:3@cf-shapes-broker:5672/cf.shapes",
        ),
        ("store/access-key", "4"),
        (
            "broker/rabbitmq.conf",
            "heartbeat = 10\n\n# Why.\nchannel_max = 64\n",
        ),
        ("admin", "for the command alone"),
    ];
    files
        .map(|(name, content)| (name.to_owned(), content.to_owned()))
        .to_vec()
}

fn run<'a>(
    containers: &'a [Container],
    secrets: &'a [(String, String)],
    data: Data<'a>,
) -> Run<'a> {
    Run {
        containers,
        secrets,
        record: r#"{"version":2}"#,
        data,
        store_bytes: 3 << 29,
    }
}

fn objects(containers: &[Container], data: Data) -> Vec<Value> {
    let secrets = secrets();
    documents(&Names::new("shapes"), &run(containers, &secrets, data)).unwrap()
}

/// The objects of a kind.
fn all<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<T> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect()
}

#[test]
fn a_run_is_a_stream_of_objects() {
    let (containers, secrets) = (of(&[]), secrets());
    let notes = ["one".to_owned(), "two\nlines".to_owned()];
    let run = run(&containers, &secrets, DATA);
    let text = manifests(&Names::new("shapes"), &run, &notes).unwrap();
    assert!(text.starts_with(FIRST_LINE));
    assert!(!text.contains("for the command alone"));
    assert_text("kubernetes/manifests.yaml", &text);

    let (_, documents) = text.split_once("---\n").unwrap();
    let read = documents.split("---\n").map(|document| {
        let mut problems = Problems::default();
        let node = yaml::parse(document, &mut problems);
        node.unwrap_or_else(|| panic!("{problems}")).to_json()
    });
    let read: Vec<Value> = read.collect();
    assert_eq!(read, objects(&containers, DATA));
}

/// What Kubernetes' own types make of an object: fields that they do not know are lost on the way.
fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    json!(serde_json::from_value::<T>(object.clone()).unwrap())
}

#[test]
fn every_object_is_one_that_kubernetes_knows() {
    for data in [DATA, Data::Claimed(1)] {
        for object in objects(&of(&[]), data) {
            let again = match object["kind"].as_str().unwrap() {
                "StatefulSet" => again::<StatefulSet>(&object),
                "Service" => again::<Service>(&object),
                "Secret" => again::<Secret>(&object),
                "ConfigMap" => again::<ConfigMap>(&object),
                other => panic!("{other}"),
            };
            assert_eq!(again, object);
        }
    }
}

#[test]
fn pods_are_the_containers_of_the_run_one_each() {
    let sets = [
        "network.layers[0].units=12",
        "deployment.neurons_per_unit=1",
    ];
    let containers = of(&sets);
    let mut told = BTreeSet::new();
    for set in all::<StatefulSet>(&objects(&containers, DATA), "StatefulSet") {
        let spec = set.spec.unwrap();
        let container = &spec.template.spec.unwrap().containers[0];
        if ["broker", "store"].contains(&container.name.as_str()) {
            told.insert(container.name.clone());
            continue;
        }
        for ordinal in 0..spec.replicas.unwrap() {
            let pod = format!("{}-{ordinal}", set.metadata.name.as_ref().unwrap());
            let variable = |name: &str| {
                let variables = container.env.iter().flatten();
                let variable = variables
                    .into_iter()
                    .find(|variable| variable.name == name)?;
                let value = variable.value.as_ref().unwrap_or(&pod);
                Some(value.into())
            };
            let config = ContainerConfig::new(variable).unwrap();
            assert!(told.insert(config.actor.clone()), "{}", config.actor);
        }
    }
    let wanted = containers.iter().filter(|one| one.role != Role::Record);
    assert_eq!(told, wanted.map(|one| one.actor.clone()).collect());
}

#[test]
fn every_pod_is_hardened_and_every_claim_and_volume_is_there() {
    let objects = objects(&of(&[]), Data::Claimed(5 << 30));
    let named = |kind: &str, name: &Value| {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == *name;
        objects.iter().any(|object| is_it(&object))
    };
    for set in objects
        .iter()
        .filter(|object| object["kind"] == "StatefulSet")
    {
        let name = &set["metadata"]["name"];
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(set["spec"]["podManagementPolicy"], "Parallel", "{name}");
        assert!(named("Service", &set["spec"]["serviceName"]), "{name}");
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        assert_eq!(set["spec"]["selector"]["matchLabels"], *labels, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_ne!(pod["securityContext"]["runAsUser"], 0, "{name}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        let mut volumes: BTreeSet<&str> = BTreeSet::new();
        for volume in pod["volumes"].as_array().unwrap() {
            volumes.insert(volume["name"].as_str().unwrap());
            if let Some(secret) = volume["secret"].as_object() {
                assert!(named("Secret", &secret["secretName"]), "{name}: {volume}");
            } else if let Some(config_map) = volume["configMap"].as_object() {
                assert!(named("ConfigMap", &config_map["name"]), "{name}: {volume}");
            } else {
                assert_eq!(volume["emptyDir"], json!({}), "{name}: {volume}");
            }
        }
        for claim in set["spec"]["volumeClaimTemplates"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(
                volumes.insert(claim["metadata"]["name"].as_str().unwrap()),
                "{name}"
            );
        }
        let containers = [&pod["initContainers"], &pod["containers"]];
        for container in containers.into_iter().filter_map(Value::as_array).flatten() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{name}");
            let is_broker = container["name"] == "broker";
            assert_eq!(
                security["readOnlyRootFilesystem"] == true,
                !is_broker,
                "{name}"
            );
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name}"
            );
            let mounts = container["volumeMounts"].as_array().unwrap();
            for mount in mounts {
                assert!(
                    volumes.contains(mount["name"].as_str().unwrap()),
                    "{name}: {mount}"
                );
            }
        }
    }
}

#[test]
fn a_large_data_set_is_on_a_volume_that_the_trainer_lets_somebody_fill() {
    let objects = objects(&of(&[]), Data::Claimed(5 << 30));
    assert_eq!(
        all::<ConfigMap>(&objects, "ConfigMap").len(),
        1,
        "the record"
    );
    let sets = all::<StatefulSet>(&objects, "StatefulSet");
    let is_trainer = |set: &&StatefulSet| set.metadata.name.as_deref() == Some("cf-shapes-trainer");
    let spec = sets.iter().find(is_trainer).unwrap().spec.clone().unwrap();
    let claim = json!(spec.volume_claim_templates.unwrap()[0]);
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "5Gi");
    let container = &spec.template.spec.unwrap().containers[0];
    let mounts = container.volume_mounts.as_ref().unwrap();
    let data = mounts.iter().find(|mount| mount.name == "data").unwrap();
    assert_eq!((data.read_only, data.mount_path.as_str()), (None, "/data"));
}

#[test]
fn names_that_kubernetes_would_not_take_are_refused() {
    let problem = |sets: &[&str], run_name: &str| {
        let (containers, secrets) = (of(sets), secrets());
        let run = run(&containers, &secrets, DATA);
        documents(&Names::new(run_name), &run).unwrap_err()
    };
    let long = "a-name-of-forty-characters-and-not-fewer";
    let error = problem(&[], long);
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
    assert!(error.to_string().contains("--set name=..."), "{error}");
    let error = problem(&["network.layers[0].name=store"], "shapes");
    assert!(matches!(error, Error::Twice { .. }), "{error}");
}
