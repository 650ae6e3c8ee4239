//! `up`: brings a run up in containers, or to the state of its changed file.

use std::path::PathBuf;

use super::screen::Screen;
use super::services::ServiceArgs;
use super::target::{ContainerTargetArg, EcsArgs, options};
use super::{Exit, Failure, FileArgs};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::monitor::Monitor;
use crate::run::train::LaunchedRun;
use crate::run::{PreparedRun, RunRequest, TopologySource, bring_up};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it again after a change of the file: only what differs is changed.\n\n\
    Examples:\n  cuttlefish up topology/digits.yaml\n  \
    cuttlefish up topology/mnist.yaml --broker amqp://user:password@10.0.0.7:5672/%2f\n  \
    cuttlefish up topology/digits.yaml --target ecs --stack cuttlefish --image REGISTRY/IMAGE:TAG\n  \
    cuttlefish attach digits\n  cuttlefish down digits"
)]
pub struct Args {
    /// The topology file
    file: PathBuf,
    #[command(flatten)]
    file_args: FileArgs,
    /// Replace a run of the same name
    #[arg(long)]
    overwrite: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = ContainerTargetArg::Docker)]
    target: ContainerTargetArg,
    #[command(flatten)]
    services: ServiceArgs,
    #[command(flatten)]
    ecs: EcsArgs,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let target = TargetKind::from(args.target);
    let overrides = args.file_args.overrides();
    let request = RunRequest {
        topology: TopologySource::File(&args.file),
        overrides: &overrides,
        target,
        overwrite: args.overwrite,
    };
    let prepared = PreparedRun::from_topology(&request, config).await?;
    let is_up = prepared.target.is_some();
    let options = options(target, is_up, &args.services, &args.ecs, config)?;
    let monitor = Screen::listening(args.quiet, target)?;
    let up = bring_up(prepared, options, &monitor).await?;
    show_changes(&up, &monitor);
    let run = up.run.name();
    let what = match target {
        TargetKind::Ecs => "services",
        TargetKind::Local | TargetKind::Docker => "containers",
    };
    monitor.note(format!(
        "watch it with `cuttlefish attach {run}`, list its {what} with `cuttlefish ps {run}`"
    ));
    Ok(Exit::Ok)
}

/// Notes the changes that brought a run up. In one process there are none.
pub fn show_changes(up: &LaunchedRun, monitor: &Monitor) {
    if up.run.kind() == TargetKind::Local {
        return;
    }
    let (run, changes) = (up.run.name(), &up.changes);
    for detail in &changes.details {
        monitor.note(detail);
    }
    monitor.note(match changes.summary.as_str() {
        "" => format!("run {run} is up; nothing to change"),
        summary => format!(
            "run {run} is up: {summary} in {:.1} s{}",
            up.took.as_secs_f64(),
            changes.next_step
        ),
    });
}
