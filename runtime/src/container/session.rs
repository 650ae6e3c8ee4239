//! A session of an actor: its machine connects, boots, works off what comes in, and ends when it has lost the
//! broker or the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish_core::data::{Feed, Task};
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Fault, Input, Machine};
use cuttlefish_core::neuron::StandIn;
use cuttlefish_core::topology::{Graph, Roster};
use cuttlefish_core::trainer::Timing;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tracing::error;

use super::ending;
use super::source::Source;
use crate::host::actor::ActorMailbox;
use crate::host::{End, Host, Observer, Storekeeper, machine};
use crate::store::DynamoStore;
use crate::transport::amqp::claim::Claim;
use crate::transport::amqp::session::{Session, Wired};
use crate::transport::amqp::{self, Broker};
use crate::transport::{Link, LinkState, Transport};

/// Pause between two looks of an actor for a data set that is missing.
pub const LOOKS_FOR_DATA_EVERY: Duration = Duration::from_secs(2);

/// Pause between two looks at the end, which is told anyway.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Time in which a trainer that is to end commits; Docker kills it after 10 s.
const COMMIT_WITHIN: Duration = Duration::from_secs(8);

/// An actor on its way through sessions.
pub(super) struct Actor {
    pub(super) graph: Arc<Graph>,
    pub(super) address: Address,
    pub(super) source: Source,
    pub(super) task: Task,
    /// Height and width of a row, where rows are images.
    pub(super) image: Option<(usize, usize)>,
    pub(super) feed: Feed,
    pub(super) store: DynamoStore,
    pub(super) broker: Broker,
    /// True where the platform does not say which one of several actors this is.
    pub(super) is_one_of_several: bool,
    /// Claim on the actor's queue, until the session listens to it.
    pub(super) claim: Mutex<Option<Claim>>,
    /// True once another process has become the same one.
    pub(super) is_replaced: AtomicBool,
    pub(super) link: Arc<Link>,
    pub(super) observer: Arc<Observer>,
    pub(super) began: Instant,
}

/// Declares the wiring again before anybody hears of a new generation: what was lost may have been a
/// queue, which only the trainer can make, and what is sent past it is lost silently. If that fails,
/// `unwired` is told, and there is no new generation.
fn wiring_again(
    wired: Wired,
    unwired: mpsc::UnboundedSender<String>,
) -> impl Fn() -> BoxFuture<'static, bool> + Send + Sync {
    let wired = Arc::new(wired);
    move || {
        let (wired, unwired) = (wired.clone(), unwired.clone());
        Box::pin(async move {
            let declared = wired.declare().await;
            if let Err(error) = &declared {
                let _ = unwired.send(error.to_string());
            }
            declared.is_ok()
        })
    }
}

impl Actor {
    fn claimed(&self) -> Option<Claim> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        claim.take()
    }

    /// One session of the machine; ends when it has lost the broker or the store.
    pub(super) async fn session(&self, mailbox: &ActorMailbox) {
        let made = self.machine();
        let is_able = made.is_ok();
        let machine = match made {
            Ok(machine) => machine,
            Err(problem) => {
                error!(problem, "cannot work");
                let Address::Unit { layer, index } = self.address else {
                    return self.fail_until_data_is_back(problem).await;
                };
                // The trainer has to hear of it.
                Box::new(StandIn::new(&self.graph, layer, index, problem))
            }
        };
        let Some(session) = self.connect().await else {
            return;
        };
        if matches!(self.observer.ended(), Some(End::StoreFailed(_))) {
            self.observer.reopen();
        }
        let (unwired, mut is_unwired) = mpsc::unbounded_channel();
        let wire_again = session.wired.map(|wired| wiring_again(wired, unwired));
        let host = self.host(machine, session.transport, wire_again, mailbox);
        let mut failed = mailbox.start_here(host.clone());
        // Before any message.
        host.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .feed(Input::Boot);
        let mut over = session.worker.work_off(session.inbox, move |envelope| {
            // A machine that has failed half way on another thread is of no use.
            let mut host = host.lock().expect("a machine in one piece");
            host.feed(Input::Message(envelope));
        });
        let lost = tokio::select! {
            _ = &mut over => None,
            // The sender is dropped with the actor.
            _ = &mut failed => Some("the machine has failed".to_owned()),
            problem = self.store_failure() => Some(problem),
            () = self.data_is_back(), if !is_able => Some("the data set is back".to_owned()),
            Some(problem) = is_unwired.recv() => Some(problem),
        };
        if let Some(problem) = lost {
            self.link.set(LinkState::Lost(problem));
            session.end.now();
            let _ = over.await;
        }
        mailbox.end();
    }

    /// Connection as this actor; none where that fails, or another process is the actor. The link, or
    /// [`Self::is_replaced`], says why.
    async fn connect(&self) -> Option<Session> {
        let lost = |error: amqp::Error| self.link.set(LinkState::Lost(error.to_string()));
        let wire = self.address == Address::Trainer;
        let open = Session::open(&self.broker, &self.graph, self.address, &self.link, wire);
        let session = open.await.map_err(lost).ok()?;
        if let Some(claim) = self.claimed() {
            claim.release().await;
        }
        if self.is_one_of_several && !session.place.is_ours_alone().await.map_err(lost).ok()? {
            self.is_replaced.store(true, Ordering::Relaxed);
            return None;
        }
        Some(session)
    }

    fn host<F>(
        &self,
        machine: Box<dyn Machine + Send>,
        transport: Arc<dyn Transport>,
        wire_again: Option<F>,
        mailbox: &ActorMailbox,
    ) -> Arc<Mutex<Host>>
    where
        F: Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static,
    {
        let runtime = tokio::runtime::Handle::current();
        let store = Arc::new(self.store.clone());
        let mut storekeeper = Storekeeper::new(store, runtime, self.observer.clone());
        if let Some(wire_again) = wire_again {
            storekeeper = storekeeper.preparing_generations(wire_again);
        }
        let host = Host::new(
            self.address,
            machine,
            transport,
            storekeeper,
            self.observer.clone(),
            mailbox.replies(),
            self.began,
        );
        Arc::new(Mutex::new(host))
    }

    /// The machine, knowing nothing yet.
    ///
    /// # Errors
    /// Says why there can be none.
    fn machine(&self) -> Result<Box<dyn Machine + Send>, String> {
        let batches = self.source.batches(&self.graph, self.address)?;
        Ok(machine(
            self.address,
            &self.graph,
            &batches,
            &self.task,
            Timing::default(),
            self.feed,
        ))
    }

    async fn fail_until_data_is_back(&self, problem: String) {
        let at = Roster::new(&self.graph).actor(self.address).name;
        self.link.set(LinkState::Lost(problem.clone()));
        // Whatever ended the session before, this is what keeps the next one from beginning.
        self.observer.reopen();
        self.observer
            .end(End::Failed(Fault::Unable { at, problem }));
        self.data_is_back().await;
        self.observer.reopen();
    }

    /// Resolves when there is a data set that can be used.
    async fn data_is_back(&self) {
        while self.source.batches(&self.graph, self.address).is_err() {
            tokio::time::sleep(LOOKS_FOR_DATA_EVERY).await;
        }
    }

    /// Resolves when the store has failed for good. A run that ends otherwise is told of.
    async fn store_failure(&self) -> String {
        loop {
            match self.observer.ended() {
                Some(End::StoreFailed(problem)) => return problem,
                Some(end) => {
                    ending::tell(&end, &self.graph.name, self.store.clone()).await;
                    std::future::pending().await
                }
                None => self.observer.wait(CHECK_EVERY).await,
            }
        }
    }

    /// Ends as asked: a trainer commits first, so that nothing has to be computed again.
    pub(super) async fn leave(&self, mailbox: &ActorMailbox) {
        if self.address == Address::Trainer && self.observer.ended().is_none() {
            mailbox.feed(Input::Stop);
            self.observer.wait(COMMIT_WITHIN).await;
        }
    }
}
