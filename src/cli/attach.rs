//! `attach`: watches a run in containers, and keeps them running meanwhile.

use super::screen::Screen;
use super::train::{end, report};
use super::{Exit, Failure};
use crate::config::Config;
use crate::run::Run;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C commits and stops; a second one leaves the run alone.\n\n\
    Examples:\n  cuttlefish attach mnist-mlp\n  cuttlefish attach mnist-mlp --json"
)]
pub struct Args {
    /// The run
    run: String,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let run = Run::open(config, &args.run).await?;
    let monitor = Screen::listening(args.quiet, run.kind())?;
    let trained = run.attach(config, &monitor).await?;
    report(&trained, args.json)?;
    Ok(end(&trained, false))
}
