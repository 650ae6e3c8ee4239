//! `down`: removes a run and everything that belongs to it.

use super::screen::Screen;
use super::{Exit, Failure, tell};
use crate::config::Config;
use crate::run::Run;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Its weights too: `cuttlefish export` keeps them. Of a run in containers also the \
    containers, networks, queues, users and secrets; a broker, a store or a stack that it was given \
    stays, without what the run had there.\n\nExamples:\n  cuttlefish down digits"
)]
pub struct Args {
    /// The run
    run: String,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let run = Run::open(config, &args.run).await?;
    let monitor = Screen::monitor(run.kind());
    run.down(&monitor).await?;
    tell(format_args!("removed run {}", args.run));
    Ok(Exit::Ok)
}
