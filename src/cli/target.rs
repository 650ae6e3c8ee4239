//! Targets as words on the command line, and the options that each takes.

use super::Failure;
use super::services::ServiceArgs;
use crate::config::Config;
use crate::deploy::{Options, TargetKind, ecs};

/// A place where actors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetArg {
    /// In this process, with nothing installed
    Local,
    /// In a container each, on this machine's Docker
    Docker,
    /// In a container each, on Amazon ECS
    Ecs,
}

impl From<TargetArg> for TargetKind {
    fn from(target: TargetArg) -> Self {
        match target {
            TargetArg::Local => Self::Local,
            TargetArg::Docker => Self::Docker,
            TargetArg::Ecs => Self::Ecs,
        }
    }
}

/// A place where containers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ContainerTargetArg {
    /// On this machine's Docker
    Docker,
    /// On Amazon ECS
    Ecs,
}

impl From<ContainerTargetArg> for TargetKind {
    fn from(target: ContainerTargetArg) -> Self {
        match target {
            ContainerTargetArg::Docker => Self::Docker,
            ContainerTargetArg::Ecs => Self::Ecs,
        }
    }
}

/// Options of runs on ECS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options for --target ecs")]
pub struct EcsArgs {
    /// The CloudFormation stack that infra/cloudformation/cuttlefish.yaml made [env:
    /// CUTTLEFISH_STACK]
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
}

/// The options of a run on a target; `is_up` says whether it is there already, with places of its own.
pub fn options(
    target: TargetKind,
    is_up: bool,
    services: &ServiceArgs,
    ecs: &EcsArgs,
    config: &Config,
) -> Result<Options, Failure> {
    Ok(match target {
        TargetKind::Local => Options::Local,
        TargetKind::Docker => Options::Docker(Box::new(services.resolve(config, is_up)?)),
        TargetKind::Ecs => {
            let services = services.resolve(config, is_up)?;
            // The environment is only for runs that are new, as with broker and store.
            let environment = config.services.stack.clone().filter(|_| !is_up);
            Options::Ecs(ecs::EcsOptions {
                stack: ecs.stack.clone().or(environment),
                image: services.image,
                endpoint: services.store.flatten(),
            })
        }
    })
}
