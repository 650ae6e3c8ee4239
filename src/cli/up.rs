//! `up`, and `train --target docker`: from a file, or from what a run was started with, to a run
//! in containers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::data::Dataset;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::{DataShape, Graph, Grouping, Problems};

use super::attach::watch;
use super::ecs::{self, EcsArgs};
use super::evaluate::check_data;
use super::services::ServiceArgs;
use super::told::Screen;
use super::train::{self, check_resumable};
use super::{Exit, Failure, FileArgs, TopologyFile, tell};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::docker::limits::Standing;
use crate::orchestrator::on_ecs::OnEcs;
use crate::orchestrator::up::{self, Changes, Interrupted, Told, Wanted};
use crate::orchestrator::{Deployed, limits};
use crate::runs::{Lock, Record, RunDir};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it again after a change of the file: only what differs is changed.\n\n\
    Examples:\n  cuttlefish up topology/digits.yaml\n  \
    cuttlefish up topology/mnist.yaml --broker amqp://user:password@10.0.0.7:5672/%2f\n  \
    cuttlefish up topology/digits.yaml --target ecs --stack cuttlefish --image REGISTRY/IMAGE:TAG\n  \
    cuttlefish attach digits\n  cuttlefish down digits"
)]
pub struct Args {
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
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = Target::Docker)]
    target: Target,
    #[command(flatten)]
    services: ServiceArgs,
    #[command(flatten)]
    pub(super) ecs: EcsArgs,
}

/// Where containers can live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// On this machine's Docker
    Docker,
    /// On Amazon ECS
    Ecs,
}

/// A run that is to be brought up.
struct Prepared {
    run: RunDir,
    wanted: Wanted,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if args.target == Target::Ecs {
        let asked = ecs::from_file(&args.file, &args.file_args, args.overwrite, config)?;
        return ecs::up(
            asked,
            args.overwrite,
            args.quiet,
            &args.ecs,
            &args.services,
            config,
        );
    }
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
        (None, run) => read_run(run.as_deref().unwrap_or_default(), args, config)?
            .on_docker(services, false, config)?,
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

/// Brings a new run up that begins with other weights than its file says.
pub fn import(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    services: &ServiceArgs,
    config: &Config,
    weights: impl FnOnce(&Graph) -> Result<Vec<Vec<NeuronState>>, Failure>,
) -> Result<Exit, Failure> {
    let mut prepared = from_file(file, file_args, overwrite, services, config)?;
    if prepared.run.exists() && !overwrite {
        let run = prepared.run.name().to_owned();
        return Err(crate::runs::Error::Exists { run }.into());
    }
    prepared.wanted.weights = Some(weights(&prepared.wanted.graph)?);
    let screen = Arc::new(Screen::new(false));
    actix_rt::System::new().block_on(async {
        bring_up(prepared, overwrite, &screen).await?;
        Ok(Exit::Ok)
    })
}

/// What a file, or a run, asks for.
pub(super) struct Asked {
    pub(super) run: RunDir,
    pub(super) record: Record,
    pub(super) graph: Graph,
    pub(super) dataset: Dataset,
}

/// Reads a topology file. A run of its name may be there if `is_in_place` and if it can become this one.
pub(super) fn read_file(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    is_in_place: impl Fn(&RunDir) -> bool,
    config: &Config,
) -> Result<Asked, Failure> {
    let file = TopologyFile::read(file, &file_args.overrides())?;
    let spec = file.document.spec();
    let run = RunDir::new(&config.runs_dir, &spec.name)?;
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
        if !is_in_place(&run) {
            let run = run.name().to_owned();
            return Err(crate::runs::Error::Exists { run }.into());
        }
        let before = run.recorded()?;
        check_data(&before.data_sha256, &dataset)?;
        check_change(&run, &before, &record)?;
    }
    Ok(Asked {
        run,
        record,
        graph,
        dataset,
    })
}

/// Reads what a run in containers was started with, with what is to be different now.
pub(super) fn read_run(name: &str, args: &train::Args, config: &Config) -> Result<Asked, Failure> {
    let run = RunDir::existing(&config.runs_dir, name)?;
    let before = run.recorded()?;
    let problems =
        |problems: Problems| Failure::new(Exit::Usage, format_args!("run `{name}`: {problems}"));
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
    Ok(Asked {
        run,
        record,
        graph,
        dataset,
    })
}

impl Asked {
    /// The same on Docker.
    fn on_docker(
        self,
        services: &ServiceArgs,
        overwrite: bool,
        config: &Config,
    ) -> Result<Prepared, Failure> {
        let services = services.resolve(config, self.run.is_deployed() && !overwrite)?;
        Ok(Prepared {
            run: self.run,
            wanted: Wanted {
                record: self.record,
                graph: self.graph,
                dataset: self.dataset,
                services,
                weights: None,
            },
        })
    }
}

/// What a topology file asks for on Docker.
fn from_file(
    file: &Path,
    file_args: &FileArgs,
    overwrite: bool,
    services: &ServiceArgs,
    config: &Config,
) -> Result<Prepared, Failure> {
    let asked = read_file(file, file_args, overwrite, RunDir::is_deployed, config)?;
    asked.on_docker(services, overwrite, config)
}

/// Whether a run can become what is wanted without changing its bits.
fn check_change(run: &RunDir, before: &Record, record: &Record) -> Result<(), Failure> {
    if before.topology == record.topology {
        return Ok(());
    }
    let progress = super::block_on(async { Ok(super::read(run).await?.progress()) })?;
    check_resumable(&before.topology, &record.topology, &progress)
}

/// Brings a run up. What was not there before is removed again when that fails.
async fn bring_up(
    prepared: Prepared,
    overwrite: bool,
    screen: &Arc<Screen>,
) -> Result<(Deployed, Wanted), Failure> {
    let Prepared { run, wanted } = prepared;
    let before = (run.is_deployed() && !overwrite).then(|| run.deployment());
    let outlook = limits::check(&wanted, before.transpose()?.as_ref()).await?;
    for limit in outlook.that(Standing::Noted) {
        screen.note(&format!("note: {limit}"));
    }
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
    match up::up(run.clone(), &wanted, &**screen).await {
        Ok((deployed, changes)) => {
            screen.stop_listening();
            screen.note(&told(deployed.run.name(), changes, started.elapsed()));
            Ok((deployed, wanted))
        }
        Err(error) => Err(give_up(&run, &lock, is_new, error, screen).await),
    }
}

/// What a person is told when a run could not be brought up. What was not there before is removed again.
pub(super) async fn give_up(
    run: &RunDir,
    lock: &Lock,
    is_new: bool,
    error: anyhow::Error,
    screen: &Screen,
) -> Failure {
    if is_new && let Err(left) = remove(run, lock, screen).await {
        let run = run.name();
        tell(format_args!(
            "{}\nwhat is left can be removed with `cuttlefish down {run}`",
            left.message
        ));
    }
    screen.stop_listening();
    if !error.is::<Interrupted>() {
        return error.into();
    }
    let told = if is_new {
        "interrupted; what was made is removed again".to_owned()
    } else {
        let run = run.name();
        format!("interrupted; bring it up again, or remove it with `cuttlefish down {run}`")
    };
    Failure::new(Exit::Interrupted, told)
}

/// Removes a run, deployed or not, or what an attempt to make one has left.
pub(super) async fn remove(run: &RunDir, lock: &Lock, screen: &Screen) -> Result<(), Failure> {
    if run.is_deployed() {
        let deployed = Deployed::open(run.clone()).await?;
        Ok(deployed.down(lock, screen).await?)
    } else if run.is_on_ecs() {
        Ok(OnEcs::open(run.clone()).await?.down(lock, screen).await?)
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
            let s = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} container{s} {word}"));
        }
    }
    format!(
        "run {run} is up: {} in {:.1} s",
        parts.join(", "),
        took.as_secs_f64()
    )
}
