//! A run's containers as a file for Docker Compose, 1.29 or newer. Pure; held to its form by a snapshot.
//!
//! [`desired`](super::docker::desired) says what a container is, [`render`](super::docker::render) how it is
//! hardened: here both are only put in Compose's words.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::bundle::FIRST_LINE;
use super::docker::desired::{Container, Mount, Role};
use super::docker::render::{
    BROKER_DIR, BROKER_DIR_OPTIONS, LOG_FILES, LOG_SIZE, MAX_PIDS, cpu_shares, label,
};
use super::yaml;

/// The name of the file that Compose looks for.
pub const FILE: &str = "docker-compose.yml";

/// The name of the file that Compose reads its own settings from.
pub const SETTINGS_FILE: &str = ".env";

/// Comment at the top of the file, below [`FIRST_LINE`].
const HEADER: &str = "\
# Paths are relative to this file, so that its directory can be moved, with owners and modes; there are
# passwords in it. `docker-compose logs -f trainer` shows how far the run is, and how it ends.
";

/// A Compose file.
#[derive(Debug, Serialize)]
struct ComposeFile {
    #[serde(serialize_with = "in_order")]
    services: Vec<(String, ComposeService)>,
    networks: BTreeMap<String, ComposeNetwork>,
}

/// A network, with everything as it is by default.
#[derive(Debug, Serialize)]
struct ComposeNetwork {}

#[derive(Debug, Serialize)]
struct ComposeService {
    container_name: String,
    hostname: String,
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(serialize_with = "in_order")]
    environment: Vec<(String, String)>,
    volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tmpfs: Vec<String>,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    restart: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cap_drop: Vec<&'static str>,
    security_opt: Vec<&'static str>,
    cpu_shares: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memswap_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pids_limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ulimits: Option<Ulimits>,
    logging: Logging,
    labels: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Volume {
    r#type: &'static str,
    source: String,
    target: String,
    read_only: bool,
}

#[derive(Debug, Serialize)]
struct Ulimits {
    nofile: u64,
}

#[derive(Debug, Serialize)]
struct Logging {
    driver: &'static str,
    options: BTreeMap<&'static str, &'static str>,
}

/// The Compose file of run `run`, whose sources of mounts are relative to it. The neuron image is built from
/// `build`, a directory, where there is one.
///
/// # Errors
/// When a path is no text.
pub fn file(
    run: &str,
    containers: &[Container],
    build: Option<&str>,
) -> Result<String, serde_json::Error> {
    // Compose 1 makes images in the order of dependencies, and pulls those that it has not made.
    let builder = containers.iter().find(|one| one.role == Role::Store);
    let builder = builder
        .map(|one| one.actor.as_str())
        .filter(|_| build.is_some());
    let services = containers.iter().map(|container| {
        let is_builder = builder == Some(&container.actor);
        let service = ComposeService {
            build: build.filter(|_| is_builder).map(str::to_owned),
            depends_on: match builder {
                Some(builder) if !is_builder && container.role != Role::Broker => {
                    vec![builder.to_owned()]
                }
                _ => Vec::new(),
            },
            ..service(run, container)
        };
        (container.actor.clone(), service)
    });
    let networks = containers.iter().flat_map(|one| one.networks.clone());
    let file = ComposeFile {
        services: services.collect(),
        networks: networks.map(|name| (name, ComposeNetwork {})).collect(),
    };
    let mut file = serde_json::to_value(file)?;
    escape(&mut file);
    let file = yaml::to_string(&file)?;
    Ok(format!("{FIRST_LINE}\n{HEADER}\n{file}"))
}

/// Settings for Compose itself. Compose 1 never ends when it brings up more services at once than it
/// does things at once (64, unless it is told otherwise): each waits for a turn of its own within the
/// turn that it has.
pub fn settings(n_services: usize) -> String {
    format!(
        "{FIRST_LINE}\n\
         # Compose 1 comes to a halt where it may not do two things for each service at once.\n\
         COMPOSE_PARALLEL_LIMIT={}\n\
         # A daemon that has all of them to start is slow to answer.\n\
         COMPOSE_HTTP_TIMEOUT=300\n",
        2 * n_services
    )
}

fn service(run: &str, container: &Container) -> ComposeService {
    let is_broker = container.role == Role::Broker;
    let memory = container.memory.filter(|_| !is_broker).map(size);
    ComposeService {
        container_name: container.name.clone(),
        hostname: container.actor.clone(),
        image: container.image.clone(),
        build: None,
        command: container.command.clone(),
        user: container.user.clone(),
        environment: container.environment.clone(),
        volumes: container.mounts.iter().map(volume).collect(),
        tmpfs: is_broker
            .then(|| format!("{BROKER_DIR}:{BROKER_DIR_OPTIONS}"))
            .into_iter()
            .collect(),
        networks: container.networks.clone(),
        // Any port that is free, on loopback.
        ports: container
            .ports
            .iter()
            .map(|port| format!("127.0.0.1::{port}"))
            .collect(),
        depends_on: Vec::new(),
        restart: match container.role {
            Role::Probe | Role::Record => "no",
            _ => "unless-stopped",
        },
        read_only: (!is_broker).then_some(true),
        cap_drop: if is_broker { vec![] } else { vec!["ALL"] },
        security_opt: vec!["no-new-privileges"],
        cpu_shares: cpu_shares(container),
        mem_limit: memory.clone(),
        // With as much swap as memory together there is no swap.
        memswap_limit: memory,
        pids_limit: (!is_broker).then_some(MAX_PIDS),
        ulimits: container.open_files.map(|nofile| Ulimits { nofile }),
        logging: Logging {
            driver: "json-file",
            options: BTreeMap::from([("max-file", LOG_FILES), ("max-size", LOG_SIZE)]),
        },
        labels: BTreeMap::from([
            (label::RUN, run.to_owned()),
            (label::ROLE, container.role.word().to_owned()),
            (label::ACTOR, container.actor.clone()),
        ]),
    }
}

fn volume(mount: &Mount) -> Volume {
    Volume {
        r#type: "bind",
        source: mount.source.display().to_string(),
        target: mount.target.clone(),
        read_only: !mount.writable,
    }
}

/// Bytes, as people and Compose write them.
fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{}m", bytes >> 20)
    } else {
        format!("{bytes}b")
    }
}

/// Compose takes what follows a dollar sign for a variable, except for another one.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(entries) => entries.values_mut().for_each(escape),
        _ => {}
    }
}

fn in_order<V: Serialize, S: Serializer>(
    entries: &[(String, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}
