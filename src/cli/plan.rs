//! `plan`: what a topology file expands to.

use std::path::PathBuf;

use clap::ValueEnum;
use cuttlefish_core::topology::{DataShape, Grouping, Plan};

use super::services::DataArg;
use super::{Exit, Failure, FileArgs, TopologyFile, print, print_json};
use crate::config::Config;
use crate::data;
use crate::runs::RunDir;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish plan topology/digits.yaml\n  \
    cuttlefish plan topology/mnist.yaml --target docker --json")]
pub struct Args {
    /// The topology file
    file: PathBuf,
    /// What to expand for
    #[arg(long, value_enum, default_value_t = Target::Local)]
    target: Target,
    /// How batches get to the first layer (docker, ecs)
    #[arg(long, value_enum, default_value_t)]
    data: DataArg,
    #[command(flatten)]
    file_args: FileArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Exit with 2 when training would change something, 0 when the run is complete already
    #[arg(long)]
    detailed_exitcode: bool,
}

/// What a file can be expanded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// This process
    Local,
    /// Containers: shows queues, exchanges and messages
    Docker,
    /// As docker; this version cannot run it
    Ecs,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&args.file, &args.file_args.overrides())?;
    let spec = file.document.spec();
    let loaded = data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
    let shape = DataShape::from(&loaded.dataset);
    let grouping = args.file_args.grouping(match args.target {
        Target::Local => Grouping::WholeLayers,
        Target::Docker | Target::Ecs => Grouping::FromFile,
    });
    let graph = file
        .document
        .graph(&shape, grouping)
        .map_err(|problems| file.failure(&problems))?;
    let plan = Plan::new(
        &graph,
        &shape,
        args.target != Target::Local,
        args.data.feed(),
    );
    if args.json {
        let json = serde_json::to_value(&plan).map_err(|e| Failure::new(Exit::Failed, e))?;
        print_json(&json)?;
    } else {
        print(&plan.to_string())?;
    }
    let is_complete = || -> Result<bool, Failure> {
        let run = RunDir::new(&config.runs_dir, &spec.name)?;
        if !run.exists() {
            return Ok(false);
        }
        let saved = super::block_on(async { Ok(crate::runs::SavedRun::read(&run).await?) })?;
        Ok(saved.record.topology == *spec && saved.progress().finished)
    };
    if args.detailed_exitcode && !(args.target == Target::Local && is_complete()?) {
        return Ok(Exit::Usage);
    }
    Ok(Exit::Ok)
}
