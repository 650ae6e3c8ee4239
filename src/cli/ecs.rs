//! Runs on Amazon ECS: `up`, `train`, `attach` and `ps` of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::topology::Graph;
use serde_json::json;

use super::attach::{Followed, end_of_stopped};
use super::services::ServiceArgs;
use super::told::Screen;
use super::train;
use super::up::{Asked, give_up, read_file, read_run, remove};
use super::watch::Watchable;
use super::{Exit, Failure, FileArgs, print, print_json, recorded_graph, tell};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::ecs::reconcile::{Action, reconcile};
use crate::host::RunSnapshot;
use crate::orchestrator::on_ecs::{OnEcs, Wanted};
use crate::orchestrator::up::Told;
use crate::report::table::aligned;
use crate::runs::{Record, RunDir};
use crate::store::DynamoStore;

/// How often the store is asked what there is to see. The trainer writes it once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Options of runs on ECS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options for --target ecs")]
pub struct EcsArgs {
    /// The CloudFormation stack that infra/cloudformation/cuttlefish.yaml made [env:
    /// CUTTLEFISH_STACK]
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
}

/// What a topology file asks for.
pub fn from_file(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    config: &Config,
) -> Result<Asked, Failure> {
    read_file(file, file_args, overwrite, RunDir::is_on_ecs, config)
}

/// `up --target ecs`.
pub fn up(
    asked: Asked,
    overwrite: bool,
    quiet: bool,
    args: &EcsArgs,
    services: &ServiceArgs,
    config: &Config,
) -> Result<Exit, Failure> {
    let screen = Arc::new(Screen::new(quiet));
    actix_rt::System::new().block_on(async {
        bring_up(&asked, overwrite, args, services, config, &screen).await?;
        let run = asked.run.name();
        screen.note(&format!(
            "watch it with `cuttlefish attach {run}`, list its services with `cuttlefish ps {run}`"
        ));
        Ok(Exit::Ok)
    })
}

/// `train --target ecs`, and `train --resume` of a run that is there.
pub fn train(args: &train::Args, config: &Config) -> Result<Exit, Failure> {
    let asked = match (&args.file, &args.resume) {
        (Some(file), _) => from_file(file, &args.file_args, args.overwrite, config)?,
        (None, run) => read_run(run.as_deref().unwrap_or_default(), args, config)?,
    };
    let screen = Arc::new(Screen::new(args.quiet));
    actix_rt::System::new().block_on(async {
        let (overwrite, services) = (args.overwrite, &args.services);
        let on_ecs = bring_up(&asked, overwrite, &args.ecs, services, config, &screen).await?;
        if args.detach {
            return Ok(Exit::Ok);
        }
        let exit = watch(&on_ecs, &asked.graph, asked.dataset, args.json, args.quiet).await?;
        if args.down {
            let lock = on_ecs.run.lock()?;
            on_ecs.down(&lock, &*screen).await?;
        }
        Ok(exit)
    })
}

/// `attach` to a run on ECS.
pub fn attach(run: &str, json: bool, quiet: bool, config: &Config) -> Result<Exit, Failure> {
    actix_rt::System::new().block_on(async {
        let on_ecs = OnEcs::open(RunDir::existing(&config.runs_dir, run)?).await?;
        let record = &on_ecs.deployment.record;
        let graph = recorded_graph(record)?;
        let data_dir = config.data_dir_of_run(&record.data_dir);
        let Loaded { dataset, .. } = data::load(&record.topology.data, &record.base_dir, data_dir)?;
        watch(&on_ecs, &graph, dataset, json, quiet).await
    })
}

async fn bring_up(
    asked: &Asked,
    overwrite: bool,
    args: &EcsArgs,
    services: &ServiceArgs,
    config: &Config,
    screen: &Arc<Screen>,
) -> Result<OnEcs, Failure> {
    let run = &asked.run;
    let is_up = run.is_on_ecs() && !overwrite;
    let services = services.resolve(config, is_up)?;
    // The environment is only for runs that are new, as with broker and store.
    let stack = args.stack.as_deref();
    let stack = stack.or(config.services.stack.as_deref().filter(|_| !is_up));
    let wanted = Wanted {
        record: &asked.record,
        graph: &asked.graph,
        dataset: &asked.dataset,
        stack,
        image: services.image.as_deref(),
        endpoint: services.store.as_ref().and_then(Option::as_deref),
    };
    screen.listen()?;
    run.create()?;
    let mut lock = run.lock()?;
    if overwrite && run.exists() {
        remove(run, &lock, screen).await?;
        run.create()?;
        lock = run.lock()?;
    }
    let is_new = !run.exists();
    let started = Instant::now();
    match OnEcs::up(run.clone(), &wanted, &**screen).await {
        Ok((on_ecs, actions)) => {
            screen.stop_listening();
            let name = run.name();
            for action in &actions {
                screen.note(&action.told());
            }
            screen.note(&match actions.len() {
                0 => format!("run {name} is up; nothing to change"),
                n => format!(
                    "run {name} is up: {n} service{} changed in {:.1} s; ECS starts the tasks",
                    if n == 1 { "" } else { "s" },
                    started.elapsed().as_secs_f64()
                ),
            });
            Ok(on_ecs)
        }
        Err(error) => Err(give_up(run, &lock, is_new, error, screen).await),
    }
}

/// Watches a run to its end and tells how it ended. ECS keeps its tasks alive.
async fn watch(
    on_ecs: &OnEcs,
    graph: &Graph,
    dataset: cuttlefish_core::data::Dataset,
    json: bool,
    quiet: bool,
) -> Result<Exit, Failure> {
    let store = on_ecs.store().await?;
    let followed = Followed {
        run: &on_ecs.run,
        target: "ecs",
        store: store.clone(),
        graph,
        dataset: Arc::new(dataset),
    };
    let shown = Shown {
        on_ecs,
        store,
        last: RunSnapshot::default(),
        is_stopping: false,
    };
    followed.to_the_end(shown, json, quiet).await
}

/// A run as its trainer shows it in the store.
struct Shown<'a> {
    on_ecs: &'a OnEcs,
    store: DynamoStore,
    /// What was seen last: shown as long as the store cannot be reached.
    last: RunSnapshot,
    /// Whether the trainer has been asked to commit and end.
    is_stopping: bool,
}

impl Watchable for Shown<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<RunSnapshot, Failure> {
        tokio::time::sleep(at_most.max(LOOK_EVERY)).await;
        if !self.on_ecs.run.is_on_ecs() {
            let run = self.on_ecs.run.name();
            let text = format_args!("run `{run}` has been taken down meanwhile");
            return Err(Failure::new(Exit::Run, text));
        }
        if self.is_stopping {
            self.on_ecs.wait_for_trainer().await?;
            self.last.end = Some(end_of_stopped(&self.store).await?);
            return Ok(self.last.clone());
        }
        match self.store.get_snapshot().await {
            Ok(Some(text)) => match serde_json::from_str(&text) {
                Ok(look) => self.last = look,
                Err(error) => tracing::info!("cannot read what the trainer shows: {error}"),
            },
            Ok(None) => {}
            Err(error) => tracing::info!("cannot look at the run: {error}"),
        }
        self.last.notes.retain(|note| note.number > after);
        Ok(self.last.clone())
    }

    async fn interrupted(&mut self) -> Result<&'static str, Failure> {
        self.on_ecs.stop_trainer().await?;
        self.is_stopping = true;
        Ok("committing; press Ctrl-C again to leave that to the trainer")
    }

    fn abandoned(&mut self) -> Failure {
        let run = self.on_ecs.run.name();
        // The second Ctrl-C may come before ECS has answered the first.
        let left = match self.is_stopping {
            true => "left while the trainer commits and ends; the other services",
            false => "left before ECS has confirmed that the trainer is to end; the services",
        };
        let text = format_args!(
            "{left} of run {run} stay: go on with `cuttlefish train --resume {run}`, or remove it with \
             `cuttlefish down {run}`"
        );
        Failure::new(Exit::Interrupted, text)
    }
}

/// `ps RUN` of a run on ECS: its services, and what differs from what should be.
pub async fn ps(run: RunDir, as_json: bool) -> Result<Exit, Failure> {
    let on_ecs = OnEcs::open(run).await?;
    let graph = recorded_graph(&on_ecs.deployment.record)?;
    let observed = on_ecs.observe(&graph).await?;
    let differs: Vec<String> = reconcile(&on_ecs.desired(&graph)?, &observed)
        .iter()
        .map(Action::told)
        .collect();
    if as_json {
        let services = observed.iter().map(|one| {
            json!({
                "service": one.name,
                "tasks": one.count,
                "running": one.running,
                "task_definition": one.definition_arn,
            })
        });
        print_json(&json!({
            "run": on_ecs.run.name(),
            "cluster": on_ecs.deployment.stack.cluster,
            "services": services.collect::<Vec<_>>(),
            "differs": differs,
        }))?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![
        ["SERVICE", "TASKS", "RUNNING", "CPU", "MEMORY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in &observed {
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
    print(&aligned(&rows, 1))?;
    for difference in differs {
        tell(format_args!("differs from the run's file: {difference}"));
    }
    Ok(Exit::Ok)
}

/// What differs from what a file asks for, with a data set of so many bytes, if the run is on ECS.
pub async fn differences(
    run: &RunDir,
    record: &Record,
    graph: &Graph,
    data_bytes: u64,
) -> Result<Vec<String>, Failure> {
    let mut on_ecs = OnEcs::open(run.clone()).await?;
    on_ecs.deployment.record = record.clone();
    on_ecs.deployment.data_bytes = data_bytes;
    let observed = on_ecs.observe(graph).await?;
    let actions = reconcile(&on_ecs.desired(graph)?, &observed);
    Ok(actions.iter().map(Action::told).collect())
}

/// What works on a run on ECS, if anything does.
pub async fn tasks(run: &RunDir) -> Option<String> {
    let on_ecs = OnEcs::open(run.clone()).await.ok()?;
    let graph = recorded_graph(&on_ecs.deployment.record).ok()?;
    let observed = on_ecs.observe(&graph).await.ok()?;
    let (wanted, running) = observed.iter().fold((0, 0), |(wanted, running), one| {
        (wanted + one.count, running + one.running)
    });
    (running > 0).then(|| format!("{running} of {wanted} tasks"))
}
