//! Runs: create, look at, stop, go on with, remove.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::{self, Bytes, Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::list;
use super::methods::{delete, get, post, resource};
use super::summary::{RunDocument, RunSummary, document, summary};
use crate::config::Config;
use crate::console::Console;
use crate::console::commands::{CommandState, CreationRequest};
use crate::console::problem::Problem;
use crate::deploy::TargetKind;
use crate::deploy::yaml;
use crate::monitor::Monitor;
use crate::run::topology_file::TopologyFile;
use crate::run::{Error, Overrides, PreparedRun, Run, RunRequest, TopologySource};
use crate::run_dir::{self, RunDir};

/// Time in which a command that is starting has to stop.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// The longest key of a request.
const MAX_KEY: usize = 200;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/runs", [get().to(list::list), post().to(create)]))
        .service(resource(
            "/runs/{run}",
            [get().to(one), delete().to(remove)],
        ))
        .service(resource("/runs/{run}/topology", [get().to(topology)]))
        .service(resource("/runs/{run}/log", [get().to(log)]))
        .service(resource("/runs/{run}/stop", [post().to(stop)]))
        .service(resource("/runs/{run}/resume", [post().to(resume)]));
}

/// A target, by its word.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetName {
    #[default]
    Local,
    Docker,
    Ecs,
}

impl TargetName {
    /// The kind of target.
    pub fn kind(self) -> TargetKind {
        match self {
            Self::Local => TargetKind::Local,
            Self::Docker => TargetKind::Docker,
            Self::Ecs => TargetKind::Ecs,
        }
    }
}

async fn one(console: Data<Console>, run: web::Path<String>) -> Result<Json<RunDocument>, Problem> {
    let all = console.clone();
    let found = console.apart(async move |config| document(&run, &all.commands, &config).await);
    Ok(Json(found.await?))
}

async fn summary_of(console: &Data<Console>, run: &str) -> Result<RunSummary, Problem> {
    let (all, run) = (console.clone(), run.to_owned());
    console
        .apart(async move |config| summary(&run, &all.commands, &config).await)
        .await
}

/// A run that is to be created.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    topology: String,
    #[serde(default)]
    target: TargetName,
    neurons_per_unit: Option<u32>,
    #[serde(default)]
    overwrite: bool,
}

/// Creates a run: checks everything that can be checked, then starts the command that trains it.
async fn create(
    console: Data<Console>,
    request: HttpRequest,
    body: Json<NewRun>,
) -> Result<HttpResponse, Problem> {
    let key = key(&request)?;
    let new = body.into_inner();
    let content = format!(
        "{:?} {:?} {} {}",
        new.target, new.neurons_per_unit, new.overwrite, new.topology
    );
    let created = CreationRequest::new(key, &content, new.target.kind());
    let turn = console.commands.changes.clone().lock_owned().await;
    let all = console.clone();
    let again = created.clone();
    let (name, is_new) = console
        .apart(async move |config| {
            let _turn = turn;
            let path = Path::new("topology.yaml");
            let source = TopologySource::Text(path, &new.topology);
            let file = TopologyFile::read(source, &Overrides::default())?;
            let name = file.document.spec().name.clone();
            if let Some(before) = all.commands.request(&name)
                && before.key.is_some()
                && before.key == again.key
                // What it made may be gone, or never have begun.
                && summary(&name, &all.commands, &config).await.is_ok()
            {
                return match before == again {
                    true => Ok((name, false)),
                    false => Err(Problem::unprocessable(
                        "another request had the same Idempotency-Key (use a new one for another run)",
                    )),
                };
            }
            check(&new, &all.commands.new_topology(&name), &config).await?;
            // One that has not come so far that there is a run.
            if all.commands.state(&name) == CommandState::Working {
                return Err(Problem::conflict(format_args!(
                    "failed to start run `{name}`: it is being trained (stop it first)"
                )));
            }
            let path = all.commands.new_topology(&name);
            let path = path.to_str().ok_or_else(|| {
                Problem::unprocessable("the directory of runs is not UTF-8 (use another one)")
            })?;
            let per_unit = new.neurons_per_unit.map(|n| n.to_string());
            let mut arguments = vec!["train", path, "--target", new.target.kind().word(), "--quiet"];
            if let Some(per_unit) = &per_unit {
                arguments.extend(["--neurons-per-unit", per_unit]);
            }
            if new.overwrite {
                arguments.push("--overwrite");
            }
            all.commands.create(&name, &new.topology, &again, &arguments)?;
            Ok((name, true))
        })
        .await?;
    let summary = match is_new {
        true => RunSummary::of_command(&name, &created.target, CommandState::Working),
        false => summary_of(&console, &name).await?,
    };
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, format!("/api/v1/runs/{name}")))
        .json(summary))
}

/// Refuses what `train` would refuse, with the same words.
async fn check(new: &NewRun, path: &Path, config: &Config) -> Result<(), Problem> {
    let overrides = Overrides {
        values: Vec::new(),
        neurons_per_unit: new.neurons_per_unit,
    };
    let request = RunRequest {
        topology: TopologySource::Text(path, &new.topology),
        overrides: &overrides,
        target: new.target.kind(),
        overwrite: new.overwrite,
    };
    PreparedRun::from_topology(&request, config).await?;
    Ok(())
}

/// The key of a request that may be sent again.
fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(key) = request.headers().get("Idempotency-Key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()));
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        Problem::bad_request(format_args!(
            "an Idempotency-Key has 1 to {MAX_KEY} visible characters"
        ))
    })
}

/// The topology file that a run was created from; for one that was not created here, as its record has it.
async fn topology(console: Data<Console>, run: web::Path<String>) -> Result<HttpResponse, Problem> {
    RunDir::new(&console.config.runs_dir, &run)?;
    let kept = console.commands.topology(&run);
    let text = match fs::read_to_string(kept) {
        Ok(text) => text,
        Err(_) => {
            console
                .apart(async move |config| {
                    let saved = Run::open(&config, &run).await?.saved().await?;
                    yaml::to_string(&saved.record.topology).map_err(Problem::unprocessable)
                })
                .await?
        }
    };
    Ok(HttpResponse::Ok()
        .content_type("application/yaml; charset=utf-8")
        .body(text))
}

async fn log(console: Data<Console>, run: web::Path<String>) -> Result<HttpResponse, Problem> {
    RunDir::new(&console.config.runs_dir, &run)?;
    let log = console.commands.log(&run).ok_or_else(|| {
        Problem::not_found(format_args!(
            "nothing was started for run `{run}` by this console"
        ))
    })?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(log))
}

/// Asks a run's trainer to commit and end, or its command not to begin.
async fn stop(console: Data<Console>, run: web::Path<String>) -> Result<HttpResponse, Problem> {
    let turn = console.commands.changes.clone().lock_owned().await;
    let (all, name) = (console.clone(), run.clone());
    let summary = console
        .apart(async move |config| {
            let _turn = turn;
            let now = summary(&name, &all.commands, &config).await?;
            if now.state != "starting" || !all.commands.interrupt(&name) {
                Run::open(&config, &name).await?.stop().await?;
            }
            Ok(now)
        })
        .await?;
    Ok(HttpResponse::Accepted().json(summary))
}

/// Request to go on with a run.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    epochs: Option<u32>,
}

async fn resume(
    console: Data<Console>,
    run: web::Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let resumption = match body.is_empty() {
        true => Resumption::default(),
        false => serde_json::from_slice(&body).map_err(Problem::bad_request)?,
    };
    let epochs = resumption.epochs;
    let turn = console.commands.changes.clone().lock_owned().await;
    let (all, name) = (console.clone(), run.clone());
    console
        .apart(async move |config| {
            let _turn = turn;
            let overrides = Overrides {
                values: Vec::from_iter(epochs.map(|n| format!("training.epochs={n}"))),
                neurons_per_unit: None,
            };
            // Refuses what the command would refuse, and lets go of the run for it.
            drop(PreparedRun::from_run(&name, &overrides, &config).await?);
            let epochs = epochs.map(|n| n.to_string());
            let mut arguments = vec!["train", "--resume", &name, "--quiet"];
            if let Some(epochs) = &epochs {
                arguments.extend(["--epochs", epochs]);
            }
            all.commands.go_on(&name, &arguments)
        })
        .await?;
    Ok(HttpResponse::Accepted().json(summary_of(&console, &run).await?))
}

/// Removes a run and everything that belongs to it. One that is starting is stopped first.
async fn remove(console: Data<Console>, run: web::Path<String>) -> Result<HttpResponse, Problem> {
    let turn = console.commands.changes.clone().lock_owned().await;
    let (all, name) = (console.clone(), run.into_inner());
    console
        .apart(async move |config| {
            let _turn = turn;
            if summary(&name, &all.commands, &config).await?.state == "starting" {
                end_command(&all, &name).await?;
            }
            match Run::open(&config, &name).await {
                Ok(run) => run.down(&Monitor::silent()).await?,
                // One that never came up has left no more than what is beside it.
                Err(Error::Directory(run_dir::Error::Unknown { .. }))
                    if all.commands.request(&name).is_some() => {}
                Err(error) => return Err(error.into()),
            }
            all.commands.forget(&name);
            Ok(())
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Stops the command of a run that is starting, and waits until it has ended.
async fn end_command(console: &Console, run: &str) -> Result<(), Problem> {
    let began = Instant::now();
    console.commands.interrupt(run);
    while console.commands.state(run) == CommandState::Working {
        if began.elapsed() >= ENDS_WITHIN {
            return Err(Problem::conflict(format_args!(
                "run `{run}` is starting, and has not stopped within {} s (try again)",
                ENDS_WITHIN.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
