//! `up`, `attach` and `train --target docker`: runs in containers.

use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::data::{BatchSource, Batches, Dataset};
use cuttlefish_core::topology::graph::Graph;
use cuttlefish_core::topology::{DataShape, Grouping};
use cuttlefish_core::trainer::{Outcome, Verdict};
use tokio::signal::unix::{SignalKind, signal};

use super::evaluate::check_data;
use super::logs::deployed;
use super::outcome::Finished;
use super::services::ServiceArgs;
use super::told::Screen;
use super::train::{self, check_resumable};
use super::watch::{Watch, Watchable};
use super::{Exit, Failure, FileArgs, TopologyFile, print, tell};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::docker::Docker;
use crate::deploy::docker::desired::{Container, container_name};
use crate::host::{End, Look};
use crate::orchestrator::Deployed;
use crate::orchestrator::up::{self, Changes, Interrupted, Told, Wanted};
use crate::report::progress_bar::ProgressView;
use crate::runs::{Lock, Record, RunDir, SavedRun};
use crate::store::{Store, serve};

/// How often an attached command looks whether containers have to be started again.
const REVIVE_EVERY: Duration = Duration::from_secs(2);

/// How often the trainer is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it again after a change of the file: only what differs is changed.\n\n\
    Examples:\n  cuttlefish up topology/digits.yaml\n  \
    cuttlefish up topology/mnist.yaml --broker amqp://user:password@10.0.0.7:5672/%2f\n  \
    cuttlefish attach digits\n  cuttlefish down digits"
)]
pub struct UpArgs {
    /// The topology file
    file: PathBuf,
    #[command(flatten)]
    file_args: FileArgs,
    /// Replace a run of the same name
    #[arg(long)]
    overwrite: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    services: ServiceArgs,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C commits and stops; a second one leaves the run alone.\n\n\
    Examples:\n  cuttlefish attach mnist-mlp\n  cuttlefish attach mnist-mlp --json"
)]
pub struct AttachArgs {
    /// The run
    run: String,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum ImageCommand {
    /// Build the neuron image, without a base image and without a registry
    Build {
        /// The program in it [default: cuttlefish-neuron beside this program]
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish store --file store.db\n  \
    AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000 cuttlefish up topology/digits.yaml")]
pub struct StoreArgs {
    /// Where to listen. Containers reach this machine at the gateway of their network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The database's file, created unless it exists
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// A run that is to be brought up.
struct Prepared {
    run: RunDir,
    wanted: Wanted,
}

pub fn up(args: &UpArgs, config: &Config) -> Result<Exit, Failure> {
    let prepared = from_file(
        &args.file,
        &args.file_args,
        args.overwrite,
        &args.services,
        config,
    )?;
    let screen = Arc::new(Screen::new(args.quiet));
    actix_rt::System::new().block_on(async {
        let (deployed, _) = bring_up(prepared, args.overwrite, &screen).await?;
        let run = deployed.run.name();
        screen.note(&format!("watch it with `cuttlefish attach {run}`, list its containers with `cuttlefish ps {run}`"));
        Ok(Exit::Ok)
    })
}

/// `train --target docker`, and `train --resume` of a run in containers.
pub fn train(args: &train::Args, config: &Config) -> Result<Exit, Failure> {
    let services = &args.services;
    let prepared = match (&args.file, &args.resume) {
        (Some(file), _) => from_file(file, &args.file_args, args.overwrite, services, config)?,
        (None, run) => from_run(run.as_deref().unwrap_or_default(), args, config)?,
    };
    let screen = Arc::new(Screen::new(args.quiet));
    actix_rt::System::new().block_on(async {
        let (deployed, wanted) = bring_up(prepared, args.overwrite, &screen).await?;
        if args.detach {
            return Ok(Exit::Ok);
        }
        let exit = watch(
            &deployed,
            &wanted.graph,
            wanted.dataset,
            args.json,
            args.quiet,
        )
        .await?;
        if args.down {
            let lock = deployed.run.lock()?;
            deployed.down(&lock, &*screen).await?;
        }
        Ok(exit)
    })
}

pub fn attach(args: &AttachArgs, config: &Config) -> Result<Exit, Failure> {
    actix_rt::System::new().block_on(async {
        let deployed = deployed(&args.run, config).await?;
        let record = &deployed.deployment.record;
        let graph = recorded_graph(record)?;
        let data_dir = config.data_dir_of_run(&record.data_dir);
        let Loaded { dataset, .. } = data::load(&record.topology.data, &record.base_dir, data_dir)?;
        watch(&deployed, &graph, dataset, args.json, args.quiet).await
    })
}

pub async fn image(command: &ImageCommand) -> Result<Exit, Failure> {
    let ImageCommand::Build { program } = command;
    let docker = Docker::connect()
        .await
        .map_err(|error| Failure::new(Exit::Failed, format_args!("failed to {error}")))?;
    let screen = Screen::new(false);
    let image = up::neuron_image(&docker, None, program.as_deref(), &screen).await?;
    print(&format!("{}\n", image.name))?;
    Ok(Exit::Ok)
}

pub fn store(args: &StoreArgs) -> Result<Exit, Failure> {
    let listener = TcpListener::bind(&args.listen).map_err(|error| {
        let text = format_args!(
            "failed to listen on {}: {error} (name another with --listen)",
            args.listen
        );
        Failure::new(Exit::Failed, text)
    })?;
    actix_rt::System::new().block_on(async {
        let server = serve::serve(listener, &args.file, None)?;
        tell(format_args!(
            "serving `{}` on http://{}",
            args.file.display(),
            args.listen
        ));
        server.await.map_err(|error| {
            Failure::new(Exit::Failed, format_args!("the server failed: {error}"))
        })?;
        Ok(Exit::Ok)
    })
}

fn recorded_graph(record: &Record) -> Result<Graph, Failure> {
    record.graph(record.grouping).map_err(|problems| {
        Failure::new(Exit::Failed, format_args!("the run's record: {problems}"))
    })
}

/// What a topology file asks for.
fn from_file(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    services: &ServiceArgs,
    config: &Config,
) -> Result<Prepared, Failure> {
    let file = TopologyFile::read(file, &file_args.overrides())?;
    let spec = file.document.spec();
    let run = RunDir::new(&config.runs_dir, &spec.name)?;
    let services = services.resolve(config, run.is_deployed() && !overwrite)?;
    let grouping = file_args.grouping(Grouping::FromFile);
    let Loaded { dataset, encoder } = data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
    let graph = file
        .document
        .graph(&DataShape::from(&dataset), grouping)
        .map_err(|problems| file.failure(&problems))?;
    let data_dir =
        std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let record = Record::new(
        spec.clone(),
        file.base_dir(),
        data_dir,
        grouping,
        &dataset,
        encoder,
    );
    record.to_json()?;
    if run.exists() && !overwrite {
        if !run.is_deployed() {
            let run = run.name().to_owned();
            return Err(crate::runs::Error::Exists { run }.into());
        }
        let before = run.deployment()?.record;
        check_data(&before.data_sha256, &dataset)?;
        check_change(&run, &before, &record)?;
    }
    Ok(Prepared {
        run,
        wanted: Wanted {
            record,
            graph,
            dataset,
            services,
        },
    })
}

/// What a run in containers was started with, with what is to be different now.
fn from_run(name: &str, args: &train::Args, config: &Config) -> Result<Prepared, Failure> {
    let run = RunDir::existing(&config.runs_dir, name)?;
    let services = args.services.resolve(config, true)?;
    let before = run.deployment()?.record;
    let problems = |problems: cuttlefish_core::topology::Problems| {
        Failure::new(Exit::Usage, format_args!("run `{name}`: {problems}"))
    };
    let document = before
        .document(&args.file_args.overrides())
        .map_err(problems)?;
    let data_dir = config.data_dir_of_run(&before.data_dir);
    let Loaded { dataset, .. } = data::load(&before.topology.data, &before.base_dir, data_dir)?;
    check_data(&before.data_sha256, &dataset)?;
    let mut record = before.clone();
    record.grouping = args.file_args.grouping(before.grouping);
    record.topology = document.spec().clone();
    check_change(&run, &before, &record)?;
    let shape = DataShape::from(&dataset);
    let graph = document.graph(&shape, record.grouping).map_err(problems)?;
    Ok(Prepared {
        run,
        wanted: Wanted {
            record,
            graph,
            dataset,
            services,
        },
    })
}

/// Whether a run can become what is wanted without changing its bits.
fn check_change(run: &RunDir, before: &Record, record: &Record) -> Result<(), Failure> {
    if before.topology == record.topology {
        return Ok(());
    }
    let progress = super::block_on(async {
        let deployed = Deployed::open(run.clone()).await?;
        let store = deployed.store().await?;
        Ok(SavedRun::read_from(run.name(), store).await?.progress())
    })?;
    check_resumable(&before.topology, &record.topology, &progress)
}

/// Brings a run up. What was not there before is removed again when that fails.
async fn bring_up(
    prepared: Prepared,
    overwrite: bool,
    screen: &Arc<Screen>,
) -> Result<(Deployed, Wanted), Failure> {
    let Prepared { run, wanted } = prepared;
    screen.listen()?;
    run.create()?;
    let lock = run.lock()?;
    if overwrite && run.exists() {
        remove(&run, &lock, screen).await?;
        run.create()?;
        let lock = run.lock()?;
        return bring_up_locked(run, lock, wanted, screen).await;
    }
    bring_up_locked(run, lock, wanted, screen).await
}

async fn bring_up_locked(
    run: RunDir,
    lock: Lock,
    wanted: Wanted,
    screen: &Arc<Screen>,
) -> Result<(Deployed, Wanted), Failure> {
    let is_new = !run.exists();
    let started = Instant::now();
    let result = up::up(run.clone(), &wanted, &**screen).await;
    screen.stop_listening();
    match result {
        Ok((deployed, changes)) => {
            screen.note(&told(deployed.run.name(), changes, started.elapsed()));
            Ok((deployed, wanted))
        }
        Err(error) => {
            if is_new && let Err(left) = remove(&run, &lock, screen).await {
                let run = run.name();
                tell(format_args!(
                    "{}\nwhat is left can be removed with `cuttlefish down {run}`",
                    left.message
                ));
            }
            if error.is::<Interrupted>() {
                return Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted; what was made is removed again",
                ));
            }
            Err(error.into())
        }
    }
}

/// Removes a run, deployed or not, or what an attempt to make one has left.
async fn remove(run: &RunDir, lock: &Lock, screen: &Screen) -> Result<(), Failure> {
    if run.is_deployed() {
        let deployed = Deployed::open(run.clone()).await?;
        Ok(deployed.down(lock, screen).await?)
    } else {
        Ok(run.clone().remove(lock)?)
    }
}

fn told(run: &str, changes: Changes, took: Duration) -> String {
    let Changes {
        created,
        started,
        removed,
    } = changes;
    if changes == Changes::default() {
        return format!("run {run} is up; nothing to change");
    }
    let mut parts = Vec::new();
    for (count, word) in [
        (created, "created"),
        (started, "started"),
        (removed, "removed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} containers {word}"));
        }
    }
    format!(
        "run {run} is up: {} in {:.1} s",
        parts.join(", "),
        took.as_secs_f64()
    )
}

/// Watches a run to its end, keeps its containers running meanwhile, and tells how it ended.
async fn watch(
    deployed: &Deployed,
    graph: &Graph,
    dataset: Dataset,
    json: bool,
    quiet: bool,
) -> Result<Exit, Failure> {
    let dataset = Arc::new(dataset);
    let training = &graph.training;
    let batches = Batches::new(
        dataset.clone(),
        graph.seed,
        training.batch_size,
        training.shuffle,
    );
    let before = saved(deployed).await?.progress().tick.0;
    let view = ProgressView::new(std::io::stderr().is_terminal(), quiet, training.epochs);
    let batch_source: &dyn BatchSource = &batches;
    let mut watch = Watch::new(view, graph, batch_source, before);
    let mut remote = Remote {
        deployed,
        desired: deployed.desired(graph)?,
        last: Look::default(),
        revived: Instant::now(),
        is_stopping: false,
    };
    let watched = watch.until_the_end(&mut remote).await;
    watch.finish();
    let watched = watched?;
    let outcome = match watched.end {
        End::Finished(outcome) => *outcome,
        End::Failed(fault) => return Err(fault.into()),
        End::StoreFailed(problem) => return Err(Failure::new(Exit::Failed, problem)),
    };
    let finished = Finished {
        run: &deployed.run,
        target: "docker",
        saved: saved(deployed).await?,
        graph,
        dataset: &dataset,
        outcome: &outcome,
        rows_trained: watched.rows_trained,
        wall: watched.took,
    };
    finished.report(json).await
}

async fn saved(deployed: &Deployed) -> Result<SavedRun, Failure> {
    let store = deployed.store().await?;
    Ok(SavedRun::read_from(deployed.run.name(), store).await?)
}

/// A run in containers, on its way to its end.
struct Remote<'a> {
    deployed: &'a Deployed,
    desired: Vec<Container>,
    /// What was seen last: shown as long as the trainer cannot be reached.
    last: Look,
    revived: Instant,
    is_stopping: bool,
}

impl Remote<'_> {
    /// Starts containers that have ended, unless somebody works on the run.
    async fn revive(&mut self) {
        self.revived = Instant::now();
        let Ok(_lock) = self.deployed.run.lock() else {
            return;
        };
        if !self.deployed.run.is_deployed() {
            return;
        }
        match self.deployed.revive(&self.desired).await {
            Ok(names) => names
                .iter()
                .for_each(|name| tell(format_args!("started {name} again"))),
            Err(error) => tracing::warn!("cannot start containers: {error:#}"),
        }
    }

    /// How a run ended whose trainer was asked to commit and has left.
    async fn stopped(&self) -> Result<Option<End>, Failure> {
        let observed = self.deployed.observe().await?;
        let is_running = |one: &crate::deploy::docker::reconcile::Observed| {
            one.actor == "trainer" && one.is_running()
        };
        if observed.iter().any(is_running) {
            return Ok(None);
        }
        let store = self.deployed.store().await?;
        let ledger = store.read_ledger().await?.and_then(|(_, ledger)| ledger);
        let Some(ledger) = ledger else {
            return Err(Failure::new(
                Exit::Interrupted,
                "stopped before the first commit",
            ));
        };
        let verdict = if ledger.progress.finished {
            Verdict::Completed
        } else {
            Verdict::Stopped
        };
        Ok(Some(End::Finished(Box::new(Outcome {
            verdict,
            ledger,
            rewinds: 0,
        }))))
    }
}

impl Watchable for Remote<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<Look, Failure> {
        tokio::time::sleep(at_most.max(LOOK_EVERY)).await;
        if !self.is_stopping && self.revived.elapsed() >= REVIVE_EVERY {
            self.revive().await;
        }
        let looked = match self.deployed.inspect("trainer").await {
            Ok(inspection) => inspection.look(after).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match looked {
            Ok(look) => self.last = look,
            Err(error) => {
                tracing::info!("cannot look at the trainer: {error:#}");
                self.last.notes.clear();
                if self.is_stopping {
                    self.last.end = self.stopped().await?;
                }
            }
        }
        Ok(self.last.clone())
    }

    async fn interrupted(&mut self) -> Result<&'static str, Failure> {
        self.is_stopping = true;
        let name = container_name(self.deployed.run.name(), "trainer");
        let asked = self.deployed.docker.signal(&name, "SIGTERM").await;
        asked.map_err(|error| Failure::new(Exit::Failed, format_args!("failed to {error}")))?;
        Ok("committing; press Ctrl-C again to leave the run alone")
    }

    fn abandoned(&mut self) -> Failure {
        let run = self.deployed.run.name();
        Failure::new(
            Exit::Interrupted,
            format_args!("left; see how it goes with `cuttlefish attach {run}`"),
        )
    }
}

impl Screen {
    /// From now on Ctrl-C and SIGTERM cancel what is going on; a second one ends the process.
    fn listen(self: &Arc<Self>) -> Result<(), Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
        let mut interrupts = listen(SignalKind::interrupt())?;
        let mut terminations = listen(SignalKind::terminate())?;
        let screen = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                if screen.cancel() {
                    screen.note(
                        "stopping, and removing what was made; press Ctrl-C again to leave it",
                    );
                } else {
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        });
        self.keep_listener(task);
        Ok(())
    }
}
