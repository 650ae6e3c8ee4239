//! `plan`: the expansion of a topology file.

use std::path::PathBuf;

use clap::ValueEnum;

use super::services::ServiceArgs;
use super::{Exit, Failure, FileArgs, print, print_json};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::run::TopologySource;
use crate::run::plan::plan;
use crate::sweep::{self, PreparedSweep};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish plan topology/digits.yaml\n  \
    cuttlefish plan topology/mnist.yaml --target docker --json")]
pub struct Args {
    /// The topology file
    file: PathBuf,
    /// Target that the plan is for
    #[arg(long, value_enum, default_value_t = PlanTarget::Local)]
    target: PlanTarget,
    #[command(flatten)]
    file_args: FileArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Exit with 2 when training would change something, 0 when the run is complete already
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    services: ServiceArgs,
}

/// Target that a file can be expanded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanTarget {
    /// This process
    Local,
    /// Containers: shows queues, exchanges and messages, what they cost this machine, and whether
    /// its limits hold
    Docker,
    /// Tasks of Amazon ECS: as docker, and shows services, their price, and AWS's rates and quotas
    Ecs,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let target = match args.target {
        PlanTarget::Local => TargetKind::Local,
        PlanTarget::Docker => TargetKind::Docker,
        PlanTarget::Ecs => TargetKind::Ecs,
    };
    let overrides = args.file_args.overrides();
    let services = |is_up| args.services.resolve(config, is_up);
    let planned = plan(
        TopologySource::File(&args.file),
        &overrides,
        target,
        services,
        config,
    )
    .await?;
    if args.json {
        let document = planned.document();
        print_json(&document.map_err(|error| Failure::new(Exit::Failed, error))?)?;
    } else {
        print(&planned.text())?;
        match PreparedSweep::new(TopologySource::File(&args.file), &overrides, config) {
            Ok(sweep) => print(&sweep.plan_text())?,
            Err(sweep::Error::NoSweep { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if args.detailed_exitcode && planned.would_change() {
        return Ok(Exit::Usage);
    }
    Ok(Exit::Ok)
}
