//! A container as a pod of Kubernetes: what it mounts, what it needs, what it may.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container as PodContainer, ContainerPort,
    EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, HTTPHeader, ObjectFieldSelector,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Data, Names, Run};
use crate::config::{ContainerConfig, StoreConfig};
use crate::deploy::bundle;
use crate::deploy::docker::desired::{BROKER_PORT, Container, Mount, Role};
use crate::deploy::docker::render::BROKER_DIR;

/// The user of the official broker image. Only a number proves to Kubernetes that it is not root.
pub const BROKER_USER: i64 = 999;

/// A broker's memory: half as much again as its own bound, which its settings have.
const BROKER_MEMORY: u64 = 3 << 30;
/// What it needs from the start.
const BROKER_MEMORY_AT_FIRST: u64 = 512 << 20;

/// The most of a processor that is reserved for others than units. On a Docker host a share is only a
/// weight; here a pod that asks for more than a node has left is not started at all.
const MOST_CPU_OF_OTHERS: f64 = 0.5;

/// Secrets and records can be read by the pod's group, which its user is in.
const READABLE_BY_GROUP: i32 = 0o440;
/// For a broker, whose image may have another user.
const READABLE: i32 = 0o444;

/// A trainer commits within 8 s before it ends, which Kubernetes ends by force after these.
const PATIENCE: i64 = 15;

/// The pods of a set: its first container, told by its ordinal which one it is, after `before` has ended
/// well.
pub(super) fn template(
    names: &Names,
    run: &Run,
    container: &Container,
    labels: BTreeMap<String, String>,
    before: Option<&Container>,
) -> PodTemplateSpec {
    let mut volumes = BTreeMap::new();
    for mount in before
        .into_iter()
        .chain([container])
        .flat_map(|one| &one.mounts)
    {
        let volume = volume(names, run, container.role, mount);
        volumes.insert(volume.name.clone(), volume);
    }
    if container.role == Role::Broker {
        let empty_dir = Some(EmptyDirVolumeSource::default());
        volumes.insert(
            BROKER_VOLUME.to_owned(),
            Volume {
                name: BROKER_VOLUME.to_owned(),
                empty_dir,
                ..Volume::default()
            },
        );
    }
    // Those that a claim of the set brings along are not said again.
    volumes.retain(|_, volume| *volume != claimed(&volume.name));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            init_containers: before.map(|one| vec![pod_container(run, one)]),
            containers: vec![pod_container(run, container)],
            volumes: Some(volumes.into_values().collect()),
            security_context: Some(pod_security(container)),
            // Nothing in it asks Kubernetes for anything.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(PATIENCE),
            ..PodSpec::default()
        }),
    }
}

fn pod_container(run: &Run, container: &Container) -> PodContainer {
    let ports = container.ports.iter().map(|&port| ContainerPort {
        container_port: i32::from(port),
        ..ContainerPort::default()
    });
    let mut mounts: Vec<VolumeMount> = container
        .mounts
        .iter()
        .map(|one| mounted(run, one))
        .collect();
    if container.role == Role::Broker {
        mounts.push(VolumeMount {
            name: BROKER_VOLUME.to_owned(),
            mount_path: BROKER_DIR.to_owned(),
            ..VolumeMount::default()
        });
    }
    let list = |strings: &[String]| (!strings.is_empty()).then(|| strings.to_vec());
    PodContainer {
        name: container.role.word().to_owned(),
        image: Some(container.image.clone()),
        args: list(&container.command),
        env: Some(environment(container)),
        ports: (!container.ports.is_empty()).then(|| ports.collect()),
        volume_mounts: Some(mounts),
        resources: Some(resources(container)),
        readiness_probe: readiness(container.role),
        liveness_probe: liveness(container.role),
        security_context: Some(security(container)),
        ..PodContainer::default()
    }
}

/// The variables of a container; a unit's name is completed by its pod's.
fn environment(container: &Container) -> Vec<EnvVar> {
    let told = container.environment.iter().map(|(name, value)| EnvVar {
        name: name.clone(),
        value: Some(value.clone()),
        value_from: None,
    });
    let pod = (container.role == Role::UNIT).then(|| EnvVar {
        name: ContainerConfig::POD.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                api_version: None,
            }),
            ..EnvVarSource::default()
        }),
    });
    told.chain(pod).collect()
}

/// The volume of what the broker writes.
const BROKER_VOLUME: &str = "broker";

/// The volume that a mount is from, and the file in it if it is one.
fn source(mount: &Mount) -> (String, Option<String>) {
    let path = mount.source.strip_prefix(".").unwrap_or(&mount.source);
    let secret = path.strip_prefix(bundle::SECRETS).ok();
    let mut parts = secret
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_string_lossy().into_owned());
    let first = parts.next().unwrap_or_default();
    let volume = match secret {
        Some(_) => format!("{}-{first}", bundle::SECRETS),
        None => first,
    };
    (volume, parts.next())
}

fn volume(names: &Names, run: &Run, role: Role, mount: &Mount) -> Volume {
    let (name, _) = source(mount);
    let is_inside = matches!(run.data, Data::Inside(..));
    let mode = Some(if role == Role::Broker {
        READABLE
    } else {
        READABLE_BY_GROUP
    });
    let reader = name
        .strip_prefix(bundle::SECRETS)
        .and_then(|rest| rest.strip_prefix('-'));
    if let Some(reader) = reader {
        let secret = Some(SecretVolumeSource {
            secret_name: Some(names.of_secret(reader)),
            default_mode: mode,
            ..SecretVolumeSource::default()
        });
        return Volume {
            name,
            secret,
            ..Volume::default()
        };
    }
    if name == bundle::RECORD || name == bundle::DATA && is_inside {
        let config_map = Some(ConfigMapVolumeSource {
            name: names.of_part(&name),
            default_mode: mode,
            ..ConfigMapVolumeSource::default()
        });
        return Volume {
            name,
            config_map,
            ..Volume::default()
        };
    }
    claimed(&name)
}

/// What stands for a volume that a claim of the StatefulSet brings along.
fn claimed(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        ..Volume::default()
    }
}

fn mounted(run: &Run, mount: &Mount) -> VolumeMount {
    let (name, file) = source(mount);
    // Somebody has to fill it.
    let is_filled = name == bundle::DATA && matches!(run.data, Data::Claimed(_));
    VolumeMount {
        name,
        mount_path: mount.target.clone(),
        sub_path: file,
        read_only: (!mount.writable && !is_filled).then_some(true),
        ..VolumeMount::default()
    }
}

/// Processors and bytes of memory that are reserved for a container.
pub(super) fn asked(container: &Container) -> (f64, u64) {
    let cpu = match container.role {
        Role::UNIT => container.cpu,
        _ => container.cpu.min(MOST_CPU_OF_OTHERS),
    };
    (cpu, container.memory.unwrap_or(BROKER_MEMORY_AT_FIRST))
}

fn resources(container: &Container) -> ResourceRequirements {
    let (cpu, memory) = asked(container);
    let bytes = |bytes: u64| {
        let size = match bytes.is_multiple_of(1 << 20) {
            true => format!("{}Mi", bytes >> 20),
            false => bytes.to_string(),
        };
        ("memory".to_owned(), Quantity(size))
    };
    // Processors are shared by those who have something to do, without a limit.
    let cpu = (
        "cpu".to_owned(),
        Quantity(format!("{}m", (cpu * 1000.0).ceil())),
    );
    ResourceRequirements {
        requests: Some(BTreeMap::from([cpu, bytes(memory)])),
        limits: Some(BTreeMap::from([bytes(
            container.memory.unwrap_or(BROKER_MEMORY),
        )])),
        claims: None,
    }
}

fn healthz(port: u16) -> HTTPGetAction {
    HTTPGetAction {
        path: Some("/healthz".to_owned()),
        port: IntOrString::Int(i32::from(port)),
        // The inspection answers for no other name (and for addresses).
        http_headers: Some(vec![HTTPHeader {
            name: "Host".to_owned(),
            value: "localhost".to_owned(),
        }]),
        ..HTTPGetAction::default()
    }
}

/// Whether it can be used: an actor that has broker and store.
fn readiness(role: Role) -> Option<Probe> {
    let probe = |http_get, tcp_socket| Probe {
        http_get,
        tcp_socket,
        period_seconds: Some(5),
        timeout_seconds: Some(5),
        ..Probe::default()
    };
    match role {
        Role::Actor(_) => Some(probe(Some(healthz(ContainerConfig::DEFAULT_PORT)), None)),
        Role::Store => Some(probe(Some(healthz(StoreConfig::DEFAULT_PORT)), None)),
        Role::Broker => Some(probe(
            None,
            Some(TCPSocketAction {
                port: IntOrString::Int(i32::from(BROKER_PORT)),
                host: None,
            }),
        )),
        Role::Probe | Role::Record => None,
    }
}

/// Whether it has to be started again. Actors are not asked: those that have lost their broker boot again
/// by themselves, and to start a thousand of them anew would not bring it back.
fn liveness(role: Role) -> Option<Probe> {
    (role == Role::Store).then(|| Probe {
        http_get: Some(healthz(StoreConfig::DEFAULT_PORT)),
        period_seconds: Some(10),
        timeout_seconds: Some(10),
        failure_threshold: Some(6),
        ..Probe::default()
    })
}

fn pod_security(container: &Container) -> PodSecurityContext {
    let user = container
        .user
        .as_deref()
        .and_then(|user| user.split_once(':'));
    let numbers = user.and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
    let (user, group) = numbers.unwrap_or((BROKER_USER, BROKER_USER));
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(group),
        // Volumes can be written by this group.
        fs_group: Some(group),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn security(container: &Container) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        // The image of a broker writes where it likes.
        read_only_root_filesystem: (container.role != Role::Broker).then_some(true),
        ..SecurityContext::default()
    }
}
