//! A run as manifests: everything that others need to bring it up, without this program.
//!
//! Such a run brings its broker and its store along. What a command does for other runs, containers do
//! here: one writes the run's record to the store and ends, and the trainer wires the queues.

use std::path::Path;

use cuttlefish_core::data::Feed;

use super::docker::desired::{self, BROKER, Container, Role, STORE, Site};
use super::docker::image::{DOCKERFILE, PROGRAM, Program};
use super::docker::own_services::{self, Names, Passwords};
use super::docker::provision::{own_store_environment, write_data};
use super::secrets::{self, Secrets};
use super::{Error, Workload, bundle, compose, kubernetes};
use crate::data::prepared;
use crate::data::prepared::{DATA_FILE, data_file};
use crate::monitor::Monitor;
use crate::store::DEFAULT_TABLE;

/// What a parameter needs in the store, at most: its value and two of an optimizer, in two slots, and as
/// much again for what is written meanwhile.
const STORED_BYTES: u64 = 4 * 3 * 2 * 2;

/// A run that is to be rendered.
pub struct Rendering {
    /// The network and its data.
    pub workload: Workload,
    /// The neuron image.
    pub image: Image,
    /// The image of the broker.
    pub broker_image: String,
    /// How batches get to the first layer.
    pub feed: Feed,
    /// Containers on a bridge, at most.
    pub per_bridge: usize,
}

/// The image of all containers but the broker.
pub enum Image {
    /// One that is there, or will be.
    Named(String),
    /// One that is built from this program.
    Of(Program),
}

impl Image {
    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::Of(program) => program.image(),
        }
    }
}

/// Everything that is in a directory for Compose.
pub const COMPOSE_NAMES: [&str; 7] = [
    compose::FILE,
    compose::SETTINGS_FILE,
    bundle::IMAGE,
    bundle::RECORD,
    bundle::SECRETS,
    bundle::DATA,
    bundle::STORE,
];

/// Writes a directory that Docker Compose brings up. Returns the number of services.
///
/// # Errors
/// Says what cannot be written.
pub fn write_compose(rendering: &Rendering, dir: &Path, monitor: &Monitor) -> Result<usize, Error> {
    let secrets = Secrets::ours(dir.join(bundle::SECRETS));
    let containers = containers(rendering, STORE, secrets.user());
    let run = &rendering.workload.graph.name;
    let build = matches!(rendering.image, Image::Of(_))
        .then(|| bundle::here(bundle::IMAGE).display().to_string());
    let file = compose::file(run, &containers, build.as_deref())?;
    if let Image::Of(program) = &rendering.image {
        write_image(program, &dir.join(bundle::IMAGE))?;
    }
    monitor.check_cancelled()?;
    write_data(
        &secrets,
        &dir.join(bundle::DATA),
        &rendering.workload.dataset,
        &rendering.workload.record.data_sha256,
    )?;
    monitor.check_cancelled()?;
    let store_dir = dir.join(bundle::STORE);
    let made = secrets.make_dir(&store_dir);
    made.map_err(Error::file("make", &store_dir))?;
    let record = rendering.workload.record.to_json()?;
    Secrets::ours(dir.join(bundle::RECORD)).write(bundle::RECORD_FILE, &record)?;
    secrets.write_all(&secret_files(run, BROKER)?)?;
    let settings = compose::settings(containers.len());
    for (name, content) in [(compose::FILE, file), (compose::SETTINGS_FILE, settings)] {
        let path = dir.join(name);
        std::fs::write(&path, content).map_err(Error::file("write", &path))?;
    }
    Ok(containers.len())
}

/// Everything that is in a directory for Kubernetes: the data set where it is too large to be inside.
pub const KUBERNETES_NAMES: [&str; 2] = [kubernetes::FILE, DATA_FILE];

/// Writes a directory with manifests for Kubernetes. Returns what whoever applies them has to know.
///
/// # Errors
/// Says what cannot be written, or cannot work.
pub fn write_kubernetes(
    rendering: &Rendering,
    dir: &Path,
    monitor: &Monitor,
) -> Result<Vec<String>, Error> {
    let run = rendering.workload.graph.name.as_str();
    let names = kubernetes::Names::new(run);
    let containers = containers(rendering, &names.store(), secrets::nobody());
    let data_path = data_file(dir);
    let failed = || Error::file("write", &data_path);
    prepared::write(
        &rendering.workload.dataset,
        &rendering.workload.record.data_sha256,
        &data_path,
    )
    .map_err(failed())?;
    monitor.check_cancelled()?;
    let size = std::fs::metadata(&data_path).map_err(failed())?.len();
    let bytes = if size <= kubernetes::MOST_BYTES_INSIDE as u64 {
        let bytes = std::fs::read(&data_path).map_err(failed())?;
        std::fs::remove_file(&data_path).map_err(failed())?;
        Some(bytes)
    } else if rendering.feed == Feed::Reference {
        return Err(Error::Unusable(format!(
            "failed to let units read the data set: it has {size} bytes, and more than {} do not go into \
             a ConfigMap (leave out `--data reference`, and the trainer sends them the values)",
            kubernetes::MOST_BYTES_INSIDE
        )));
    } else {
        None
    };
    let secrets = secret_files(run, &names.broker())?;
    let secrets: Vec<_> = secrets
        .into_iter()
        .map(|file| (file.name, file.content))
        .collect();
    let notes = notes(rendering, &names, &containers, bytes.is_none());
    let manifests = kubernetes::manifests(
        &names,
        &kubernetes::Run {
            containers: &containers,
            secrets: &secrets,
            record: &rendering.workload.record.to_json()?,
            data: match &bytes {
                Some(bytes) => kubernetes::Data::Inside(DATA_FILE, bytes),
                None => kubernetes::Data::Claimed(size),
            },
            store_bytes: rendering.workload.graph.parameters() as u64 * STORED_BYTES,
        },
        &notes,
    );
    let path = dir.join(kubernetes::FILE);
    std::fs::write(&path, manifests?).map_err(Error::file("write", &path))?;
    Ok(notes)
}

/// What a run needs that its manifests cannot bring along.
fn notes(
    rendering: &Rendering,
    names: &kubernetes::Names,
    containers: &[Container],
    is_data_claimed: bool,
) -> Vec<String> {
    let (cpu, memory) = kubernetes::asked(containers);
    let gib = memory as f64 / f64::from(1 << 30);
    // All but the one that writes the record, which is in the trainer's pod.
    let pods = containers.len() - 1;
    let mut notes = vec![format!(
        "the cluster needs room for {pods} pods, with {cpu:.1} processors and {gib:.1} GiB of memory"
    )];
    let image = rendering.image.name();
    if matches!(rendering.image, Image::Of(_)) {
        notes.push(format!(
            "its nodes need the image {image} (`cuttlefish image build`): load it into them (`kind load \
             docker-image {image}`), or push it to a registry and render with `--image`"
        ));
    }
    if !rendering.broker_image.starts_with("rabbitmq:") {
        notes.push(format!(
            "{} has to run as user {}, as the official image of RabbitMQ can",
            rendering.broker_image,
            kubernetes::BROKER_USER
        ));
    }
    if is_data_claimed {
        let trainer = names.of_part(Role::TRAINER.word());
        notes.push(format!(
            "the trainer waits for the data set: `kubectl exec -i {trainer}-0 -- /{PROGRAM} receive \
             <{DATA_FILE}`, in the directory of the manifests"
        ));
    }
    notes
}

/// The containers of a run whose store they know as `store`, with that which writes its record.
fn containers(rendering: &Rendering, store: &str, user: String) -> Vec<Container> {
    let site = Site {
        image: rendering.image.name(),
        program: None,
        broker_image: Some(rendering.broker_image.clone()),
        own_store: true,
        has_certificates: false,
        store_environment: own_store_environment(store),
        table: DEFAULT_TABLE.to_owned(),
        user,
        secrets_dir: bundle::here(bundle::SECRETS),
        data_dir: bundle::here(bundle::DATA),
        store_dir: bundle::here(bundle::STORE),
        feed: rendering.feed,
        per_bridge: rendering.per_bridge,
    };
    let record = bundle::here(bundle::RECORD).join(bundle::RECORD_FILE);
    let graph = &rendering.workload.graph;
    let mut containers = vec![desired::recorder(graph, &site, &record)];
    containers.extend(desired::containers(graph, &site));
    containers
}

/// New secrets of a run with a broker of its own at `broker`, and a store.
fn secret_files(run: &str, broker: &str) -> Result<Vec<own_services::SecretFile>, Error> {
    let passwords = Passwords {
        admin: secrets::random()?,
        trainer: secrets::random()?,
        actor: secrets::random()?,
    };
    let (token, access_key) = (secrets::random()?, secrets::random()?);
    let credentials = own_services::store_credentials(&access_key);
    let mut files = own_services::reader_files(&token, &credentials);
    files.extend(own_services::broker_files(
        &Names::new(run),
        &passwords,
        broker,
    )?);
    for (name, content) in [
        ("token", token),
        ("store/access-key", access_key),
        ("broker/admin-password", passwords.admin),
    ] {
        files.push(own_services::SecretFile::new(name, content));
    }
    Ok(files)
}

/// Writes what the neuron image is built from.
fn write_image(program: &Program, dir: &Path) -> Result<(), Error> {
    let write = || {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("Dockerfile"), DOCKERFILE)?;
        program.write(&dir.join(PROGRAM))
    };
    write().map_err(Error::file("write", dir))
}
