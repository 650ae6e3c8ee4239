//! `eval`: a run's weights on a part of its data.

use clap::ValueEnum;
use cuttlefish_core::data::Part;
use serde_json::json;

use super::{Exit, Failure, print, print_json};
use crate::config::Config;
use crate::report;
use crate::run::Run;
use crate::run::evaluate::part_name;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish eval digits\n  \
    cuttlefish eval digits --part validation --json")]
pub struct Args {
    /// The run
    run: String,
    /// The rows
    #[arg(long, value_enum, default_value_t = PartArg::Test)]
    part: PartArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartArg {
    /// Rows that were kept for the end
    Test,
    /// Rows that were looked at after each epoch
    Validation,
    /// Rows that changed the weights
    Train,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let part = match args.part {
        PartArg::Test => Part::Test,
        PartArg::Validation => Part::Validation,
        PartArg::Train => Part::Train,
    };
    let run = Run::open(config, &args.run).await?;
    let evaluated = run.evaluate(part, config).await?;
    let (name, evaluation) = (part_name(part), &evaluated.evaluation);
    if args.json {
        print_json(&json!({"run": args.run, "part": part.word(), "evaluation": evaluation}))?;
    } else {
        print(&report::summary::evaluation(
            name,
            evaluation,
            &evaluated.task,
        ))?;
    }
    Ok(Exit::Ok)
}
