//! A network's actors in this process, on threads that may train other networks after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::Arbiter;
use anyhow::Context as _;
use async_trait::async_trait;
use cuttlefish_core::data::{BatchSource, Feed, Task};
use cuttlefish_core::ids::{Address, NeuronRange};
use cuttlefish_core::machine::Input;
use cuttlefish_core::topology::{Actor, Graph, Roster};
use cuttlefish_core::trainer::Timing;

use super::live::LiveActors;
use super::{Error, Fate, Session};
use crate::host::actor::ActorMailbox;
use crate::host::{EventSink, Host, Observer, RunSnapshot, Storekeeper, machine};
use crate::store::Store;
use crate::transport::{Mailbox, MemoryTransport};

/// Threads that actors compute on, and one for their store.
pub struct ActorThreads {
    arbiters: Vec<Arbiter>,
    /// Runtime of store requests, apart from the arithmetic.
    runtime: Option<tokio::runtime::Runtime>,
}

impl ActorThreads {
    /// Threads for the actors of a network, all cores of this machine together. Must be called inside an actix
    /// system.
    ///
    /// A network of few large units is one chain of work, so its actors share one thread and each
    /// product is spread over all cores. One of many small units has as many chains as cores.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn for_network(graph: &Graph) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let widest = graph.layers.iter().map(|l| l.unit_ranges().len()).max();
        match widest.unwrap_or(1) < cores {
            true => Self::new(1, cores),
            false => Self::new(cores, 1),
        }
    }

    /// One thread for all actors, for whoever trains several networks at once.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn single() -> anyhow::Result<Self> {
        Self::new(1, 1)
    }

    fn new(n_arbiters: usize, threads_each: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .context("failed to start the store's thread")?;
        let arbiters: anyhow::Result<_> = (0..n_arbiters)
            .map(|_| start_arbiter(threads_each))
            .collect();
        Ok(Self {
            arbiters: arbiters?,
            runtime: Some(runtime),
        })
    }

    /// Lets go of the threads. They end after the step under way, and are not waited for: the process may end in
    /// the middle of the arithmetic. The store is made for that.
    fn abandon(mut self) {
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
        }
    }
}

impl Drop for ActorThreads {
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

fn start_arbiter(threads: usize) -> anyhow::Result<Arbiter> {
    let arbiter = Arbiter::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    arbiter.spawn_fn(move || {
        // The arbiter's own thread is one of those that a product is spread over.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .use_current_thread()
            .build();
        // The receiver waits below for exactly one answer. The pool lives as long as
        // this thread does.
        let _ = sender.send(pool.map(std::mem::forget));
    });
    receiver
        .recv()
        .context("failed to start a thread of the actors")?
        .context("failed to start the threads of the arithmetic")?;
    Ok(arbiter)
}

/// A network that is to be trained in this process.
pub struct LocalTraining<'a> {
    /// The network.
    pub graph: &'a Arc<Graph>,
    /// Its data.
    pub batches: &'a Arc<dyn BatchSource>,
    /// Its task.
    pub task: &'a Task,
    /// Store of its commits.
    pub store: Arc<dyn Store>,
    /// Patience of its trainer.
    pub timing: Timing,
    /// Sinks of its events, beside the log and the history.
    pub sinks: Vec<Arc<dyn EventSink>>,
}

impl LocalTraining<'_> {
    /// Starts trainer, synapses and units on these threads.
    pub fn start(self, threads: Arc<ActorThreads>) -> LocalRun {
        let observer = Arc::new(Observer::new(self.sinks));
        let runtime = threads.runtime.as_ref();
        let runtime = runtime.expect("only the drop takes it").handle().clone();
        let storekeeper = Storekeeper::new(self.store, runtime, observer.clone());
        let transport = Arc::new(MemoryTransport::default());
        let began = Instant::now();
        let (graph, arbiters) = (self.graph, &threads.arbiters);
        let mut mailboxes = Vec::new();
        for actor in Roster::new(graph).actors() {
            let (address, feed) = (actor.address, Feed::Reference);
            let machine = machine(address, graph, self.batches, self.task, self.timing, feed);
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
        let is_trainer = |(address, _): &&(Address, ActorMailbox)| *address == Address::Trainer;
        let trainer = mailboxes.iter().find(is_trainer);
        let trainer = trainer
            .map(|(_, mailbox)| mailbox.clone())
            .unwrap_or_default();
        for (_, mailbox) in mailboxes.iter().filter(|actor| !is_trainer(actor)) {
            mailbox.feed(Input::Boot);
        }
        // Last: it would take those who boot after it for restarted ones, and go back for them.
        trainer.feed(Input::Boot);
        LocalRun {
            observer,
            trainer,
            actors: mailboxes,
            live: None,
            threads: Some(threads),
        }
    }
}

/// A run whose actors have been started in this process.
pub struct LocalRun {
    observer: Arc<Observer>,
    trainer: ActorMailbox,
    actors: Vec<(Address, ActorMailbox)>,
    live: Option<LiveActors>,
    threads: Option<Arc<ActorThreads>>,
}

impl LocalRun {
    /// Observer of the run's events.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The actors, for those who show them.
    pub(super) fn actors(&self) -> &[(Address, ActorMailbox)] {
        &self.actors
    }

    /// Keeps the run shown as long as it trains.
    pub(super) fn show(&mut self, live: LiveActors) {
        self.live = Some(live);
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
        if let Some(threads) = self.threads.take().and_then(Arc::into_inner) {
            threads.abandon();
        }
        Fate::Stopped
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        // Their threads may have other work after this.
        for (_, actor) in &self.actors {
            actor.end();
        }
    }
}

/// Thread of an actor: the units of a layer are in blocks, so that neighbours share a cache, everybody
/// else is on the first thread.
fn thread(graph: &Graph, actor: &Actor, n_threads: usize) -> usize {
    let block = |of: NeuronRange| of.first * n_threads / graph.layers[of.layer].units;
    actor.neurons.map_or(0, block)
}
