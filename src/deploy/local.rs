//! All actors of a run in this process.

use std::sync::Arc;
use std::time::Instant;

use actix_rt::Arbiter;
use anyhow::Context as _;
use cuttlefish_core::data::{BatchSource, Feed, Task};
use cuttlefish_core::ids::{Address, NeuronRange};
use cuttlefish_core::machine::Input;
use cuttlefish_core::topology::{Actor, Graph, Roster};
use cuttlefish_core::trainer::Timing;

use crate::host::actor::ActorMailbox;
use crate::host::{Host, Observer, Storekeeper, machine};
use crate::store::Store;
use crate::transport::{Mailbox, MemoryTransport};

/// A run whose actors have been started in this process.
pub struct LocalRun {
    observer: Arc<Observer>,
    trainer: ActorMailbox,
    arbiters: Vec<Arbiter>,
    /// Where store requests run, apart from the arithmetic.
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
            arbiters,
            runtime: Some(runtime),
        })
    }

    /// What the run reports.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Asks the run to commit and stop; its end is reported as usual.
    pub fn stop(&self) {
        self.trainer.feed(Input::Stop);
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
