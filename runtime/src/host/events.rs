//! Sinks of a run's events: the log, and the history that a snapshot shows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuttlefish_core::data::Part;
use cuttlefish_core::protocol::Event;
use serde::{Deserialize, Serialize};
use tracing::{debug, info, warn};

/// Notes that are kept in a history; older ones are dropped first.
const MAX_NOTES: usize = 4096;

/// Sink of a run's events, such as a log, a file of figures or a store.
pub trait EventSink: Send + Sync {
    /// Takes an event that was reported `at` so long after the observer began. The machine that reports
    /// waits meanwhile, so this must not block.
    fn take(&self, at: Duration, event: &Event);
}

/// Event other than a finished tick.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Counts the notes of an observer from 1.
    pub number: u64,
    /// Time of its report, since the observer began.
    pub at: Duration,
    /// The event.
    pub event: Event,
}

/// Sink that keeps the newest tick and the newest notes.
#[derive(Default)]
pub struct History {
    recent: Mutex<Recent>,
}

/// Content of a history.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// The newest finished tick.
    pub latest: Option<Event>,
    /// Rows of all training ticks, repeated ones included.
    pub rows_trained: u64,
    /// The newest notes, the oldest first.
    pub notes: VecDeque<Note>,
    /// Number of the newest note.
    newest: u64,
}

impl History {
    /// Its content, locked until the guard is dropped.
    pub fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for History {
    fn take(&self, at: Duration, event: &Event) {
        let mut recent = self.recent();
        if let Event::TickFinished { part, rows, .. } = event {
            if *part == Part::Train {
                recent.rows_trained += u64::from(*rows);
            }
            recent.latest = Some(event.clone());
            return;
        }
        if recent.notes.len() >= MAX_NOTES {
            recent.notes.pop_front();
        }
        recent.newest += 1;
        let note = Note {
            number: recent.newest,
            at,
            event: event.clone(),
        };
        recent.notes.push_back(note);
    }
}

/// Sink that writes a container's log: a line an epoch, and what went wrong.
pub struct LogSink;

impl EventSink for LogSink {
    fn take(&self, _: Duration, event: &Event) {
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
}
