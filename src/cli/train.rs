//! `train`: from a file to trained weights, or on from a run's last commit.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use cuttlefish_core::data::{BatchSource, Batches, Dataset, Part};
use cuttlefish_core::math::Schedule;
use cuttlefish_core::topology::spec::Spec;
use cuttlefish_core::topology::{DataShape, Graph, Grouping};
use cuttlefish_core::trainer::{Progress, Timing};

use super::ecs::{self, EcsArgs};
use super::evaluate::check_data;
use super::outcome::Finished;
use super::services::ServiceArgs;
use super::watch::{Watch, Watchable};
use super::{Exit, Failure, FileArgs, TopologyFile, tell, up};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::LocalRun;
use crate::host::{End, Look};
use crate::report::progress_bar::ProgressView;
use crate::runs::{Lock, Record, RunDir, SavedRun};
use crate::store::Store;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C commits and stops; a second one stops at once, and what was done \
    since the last commit is computed again after --resume.\n\nExamples:\n  \
    cuttlefish train topology/digits.yaml\n  \
    cuttlefish train topology/mnist.yaml --data-dir data/mnist --epochs 3 --neurons-per-unit 1\n  \
    cuttlefish train --resume digits --epochs 60"
)]
pub struct Args {
    /// The topology file
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub(super) file: Option<PathBuf>,
    /// Go on with a run from its last commit; ends with the bits of an uninterrupted run
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<String>,
    /// Replace a run of the same name
    #[arg(long, conflicts_with = "resume")]
    pub(super) overwrite: bool,
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = Target::Local)]
    target: Target,
    #[command(flatten)]
    pub(super) file_args: FileArgs,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    pub(super) json: bool,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Return as soon as the run trains; `cuttlefish attach` watches it (docker)
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Remove the run's containers when it has ended; its weights go with its own store (docker)
    #[arg(long, conflicts_with = "detach")]
    pub(super) down: bool,
    #[command(flatten)]
    pub(super) services: ServiceArgs,
    #[command(flatten)]
    pub(super) ecs: EcsArgs,
}

/// Where actors can live in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// In this process, with nothing installed
    Local,
    /// In a container each, on this machine's Docker
    Docker,
    /// In a container each, on Amazon ECS
    Ecs,
}

/// A run that is about to be trained.
pub(super) struct Prepared {
    pub(super) run: RunDir,
    _lock: Lock,
    /// The record as it is to be stored.
    pub(super) record: String,
    pub(super) graph: Graph,
    dataset: Arc<Dataset>,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if args.target == Target::Ecs || is_on_ecs(args, config) {
        return ecs::train(args, config);
    }
    if args.target == Target::Docker || is_deployed(args, config) {
        return up::train(args, config);
    }
    let prepared = match (&args.file, &args.resume) {
        (Some(file), _) => {
            let (file_args, overwrite) = (&args.file_args, args.overwrite);
            prepare_new(file, file_args, overwrite, config, |_| Ok(()))?
        }
        (None, Some(name)) => prepare_resumed(args, name, config)?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    actix_rt::System::new().block_on(train(args, prepared))
}

/// Whether the run to be resumed is one in containers.
fn is_deployed(args: &Args, config: &Config) -> bool {
    resumed(args, config).is_some_and(|run| run.is_deployed())
}

/// Whether it is on ECS.
fn is_on_ecs(args: &Args, config: &Config) -> bool {
    resumed(args, config).is_some_and(|run| run.is_on_ecs())
}

fn resumed(args: &Args, config: &Config) -> Option<RunDir> {
    RunDir::existing(&config.runs_dir, args.resume.as_deref()?).ok()
}

/// A run of a file. `fits` says what else has to be right before anything is changed.
pub(super) fn prepare_new(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    config: &Config,
    fits: impl FnOnce(&Graph) -> Result<(), Failure>,
) -> Result<Prepared, Failure> {
    let file = TopologyFile::read(file, &file_args.overrides())?;
    let spec = file.document.spec();
    let run = RunDir::new(&config.runs_dir, &spec.name)?;
    let is_run = || super::block_on(async { Ok(has_record(&run).await) });
    if run.exists() && !overwrite && is_run()? {
        let run = run.name().to_owned();
        return Err(crate::runs::Error::Exists { run }.into());
    }
    let Loaded { dataset, encoder } = data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
    let grouping = file_args.grouping(Grouping::WholeLayers);
    let graph = file
        .document
        .graph(&DataShape::from(&dataset), grouping)
        .map_err(|problems| file.failure(&problems))?;
    fits(&graph)?;
    let record = Record::new(
        spec.clone(),
        file.base_dir(),
        std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone()),
        grouping,
        &dataset,
        encoder,
    );
    let json = record.to_json()?;
    // Nothing was changed so far; from here on everything is known to fit.
    run.create()?;
    let lock = run.lock()?;
    // Another process may have made the run while the data were loaded. A store without a record
    // is what a process leaves that was killed while it made one: not a run.
    if run.exists() {
        let is_run = super::block_on(async { Ok(has_record(&run).await) })?;
        if is_run && !overwrite {
            let run = run.name().to_owned();
            return Err(crate::runs::Error::Exists { run }.into());
        }
        run.clear(&lock)?;
    }
    Ok(Prepared {
        run,
        _lock: lock,
        record: json,
        graph,
        dataset: Arc::new(dataset),
    })
}

fn prepare_resumed(args: &Args, name: &str, config: &Config) -> Result<Prepared, Failure> {
    let run = RunDir::existing(&config.runs_dir, name)?;
    let lock = run.lock()?;
    let saved = super::block_on(async { Ok(SavedRun::read(&run).await?) })?;
    let mut record = saved.record.clone();
    let problems = |problems: cuttlefish_core::topology::Problems| {
        Failure::new(Exit::Usage, format_args!("run `{name}`: {problems}"))
    };
    let document = record
        .document(&args.file_args.overrides())
        .map_err(problems)?;
    check_resumable(&record.topology, document.spec(), &saved.progress())?;
    let data_dir = config.data_dir_of_run(&record.data_dir);
    let Loaded { dataset, .. } = data::load(&record.topology.data, &record.base_dir, data_dir)?;
    check_data(&record.data_sha256, &dataset)?;
    record.grouping = args.file_args.grouping(record.grouping);
    let graph = document
        .graph(&DataShape::from(&dataset), record.grouping)
        .map_err(problems)?;
    record.topology = document.spec().clone();
    Ok(Prepared {
        run,
        _lock: lock,
        record: record.to_json()?,
        graph,
        dataset: Arc::new(dataset),
    })
}

/// Whether a store has the record of a run, or something else that must not be overwritten.
async fn has_record(run: &RunDir) -> bool {
    match run.existing_store() {
        Ok(store) => !matches!(
            store.get_record().await,
            Ok(None) | Err(crate::store::Error::NoTable { .. })
        ),
        Err(_) => true,
    }
}

/// A run can be given more epochs and another end, but not another network, data or arithmetic.
pub(super) fn check_resumable(
    recorded: &Spec,
    wanted: &Spec,
    progress: &Progress,
) -> Result<(), Failure> {
    let refuse = |why: std::fmt::Arguments<'_>| Err(Failure::new(Exit::Usage, why));
    let mut same = wanted.clone();
    same.training.epochs = recorded.training.epochs;
    same.training.early_stopping = recorded.training.early_stopping;
    same.deployment = recorded.deployment.clone();
    if same != *recorded {
        return refuse(format_args!(
            "only training.epochs, training.early_stopping and the grouping can change when a run \
             is resumed (start a new run for anything else)"
        ));
    }
    if same.training == wanted.training {
        return Ok(());
    }
    if progress.stopped_early {
        return refuse(format_args!(
            "early stopping ended the run's training, so its end cannot change any more (start a \
             new run)"
        ));
    }
    let epochs = wanted.training.epochs;
    let is_cosine = matches!(
        recorded.training.learning_rate_schedule,
        Schedule::Cosine { .. }
    );
    if is_cosine && epochs != recorded.training.epochs {
        return refuse(format_args!(
            "the cosine schedule ends with the last epoch, so the number of epochs cannot change \
             when the run is resumed (start a new run)"
        ));
    }
    let done = progress.history.last().map_or(0, |epoch| epoch.epoch);
    let is_begun =
        progress.part == Part::Validation || (progress.part == Part::Train && progress.index > 0);
    let begun = done + u32::from(is_begun);
    if epochs < begun {
        return refuse(format_args!(
            "the run has begun epoch {begun}, so it cannot end after {epochs}"
        ));
    }
    Ok(())
}

async fn train(args: &Args, prepared: Prepared) -> Result<Exit, Failure> {
    let Prepared {
        run,
        _lock,
        record,
        graph,
        dataset,
    } = prepared;
    let store = run.store().await?;
    store.put_record(&record).await?;
    let graph = Arc::new(graph);
    let training = &graph.training;
    let source = Batches::new(
        dataset.clone(),
        graph.seed,
        training.batch_size,
        training.shuffle,
    )
    .augmented(training.augmentation);
    let batches: Arc<dyn BatchSource> = Arc::new(source);
    let timing = Timing::default();
    let local = LocalRun::start(&graph, &batches, &dataset.task, Arc::new(store), timing)?;
    let is_terminal = std::io::stderr().is_terminal();
    let view = ProgressView::new(is_terminal, args.quiet, training.epochs);
    let mut watch = Watch::new(view, &graph, &*batches);
    let mut watched = WatchedLocally {
        local: &local,
        run: run.name(),
    };
    let end = watch.until_the_end(&mut watched).await;
    watch.finish();
    drop(local);
    let outcome = match end? {
        End::Finished(outcome) => *outcome,
        End::Failed(fault) => return Err(fault.into()),
        End::StoreFailed(problem) => {
            let run = run.name();
            return Err(Failure::new(
                Exit::Failed,
                format_args!(
                    "{problem}\ngo on from the last commit with `cuttlefish train --resume {run}`"
                ),
            ));
        }
    };
    let finished = Finished {
        run: &run,
        target: "local",
        saved: SavedRun::read(&run).await?,
        graph: &graph,
        dataset: &dataset,
        outcome: &outcome,
    };
    finished.report(args.json).await
}

/// A run in this process, on its way to its end.
struct WatchedLocally<'a> {
    local: &'a LocalRun,
    run: &'a str,
}

impl Watchable for WatchedLocally<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<Look, Failure> {
        self.local.observer().wait(at_most).await;
        Ok(self.local.observer().look(after))
    }

    async fn interrupted(&mut self) -> Result<&'static str, Failure> {
        self.local.stop();
        Ok("committing; press Ctrl-C again to stop at once")
    }

    fn abandoned(&mut self) -> Failure {
        let run = self.run;
        tell(format_args!(
            "stopped at once; go on from the last commit with `cuttlefish train --resume {run}`"
        ));
        // Not by returning: that would wait for the arithmetic under way. The store is made for
        // processes that end like this.
        std::process::exit(Exit::Interrupted as i32);
    }
}
