//! All actors of a run in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::Arbiter;
use anyhow::Context as _;
use async_trait::async_trait;
use cuttlefish_core::data::{BatchSource, Batches, Feed, Task};
use cuttlefish_core::ids::{Address, NeuronRange};
use cuttlefish_core::machine::Input;
use cuttlefish_core::topology::{Actor, Graph, Roster};
use cuttlefish_core::trainer::Timing;
use rustix::process::{Pid, Signal, kill_process};

use super::actors::states;
use super::live::LiveActors;
use super::{
    ActorState, Actors, Changes, DOCUMENT_VERSION, Deployment, Error, Fate, Inspection, Session,
    Target, TargetKind, Workload,
};
use crate::host::actor::ActorMailbox;
use crate::host::{Host, Observer, RunSnapshot, Storekeeper, machine};
use crate::import;
use crate::monitor::Monitor;
use crate::record::{Record, SavedRun};
use crate::run_dir::{self, Lock, RunDir};
use crate::store::{DynamoStore, Store};
use crate::transport::{Mailbox, MemoryTransport};

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
        let mut run = LocalRun::start(graph, &batches, &dataset.task, store, timing)?;
        let live = LiveActors::show(&self.dir, graph, dataset.image, &run.actors, &run.observer);
        match live {
            Ok(live) => run.live = Some(live),
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

/// A run whose actors have been started in this process.
pub struct LocalRun {
    observer: Arc<Observer>,
    trainer: ActorMailbox,
    actors: Vec<(Address, ActorMailbox)>,
    live: Option<LiveActors>,
    arbiters: Vec<Arbiter>,
    /// Runtime of store requests, apart from the arithmetic.
    runtime: Option<tokio::runtime::Runtime>,
}

impl LocalRun {
    /// Starts trainer, synapses and units. Must be called inside an actix system.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        graph: &Arc<Graph>,
        batches: &Arc<dyn BatchSource>,
        task: &Task,
        store: Arc<dyn Store>,
        timing: Timing,
    ) -> anyhow::Result<Self> {
        let observer = Arc::new(Observer::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .context("failed to start the store's thread")?;
        let storekeeper = Storekeeper::new(store, runtime.handle().clone(), observer.clone());
        let transport = Arc::new(MemoryTransport::default());
        let began = Instant::now();
        let arbiters = start_arbiters(graph)?;
        let mut mailboxes = Vec::new();
        for actor in Roster::new(graph).actors() {
            let address = actor.address;
            let machine = machine(address, graph, batches, task, timing, Feed::Reference);
            let mailbox = ActorMailbox::default();
            let host = Host::new(
                address,
                machine,
                transport.clone(),
                storekeeper.clone(),
                observer.clone(),
                mailbox.replies(),
                began,
            );
            let arbiter = &arbiters[thread(graph, &actor, arbiters.len())];
            mailbox.start(host, actor.mailbox_bound, arbiter);
            mailboxes.push((address, mailbox));
        }
        let routes = mailboxes
            .iter()
            .map(|(address, mailbox)| (*address, Arc::new(mailbox.clone()) as Arc<dyn Mailbox>));
        transport.connect(routes);
        for (_, mailbox) in &mailboxes {
            mailbox.feed(Input::Boot);
        }
        let trainer = mailboxes
            .iter()
            .find(|(address, _)| *address == Address::Trainer)
            .map(|(_, mailbox)| mailbox.clone())
            .unwrap_or_default();
        Ok(Self {
            observer,
            trainer,
            actors: mailboxes,
            live: None,
            arbiters,
            runtime: Some(runtime),
        })
    }

    /// Observer of the run's events.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }
}

#[async_trait(?Send)]
impl Session for LocalRun {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<RunSnapshot, Error> {
        self.observer.wait(at_most).await;
        Ok(self.observer.snapshot(after))
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.trainer.feed(Input::Stop);
        Ok(())
    }

    fn abandon(mut self: Box<Self>) -> Fate {
        // The threads end after the step under way, and are not waited for: the process may end in the middle
        // of the arithmetic. The store is made for that.
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
        }
        Fate::Stopped
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        for arbiter in self.arbiters.drain(..) {
            // An arbiter that panicked has nothing left to wait for.
            let _ = arbiter.join();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The threads of the actors.
///
/// A network of few large units is one chain of work, so its actors share one thread and each
/// product is spread over all cores. One of many small units has as many chains as cores.
fn start_arbiters(graph: &Graph) -> anyhow::Result<Vec<Arbiter>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let widest = graph.layers.iter().map(|l| l.unit_ranges().len()).max();
    let (n_arbiters, threads_each) = if widest.unwrap_or(1) < cores {
        (1, cores)
    } else {
        (cores, 1)
    };
    (0..n_arbiters)
        .map(|_| {
            let arbiter = Arbiter::new();
            let (sender, receiver) = std::sync::mpsc::channel();
            arbiter.spawn_fn(move || {
                // The arbiter's own thread is one of those that a product is spread over.
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads_each)
                    .use_current_thread()
                    .build();
                // The receiver waits below for exactly one answer. The pool lives as long as
                // this thread does, which is as long as the run.
                let _ = sender.send(pool.map(std::mem::forget));
            });
            receiver
                .recv()
                .context("failed to start a thread of the actors")?
                .context("failed to start the threads of the arithmetic")?;
            Ok(arbiter)
        })
        .collect()
}

/// Thread of an actor: the units of a layer are in blocks, so that neighbours share a cache, everybody
/// else is on the first thread.
fn thread(graph: &Graph, actor: &Actor, n_threads: usize) -> usize {
    let block = |of: NeuronRange| of.first * n_threads / graph.layers[of.layer].units;
    actor.neurons.map_or(0, block)
}
