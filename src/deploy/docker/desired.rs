//! Containers of a run as they should be: a pure function of the network and of the run's site.

mod errand;

use std::path::{Path, PathBuf};

use cuttlefish_core::data::Feed;
use cuttlefish_core::digest::sha256;
use cuttlefish_core::topology::roster::COORDINATOR;
use cuttlefish_core::topology::{Actor, ActorKind, Graph, Roster};
use serde::Serialize;

use super::image;
use crate::config::{BROADCAST, ContainerConfig, StoreConfig};
use crate::container::ACTOR;
use crate::data::prepared::data_file;
pub use errand::{probe, recorder};

/// A bridge has 1,024 ports, some of which go to the gateway and to broker and store, and Docker
/// loses containers near the end of them.
pub const CONTAINERS_PER_BRIDGE: usize = 900;

/// Names of the containers that a run brings along, within its network.
pub const BROKER: &str = "broker";
/// See [`BROKER`].
pub const STORE: &str = "store";

/// The name of the container that tries broker and store before there are others.
pub const PROBE: &str = "probe";

/// The name of the container that writes the run's record to the store, where no command does.
pub const RECORD: &str = "record";

/// The file, among the secrets of units, synapses and the trainer, of certificates to trust.
pub const CERTIFICATES: &str = "ca-certificates.pem";

/// The ports of a broker: messages, and the API with its dashboard.
pub const BROKER_PORT: u16 = 5672;
/// See [`BROKER_PORT`].
pub const DASHBOARD_PORT: u16 = 15672;

/// Directories inside a container: secrets, data, the store's file.
const SECRETS: &str = "/run/cuttlefish";
const DATA: &str = "/data";
const STORE_DIR: &str = "/store";

/// The broker's threads for half of the processors: the others are busy with the run.
const HALF_OF_THE_PROCESSORS: &str = "+SP 50:50";

/// The most files that broker and store may have open, of the largest run.
pub const SERVICE_FILES: u64 = 65_536;
/// The most files that broker and store may have open, of the smallest run.
const FEWEST_SERVICE_FILES: u64 = 4096;
/// Connections and queues of an actor, with room for what a queue has on disk.
const SERVICE_FILES_PER_ACTOR: u64 = 16;

/// Site of a run: everything that its containers need to know beside the network.
#[derive(Clone, Debug)]
pub struct Site {
    /// The neuron image.
    pub image: String,
    /// The program that is mounted over the one in the image, where containers would otherwise have
    /// a copy of it in memory each.
    pub program: Option<PathBuf>,
    /// The image of the run's own broker; None when one is given.
    pub broker_image: Option<String>,
    /// True if the run brings its own store.
    pub own_store: bool,
    /// True if containers get a file of certificates to trust, among their secrets.
    pub has_certificates: bool,
    /// AWS variables for a store that is given.
    pub store_environment: Vec<(String, String)>,
    /// The table.
    pub table: String,
    /// User and group of the containers.
    pub user: String,
    /// Directories of the run: secrets by reader, data, the store's file.
    pub secrets_dir: PathBuf,
    /// See `secrets_dir`.
    pub data_dir: PathBuf,
    /// See `secrets_dir`.
    pub store_dir: PathBuf,
    /// Feed of the first layer: rows by reference, or sent by the trainer.
    pub feed: Feed,
    /// Actors on a bridge, at most.
    pub per_bridge: usize,
}

/// A container as it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Container {
    /// Its name, which its queues and connections share.
    pub name: String,
    /// Its name within the run.
    pub actor: String,
    /// Kind of container, for `ps`.
    pub role: Role,
    /// The image.
    pub image: String,
    /// The command's arguments.
    pub command: Vec<String>,
    /// Variables; never a secret.
    pub environment: Vec<(String, String)>,
    /// Files and directories that are mounted.
    pub mounts: Vec<Mount>,
    /// The networks it is in.
    pub networks: Vec<String>,
    /// Ports that are published on the loopback address.
    pub ports: Vec<u16>,
    /// Processors that it needs, as a weight against other containers.
    pub cpu: f64,
    /// The most memory it may have, in bytes; None for a broker, which minds its own.
    pub memory: Option<u64>,
    /// The most files it may have open; None for what the daemon gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// User and group; None for the image's.
    pub user: Option<String>,
    /// Fingerprint of its actor; empty for others. `knows` is its name in fingerprints of containers.
    #[serde(rename = "knows")]
    pub actor_fingerprint: String,
}

/// Kinds of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Tries broker and store, and ends.
    Probe,
    /// Writes the run's record to the store, and ends.
    Record,
    /// The store that the run brings along.
    Store,
    /// The broker that the run brings along.
    Broker,
    /// An actor.
    #[serde(untagged)]
    Actor(ActorKind),
}

impl Role {
    /// Role of a unit.
    pub const UNIT: Self = Self::Actor(ActorKind::Unit);
    /// Role of the trainer.
    pub const TRAINER: Self = Self::Actor(ActorKind::Trainer);

    /// The role with this word.
    pub fn parse(word: &str) -> Option<Self> {
        let services = [Self::Probe, Self::Record, Self::Store, Self::Broker];
        let actors = ActorKind::ALL.map(Self::Actor);
        let mut all = services.into_iter().chain(actors);
        all.find(|role| role.word() == word)
    }

    /// True for an actor of the run, and not for what actors need.
    pub fn is_actor(self) -> bool {
        matches!(self, Self::Actor(_))
    }

    /// The word for labels and people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Probe => PROBE,
            Self::Record => RECORD,
            Self::Store => STORE,
            Self::Broker => BROKER,
            Self::Actor(kind) => kind.word(),
        }
    }
}

/// A file or directory of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Path on the host.
    pub source: PathBuf,
    /// Path in the container.
    pub target: String,
    /// True if the container can write it.
    pub writable: bool,
}

impl Container {
    /// SHA-256 of everything above: a container with another one has to be replaced.
    pub fn fingerprint(&self) -> String {
        sha256(serde_json::to_string(self).unwrap_or_default())
    }
}

/// The name of a run's container.
pub fn container_name(run: &str, actor: &str) -> String {
    format!("cf.{run}.{actor}")
}

/// The files that broker and store may have open: every actor is connected to both. Daemons differ in
/// what they give a container: some too little for a thousand connections, some so many that Erlang,
/// which minds them one by one, takes minutes to start. Not all may give more than they have
/// themselves, so this asks for no more than a run of this size can need.
fn service_files(n_actors: usize) -> u64 {
    let files = SERVICE_FILES_PER_ACTOR * n_actors as u64;
    let files = files.clamp(FEWEST_SERVICE_FILES, SERVICE_FILES);
    files.next_power_of_two()
}

/// Names of the networks of a run with `n_actors` actors, at most `per_bridge` of them on each.
pub fn networks(run: &str, n_actors: usize, per_bridge: usize) -> Vec<String> {
    (0..n_actors.div_ceil(per_bridge).max(1))
        .map(|shard| format!("cf.{run}.{shard}"))
        .collect()
}

/// Every container of a run.
pub fn containers(graph: &Graph, site: &Site) -> Vec<Container> {
    let roster = Roster::new(graph);
    let n_actors = roster.counts().all();
    let networks = networks(&graph.name, n_actors, site.per_bridge);
    let mut containers: Vec<Container> = roster
        .actors()
        .enumerate()
        .map(|(index, of)| {
            let network = networks[index / site.per_bridge].clone();
            actor(graph, site, of, network)
        })
        .collect();
    if site.own_store {
        containers.push(store(graph, site, networks.clone(), n_actors));
    }
    if let Some(image) = &site.broker_image {
        containers.push(broker(graph, site, image, networks, n_actors));
    }
    containers.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
    containers
}

fn actor(graph: &Graph, site: &Site, actor: Actor, network: String) -> Container {
    let is_trainer = actor.kind == ActorKind::Trainer;
    let secrets = site
        .secrets_dir
        .join(if is_trainer { "trainer" } else { "actor" });
    let mut mounts = vec![read_only(&secrets, SECRETS)];
    mounts.extend(program(site));
    let mut environment = environment(graph, site, &actor.name);
    if actor.reads_data(site.feed) {
        mounts.push(read_only(&site.data_dir, DATA));
        let file = data_file(Path::new(DATA)).display().to_string();
        environment.push((ContainerConfig::DATA.to_owned(), file));
    }
    if is_trainer && site.feed == Feed::Broadcast {
        environment.push((ContainerConfig::FEED.to_owned(), BROADCAST.to_owned()));
    }
    Container {
        name: container_name(&graph.name, &actor.name),
        role: Role::Actor(actor.kind),
        image: site.image.clone(),
        command: vec![ACTOR.to_owned()],
        environment,
        mounts,
        networks: vec![network],
        ports: vec![ContainerConfig::DEFAULT_PORT],
        cpu: actor.resources.cpu,
        memory: Some(actor.resources.memory),
        open_files: None,
        user: Some(site.user.clone()),
        actor_fingerprint: actor.fingerprint(graph),
        actor: actor.name,
    }
}

/// Variables that tell a container its name, and the places of broker and store.
fn environment(graph: &Graph, site: &Site, actor: &str) -> Vec<(String, String)> {
    let secret = |file: &str| format!("{SECRETS}/{file}");
    let mut environment = vec![
        (ContainerConfig::RUN, graph.name.clone()),
        (ContainerConfig::ACTOR, actor.to_owned()),
        (ContainerConfig::TABLE, site.table.clone()),
        (ContainerConfig::SECRETS_DIR, SECRETS.to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", secret("aws-credentials")),
    ];
    if site.has_certificates {
        // Read by the clients of broker and store.
        environment.push(("SSL_CERT_FILE", secret(CERTIFICATES)));
    }
    let named = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    named
        .chain(site.store_environment.iter().cloned())
        .collect()
}

/// The mounted program.
fn program(site: &Site) -> Option<Mount> {
    let target = format!("/{}", image::PROGRAM);
    site.program.as_ref().map(|path| read_only(path, &target))
}

fn store(graph: &Graph, site: &Site, networks: Vec<String>, n_actors: usize) -> Container {
    let secrets = site.secrets_dir.join("store");
    Container {
        name: container_name(&graph.name, STORE),
        actor: STORE.to_owned(),
        role: Role::Store,
        image: site.image.clone(),
        command: vec!["store".to_owned()],
        environment: vec![
            (
                StoreConfig::FILE.to_owned(),
                format!("{STORE_DIR}/store.db"),
            ),
            (
                StoreConfig::ACCESS_KEY_FILE.to_owned(),
                format!("{SECRETS}/access-key"),
            ),
        ],
        mounts: vec![
            read_only(&secrets, SECRETS),
            Mount {
                source: site.store_dir.clone(),
                target: STORE_DIR.to_owned(),
                writable: true,
            },
        ],
        networks,
        ports: vec![StoreConfig::DEFAULT_PORT],
        cpu: 1.0,
        memory: Some(COORDINATOR.memory),
        open_files: Some(service_files(n_actors)),
        user: Some(site.user.clone()),
        actor_fingerprint: String::new(),
    }
}

fn broker(
    graph: &Graph,
    site: &Site,
    image: &str,
    networks: Vec<String>,
    n_actors: usize,
) -> Container {
    let file =
        |name: &str, target: &str| read_only(&site.secrets_dir.join("broker").join(name), target);
    Container {
        name: container_name(&graph.name, BROKER),
        actor: BROKER.to_owned(),
        role: Role::Broker,
        image: image.to_owned(),
        command: Vec::new(),
        environment: vec![(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS".to_owned(),
            HALF_OF_THE_PROCESSORS.to_owned(),
        )],
        mounts: vec![
            file("rabbitmq.conf", "/etc/rabbitmq/conf.d/90-cuttlefish.conf"),
            file(
                "definitions.json",
                "/etc/rabbitmq/cuttlefish-definitions.json",
            ),
        ],
        networks,
        ports: vec![BROKER_PORT, DASHBOARD_PORT],
        cpu: 4.0,
        memory: None,
        open_files: Some(service_files(n_actors)),
        user: None,
        actor_fingerprint: String::new(),
    }
}

fn read_only(source: &Path, target: &str) -> Mount {
    Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        writable: false,
    }
}

#[cfg(test)]
mod tests;
