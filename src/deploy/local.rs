//! All actors of a run in this process.

use std::sync::Arc;

use async_trait::async_trait;
use cuttlefish_core::data::{BatchSource, Batches};
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::Timing;
use rustix::process::{Pid, Signal, kill_process};

use super::actors::states;
use super::live::LiveActors;
use super::local_run::{ActorThreads, LocalTraining};
use super::{
    ActorState, Actors, Changes, DOCUMENT_VERSION, Deployment, Error, Inspection, Session, Target,
    TargetKind, Workload,
};
use crate::import;
use crate::monitor::Monitor;
use crate::record::{Record, SavedRun};
use crate::run_dir::{self, Lock, RunDir};
use crate::store::{DynamoStore, Store};

/// This process, for one run.
pub struct LocalTarget {
    dir: RunDir,
    /// Workload that `up` was given: a session starts its actors.
    workload: Option<Workload>,
}

impl LocalTarget {
    /// This process, for the run in a directory.
    pub fn new(dir: RunDir) -> Self {
        Self {
            dir,
            workload: None,
        }
    }

    /// The run's store, which is opened only where there is a run: opening makes its file.
    fn existing_store(&self) -> Result<DynamoStore, Error> {
        if !self.dir.has_store() {
            return Err(self.not_up());
        }
        Ok(self.dir.existing_store()?)
    }

    fn not_up(&self) -> Error {
        Error::NotUp {
            run: self.dir.name().to_owned(),
        }
    }

    async fn saved(&self) -> Result<SavedRun, Error> {
        let store = self.store().await?;
        Ok(SavedRun::read_from(self.dir.name(), store).await?)
    }

    /// True if the directory has a run.
    pub async fn is_run(dir: &RunDir) -> bool {
        dir.has_store() && !matches!(recorded(dir).await, Err(run_dir::Error::NeverBegun { .. }))
    }
}

/// The store in a directory, once it has the record of a run. Without one it is what a process leaves that was
/// killed while it made a run.
async fn recorded(dir: &RunDir) -> Result<DynamoStore, run_dir::Error> {
    let store = dir.existing_store()?;
    match store.get_record().await {
        Ok(Some(_)) => Ok(store),
        Ok(None) | Err(crate::store::Error::NoTable { .. }) => Err(run_dir::Error::NeverBegun {
            run: dir.name().to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}

#[async_trait(?Send)]
impl Target for LocalTarget {
    fn kind(&self) -> TargetKind {
        TargetKind::Local
    }

    async fn record(&self) -> Result<Record, Error> {
        Ok(self.saved().await?.record)
    }

    async fn check(
        &self,
        workload: &Workload,
        _is_replacing: bool,
        _monitor: &Monitor,
    ) -> Result<(), Error> {
        workload.record.to_json()?;
        Ok(())
    }

    async fn up(&mut self, workload: &Workload, _monitor: &Monitor) -> Result<Changes, Error> {
        let store = self.dir.store().await?;
        // The record last: without it there is no run yet.
        if let Some(weights) = &workload.weights {
            import::begin_with(&store, &workload.graph, weights).await?;
        }
        store.put_record(&workload.record.to_json()?).await?;
        self.dir.keep_document(&Deployment::Local {
            version: DOCUMENT_VERSION,
        })?;
        self.workload = Some(workload.clone());
        Ok(Changes::default())
    }

    async fn differences(&self, workload: &Workload) -> Result<Vec<String>, Error> {
        let saved = self.saved().await?;
        let mut differences = Vec::new();
        if saved.record.topology != workload.record.topology {
            differences.push("train with another topology than the run's".to_owned());
        } else if !saved.progress().finished {
            differences.push("train the run to its end".to_owned());
        }
        Ok(differences)
    }

    async fn session<'a>(&'a self, graph: &Graph) -> Result<Box<dyn Session + 'a>, Error> {
        let store = Arc::new(self.existing_store()?);
        let Some(workload) = &self.workload else {
            return Err(Error::Unsupported {
                run: self.dir.name().to_owned(),
                why: "has no containers: it trains in one process",
            });
        };
        let (training, dataset) = (&graph.training, &workload.dataset);
        let batches = Batches::new(
            dataset.clone(),
            graph.seed,
            training.batch_size,
            training.shuffle,
        )
        .augmented(training.augmentation);
        let batches: Arc<dyn BatchSource> = Arc::new(batches);
        let timing = Timing::default();
        let graph = &workload.graph;
        let training = LocalTraining {
            graph,
            batches: &batches,
            task: &dataset.task,
            store,
            timing,
            sinks: Vec::new(),
        };
        let mut run = training.start(ActorThreads::for_network(graph)?.into());
        let live = LiveActors::show(
            &self.dir,
            graph,
            dataset.image,
            run.actors(),
            run.observer(),
        );
        match live {
            Ok(live) => run.show(live),
            // Nobody needs to look at it for it to train.
            Err(error) => tracing::warn!("the run is not shown while it trains: {error}"),
        }
        Ok(Box::new(run))
    }

    async fn actors(&self) -> Result<Actors, Error> {
        self.existing_store()?;
        Ok(Actors::Process(self.dir.worker()))
    }

    async fn states(&self) -> Result<Vec<ActorState>, Error> {
        let record = self.record().await?;
        let graph = record.graph(record.grouping)?;
        let state = match self.dir.worker() {
            Some(_) => "running",
            None => "exited",
        };
        Ok(states(&graph, |_| state.to_owned()))
    }

    async fn inspection(&self, actor: &str) -> Result<Inspection, Error> {
        let inspection = LiveActors::inspection(&self.dir, actor)?;
        inspection.ok_or_else(|| Error::Unsupported {
            run: self.dir.name().to_owned(),
            why: "is not being trained by a process that shows its actors",
        })
    }

    async fn stop(&self) -> Result<(), Error> {
        let not_trained = || Error::Unsupported {
            run: self.dir.name().to_owned(),
            why: "is not being trained",
        };
        let process = LiveActors::process(&self.dir)?.and_then(|process| process.try_into().ok());
        let process = process.and_then(Pid::from_raw).ok_or_else(not_trained)?;
        // As Ctrl-C in its terminal does.
        kill_process(process, Signal::INT).map_err(|_| not_trained())
    }

    async fn worker(&self) -> Option<String> {
        self.dir.worker()
    }

    async fn store(&self) -> Result<DynamoStore, Error> {
        if !self.dir.has_store() {
            return Err(self.not_up());
        }
        Ok(recorded(&self.dir).await?)
    }

    async fn down(&self, _lock: &Lock, _monitor: &Monitor) -> Result<(), Error> {
        // It has nothing outside its directory.
        Ok(())
    }
}
