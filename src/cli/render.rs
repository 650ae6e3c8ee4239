//! `render`: a run as manifests, which others bring up.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::screen::Screen;
use super::services::DataArg;
use super::{Exit, Failure, FileArgs};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::deploy::docker::desired::Role;
use crate::deploy::docker::options::DEFAULT_BROKER_IMAGE;
use crate::deploy::ecs::cost::EcsCost;
use crate::deploy::ecs::manifests::{APPLY, README, REMOVE};
use crate::deploy::kubernetes;
use crate::run::Error;
use crate::run::render::{Contents, Platform, RenderRequest, StackSource, render};

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
    /// Platform that is to bring the run up
    #[arg(long, value_enum)]
    to: PlatformArg,
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

/// A platform that brings up what is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlatformArg {
    /// Docker Compose, 1.29 or newer
    Compose,
    /// Kubernetes, by kubectl
    Kubernetes,
    /// Amazon ECS, by the AWS CLI or CloudFormation
    Ecs,
}

impl From<PlatformArg> for Platform {
    fn from(platform: PlatformArg) -> Self {
        match platform {
            PlatformArg::Compose => Self::Compose,
            PlatformArg::Kubernetes => Self::Kubernetes,
            PlatformArg::Ecs => Self::Ecs,
        }
    }
}

pub async fn run(args: Args, config: &Config) -> Result<Exit, Failure> {
    check_options(&args)?;
    let broker_image = args.broker_image.or(config.services.broker_image.clone());
    let stack = args.stack.or(config.services.stack.clone());
    let request = RenderRequest {
        file: args.file,
        overrides: args.file_args.overrides(),
        platform: args.to.into(),
        into: args.into,
        overwrite: args.overwrite,
        broker_image: broker_image.unwrap_or(DEFAULT_BROKER_IMAGE.to_owned()),
        image: args.image,
        program: args.program,
        feed: args.data.map(DataArg::feed),
        stack: match args.stack_file {
            Some(file) => Some(StackSource::File(file)),
            None => stack.map(StackSource::Name),
        },
    };
    let monitor = Screen::listening(false, TargetKind::Docker)?;
    let rendered = match render(&request, config, &monitor).await {
        Err(Error::Target(crate::deploy::Error::Interrupted)) => {
            let text = "interrupted; nothing was rendered";
            return Err(Failure::new(Exit::Interrupted, text));
        }
        rendered => rendered?,
    };
    let (run, place) = (&rendered.run, &rendered.place);
    monitor.note(match &rendered.contents {
        Contents::Compose(services) => with_compose(run, place, *services),
        Contents::Kubernetes(notes) => with_kubernetes(run, place, notes),
        Contents::Ecs(cost, services) => with_ecs(run, place, cost, *services),
    });
    Ok(Exit::Ok)
}

/// Refuses options that are not those of the platform.
///
/// # Errors
/// Names one that is not.
fn check_options(args: &Args) -> Result<(), Failure> {
    let is_reference = matches!(args.data, Some(DataArg::Reference));
    let unfit = match args.to {
        PlatformArg::Compose | PlatformArg::Kubernetes => [
            (args.stack.is_some(), "--stack", "the run brings all along"),
            (
                args.stack_file.is_some(),
                "--stack-file",
                "the run brings all along",
            ),
            (false, "", ""),
        ],
        PlatformArg::Ecs => [
            (
                args.broker_image.is_some(),
                "--broker-image",
                "the stack has a broker",
            ),
            (
                args.program.is_some(),
                "--program",
                "ECS takes an image from a registry: --image",
            ),
            (
                is_reference,
                "--data reference",
                "tasks share no disk: the trainer sends batches",
            ),
        ],
    };
    let misplaced = unfit.iter().find(|(is_given, ..)| *is_given);
    misplaced.map_or(Ok(()), |(_, option, why)| {
        let text = format_args!(
            "{option} is not for `--to {}` ({why})",
            Platform::from(args.to).word()
        );
        Err(Failure::new(Exit::Usage, text))
    })
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

fn with_ecs(run: &str, place: &Path, cost: &EcsCost, services: usize) -> String {
    let place = place.display();
    let (apply, remove) = (APPLY.0, REMOVE.0);
    let (tasks, vcpus, memory) = (cost.tasks, cost.vcpus, cost.memory_gib);
    format!(
        "run {run} is rendered: {services} services with {tasks} tasks, {vcpus:.2} vCPU and {memory:.2} GB in \
         `{place}`\n\
         bring it up with `{place}/{apply}`, and remove it with `{place}/{remove}`; `{place}/{README}` says how to \
         see it train"
    )
}
