//! `eval`: a run's weights on a part of its data.

use std::sync::Arc;

use clap::ValueEnum;
use cuttlefish_core::data::{Batches, Part};
use cuttlefish_core::network::Network;
use serde_json::json;

use super::{Exit, Failure, print, print_json};
use crate::config::Config;
use crate::data;
use crate::report;
use crate::runs::record::data_sha256;

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
    let (_, saved) = super::open(config, &args.run).await?;
    let record = &saved.record;
    let data_dir = config.data_dir_of_run(&record.data_dir);
    let loaded = data::load(&record.topology.data, &record.base_dir, data_dir)?;
    check_data(&record.data_sha256, &loaded.dataset)?;
    let dataset = Arc::new(loaded.dataset);
    let graph = &saved.graph;
    let network = Network::restore(graph, &saved.states().await?)
        .map_err(|problem| Failure::new(Exit::Failed, problem))?;
    let batches = Batches::new(
        dataset.clone(),
        graph.seed,
        graph.training.batch_size,
        false,
    );
    let (part, name) = match args.part {
        PartArg::Test => (Part::Test, "test"),
        PartArg::Validation => (Part::Validation, "validation"),
        PartArg::Train => (Part::Train, "training"),
    };
    let evaluation = network
        .evaluate(&batches, part, &dataset.task)
        .ok_or_else(|| {
            Failure::new(
                Exit::Data,
                format_args!("run `{}` has no {name} rows (see --part)", args.run),
            )
        })?;
    if args.json {
        print_json(&json!({"run": args.run, "part": name, "evaluation": evaluation}))?;
    } else {
        print(&report::summary::evaluation(
            name,
            &evaluation,
            &dataset.task,
        ))?;
    }
    Ok(Exit::Ok)
}

/// Refuses data that is not what the run was started with.
pub fn check_data(expected: &str, dataset: &cuttlefish_core::data::Dataset) -> Result<(), Failure> {
    if data_sha256(dataset) == expected {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Data,
        format_args!(
            "the data of `{}` has changed since the run was started (restore the file, or start a \
             new run)",
            dataset.name
        ),
    ))
}
