//! What people see of a run, in this process or over HTTP, and how the run tells that it is over.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish_core::data::Part;
use cuttlefish_core::machine::Fault;
use cuttlefish_core::trainer::{Event, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::{debug, info, warn};

/// Notes that are kept for those who look; older ones are dropped first.
const MAX_NOTES: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As planned, or because a person asked for it.
    Finished(Box<Outcome>),
    /// A machine found that it cannot go on.
    Failed(Fault),
    /// The store cannot be reached, or refuses for good; the text says why and what to do.
    StoreFailed(String),
}

/// Collects what a run reports.
pub struct Observer {
    number: u32,
    began: Instant,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    latest: Option<Event>,
    rows_trained: u64,
    commits_written: u64,
    store_failures: u64,
    notes: VecDeque<Note>,
    /// The number of the newest note.
    newest: u64,
    end: Option<End>,
}

/// An event other than a finished tick.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Counts the notes of this observer from 1.
    pub number: u64,
    /// When it was reported, since the observer began.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

/// What there is to see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Look {
    /// Which observer this is: another number after its process was started anew.
    pub observer: u32,
    /// Time since the observer's process began; the run may be older.
    pub elapsed: Duration,
    /// The newest finished tick.
    pub latest: Option<Event>,
    /// Rows of all training ticks in this process, repeated ones included; those of the run are in the
    /// trainer's view and in its outcome.
    pub rows_trained: u64,
    /// Commits that this process has written to the store.
    #[serde(default)]
    pub commits_written: u64,
    /// Tries of this process's store requests that have failed.
    #[serde(default)]
    pub store_failures: u64,
    /// The notes after the one that was asked for.
    pub notes: Vec<Note>,
    /// How the run ended, once it has.
    pub end: Option<End>,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            number: rand::random(),
            began: Instant::now(),
            state: Mutex::default(),
            ended: Notify::default(),
        }
    }
}

impl Observer {
    /// Takes note of an event.
    pub fn report(&self, event: Event) {
        let mut state = self.lock();
        if let Event::TickFinished { part, rows, .. } = &event {
            if *part == Part::Train {
                state.rows_trained += u64::from(*rows);
            }
            state.latest = Some(event);
            return;
        }
        log(&event);
        if state.notes.len() >= MAX_NOTES {
            state.notes.pop_front();
        }
        state.newest += 1;
        let note = Note {
            number: state.newest,
            at: self.began.elapsed(),
            event,
        };
        state.notes.push_back(note);
    }

    /// A commit is in the store: a unit's neurons, or the ledger.
    pub fn wrote_commit(&self) {
        self.lock().commits_written += 1;
    }

    /// The store did not do what it was asked, this time.
    pub fn store_failed(&self) {
        self.lock().store_failures += 1;
    }

    /// The run is over; the first end counts.
    pub fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.ended.notify_waiters();
    }

    /// The run goes on after all.
    pub fn reopen(&self) {
        self.lock().end = None;
    }

    /// How the run ended, once it has.
    pub fn ended(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// What there is to see, with the notes after number `after`.
    pub fn look(&self, after: u64) -> Look {
        let state = self.lock();
        let old = state.notes.partition_point(|note| note.number <= after);
        Look {
            observer: self.number,
            elapsed: self.began.elapsed(),
            latest: state.latest.clone(),
            rows_trained: state.rows_trained,
            commits_written: state.commits_written,
            store_failures: state.store_failures,
            notes: state.notes.range(old..).cloned().collect(),
            end: state.end.clone(),
        }
    }

    /// Waits for the end, at most so long.
    pub async fn wait(&self, at_most: Duration) {
        let mut ended = std::pin::pin!(self.ended.notified());
        // From here on an end is not missed, however many wait for it.
        ended.as_mut().enable();
        if self.lock().end.is_none() {
            // Whether it was the end or the time, the state tells.
            let _ = tokio::time::timeout(at_most, ended).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a container's log says of a run: a line an epoch, and what went wrong.
fn log(event: &Event) {
    match event {
        Event::Started { generation, from } => {
            info!(%generation, commit = from.number, tick = from.tick.0, "ticks begin");
        }
        Event::EpochFinished(record) => {
            let validation = record.validation.as_ref().map(|v| v.loss);
            info!(
                epoch = record.epoch,
                loss = record.train.loss,
                validation_loss = validation,
                "epoch finished"
            );
        }
        Event::Committed(commit) => {
            debug!(commit = commit.number, tick = commit.tick.0, "committed")
        }
        Event::Rewound {
            generation,
            to,
            reason,
        } => {
            warn!(%generation, commit = to.number, tick = to.tick.0, reason, "rewound");
        }
        Event::BeyondInFlightBound { at, tick, applied } => {
            warn!(%at, %tick, %applied, "a tick came too early");
        }
        Event::TickFinished { .. } => {}
    }
}
