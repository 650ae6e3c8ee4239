//! One actor in a process of its own: what a container runs.
//!
//! It reads what the run is from the store, connects to the broker, and boots. Whatever it loses,
//! the broker or the store, it boots again, with growing pauses: the trainer rewinds everybody, and
//! nothing that this process knew was needed.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Verdict;
use cuttlefish_core::view::View;
use tracing::{info, warn};

use super::boot::{boot, read_access};
use super::pauses::{LONGEST_PAUSE, Pauses};
use super::signals::{EndSignal, EndSignals};
use crate::config::ContainerConfig;
use crate::host::actor::ActorMailbox;
use crate::host::{End, Observer, RunSnapshot};
use crate::inspect::{self, About, Subject, routes::VIEW_WITHIN};
use crate::store::DynamoStore;
use crate::transport::{Link, LinkState};

/// The trainer is only one, and everybody else waits for the queues that it declares.
const TRAINERS_LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// A session that lasted so long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// Pause between two snapshots of a run that are written to its store, where that is wanted.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Notes that are kept there, the newest ones: an item holds 400 KB.
const NOTES_IN_STORE: usize = 256;

/// An actor as its inspection shows it, through all sessions.
struct ActorSubject {
    about: About,
    link: Arc<Link>,
    observer: Arc<Observer>,
    /// The actor of the current session.
    mailbox: Mutex<ActorMailbox>,
}

impl ActorSubject {
    fn current(&self) -> ActorMailbox {
        let mailbox = self.mailbox.lock();
        mailbox.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Subject for ActorSubject {
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

    fn snapshot(&self, after: u64) -> RunSnapshot {
        let mut snapshot = self.observer.snapshot(after);
        // The end of a session, not of the run: it boots again.
        snapshot
            .end
            .take_if(|end| matches!(end, End::StoreFailed(_)));
        snapshot
    }

    fn link(&self) -> Option<&Link> {
        Some(&self.link)
    }
}

/// Runs the actor that the configuration names until the process is told to end, and returns how.
///
/// # Errors
/// When the configuration cannot be right: no such actor, unreadable data; or when this is one of
/// several actors and another process has become the same. Not when broker or store are away: those are
/// waited for.
pub async fn run(config: &ContainerConfig) -> anyhow::Result<EndSignal> {
    let mut signals = EndSignals::listen()?;
    // Bound first, so that a port that is taken is told at once.
    let listener = TcpListener::bind(("0.0.0.0", config.port))
        .with_context(|| format!("failed to listen on port {}", config.port))?;
    let link = Arc::new(Link::default());
    let observer = Arc::new(Observer::default());
    let actor = tokio::select! {
        actor = boot(config, link, observer) => actor?,
        signal = signals.next() => return Ok(signal),
    };
    let about = About::new(&actor.graph, actor.address, actor.image, actor.began);
    let name = about.name.clone();
    info!(run = config.run, actor = name, "booting");
    if config.shows_in_store {
        let (observer, store) = (actor.observer.clone(), actor.store.clone());
        actix_rt::spawn(show_in_store(observer, store));
    }
    let subject = Arc::new(ActorSubject {
        about,
        link: actor.link.clone(),
        observer: actor.observer.clone(),
        mailbox: Mutex::default(),
    });
    let access = read_access(config)?;
    let server = inspect::serve(listener, subject.clone(), access);
    actix_rt::spawn(server.context("failed to serve the inspection")?);
    let mut pauses = Pauses::new(match actor.address {
        Address::Trainer => TRAINERS_LONGEST_PAUSE,
        _ => LONGEST_PAUSE,
    });
    loop {
        let mailbox = ActorMailbox::default();
        *subject
            .mailbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mailbox.clone();
        let started = Instant::now();
        let mut session = std::pin::pin!(actor.session(&mailbox));
        tokio::select! {
            () = &mut session => {}
            // A trainer needs its messages to the last.
            signal = signals.next() => {
                tokio::select! {
                    () = session => {}
                    () = actor.leave(&mailbox) => {}
                }
                return Ok(signal);
            }
        }
        if actor.is_replaced.load(Ordering::Relaxed) {
            bail!("another process has become {name} meanwhile; this one makes room");
        }
        if started.elapsed() >= GOOD_SESSION {
            pauses.start_over();
        }
        let state = actor.link.state();
        warn!(%state, "booting again");
        tokio::select! {
            () = tokio::time::sleep(pauses.draw()) => {}
            signal = signals.next() => return Ok(signal),
        }
    }
}

/// Keeps what there is to see of the run in its store, as long as the process lives.
async fn show_in_store(observer: Arc<Observer>, store: DynamoStore) {
    let mut is_over = false;
    loop {
        let mut snapshot = observer.snapshot(0);
        let old = snapshot.notes.len().saturating_sub(NOTES_IN_STORE);
        snapshot.notes.drain(..old);
        // Neither is the end of the run: this process, or the one after it, goes on.
        snapshot.end.take_if(|end| match end {
            End::StoreFailed(_) => true,
            End::Finished(outcome) => outcome.verdict == Verdict::Stopped,
            End::Failed(_) => false,
        });
        let ends = snapshot.end.is_some();
        if !(is_over && ends) {
            let text = serde_json::to_string(&snapshot).unwrap_or_default();
            // The next one says the same and more.
            is_over = store.put_snapshot(&text).await.is_ok() && ends;
        }
        tokio::time::sleep(SHOW_EVERY).await;
    }
}
