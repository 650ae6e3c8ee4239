//! `train`: from a file to trained weights, or on from a run's last commit.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use cuttlefish_core::data::{BatchSource, Batches, Dataset, Part};
use cuttlefish_core::machine::Fault;
use cuttlefish_core::network::digest;
use cuttlefish_core::topology::spec::Spec;
use cuttlefish_core::topology::{DataShape, Graph, Grouping};
use cuttlefish_core::trainer::{EpochRecord, Event, Outcome, Progress, Timing, Verdict};
use serde_json::json;

use super::evaluate::check_data;
use super::{Exit, Failure, FileArgs, TopologyFile, print, print_json};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::LocalRun;
use crate::host::End;
use crate::report::progress_bar::{ProgressView, Snapshot};
use crate::report::{plot, summary};
use crate::runs::saved::document;
use crate::runs::{Lock, Record, RunDir, SavedRun};
use crate::store::Store;

/// How often the view is refreshed.
const REFRESH: Duration = Duration::from_millis(100);

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
    file: Option<PathBuf>,
    /// Go on with a run from its last commit; ends with the bits of an uninterrupted run
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    /// Replace a run of the same name
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = Target::Local)]
    target: Target,
    #[command(flatten)]
    file_args: FileArgs,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Where actors can live in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// In this process, with nothing installed
    Local,
}

/// A run that is about to be trained.
struct Prepared {
    run: RunDir,
    _lock: Lock,
    record: Record,
    graph: Graph,
    dataset: Arc<Dataset>,
    progress: Progress,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let prepared = match (&args.file, &args.resume) {
        (Some(file), _) => prepare_new(args, file, config)?,
        (None, Some(name)) => prepare_resumed(args, name, config)?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    actix_rt::System::new().block_on(train(args, prepared))
}

fn prepare_new(args: &Args, file: &Path, config: &Config) -> Result<Prepared, Failure> {
    let file = TopologyFile::read(file, &args.file_args.overrides())?;
    let spec = file.document.spec();
    let run = RunDir::new(&config.runs_dir, &spec.name)?;
    if run.exists() && !args.overwrite {
        let run = run.name().to_owned();
        return Err(crate::runs::Error::Exists { run }.into());
    }
    let Loaded { dataset, encoder } = data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
    let neurons_per_unit = args.file_args.neurons_per_unit.map(|n| n as usize);
    let graph = file
        .document
        .graph(&DataShape::from(&dataset), grouping(neurons_per_unit))
        .map_err(|problems| file.failure(&problems))?;
    let base_dir = file.base_dir();
    let record = Record::new(spec.clone(), base_dir, neurons_per_unit, &dataset, encoder);
    // Nothing was changed so far; from here on everything is known to fit.
    run.create()?;
    let mut lock = run.lock()?;
    if run.exists() {
        run.clone().remove(lock)?;
        run.create()?;
        lock = run.lock()?;
    }
    Ok(Prepared {
        run,
        _lock: lock,
        record,
        progress: Progress::start(graph.training.epochs),
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
    let document = document(&record, &args.file_args.overrides()).map_err(problems)?;
    check_resumable(&record.topology, document.spec(), &saved.progress())?;
    let Loaded { dataset, .. } =
        data::load(&record.topology.data, &record.base_dir, &config.data_dir)?;
    check_data(&record.data_sha256, &dataset)?;
    if let Some(n) = args.file_args.neurons_per_unit {
        record.neurons_per_unit = Some(n as usize);
    }
    let graph = document
        .graph(
            &DataShape::from(&dataset),
            grouping(record.neurons_per_unit),
        )
        .map_err(problems)?;
    record.topology = document.spec().clone();
    Ok(Prepared {
        run,
        _lock: lock,
        record,
        progress: saved.progress(),
        graph,
        dataset: Arc::new(dataset),
    })
}

fn grouping(neurons_per_unit: Option<usize>) -> Grouping {
    neurons_per_unit.map_or(Grouping::WholeLayers, Grouping::Units)
}

/// A run can be given more epochs and another end, but not another network, data or arithmetic.
fn check_resumable(recorded: &Spec, wanted: &Spec, progress: &Progress) -> Result<(), Failure> {
    let mut same = wanted.clone();
    same.training.epochs = recorded.training.epochs;
    same.training.early_stopping = recorded.training.early_stopping;
    same.deployment = recorded.deployment.clone();
    if same != *recorded {
        return Err(Failure::new(
            Exit::Usage,
            "only training.epochs, training.early_stopping and the grouping can change when a run \
             is resumed (start a new run for anything else)",
        ));
    }
    let begun = progress.history.last().map_or(0, |epoch| epoch.epoch);
    if wanted.training.epochs < begun {
        return Err(Failure::new(
            Exit::Usage,
            format_args!(
                "the run has {begun} epochs behind it, so it cannot end after {}",
                wanted.training.epochs
            ),
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
        progress,
    } = prepared;
    let store = run.store().await?;
    let json = serde_json::to_string(&record).map_err(|e| Failure::new(Exit::Failed, e))?;
    store.put_record(&json).await?;
    let graph = Arc::new(graph);
    let training = &graph.training;
    let source = Batches::new(
        dataset.clone(),
        graph.seed,
        training.batch_size,
        training.shuffle,
    );
    let batches: Arc<dyn BatchSource> = Arc::new(source);
    let started = Instant::now();
    let timing = Timing::default();
    let local = LocalRun::start(&graph, &batches, &dataset.task, Arc::new(store), timing)?;
    let is_terminal = std::io::stderr().is_terminal();
    let mut watch = Watch {
        view: ProgressView::new(is_terminal, args.quiet),
        graph: &graph,
        batches: &*batches,
        began: started,
        epoch_began: started,
        rows_before_epoch: 0,
        ticks_before: progress.tick.0,
        rewinds: 0,
    };
    let end = watch.until_the_end(&local, run.name()).await;
    watch.view.finish();
    let rows_trained = local.observer().look().rows_trained;
    drop(local);
    let wall = started.elapsed();
    let outcome = match end? {
        End::Finished(outcome) => *outcome,
        End::Failed(fault) => {
            let exit = match fault {
                Fault::NotFinite { .. } | Fault::LossNotFinite { .. } => Exit::Diverged,
                Fault::Unrestorable { .. } | Fault::Superseded { .. } => Exit::Failed,
            };
            return Err(Failure::new(exit, fault));
        }
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
        graph: &graph,
        dataset: &dataset,
        outcome: &outcome,
        rows_trained,
        wall,
    };
    finished.report(args.json).await
}

/// Shows a run while it trains.
struct Watch<'a> {
    view: ProgressView,
    graph: &'a Graph,
    batches: &'a dyn BatchSource,
    began: Instant,
    epoch_began: Instant,
    rows_before_epoch: u64,
    ticks_before: u64,
    rewinds: u64,
}

impl Watch<'_> {
    /// Shows what happens until the run is over. The first Ctrl-C asks it to commit and stop, the
    /// second one ends the process.
    async fn until_the_end(&mut self, local: &LocalRun, run: &str) -> Result<End, Failure> {
        let mut asked = false;
        loop {
            let end = tokio::select! {
                end = local.observer().wait(REFRESH) => end,
                pressed = tokio::signal::ctrl_c() => {
                    pressed.map_err(|e| Failure::new(Exit::Failed, e))?;
                    if asked {
                        return Err(Failure::new(
                            Exit::Interrupted,
                            format_args!("stopped at once; go on from the last commit with \
                                `cuttlefish train --resume {run}`"),
                        ));
                    }
                    asked = true;
                    self.view.note("committing; press Ctrl-C again to stop at once");
                    local.stop();
                    None
                }
            };
            self.show(local);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn show(&mut self, local: &LocalRun) {
        let look = local.observer().look();
        for (at, event) in look.notable {
            match event {
                Event::Started { from, .. } if !from.is_initial() && self.rewinds == 0 => {
                    self.epoch_began = at;
                    let tick = from.tick;
                    self.view.note(&format!(
                        "resumed after tick {tick}, commit {}",
                        from.number
                    ));
                }
                Event::EpochFinished(record) => {
                    self.view.epoch(&record, at - self.epoch_began);
                    self.epoch_began = at;
                    self.rows_before_epoch = look.rows_trained;
                }
                Event::Rewound { to, reason, .. } => {
                    self.rewinds += 1;
                    self.view.note(&format!(
                        "back to commit {} (tick {}): {reason}",
                        to.number, to.tick
                    ));
                }
                Event::BeyondInFlightBound {
                    at: unit,
                    tick,
                    applied,
                } => {
                    self.view.note(&format!(
                        "{unit} was sent tick {tick} while it stood at {applied}"
                    ));
                }
                Event::Started { .. } | Event::Committed(_) | Event::TickFinished { .. } => {}
            }
        }
        if let Some(Event::TickFinished {
            tick,
            epoch,
            part,
            index,
            running,
            ..
        }) = look.latest
        {
            let epochs = self.graph.training.epochs;
            let batch_size = self.graph.training.batch_size;
            let batches = self.batches.rows(part).div_ceil(batch_size) as u32;
            let elapsed = self.epoch_began.elapsed().as_secs_f64();
            let rows = (look.rows_trained - self.rows_before_epoch) as f64;
            self.view.update(&Snapshot {
                epoch,
                epochs,
                part,
                index,
                batches,
                rows_per_second: if elapsed > 0.0 { rows / elapsed } else { 0.0 },
                loss: running.loss,
                accuracy: running.accuracy,
                remaining: self.remaining(tick.0),
            });
        }
    }

    /// Ticks still to come at the pace so far.
    fn remaining(&self, tick: u64) -> Option<Duration> {
        let batch_size = self.graph.training.batch_size;
        let ticks = |part| self.batches.rows(part).div_ceil(batch_size) as u64;
        let epochs = u64::from(self.graph.training.epochs);
        let total = epochs * (ticks(Part::Train) + ticks(Part::Validation)) + ticks(Part::Test);
        let done = tick
            .checked_sub(self.ticks_before)
            .filter(|&done| done > 0)?;
        let left = total.saturating_sub(tick) as f64;
        Some(self.began.elapsed().mul_f64(left / done as f64))
    }
}

/// A run that ended well, to be told about.
struct Finished<'a> {
    run: &'a RunDir,
    graph: &'a Graph,
    dataset: &'a Dataset,
    outcome: &'a Outcome,
    rows_trained: u64,
    wall: Duration,
}

impl Finished<'_> {
    async fn report(&self, as_json: bool) -> Result<Exit, Failure> {
        let progress = &self.outcome.ledger.progress;
        let name = self.run.name();
        let plot = self.plot(&progress.history)?;
        let saved = SavedRun::read(self.run).await?;
        let sha256 = digest(saved.states().await?.iter().flatten());
        let speed = self.rows_trained as f64 / self.wall.as_secs_f64();
        if as_json {
            let last = progress.history.last();
            print_json(&json!({
                "run": name,
                "target": "local",
                "verdict": self.outcome.verdict,
                "ticks": progress.tick,
                "epochs": last.map_or(0, |epoch| epoch.epoch),
                "samples_per_second": speed,
                "wall_seconds": self.wall.as_secs_f64(),
                "train": last.map(|epoch| &epoch.train),
                "validation": last.and_then(|epoch| epoch.validation.as_ref()),
                "test": progress.test,
                "weights_sha256": sha256,
                "rewinds": self.outcome.rewinds,
            }))?;
        } else {
            let mut text = summary::summary(progress, &self.dataset.task);
            let seconds = self.wall.as_secs_f64();
            text.push_str(&format!(
                "\n{} parameters, {} ticks in {seconds:.1} s, {speed:.0} samples/s\n",
                self.graph.parameters(),
                progress.tick,
            ));
            text.push_str(&format!("weights sha256 {sha256}\n"));
            if let Some(plot) = plot {
                text.push_str(&format!("curves {}\n", plot.display()));
            }
            print(&text)?;
        }
        if self.outcome.verdict == Verdict::Stopped {
            anstream::eprintln!(
                "stopped after tick {}; go on with `cuttlefish train --resume {name}`",
                progress.tick
            );
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Ok)
    }

    /// Draws the curves next to the run.
    fn plot(&self, history: &[EpochRecord]) -> Result<Option<PathBuf>, Failure> {
        if history.is_empty() {
            return Ok(None);
        }
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failed,
                format_args!("failed to draw the curves: {error}"),
            )
        };
        let path = self.run.path().join("curves.svg");
        let svg = plot::svg(self.run.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(&path, svg).map_err(|e| failed(&e))?;
        let png = plot::png(self.run.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(self.run.path().join("curves.png"), png).map_err(|e| failed(&e))?;
        Ok(Some(path))
    }
}
