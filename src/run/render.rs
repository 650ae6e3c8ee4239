//! A run as manifests, which others bring up without this program.

use std::path::{Path, PathBuf};

use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::Grouping;

use super::Error;
use super::prepare::read_workload;
use super::topology_file::{Overrides, TopologyFile, TopologySource};
use crate::config::Config;
use crate::deploy::bundle::FIRST_LINE;
use crate::deploy::docker::desired::CONTAINERS_PER_BRIDGE;
use crate::deploy::docker::image::{self, Program};
use crate::deploy::ecs::cost::EcsCost;
use crate::deploy::ecs::manifests as ecs_manifests;
use crate::deploy::ecs::stack::Stack;
use crate::deploy::manifests::{self, Image, Rendering};
use crate::deploy::staging::{Staging, check_place};
use crate::deploy::{self, Workload, compose, ecs, kubernetes, secrets};
use crate::monitor::Monitor;
use crate::run_dir::ECS_DOCUMENT;
use crate::store;

/// A platform that brings up what is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Docker Compose.
    Compose,
    /// Kubernetes.
    Kubernetes,
    /// Amazon ECS.
    Ecs,
}

impl Platform {
    /// Word of the platform on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Ecs => "ecs",
        }
    }

    /// The usual way of batches to the first layer. Pods of several nodes, and tasks, have no file in common.
    fn default_feed(self) -> Feed {
        match self {
            Self::Compose => Feed::Reference,
            Self::Kubernetes | Self::Ecs => Feed::Broadcast,
        }
    }

    /// Everything that is in a directory for it, and the file that says so.
    fn names(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Compose => (&manifests::COMPOSE_NAMES, compose::FILE),
            Self::Kubernetes => (&manifests::KUBERNETES_NAMES, kubernetes::FILE),
            Self::Ecs => (&ecs_manifests::NAMES, ecs_manifests::README),
        }
    }
}

/// The CloudFormation stack of a run on ECS.
#[derive(Clone, Debug)]
pub enum StackSource {
    /// Name of the stack, which is read from AWS.
    Name(String),
    /// A file with what `aws cloudformation describe-stacks` prints of it.
    File(PathBuf),
}

/// Request to render a run into a directory.
#[derive(Clone, Debug)]
pub struct RenderRequest {
    /// The topology file.
    pub file: PathBuf,
    /// Differences from it.
    pub overrides: Overrides,
    /// The platform.
    pub platform: Platform,
    /// The directory; None for the run's name and the platform's, here.
    pub into: Option<PathBuf>,
    /// True if an earlier rendering there is replaced.
    pub overwrite: bool,
    /// Image of the broker.
    pub broker_image: String,
    /// Neuron image; for Compose one is built from `program` without it.
    pub image: Option<String>,
    /// The containers' program; None for the one beside this program.
    pub program: Option<PathBuf>,
    /// Way of batches to the first layer; None for the platform's usual one.
    pub feed: Option<Feed>,
    /// The stack, for ECS.
    pub stack: Option<StackSource>,
}

/// A run that was rendered.
#[derive(Clone, Debug)]
pub struct RenderedRun {
    /// Name of the run.
    pub run: String,
    /// The directory.
    pub place: PathBuf,
    /// Contents of the directory.
    pub contents: Contents,
}

/// Contents of a directory that was rendered.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Services of Compose, by their number.
    Compose(usize),
    /// Objects of Kubernetes, with notes for whoever applies them.
    Kubernetes(Vec<String>),
    /// Services of ECS: their cost, and their number.
    Ecs(EcsCost, usize),
}

/// Renders a run. The directory appears whole or not at all.
///
/// # Errors
/// Lists what is wrong with the file, or says what is in the way; nothing was changed then.
pub async fn render(
    request: &RenderRequest,
    config: &Config,
    monitor: &Monitor,
) -> Result<RenderedRun, Error> {
    let platform = request.platform;
    let file = TopologyFile::read(TopologySource::File(&request.file), &request.overrides)?;
    let run = file.document.spec().name.clone();
    let place = request.into.clone();
    let place = place.unwrap_or_else(|| PathBuf::from(format!("{run}-{}", platform.word())));
    let (names, marked) = platform.names();
    check_place(&place, request.overwrite, names, (marked, FIRST_LINE))
        .map_err(|error| Error::Unfit(error.to_string()))?;
    // The directories of this machine mean nothing where the run will be.
    let here = PathBuf::from(".");
    let grouping = request.overrides.grouping(Grouping::FromFile);
    let workload = read_workload(&file, grouping, here.clone(), here, config)?;
    let stage = || Staging::beside(&place);
    let (staging, contents) = match platform {
        Platform::Compose => {
            let rendering = rendering(request, workload, monitor)?;
            let staging = stage()?;
            let services = manifests::write_compose(&rendering, staging.path(), monitor)?;
            (staging, Contents::Compose(services))
        }
        Platform::Kubernetes => {
            let rendering = rendering(request, workload, monitor)?;
            let staging = stage()?;
            let notes = manifests::write_kubernetes(&rendering, staging.path(), monitor)?;
            (staging, Contents::Kubernetes(notes))
        }
        Platform::Ecs => {
            let deployment = ecs_deployment(request, &workload, &place, config).await?;
            let staging = stage()?;
            let (graph, dataset) = (&workload.graph, &workload.dataset);
            let written = ecs::write_bundle(&deployment, graph, dataset, staging.path(), monitor);
            let (cost, services) = written.await?;
            (staging, Contents::Ecs(cost, services))
        }
    };
    staging.keep()?;
    Ok(RenderedRun {
        run,
        place,
        contents,
    })
}

/// A rendering for a platform that brings broker and store along.
fn rendering(
    request: &RenderRequest,
    workload: Workload,
    monitor: &Monitor,
) -> Result<Rendering, Error> {
    let image = match &request.image {
        Some(image) => Image::Named(image.clone()),
        None => Image::Built(program(request.program.as_deref(), monitor)?),
    };
    let platform = request.platform;
    Ok(Rendering {
        workload,
        image,
        broker_image: request.broker_image.clone(),
        feed: request.feed.unwrap_or(platform.default_feed()),
        per_bridge: CONTAINERS_PER_BRIDGE,
    })
}

/// The containers' program.
fn program(path: Option<&Path>, monitor: &Monitor) -> Result<Program, deploy::Error> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => image::find_program(&|text| monitor.note(text))?,
    };
    Ok(Program::read(&path)?)
}

/// A new run of a workload on ECS; where that run was rendered before, it is the same run. Looks at the
/// stack, and changes nothing.
async fn ecs_deployment(
    request: &RenderRequest,
    workload: &Workload,
    place: &Path,
    config: &Config,
) -> Result<ecs::Deployment, Error> {
    let Some(image) = &request.image else {
        return Err(Error::Unfit(
            "--to ecs needs the neuron image in a registry that ECS reaches (build it with `cuttlefish \
             image build`, push it, and name it with --image)"
                .to_owned(),
        ));
    };
    let (stack, region) = match &request.stack {
        Some(StackSource::File(path)) => {
            let printed =
                std::fs::read_to_string(path).map_err(deploy::Error::file("read", path))?;
            Stack::described(&printed)
                .map_err(|error| deploy::Error::from(ecs::Error::from(error)))?
        }
        Some(StackSource::Name(name)) => {
            let stack = ecs::read_stack(name).await;
            let stack = stack.map_err(deploy::Error::from)?;
            (stack, store::region_from_environment().await)
        }
        None => {
            return Err(Error::Unfit(
                "--to ecs needs the stack that infra/cloudformation/cuttlefish.yaml makes (name it \
                 with --stack, or give what `aws cloudformation describe-stacks` prints of it with \
                 --stack-file)"
                    .to_owned(),
            ));
        }
    };
    let owner = match rendered_before(place, &workload.record.topology.name) {
        Some(before) => before.owner,
        None => secrets::random()?,
    };
    Ok(ecs::Deployment::new(
        owner,
        image.clone(),
        stack,
        region,
        config.services.dynamodb.clone(),
        workload.record.clone(),
        &workload.dataset,
    ))
}

/// The run that is to be replaced, where it is of this name.
fn rendered_before(place: &Path, run: &str) -> Option<ecs::Deployment> {
    let text = std::fs::read_to_string(place.join(ECS_DOCUMENT)).ok()?;
    let before: ecs::Deployment = serde_json::from_str(&text).ok()?;
    (before.record.topology.name == run).then_some(before)
}
