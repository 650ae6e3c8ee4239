//! A run's containers as objects of Kubernetes. Pure; held to its form by a snapshot.
//!
//! The containers are those of [`desired`](super::docker::desired), with what they mount relative to
//! their manifests ([`bundle`](super::bundle)). The units of a layer become one StatefulSet, whose pods
//! learn from their ordinals which unit they are; everybody else becomes a StatefulSet of one pod.
//!
//! | module | responsibility |
//! |---|---|
//! | `names` | what objects are called, and whether Kubernetes takes that |
//! | `pod` | a container as a pod |
//!
//! Everything is in the namespace that whoever applies it is in, so that it needs no rights beyond that.

mod names;
mod pod;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, Secret, Service, ServicePort,
    ServiceSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use super::bundle;
use super::docker::desired::{BROKER_PORT, Container, DASHBOARD_PORT, Role};
use super::yaml;
use crate::config::{ContainerConfig, StoreConfig};
pub use names::{Error, Names};
pub use pod::BROKER_USER;

/// The name of the file.
pub const FILE: &str = "manifests.yaml";

/// The most bytes of a data set, or of a record, that go into a ConfigMap. `kubectl apply` keeps a copy of an object in
/// one of its annotations, which has room for 256 KiB; as text, bytes need a third more.
pub const MOST_BYTES_INSIDE: usize = 180_000;

/// A run, as far as its containers do not say it.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Its containers, that which writes the record among them.
    pub containers: &'a [Container],
    /// Its secrets: file names, the reader's directory before a slash, and contents.
    pub secrets: &'a [(String, String)],
    /// Its record.
    pub record: &'a str,
    /// Its data set.
    pub data: Data<'a>,
    /// What its store needs.
    pub store_bytes: u64,
}

/// How the trainer gets the data set.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Among the manifests: the file's name and bytes.
    Inside(&'a str, &'a [u8]),
    /// From a claim of at least so many bytes that somebody fills.
    Claimed(u64),
}

/// An object on its way into a document.
type Document = Result<Value, serde_json::Error>;

/// All objects of a run, one document each.
///
/// # Errors
/// When Kubernetes would not take a name.
pub fn documents(names: &Names, run: &Run) -> Result<Vec<Value>, Error> {
    if run.record.len() > MOST_BYTES_INSIDE {
        return Err(Error::LargeRecord {
            bytes: run.record.len(),
        });
    }
    let sets = sets(run.containers);
    names.check(sets.iter().map(|set| set.name))?;
    let mut documents = secrets(names, run);
    documents.extend(config_maps(names, run));
    documents.extend(services(names));
    let recorder = run.containers.iter().find(|one| one.role == Role::Record);
    for set in &sets {
        documents.push(serde_json::to_value(stateful_set(
            names, run, set, recorder,
        )?));
    }
    let documents: Result<_, _> = documents.into_iter().collect();
    Ok(documents?)
}

/// The same as one stream of YAML, with `notes` at its top.
///
/// # Errors
/// As [`documents`].
pub fn manifests(names: &Names, run: &Run, notes: &[String]) -> Result<String, Error> {
    let mut text = format!("{}\n", bundle::FIRST_LINE);
    for note in notes {
        for line in note.lines() {
            text.push_str(&format!("# {line}\n"));
        }
    }
    for document in documents(names, run)? {
        text.push_str("---\n");
        text.push_str(&yaml::to_string(&document)?);
    }
    Ok(text)
}

/// Processors and bytes of memory that the cluster must have free for a run.
pub fn asked(containers: &[Container]) -> (f64, u64) {
    let lasting = containers.iter().filter(|one| one.role > Role::Record);
    lasting
        .map(pod::asked)
        .fold((0.0, 0), |(cpu, memory), one| (cpu + one.0, memory + one.1))
}

/// Containers that differ in nothing but which of a layer's units they host, in the order of these.
struct Set<'a> {
    /// What it is called within its run.
    name: &'a str,
    first: &'a Container,
    replicas: usize,
}

/// The containers that go on, in sets.
fn sets(containers: &[Container]) -> Vec<Set<'_>> {
    let mut sets: Vec<Set> = Vec::new();
    for container in containers.iter().filter(|one| one.role > Role::Record) {
        let name = set_name(container);
        match sets
            .last_mut()
            .filter(|last| last.first.role == container.role && last.name == name)
        {
            Some(set) => set.replicas += 1,
            None => sets.push(Set {
                name,
                first: container,
                replicas: 1,
            }),
        }
    }
    sets
}

/// A unit's layer, anybody else's own name.
fn set_name(container: &Container) -> &str {
    match (container.role, container.actor.rsplit_once('.')) {
        (Role::UNIT, Some((layer, _))) => layer,
        _ => &container.actor,
    }
}

fn stateful_set(
    names: &Names,
    run: &Run,
    set: &Set,
    recorder: Option<&Container>,
) -> Result<StatefulSet, Error> {
    let name = names.of_set(set.name)?;
    let labels = names.labels(Some(set.name));
    let is_service = !set.first.role.is_actor();
    // Without its record a run has nothing to train; the trainer is the one that has to wait anyway.
    let before = recorder.filter(|_| set.first.role == Role::TRAINER);
    let claims = match set.first.role {
        Role::Store => Some(vec![claim(metadata_of(bundle::STORE), run.store_bytes)]),
        Role::TRAINER => match run.data {
            Data::Claimed(bytes) => Some(vec![claim(metadata_of(bundle::DATA), bytes)]),
            Data::Inside(..) => None,
        },
        _ => None,
    };
    Ok(StatefulSet {
        metadata: names.metadata(name.clone(), Some(set.name)),
        spec: Some(StatefulSetSpec {
            service_name: Some(if is_service { name } else { names.all() }),
            replicas: Some(i32::try_from(set.replicas).map_err(|_| Error::TooMany {
                set: set.name.to_owned(),
            })?),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                ..LabelSelector::default()
            },
            template: pod::template(names, run, set.first, labels, before),
            volume_claim_templates: claims,
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

/// A Secret for each reader. They never change: who has read one would not hear of it.
fn secrets(names: &Names, run: &Run) -> Vec<Document> {
    let mut readers: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for (name, content) in run.secrets {
        // What is in no reader's directory is for the command.
        if let Some((reader, file)) = name.split_once('/') {
            let files = readers.entry(reader).or_default();
            files.insert(file.to_owned(), content.clone());
        }
    }
    let secret = |(reader, files)| Secret {
        metadata: names.metadata(names.of_secret(reader), None),
        string_data: Some(files),
        immutable: Some(true),
        ..Secret::default()
    };
    readers
        .into_iter()
        .map(|reader| serde_json::to_value(secret(reader)))
        .collect()
}

fn config_maps(names: &Names, run: &Run) -> Vec<Document> {
    let text = |text: &str| {
        Some(BTreeMap::from([(
            bundle::RECORD_FILE.to_owned(),
            text.to_owned(),
        )]))
    };
    let record = ConfigMap {
        metadata: names.metadata(names.of_part(bundle::RECORD), None),
        data: text(run.record),
        immutable: Some(true),
        ..ConfigMap::default()
    };
    let data = match run.data {
        Data::Inside(file, bytes) => Some(ConfigMap {
            metadata: names.metadata(names.of_part(bundle::DATA), None),
            binary_data: Some(BTreeMap::from([(
                file.to_owned(),
                ByteString(bytes.to_vec()),
            )])),
            immutable: Some(true),
            ..ConfigMap::default()
        }),
        Data::Claimed(_) => None,
    };
    [Some(record), data]
        .into_iter()
        .flatten()
        .map(serde_json::to_value)
        .collect()
}

/// A name for the pods of all actors, and one each for broker and store. None has an address of its own
/// (they are headless): a name leads to the pods themselves.
fn services(names: &Names) -> Vec<Document> {
    let service = |name: String, set: Option<&str>, ports: &[(&str, u16)]| Service {
        metadata: names.metadata(name, set),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(names.labels(set)),
            // Whoever is not ready is worth a look.
            publish_not_ready_addresses: set.is_none().then_some(true),
            ports: Some(
                ports
                    .iter()
                    .map(|&(name, port)| ServicePort {
                        name: Some(name.to_owned()),
                        port: i32::from(port),
                        ..ServicePort::default()
                    })
                    .collect(),
            ),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    let broker = [("amqp", BROKER_PORT), ("management", DASHBOARD_PORT)];
    [
        service(
            names.all(),
            None,
            &[("inspection", ContainerConfig::DEFAULT_PORT)],
        ),
        service(
            names.broker(),
            Some(super::docker::desired::BROKER),
            &broker,
        ),
        service(
            names.store(),
            Some(super::docker::desired::STORE),
            &[("dynamodb", StoreConfig::DEFAULT_PORT)],
        ),
    ]
    .into_iter()
    .map(serde_json::to_value)
    .collect()
}

fn metadata_of(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

/// A claim to a volume of whole gibibytes for one pod.
fn claim(metadata: ObjectMeta, bytes: u64) -> PersistentVolumeClaim {
    let size = Quantity(format!("{}Gi", bytes.div_ceil(1 << 30).max(1)));
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size)])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
