//! Request to the Docker API that creates a container. Pure; held to its form by a snapshot.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount as DockerMount,
    MountType, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::desired::{Container, Mount, Role};
use crate::config::ContainerConfig;

/// Labels of everything that belongs to a run.
pub mod label {
    /// The run's name.
    pub const RUN: &str = "io.cuttlefish.run";
    /// Owner of the run: a random number kept with it.
    pub const OWNER: &str = "io.cuttlefish.owner";
    /// Role of the container.
    pub const ROLE: &str = "io.cuttlefish.role";
    /// Its name within the run.
    pub const ACTOR: &str = "io.cuttlefish.actor";
    /// Fingerprint of what it was made from.
    pub const FINGERPRINT: &str = "io.cuttlefish.fingerprint";
}

/// A neuron is one process with a handful of threads.
pub const MAX_PIDS: i64 = 64;

/// Logs of a container are kept up to twice this.
pub const LOG_SIZE: &str = "1m";
/// See [`LOG_SIZE`].
pub const LOG_FILES: &str = "2";

/// Docker's weight of one whole processor.
const SHARES_PER_CPU: f64 = 1024.0;
/// The least that Docker takes.
const MIN_SHARES: i64 = 2;

/// Directory of a broker's files, which is mounted in memory, and the options of that mount: any user may be
/// the broker's.
pub const BROKER_DIR: &str = "/var/lib/rabbitmq";
/// See [`BROKER_DIR`].
pub const BROKER_DIR_OPTIONS: &str = "mode=1777";

/// A container's weight against others.
pub fn cpu_shares(container: &Container) -> i64 {
    ((container.cpu * SHARES_PER_CPU) as i64).max(MIN_SHARES)
}

/// Labels of something that belongs to a run.
pub fn labels(run: &str, owner: &str) -> HashMap<String, String> {
    HashMap::from([
        (label::RUN.to_owned(), run.to_owned()),
        (label::OWNER.to_owned(), owner.to_owned()),
    ])
}

/// Request that creates a container.
pub fn container(container: &Container, run: &str, owner: &str) -> ContainerCreateBody {
    let mut labels = labels(run, owner);
    labels.insert(label::ROLE.to_owned(), container.role.word().to_owned());
    labels.insert(label::ACTOR.to_owned(), container.actor.clone());
    labels.insert(label::FINGERPRINT.to_owned(), container.fingerprint());
    let environment = container.environment.iter();
    ContainerCreateBody {
        hostname: Some(container.actor.clone()),
        user: container.user.clone(),
        env: Some(
            environment
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        cmd: (!container.command.is_empty()).then(|| container.command.clone()),
        image: Some(container.image.clone()),
        exposed_ports: Some(
            container
                .ports
                .iter()
                .map(|port| format!("{port}/tcp"))
                .collect(),
        ),
        labels: Some(labels),
        host_config: Some(host_config(container)),
        networking_config: Some(NetworkingConfig {
            // The first one only: older daemons do not take more when a container is created.
            endpoints_config: container
                .networks
                .first()
                .map(|network| HashMap::from([(network.clone(), endpoint(container))])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// Settings of a container in one of its networks.
pub fn endpoint(container: &Container) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(vec![container.actor.clone()]),
        ..EndpointSettings::default()
    }
}

fn host_config(container: &Container) -> HostConfig {
    let bindings = container.ports.iter().map(|port| {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            // Any that is free.
            host_port: Some(String::new()),
        };
        (format!("{port}/tcp"), Some(vec![binding]))
    });
    let ulimits = container.open_files.map(|most| {
        let most = Some(most as i64);
        vec![ResourcesUlimits {
            name: Some("nofile".to_owned()),
            soft: most,
            hard: most,
        }]
    });
    let config = HostConfig {
        ulimits,
        cpu_shares: Some(cpu_shares(container)),
        network_mode: container.networks.first().cloned(),
        mounts: Some(container.mounts.iter().map(mount).collect()),
        port_bindings: Some(bindings.collect()),
        restart_policy: Some(RestartPolicy {
            name: Some(match container.role {
                Role::Probe | Role::Record => RestartPolicyNameEnum::NO,
                _ => RestartPolicyNameEnum::UNLESS_STOPPED,
            }),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_SIZE.to_owned()),
                ("max-file".to_owned(), LOG_FILES.to_owned()),
            ])),
        }),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        // Services of the host are reached under this name.
        extra_hosts: Some(vec![format!("{}:host-gateway", ContainerConfig::HOST)]),
        ..HostConfig::default()
    };
    if container.role == Role::Broker {
        return HostConfig {
            // Nothing in a broker has to survive it: everything is declared and sent again.
            tmpfs: Some(HashMap::from([(
                BROKER_DIR.to_owned(),
                BROKER_DIR_OPTIONS.to_owned(),
            )])),
            ..config
        };
    }
    let memory = container.memory.map(|bytes| bytes as i64);
    HostConfig {
        memory,
        memory_swap: memory,
        pids_limit: Some(MAX_PIDS),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        ..config
    }
}

fn mount(mount: &Mount) -> DockerMount {
    DockerMount {
        target: Some(mount.target.clone()),
        source: Some(mount.source.display().to_string()),
        typ: Some(MountType::BIND),
        read_only: Some(!mount.writable),
        ..DockerMount::default()
    }
}
