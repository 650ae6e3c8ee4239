//! What people see of a run in this process, and how the run tells that it is over.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuttlefish_core::data::Part;
use cuttlefish_core::machine::Fault;
use cuttlefish_core::trainer::{Event, Outcome};
use tokio::sync::Notify;

/// Events that wait to be shown; older ones are dropped first.
const MAX_NOTABLE: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// As planned, or because a person asked for it.
    Finished(Box<Outcome>),
    /// A machine found that it cannot go on.
    Failed(Fault),
    /// The store cannot be reached, or refuses for good; the text says why and what to do.
    StoreFailed(String),
}

/// Collects what a run reports.
#[derive(Default)]
pub struct Observer {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    latest: Option<Event>,
    rows_trained: u64,
    notable: VecDeque<Event>,
    end: Option<End>,
}

/// What has been reported since the last look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The newest finished tick.
    pub latest: Option<Event>,
    /// Rows of all training ticks in this process, repeated ones included.
    pub rows_trained: u64,
    /// Everything but finished ticks, in order; each is returned once.
    pub notable: Vec<Event>,
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
        if state.notable.len() >= MAX_NOTABLE {
            state.notable.pop_front();
        }
        state.notable.push_back(event);
    }

    /// The run is over; the first end counts.
    pub fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.ended.notify_one();
    }

    /// What is new.
    pub fn look(&self) -> Look {
        let mut state = self.lock();
        Look {
            latest: state.latest.clone(),
            rows_trained: state.rows_trained,
            notable: state.notable.drain(..).collect(),
        }
    }

    /// Waits for the end, at most so long.
    pub async fn wait(&self, at_most: Duration) -> Option<End> {
        if self.lock().end.is_none() {
            // Whether it was the end or the time, the state tells.
            let _ = tokio::time::timeout(at_most, self.ended.notified()).await;
        }
        self.lock().end.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
