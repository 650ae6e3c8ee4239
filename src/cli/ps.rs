//! `ps`: the runs, or the parts of one of them.

use cuttlefish_core::data::Part;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{Exit, Failure, print, print_json, tell};
use crate::config::Config;
use crate::deploy::docker::status::ContainerStatus;
use crate::deploy::ecs::status::ServiceStatus;
use crate::deploy::{Actors, TargetKind};
use crate::report::table::align;
use crate::run::status::RunStatus;
use crate::run::{Error, Run};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Loss and accuracy are those of the test rows once there are any, before that those of \
    the last epoch's validation rows, or of its training rows where none validate; PART says which.\n\n\
    For a run in containers: each actor (a unit hosts neurons, a synapse and the trainer none) with \
    its state, tick, the memory that no other process maps (the program's and the data's are \
    shared), and the messages in its queues. For one on ECS: each service with its desired and \
    its running tasks, and what each task has.\n\n\
    Examples:\n  cuttlefish ps\n  cuttlefish ps digits\n  cuttlefish ps digits --json"
)]
pub struct Args {
    /// Only this run
    run: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let names = match &args.run {
        Some(name) => {
            let run = Run::open(config, name).await?;
            if run.kind() != TargetKind::Local {
                return actors(&run, args.json).await;
            }
            vec![name.clone()]
        }
        None => Run::names(config)?,
    };
    let mut rows = vec![header()];
    let mut documents = Vec::new();
    for name in names {
        // A run that cannot be read is listed as such: it still has to be found and removed.
        let (row, document) = match read(&name, config).await {
            Ok(status) => describe(&status),
            Err(error) => {
                tell(format_args!("{name}: {error}"));
                let mut row = vec![name.clone(), "unreadable".to_owned()];
                row.resize(header().len(), String::new());
                let problem = error.to_string();
                (
                    row,
                    json!({"run": name, "state": "unreadable", "problem": problem}),
                )
            }
        };
        rows.push(row);
        documents.push(document);
    }
    if args.json {
        print_json(&json!(documents))?;
    } else {
        print(&align(&rows, 2))?;
    }
    Ok(Exit::Ok)
}

async fn read(name: &str, config: &Config) -> Result<RunStatus, Error> {
    Run::open(config, name).await?.status().await
}

fn header() -> Vec<String> {
    [
        "RUN", "STATE", "EPOCH", "TICK", "PART", "LOSS", "ACCURACY", "NEURONS", "TARGET",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn describe(status: &RunStatus) -> (Vec<String>, Value) {
    let (part, evaluation) = status.evaluation().unzip();
    let part = part.map(Part::word);
    let loss = evaluation.map_or("-".to_owned(), |e| format!("{:.4}", e.loss));
    let accuracy = evaluation
        .and_then(|e| e.accuracy)
        .map_or("-".to_owned(), |a| format!("{:.2} %", 100.0 * a));
    let row = vec![
        status.run.clone(),
        status.state.word().to_owned(),
        format!("{}/{}", status.epoch(), status.epochs),
        status.tick.to_string(),
        part.unwrap_or("-").to_owned(),
        loss,
        accuracy,
        status.neurons.to_string(),
        status.target.word().to_owned(),
    ];
    let document = json!({
        "run": status.run,
        "state": status.state.word(),
        "worker": status.worker,
        "target": status.target.word(),
        "epoch": status.epoch(),
        "epochs": status.epochs,
        "tick": status.tick,
        "generation": status.generation,
        "part": part,
        "evaluation": evaluation,
        "neurons": status.neurons,
        "directory": status.directory,
    });
    (row, document)
}

/// Prints what a run in containers consists of.
async fn actors(run: &Run, as_json: bool) -> Result<Exit, Failure> {
    match run.target().actors().await.map_err(Error::from)? {
        Actors::Process(_) => {}
        Actors::Containers(containers) if as_json => {
            let actors: Vec<Value> = containers.iter().map(ContainerStatus::document).collect();
            print_json(&json!({"run": run.name(), "target": "docker", "actors": actors}))?;
        }
        Actors::Containers(containers) => {
            let rows: Vec<Vec<String>> = std::iter::once(container_header())
                .chain(containers.iter().map(container_row))
                .collect();
            print(&align(&rows, 2))?;
        }
        Actors::Services(status) if as_json => print_json(&status.document(run.name()))?,
        Actors::Services(status) => services(&status)?,
    }
    Ok(Exit::Ok)
}

fn container_header() -> Vec<String> {
    [
        "ACTOR",
        "STATE",
        "TICK",
        "GENERATION",
        "MEMORY",
        "QUEUED",
        "INSPECT",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn container_row(status: &ContainerStatus) -> Vec<String> {
    let count = |name: &str| {
        status
            .figure(name)
            .map_or("-".to_owned(), |n| format!("{n:.0}"))
    };
    let memory = status.figure("cuttlefish_private_memory_bytes");
    vec![
        status.observed.actor.clone(),
        status.state().to_owned(),
        count("cuttlefish_tick"),
        count("cuttlefish_generation"),
        memory.map_or("-".to_owned(), |bytes| HumanBytes(bytes as u64).to_string()),
        status
            .queued
            .map_or("-".to_owned(), |queued| queued.to_string()),
        status.url.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn services(status: &ServiceStatus) -> Result<(), Failure> {
    let mut rows = vec![
        ["SERVICE", "DESIRED", "RUNNING", "CPU UNITS", "MEMORY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in &status.services {
        let definition = one.definition.as_ref();
        rows.push(vec![
            one.name.clone(),
            one.count.to_string(),
            one.running.to_string(),
            definition.map_or("?".to_owned(), |definition| definition.cpu.to_string()),
            definition.map_or("?".to_owned(), |definition| {
                format!("{} MiB", definition.memory)
            }),
        ]);
    }
    print(&align(&rows, 1))?;
    for difference in &status.differences {
        tell(format_args!("differs from the run's file: {difference}"));
    }
    Ok(())
}
