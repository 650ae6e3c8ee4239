//! `plan`: what a topology file expands to.

use std::path::PathBuf;

use clap::ValueEnum;
use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{DataShape, Grouping, Plan};
use serde_json::json;

use super::services::ServiceArgs;
use super::{Exit, Failure, FileArgs, TopologyFile, print, print_json};
use crate::config::Config;
use crate::data;
use crate::deploy::docker::Docker;
use crate::deploy::docker::cost::Cost;
use crate::deploy::docker::limits::{Limit, Standing};
use crate::deploy::ecs;
use crate::deploy::ecs::desired::Site;
use crate::deploy::ecs::stack::Stack;
use crate::orchestrator::limits::Outlook;
use crate::report::numbers::{size, thousands};
use crate::report::table::aligned;
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

/// What a file can be expanded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// This process
    Local,
    /// Containers: shows queues, exchanges and messages, what they cost this machine, and whether
    /// its limits hold
    Docker,
    /// Tasks of Amazon ECS: as docker, and shows services, their price, and AWS's rates and quotas
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
    let run = RunDir::new(&config.runs_dir, &spec.name)?;
    let before = run.deployment().ok();
    let services = args.services.resolve(config, before.is_some())?;
    let feed = match args.target {
        // Tasks share no disk.
        Target::Ecs => Feed::Broadcast,
        Target::Local | Target::Docker => services.feed(before.as_ref()),
    };
    let plan = Plan::new(&graph, &shape, args.target != Target::Local, feed);
    let mut text = plan.to_string();
    let mut document = serde_json::to_value(&plan).map_err(|e| Failure::new(Exit::Failed, e))?;
    if args.target == Target::Docker {
        let (outlook, problem) = super::block_on(async {
            let (docker, problem) = match Docker::connect().await {
                Ok(docker) => (Some(docker), None),
                Err(error) => (None, Some(format!("failed to {error}"))),
            };
            let (services, before) = (&services, before.as_ref());
            let outlook = Outlook::new(docker.as_ref(), &graph, &plan, services, before);
            Ok((outlook.await?, problem))
        })?;
        text.push_str(&told(&outlook, problem.as_deref()));
        document["cost"] = json!(outlook.cost);
        document["host"] = json!(outlook.host);
        document["host_problem"] = json!(problem);
        document["limits"] = json!(outlook.limits);
    }
    let mut would_change = args.target != Target::Local;
    if args.target == Target::Ecs {
        let stack = Stack::planned();
        let site = Site {
            stack: &stack,
            image: "",
            region: "",
            endpoint: None,
            data_bytes: shape.bytes(),
        };
        let wanted = ecs::desired::services(&graph, &site);
        let wanted = wanted.map_err(|problem| Failure::new(Exit::Usage, problem))?;
        let cost = ecs::cost::cost(&wanted);
        text.push_str(&cost.text(&wanted));
        document["ecs"] = json!(cost);
        if run.is_on_ecs() {
            let mut record = run.recorded()?;
            record.topology = spec.clone();
            record.grouping = grouping;
            let data_bytes = shape.bytes();
            let differs = super::ecs::differences(&run, &record, &graph, data_bytes);
            let differs = super::block_on(differs)?;
            document["differs"] = json!(differs);
            would_change = !differs.is_empty();
            text.push_str("\n`up` would change\n");
            for difference in &differs {
                text.push_str(&format!("  {difference}\n"));
            }
            if differs.is_empty() {
                text.push_str("  nothing\n");
            }
        }
    }
    if args.json {
        print_json(&document)?;
    } else {
        print(&text)?;
    }
    let is_complete = || -> Result<bool, Failure> {
        if !run.exists() {
            return Ok(false);
        }
        let saved = super::block_on(async { Ok(crate::runs::SavedRun::read(&run).await?) })?;
        Ok(saved.record.topology == *spec && saved.progress().finished)
    };
    if args.target == Target::Local && args.detailed_exitcode {
        would_change = !is_complete()?;
    }
    if args.detailed_exitcode && would_change {
        return Ok(Exit::Usage);
    }
    Ok(Exit::Ok)
}

/// What a run would cost, and whether the host's limits hold.
fn told(outlook: &Outlook, problem: Option<&str>) -> String {
    let host = outlook.host.as_ref().map_or("Docker".to_owned(), |host| {
        format!("{}, {} processors", host.name, host.processors)
    });
    let mut text = format!(
        "\nmemory on the host\n\n{}\nlimits of {host}\n\n{}",
        indented(&memory_rows(&outlook.cost), 1),
        indented(&limit_rows(&outlook.limits), 2),
    );
    for limit in outlook.that(Standing::Noted) {
        text.push_str(&format!("\nnote: {limit}\n"));
    }
    let exceeded: Vec<&Limit> = outlook.that(Standing::Exceeded).collect();
    for limit in &exceeded {
        text.push_str(&format!("\nexceeded: {limit}\n"));
    }
    if !exceeded.is_empty() {
        text.push_str("\n`up` refuses this\n");
    }
    if let Some(problem) = problem {
        text.push_str(&format!("\nthe host's limits are unknown: {problem}\n"));
    }
    text
}

fn indented(rows: &[Vec<String>], left: usize) -> String {
    let lines = aligned(rows, left);
    lines.lines().map(|line| format!("  {line}\n")).collect()
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn memory_rows(cost: &Cost) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "expected use of",
        "number",
        "each",
        "together",
        "limit of each",
    ])];
    for one in &cost.memory {
        rows.push(vec![
            one.what.clone(),
            thousands(one.count),
            size(one.each),
            size(one.count.saturating_mul(one.each)),
            one.limit.map_or("-".to_owned(), size),
        ]);
    }
    let together = size(cost.expected_memory());
    rows.push(row([
        "total",
        "",
        "",
        &together,
        &size(cost.memory_limits()),
    ]));
    rows
}

fn limit_rows(limits: &[Limit]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["limit", "", "needed", "available"])];
    for limit in limits {
        let available = limit.available.map(|available| limit.amount(available));
        rows.push(vec![
            limit.what.clone(),
            limit.standing.word().to_owned(),
            limit.amount(limit.needed),
            available.unwrap_or_default(),
        ]);
    }
    rows
}
