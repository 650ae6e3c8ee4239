//! `attach`: watches a run in containers, and keeps them running meanwhile.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::data::{BatchSource, Batches, Dataset};
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::{Outcome, Verdict};

use super::outcome::Finished;
use super::watch::{Watch, Watchable};
use super::{Exit, Failure, deployed, ecs, recorded_graph};
use crate::config::Config;
use crate::data::{self, Loaded};
use crate::deploy::docker::desired::{Container, Role, container_name};
use crate::host::{End, Look};
use crate::orchestrator::Deployed;
use crate::orchestrator::remote::Inspection;
use crate::report::progress_bar::ProgressView;
use crate::runs::{RunDir, SavedRun};
use crate::store::{DynamoStore, Store};

/// How often an attached command looks whether containers have to be started again.
const REVIVE_EVERY: Duration = Duration::from_secs(2);

/// How often the trainer is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C commits and stops; a second one leaves the run alone.\n\n\
    Examples:\n  cuttlefish attach mnist-mlp\n  cuttlefish attach mnist-mlp --json"
)]
pub struct Args {
    /// The run
    run: String,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if RunDir::existing(&config.runs_dir, &args.run)?.is_on_ecs() {
        return ecs::attach(&args.run, args.json, args.quiet, config);
    }
    actix_rt::System::new().block_on(async {
        let deployed = deployed(&args.run, config).await?;
        let record = &deployed.deployment.record;
        let graph = recorded_graph(record)?;
        let data_dir = config.data_dir_of_run(&record.data_dir);
        let Loaded { dataset, .. } = data::load(&record.topology.data, &record.base_dir, data_dir)?;
        watch(&deployed, &graph, dataset, args.json, args.quiet).await
    })
}

/// Watches a run to its end, keeps its containers running meanwhile, and tells how it ended.
pub async fn watch(
    deployed: &Deployed,
    graph: &Graph,
    dataset: Dataset,
    json: bool,
    quiet: bool,
) -> Result<Exit, Failure> {
    let remote = Remote {
        deployed,
        desired: deployed.desired(graph)?,
        trainer: None,
        last: Look::default(),
        started: Vec::new(),
        revived: Instant::now(),
        is_stopping: false,
    };
    let followed = Followed {
        run: &deployed.run,
        target: "docker",
        store: deployed.store().await?,
        graph,
        dataset: Arc::new(dataset),
    };
    followed.to_the_end(remote, json, quiet).await
}

/// A run that trains elsewhere.
pub(super) struct Followed<'a> {
    pub(super) run: &'a RunDir,
    pub(super) target: &'static str,
    pub(super) store: DynamoStore,
    pub(super) graph: &'a Graph,
    pub(super) dataset: Arc<Dataset>,
}

impl Followed<'_> {
    /// Watches it to its end, and tells how it ended.
    pub(super) async fn to_the_end(
        &self,
        mut watched: impl Watchable,
        json: bool,
        quiet: bool,
    ) -> Result<Exit, Failure> {
        let training = &self.graph.training;
        let batches = Batches::new(
            self.dataset.clone(),
            self.graph.seed,
            training.batch_size,
            training.shuffle,
        );
        let before = self.saved().await?.progress().tick.0;
        let view = ProgressView::new(std::io::stderr().is_terminal(), quiet, training.epochs);
        let batch_source: &dyn BatchSource = &batches;
        let mut watch = Watch::new(view, self.graph, batch_source, before);
        let ended = watch.until_the_end(&mut watched).await;
        watch.finish();
        let ended = ended?;
        let outcome = match ended.end {
            End::Finished(outcome) => *outcome,
            End::Failed(fault) => return Err(fault.into()),
            End::StoreFailed(problem) => return Err(Failure::new(Exit::Failed, problem)),
        };
        let finished = Finished {
            run: self.run,
            target: self.target,
            // As it is now.
            saved: self.saved().await?,
            graph: self.graph,
            dataset: &self.dataset,
            outcome: &outcome,
            rows_trained: ended.rows_trained,
            wall: ended.took,
        };
        finished.report(json).await
    }

    async fn saved(&self) -> Result<SavedRun, Failure> {
        Ok(SavedRun::read_from(self.run.name(), self.store.clone()).await?)
    }
}

/// A run in containers, on its way to its end.
struct Remote<'a> {
    deployed: &'a Deployed,
    desired: Vec<Container>,
    /// The trainer's inspection, as long as it answers: a trainer that is started anew has another
    /// port.
    trainer: Option<Inspection>,
    /// What was seen last: shown as long as the trainer cannot be reached.
    last: Look,
    /// Containers that were started again and not told of yet.
    started: Vec<String>,
    revived: Instant,
    is_stopping: bool,
}

impl Remote<'_> {
    /// What the trainer shows.
    async fn ask(&mut self, after: u64) -> anyhow::Result<Look> {
        let trainer = match self.trainer.take() {
            Some(trainer) => trainer,
            None => self.deployed.inspect("trainer").await?,
        };
        let look = trainer.look(after).await?;
        self.trainer = Some(trainer);
        Ok(look)
    }

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
            Ok(names) => self.started.extend(names),
            Err(error) => tracing::warn!("cannot start containers: {error:#}"),
        }
    }

    /// How a run ended whose trainer was asked to commit and has left.
    async fn stopped(&self) -> Result<Option<End>, Failure> {
        let observed = self.deployed.observe().await?;
        let mut trainers = observed
            .iter()
            .filter(|one| one.role == Some(Role::TRAINER));
        if trainers.any(|trainer| trainer.is_running()) {
            return Ok(None);
        }
        Ok(Some(end_of_stopped(&self.deployed.store().await?).await?))
    }
}

/// How a run ended whose trainer has left: as its ledger says.
pub(super) async fn end_of_stopped(store: &DynamoStore) -> Result<End, Failure> {
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
    Ok(End::Finished(Box::new(Outcome {
        verdict,
        ledger,
        rewinds: 0,
    })))
}

impl Watchable for Remote<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<Look, Failure> {
        tokio::time::sleep(at_most.max(LOOK_EVERY)).await;
        if !self.is_stopping && self.revived.elapsed() >= REVIVE_EVERY {
            self.revive().await;
        }
        match self.ask(after).await {
            Ok(look) => self.last = look,
            Err(error) => {
                tracing::info!("cannot look at the trainer: {error:#}");
                self.last.notes.clear();
                if !self.deployed.run.is_deployed() {
                    let run = self.deployed.run.name();
                    return Err(Failure::new(
                        Exit::Run,
                        format_args!("run `{run}` has been taken down meanwhile"),
                    ));
                }
                // Where Docker does not answer, nobody can tell.
                if self.is_stopping || matches!(self.deployed.has_been_left().await, Ok(true)) {
                    self.last.end = self.stopped().await?;
                }
            }
        }
        Ok(self.last.clone())
    }

    fn happened(&mut self) -> Vec<String> {
        let started = self.started.drain(..);
        started
            .map(|name| format!("started {name} again"))
            .collect()
    }

    async fn interrupted(&mut self) -> Result<&'static str, Failure> {
        self.is_stopping = true;
        let name = container_name(self.deployed.run.name(), "trainer");
        let asked = self.deployed.docker.signal(&name, "SIGINT").await;
        if let Err(error) = asked
            // It may have ended by itself, with the same outcome.
            && self.stopped().await?.is_none()
        {
            return Err(Failure::new(
                Exit::Failed,
                format_args!("failed to {error}"),
            ));
        }
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
