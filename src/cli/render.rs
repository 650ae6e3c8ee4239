//! `render`: a run as manifests, which others bring up.

mod ecs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use cuttlefish_core::data::{Dataset, Feed};
use cuttlefish_core::topology::{DataShape, Graph, Grouping};
use tokio::runtime::Handle;

use super::services::{DEFAULT_BROKER_IMAGE, DataArg};
use super::told::Screen;
use super::{Exit, Failure, FileArgs, TopologyFile};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::bundle::FIRST_LINE;
use crate::deploy::docker::desired::{CONTAINERS_PER_BRIDGE, Role};
use crate::deploy::docker::image::{self, Program};
use crate::deploy::ecs::cost::Cost;
use crate::deploy::ecs::manifests::{APPLY, README, REMOVE};
use crate::deploy::{compose, kubernetes};
use crate::orchestrator::ecs_manifests;
use crate::orchestrator::manifests::{self, Image, Wanted};
use crate::orchestrator::staging::{Staging, check_place};
use crate::orchestrator::up::{Interrupted, Told};
use crate::runs::Record;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write a run as manifests that need this program no more\n\n\
    The run ends with the weights of `train` in one process. For Compose and Kubernetes it brings its own \
    broker and store, and what is written has the run's passwords in it. For ECS it has those of a stack; \
    nothing is changed at AWS.",
    after_help = "Examples:\n  cuttlefish render topology/digits.yaml --to compose\n  \
    cd digits-compose && docker-compose up -d && docker-compose logs -f trainer\n  \
    cuttlefish render topology/digits.yaml --to compose --into deploy --neurons-per-unit 8\n  \
    cuttlefish render topology/digits.yaml --to kubernetes --image registry.example/cuttlefish-neuron:1\n  \
    kubectl apply -f digits-kubernetes && kubectl logs -f cf-digits-trainer-0\n  \
    cuttlefish render topology/digits.yaml --to ecs --stack cuttlefish --image REGISTRY/IMAGE:TAG\n  \
    digits-ecs/apply"
)]
pub struct Args {
    /// The topology file
    file: PathBuf,
    /// Who is to bring the run up
    #[arg(long, value_enum)]
    to: Platform,
    /// The directory to write, which appears whole or not at all [default: NAME-compose,
    /// NAME-kubernetes, NAME-ecs]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Replace what was rendered there before; for Compose, the weights in its store too
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    file_args: FileArgs,
    /// Image of the broker [env: CUTTLEFISH_BROKER_IMAGE] [default: rabbitmq:4-management]
    #[arg(long, value_name = "IMAGE")]
    broker_image: Option<String>,
    /// Use this neuron image, for ECS one in a registry; for Compose without it, one is built from
    /// what is written
    #[arg(long, value_name = "IMAGE", conflicts_with = "program")]
    image: Option<String>,
    /// The program in the neuron image [default: cuttlefish-neuron beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How batches get to the first layer [default: reference for compose,
    /// broadcast for kubernetes and ecs]
    #[arg(long, value_enum)]
    data: Option<DataArg>,
    /// For ECS: the CloudFormation stack that infra/cloudformation/cuttlefish.yaml made [env:
    /// CUTTLEFISH_STACK]
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// For ECS, where AWS is not reached from here: a file with what `aws cloudformation
    /// describe-stacks` prints of the stack
    #[arg(long, value_name = "FILE", conflicts_with = "stack")]
    stack_file: Option<PathBuf>,
}

/// Who brings up what is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// Docker Compose, 1.29 or newer
    Compose,
    /// Kubernetes, by kubectl
    Kubernetes,
    /// Amazon ECS, by the AWS CLI or CloudFormation
    Ecs,
}

impl Platform {
    /// The word on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Ecs => "ecs",
        }
    }

    /// How batches get to the first layer. Pods of several nodes, and tasks, have no file in common.
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
            Self::Ecs => (&ecs_manifests::NAMES, README),
        }
    }
}

pub async fn run(args: Args, config: &Config) -> Result<Exit, Failure> {
    let screen = Arc::new(Screen::new(false));
    screen.listen()?;
    let (config, told) = (config.clone(), screen.clone());
    // Beside those who listen to Ctrl-C.
    let rendered = tokio::task::spawn_blocking(move || render(&args, &config, &*told));
    let rendered = rendered.await;
    screen.stop_listening();
    rendered.map_err(|error| Failure::new(Exit::Failed, error))?
}

fn render(args: &Args, config: &Config, told: &dyn Told) -> Result<Exit, Failure> {
    ecs::check_options(args)?;
    let file = TopologyFile::read(&args.file, &args.file_args.overrides())?;
    let run = file.document.spec().name.clone();
    let place = args.into.clone();
    let place = place.unwrap_or_else(|| PathBuf::from(format!("{run}-{}", args.to.word())));
    let (names, marked) = args.to.names();
    check_place(&place, args.overwrite, names, (marked, FIRST_LINE))
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let asked = Asked::read(args, &file, config)?;
    let stage = || Staging::beside(&place);
    let (staging, written) = match args.to {
        Platform::Compose => {
            let wanted = wanted(args, asked, config, told)?;
            let staging = stage()?;
            let written = manifests::write_compose(&wanted, staging.path(), told);
            let written = written.map(|services| with_compose(&run, &place, services));
            (staging, written)
        }
        Platform::Kubernetes => {
            let wanted = wanted(args, asked, config, told)?;
            let staging = stage()?;
            let written = manifests::write_kubernetes(&wanted, staging.path(), told);
            let written = written.map(|notes| with_kubernetes(&run, &place, &notes));
            (staging, written)
        }
        Platform::Ecs => {
            let (graph, dataset) = (asked.graph, asked.dataset);
            let deployment = ecs::deployment(args, asked.record, &dataset, &place, config)?;
            let staging = stage()?;
            let write = ecs_manifests::write(&deployment, &graph, &dataset, staging.path(), told);
            let written = Handle::current().block_on(write);
            let written = written.map(|(cost, services)| with_ecs(&run, &place, &cost, services));
            (staging, written)
        }
    };
    let how_to_go_on = match written {
        Ok(how_to_go_on) => how_to_go_on,
        Err(error) if error.is::<Interrupted>() => {
            let text = "interrupted; nothing was rendered";
            return Err(Failure::new(Exit::Interrupted, text));
        }
        Err(error) => return Err(error.into()),
    };
    staging.keep()?;
    told.note(&how_to_go_on);
    Ok(Exit::Ok)
}

/// What a topology file asks for.
struct Asked {
    record: Record,
    graph: Graph,
    dataset: Dataset,
}

impl Asked {
    fn read(args: &Args, file: &TopologyFile, config: &Config) -> Result<Self, Failure> {
        let spec = file.document.spec();
        let Loaded { dataset, encoder } =
            data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
        let grouping = args.file_args.grouping(Grouping::FromFile);
        let graph = file
            .document
            .graph(&DataShape::from(&dataset), grouping)
            .map_err(|problems| file.failure(&problems))?;
        // The directories of this machine mean nothing where the run will be.
        let here = PathBuf::from(".");
        let record = Record::new(
            spec.clone(),
            here.clone(),
            here,
            grouping,
            &dataset,
            encoder,
        );
        Ok(Self {
            record,
            graph,
            dataset,
        })
    }
}

/// What is wanted for a platform that brings broker and store along.
fn wanted(args: &Args, asked: Asked, config: &Config, told: &dyn Told) -> Result<Wanted, Failure> {
    let image = match &args.image {
        Some(image) => Image::Named(image.clone()),
        None => Image::Of(program(args.program.as_deref(), told)?),
    };
    let broker_image = args.broker_image.as_ref();
    let broker_image = broker_image.or(config.services.broker_image.as_ref());
    Ok(Wanted {
        record: asked.record,
        graph: asked.graph,
        dataset: asked.dataset,
        image,
        broker_image: broker_image.map_or(DEFAULT_BROKER_IMAGE.to_owned(), String::clone),
        feed: args.data.map_or(args.to.default_feed(), DataArg::feed),
        per_bridge: CONTAINERS_PER_BRIDGE,
    })
}

/// The containers' program.
fn program(path: Option<&Path>, told: &dyn Told) -> Result<Program, Failure> {
    let failed = |error| Failure::new(Exit::Failed, format_args!("failed to {error}"));
    let path = match path {
        Some(path) => path.to_owned(),
        None => image::find_program(&|text| told.note(text)).map_err(failed)?,
    };
    Program::read(&path).map_err(failed)
}

fn with_compose(run: &str, place: &Path, services: usize) -> String {
    let place = place.display();
    format!(
        "run {run} is rendered: {services} services in `{place}`\n\
         bring it up with `cd {place} && docker-compose up -d`, see it train with `docker-compose logs -f \
         trainer`, and stop it with `docker-compose down`"
    )
}

fn with_kubernetes(run: &str, place: &Path, notes: &[String]) -> String {
    let place = place.display();
    let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    let trainer = kubernetes::Names::new(run).of_part(Role::TRAINER.word());
    format!(
        "run {run} is rendered in `{place}`\n{notes}\
         bring it up with `kubectl apply -f {place}`, see it train with `kubectl logs -f {trainer}-0`, and \
         stop it with `kubectl delete -f {place}`"
    )
}

fn with_ecs(run: &str, place: &Path, cost: &Cost, services: usize) -> String {
    let place = place.display();
    let (apply, remove) = (APPLY.0, REMOVE.0);
    let (tasks, vcpus, memory) = (cost.tasks, cost.vcpus, cost.memory);
    format!(
        "run {run} is rendered: {services} services with {tasks} tasks, {vcpus:.2} vCPU and {memory:.2} GB in \
         `{place}`\n\
         bring it up with `{place}/{apply}`, and remove it with `{place}/{remove}`; `{place}/{README}` says how to \
         see it train"
    )
}
