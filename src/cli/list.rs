//! `ps` and `down`: which runs there are, and removing one.

use serde_json::json;

use super::told::Screen;
use super::units::units;
use super::{Exit, Failure, ecs, print, print_json, tell, up};
use crate::config::Config;
use crate::deploy::docker::desired::Role;
use crate::deploy::docker::reconcile::Observed;
use crate::orchestrator::Deployed;
use crate::report::table::aligned;
use crate::runs::{RunDir, SavedRun};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For a run in containers: each unit with its state, tick, the memory that no other \
    process maps (the program's and the data's are shared), and the messages in its queues.\n\n\
    Examples:\n  cuttlefish ps\n  cuttlefish ps digits\n  cuttlefish ps digits --json"
)]
pub struct PsArgs {
    /// Only this run
    run: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Its weights too: `cuttlefish export` keeps them. Of a run in containers also the \
    containers, networks, queues, users and secrets; a broker, a store or a stack that it was given \
    stays, without what the run had there.\n\nExamples:\n  cuttlefish down digits"
)]
pub struct DownArgs {
    /// The run
    run: String,
}

pub async fn ps(args: &PsArgs, config: &Config) -> Result<Exit, Failure> {
    let runs = match &args.run {
        Some(name) => {
            let run = RunDir::existing(&config.runs_dir, name)?;
            if run.is_deployed() {
                return units(&Deployed::open(run).await?, args.json).await;
            }
            if run.is_on_ecs() {
                return ecs::ps(run, args.json).await;
            }
            vec![run]
        }
        None => RunDir::list(&config.runs_dir)?,
    };
    let mut rows = vec![header()];
    let mut documents = Vec::new();
    for run in runs {
        let worker = if run.is_deployed() {
            containers(&run).await
        } else if run.is_on_ecs() {
            ecs::tasks(&run).await
        } else {
            run.worker()
        };
        // A run that cannot be read is listed as such: it still has to be found and removed.
        let (row, document) = match super::read(&run).await {
            Ok(saved) => describe(&run, worker, &saved),
            Err(error) => {
                let name = run.name();
                let error = error.message;
                tell(format_args!("{name}: {error}"));
                let mut row = vec![name.to_owned(), "unreadable".to_owned()];
                row.resize(header().len(), String::new());
                (
                    row,
                    json!({"run": name, "state": "unreadable", "problem": error}),
                )
            }
        };
        rows.push(row);
        documents.push(document);
    }
    if args.json {
        print_json(&json!(documents))?;
    } else {
        print(&aligned(&rows, 2))?;
    }
    Ok(Exit::Ok)
}

/// What works on a run in containers, if anything does.
async fn containers(run: &RunDir) -> Option<String> {
    let observed = Deployed::open(run.clone())
        .await
        .ok()?
        .observe()
        .await
        .ok()?;
    let is_at_work = |one: &&Observed| one.role == Some(Role::TRAINER) && one.is_running();
    observed.iter().find(is_at_work)?;
    let running = observed.iter().filter(|one| one.is_running()).count();
    Some(format!("{running} of {} containers", observed.len()))
}

fn header() -> Vec<String> {
    [
        "RUN", "STATE", "EPOCH", "TICK", "LOSS", "ACCURACY", "NEURONS", "TARGET",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn describe(
    run: &RunDir,
    worker: Option<String>,
    saved: &SavedRun,
) -> (Vec<String>, serde_json::Value) {
    let target = if run.is_deployed() {
        "docker"
    } else if run.is_on_ecs() {
        "ecs"
    } else {
        "local"
    };
    let progress = saved.progress();
    let state = match &worker {
        _ if progress.finished => "complete",
        Some(_) => "running",
        None => "stopped",
    };
    let last = progress.history.last();
    let seen = last.map(|epoch| epoch.validation.as_ref().unwrap_or(&epoch.train));
    let seen = progress.test.as_ref().or(seen);
    let loss = seen.map_or("-".to_owned(), |e| format!("{:.4}", e.loss));
    let accuracy = seen
        .and_then(|e| e.accuracy)
        .map_or("-".to_owned(), |a| format!("{:.2} %", 100.0 * a));
    let epochs = last.map_or(0, |epoch| epoch.epoch);
    let neurons: usize = saved.graph.layers.iter().map(|layer| layer.units).sum();
    let row = vec![
        run.name().to_owned(),
        state.to_owned(),
        format!("{epochs}/{}", saved.graph.training.epochs),
        progress.tick.to_string(),
        loss,
        accuracy,
        neurons.to_string(),
        target.to_owned(),
    ];
    let document = json!({
        "run": run.name(),
        "state": state,
        "process": worker,
        "target": target,
        "epoch": epochs,
        "epochs": saved.graph.training.epochs,
        "tick": progress.tick,
        "generation": saved.generation,
        "evaluation": seen,
        "neurons": neurons,
        "directory": run.path(),
    });
    (row, document)
}

pub async fn down(args: &DownArgs, config: &Config) -> Result<Exit, Failure> {
    let run = RunDir::existing(&config.runs_dir, &args.run)?;
    let lock = run.lock()?;
    up::remove(&run, &lock, &Screen::new(false)).await?;
    tell(format_args!("removed run {}", args.run));
    Ok(Exit::Ok)
}
