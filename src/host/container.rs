//! One actor in a process of its own: what a container runs.
//!
//! It reads what the run is from the store, connects to the broker, and boots. Whatever it loses,
//! the broker or the store, it boots again, with growing pauses: the trainer rewinds everybody, and
//! nothing that this process knew was needed.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use cuttlefish_core::data::{Feed, Task};
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Fault, Input, Machine};
use cuttlefish_core::neuron::StandIn;
use cuttlefish_core::topology::{Graph, Roster};
use cuttlefish_core::trainer::{Timing, Verdict};
use cuttlefish_core::view::View;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::actor::ActorMailbox;
use super::boot::{move_in, read_access};
use super::pauses::{LONGEST_PAUSE, Pauses};
use super::process::{Request, Requests};
use super::source::Source;
use super::{End, Host, Look, Observer, Storekeeper, ending, machine};
use crate::config::ContainerConfig;
use crate::inspect::{self, About, Subject, routes::VIEW_WITHIN};
use crate::store::DynamoStore;
use crate::transport::amqp::Broker;
use crate::transport::amqp::claim::Claim;
use crate::transport::amqp::session::{Session, Wired};
use crate::transport::amqp::{Link, LinkState};

/// The trainer is only one, and everybody else waits for the queues that it declares.
const TRAINERS_LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How often an actor without its data set looks for it.
pub(crate) const LOOKS_FOR_DATA_EVERY: Duration = Duration::from_secs(2);

/// How often the end is looked at, which is told anyway.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// A session that lasted so long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// How often what there is to see of a run is written to its store, where that is wanted.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Notes that are kept there, the newest ones: an item holds 400 KB.
const NOTES_IN_STORE: usize = 256;

/// How long a trainer that is to end may take to commit; Docker kills it after 10 s.
const COMMIT_WITHIN: Duration = Duration::from_secs(8);

/// What the inspection of a container shows, from the moment that it starts.
struct Occupant {
    about: About,
    link: Arc<Link>,
    observer: Arc<Observer>,
    /// The actor of the current session.
    mailbox: Mutex<ActorMailbox>,
}

impl Occupant {
    fn current(&self) -> ActorMailbox {
        let mailbox = self.mailbox.lock();
        mailbox.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Subject for Occupant {
    fn about(&self) -> &About {
        &self.about
    }

    async fn view(&self) -> Option<View> {
        self.current().view(VIEW_WITHIN).await
    }

    fn health(&self) -> Result<(), String> {
        match self.link.state() {
            LinkState::Connected => Ok(()),
            state => Err(state.to_string()),
        }
    }

    fn look(&self, after: u64) -> Look {
        let mut look = self.observer.look(after);
        // The end of a session, not of the run: it boots again.
        look.end.take_if(|end| matches!(end, End::StoreFailed(_)));
        look
    }

    fn link(&self) -> Option<&Link> {
        Some(&self.link)
    }
}

/// An actor on its way through sessions.
pub(super) struct Resident {
    pub(super) graph: Arc<Graph>,
    pub(super) address: Address,
    pub(super) source: Source,
    pub(super) task: Task,
    /// Height and width of a row, where rows are images.
    pub(super) image: Option<(usize, usize)>,
    pub(super) feed: Feed,
    pub(super) store: DynamoStore,
    pub(super) broker: Broker,
    /// Whether the platform does not say which one of several actors this is.
    pub(super) is_one_of_several: bool,
    /// What it has become one of them by, until it listens as that.
    pub(super) claim: Mutex<Option<Claim>>,
    /// Whether another process has become the same one.
    pub(super) is_replaced: AtomicBool,
    pub(super) link: Arc<Link>,
    pub(super) observer: Arc<Observer>,
    pub(super) began: Instant,
}

/// Runs the actor that the configuration names until the process is told to end, and returns how.
///
/// # Errors
/// When the configuration cannot be right: no such actor, unreadable data; or when this is one of
/// several actors and another process has become the same. Not when broker or store are away: those are
/// waited for.
pub async fn run(config: &ContainerConfig) -> anyhow::Result<Request> {
    let mut requests = Requests::listen()?;
    // Bound first, so that a port that is taken is told at once.
    let listener = TcpListener::bind(("0.0.0.0", config.port))
        .with_context(|| format!("failed to listen on port {}", config.port))?;
    let link = Arc::new(Link::default());
    let observer = Arc::new(Observer::default());
    let resident = tokio::select! {
        resident = move_in(config, link, observer) => resident?,
        request = requests.next() => return Ok(request),
    };
    let about = About::new(
        &resident.graph,
        resident.address,
        resident.image,
        resident.began,
    );
    let actor = about.name.clone();
    info!(run = config.run, actor, "booting");
    if config.shows_in_store {
        let (observer, store) = (resident.observer.clone(), resident.store.clone());
        actix_rt::spawn(show_in_store(observer, store));
    }
    let occupant = Arc::new(Occupant {
        about,
        link: resident.link.clone(),
        observer: resident.observer.clone(),
        mailbox: Mutex::default(),
    });
    let access = read_access(config)?;
    let server = inspect::serve(listener, occupant.clone(), access);
    actix_rt::spawn(server.context("failed to serve the inspection")?);
    let mut pauses = Pauses::new(match resident.address {
        Address::Trainer => TRAINERS_LONGEST_PAUSE,
        _ => LONGEST_PAUSE,
    });
    loop {
        let mailbox = ActorMailbox::default();
        *occupant
            .mailbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mailbox.clone();
        let started = Instant::now();
        let mut session = std::pin::pin!(resident.session(&mailbox));
        tokio::select! {
            () = &mut session => {}
            // A trainer needs its messages to the last.
            request = requests.next() => {
                tokio::select! {
                    () = session => {}
                    () = resident.leave(&mailbox) => {}
                }
                return Ok(request);
            }
        }
        if resident.is_replaced.load(Ordering::Relaxed) {
            bail!("another process has become {actor} meanwhile; this one makes room");
        }
        if started.elapsed() >= GOOD_SESSION {
            pauses.start_over();
        }
        let state = resident.link.state();
        warn!(%state, "booting again");
        tokio::select! {
            () = tokio::time::sleep(pauses.draw()) => {}
            request = requests.next() => return Ok(request),
        }
    }
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

/// Keeps what there is to see of the run in its store, as long as the process lives.
async fn show_in_store(observer: Arc<Observer>, store: DynamoStore) {
    let mut is_over = false;
    loop {
        let mut look = observer.look(0);
        let old = look.notes.len().saturating_sub(NOTES_IN_STORE);
        look.notes.drain(..old);
        // Neither is the end of the run: this process, or the one after it, goes on.
        look.end.take_if(|end| match end {
            End::StoreFailed(_) => true,
            End::Finished(outcome) => outcome.verdict == Verdict::Stopped,
            End::Failed(_) => false,
        });
        let ends = look.end.is_some();
        if !(is_over && ends) {
            let text = serde_json::to_string(&look).unwrap_or_default();
            // The next one says the same and more.
            is_over = store.put_look(&text).await.is_ok() && ends;
        }
        tokio::time::sleep(SHOW_EVERY).await;
    }
}

impl Resident {
    fn claimed(&self) -> Option<Claim> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        claim.take()
    }

    /// One life of the machine; ends when it has lost the broker or the store.
    async fn session(&self, mailbox: &ActorMailbox) {
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
        let wire = self.address == Address::Trainer;
        let open = Session::open(&self.broker, &self.graph, self.address, &self.link, wire);
        let Session {
            transport,
            inbox,
            end,
            wired,
            worker,
            place,
        } = match open.await {
            Ok(session) => session,
            Err(error) => return self.link.set(LinkState::Lost(error.to_string())),
        };
        if let Some(claim) = self.claimed() {
            claim.release().await;
        }
        if self.is_one_of_several {
            match place.is_ours_alone().await {
                Ok(true) => {}
                Ok(false) => return self.is_replaced.store(true, Ordering::Relaxed),
                Err(error) => return self.link.set(LinkState::Lost(error.to_string())),
            }
        }
        if matches!(self.observer.ended(), Some(End::StoreFailed(_))) {
            self.observer.reopen();
        }
        let runtime = tokio::runtime::Handle::current();
        let (unwired, mut is_unwired) = mpsc::unbounded_channel();
        let store = Arc::new(self.store.clone());
        let mut storekeeper = Storekeeper::new(store, runtime, self.observer.clone());
        if let Some(wired) = wired {
            storekeeper = storekeeper.preparing_generations(wiring_again(wired, unwired));
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
        let host = Arc::new(Mutex::new(host));
        let mut failed = mailbox.start_here(host.clone());
        // Before any message.
        host.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .feed(Input::Boot);
        let mut over = worker.work_off(inbox, move |envelope| {
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
            end.now();
            let _ = over.await;
        }
        mailbox.end();
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
    async fn leave(&self, mailbox: &ActorMailbox) {
        if self.address == Address::Trainer && self.observer.ended().is_none() {
            mailbox.feed(Input::Stop);
            self.observer.wait(COMMIT_WITHIN).await;
        }
    }
}
