//! `logs`: the output of a run's containers.

use futures_util::stream::{StreamExt, select_all};

use super::{Exit, Failure, print};
use crate::config::Config;
use crate::deploy;
use crate::deploy::docker::DockerRun;
use crate::run::Error;
use crate::run_dir::RunDir;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish logs mnist-mlp trainer -f\n  \
    cuttlefish logs mnist-mlp hidden.003 --tail 20")]
pub struct Args {
    /// The run
    run: String,
    /// A container of it: trainer, broker, store, hidden.003; all of them without
    unit: Option<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines to begin with, or `all`
    #[arg(long, value_name = "N", default_value = "all")]
    tail: String,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if args.tail != "all" && args.tail.parse::<u32>().is_err() {
        let text = format_args!("--tail: `{}` is neither a number nor `all`", args.tail);
        return Err(Failure::new(Exit::Usage, text));
    }
    let dir = RunDir::existing(&config.runs_dir, &args.run)?;
    let run = DockerRun::open(dir).await.map_err(Error::from)?;
    let observed = run.observe().await.map_err(Error::from)?;
    let is_selected = |actor: &str| args.unit.as_ref().is_none_or(|unit| unit == actor);
    let containers: Vec<_> = observed
        .iter()
        .filter(|one| is_selected(&one.actor))
        .collect();
    if containers.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            format_args!(
                "run `{}` has no container `{}` (`cuttlefish ps {}` lists them)",
                args.run,
                args.unit.as_deref().unwrap_or("at all"),
                args.run
            ),
        ));
    }
    let is_one = args.unit.is_some();
    let logs = containers.into_iter().map(|one| {
        let actor = one.actor.clone();
        run.docker
            .logs(&one.name, args.follow, &args.tail)
            .map(move |line| (actor.clone(), line))
            .boxed()
    });
    let mut lines = select_all(logs);
    while let Some((actor, line)) = lines.next().await {
        let line = line.map_err(|error| Error::from(deploy::Error::from(error)))?;
        if is_one {
            print(&format!("{line}\n"))?;
        } else {
            print(&format!("{actor} | {line}\n"))?;
        }
    }
    Ok(Exit::Ok)
}
