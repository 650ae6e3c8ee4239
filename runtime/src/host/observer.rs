//! The observer of a run: hands its events to sinks, and knows how the run has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish_core::data::Part;
use cuttlefish_core::ids::Tick;
use cuttlefish_core::machine::Fault;
use cuttlefish_core::protocol::{EpochRecord, Evaluation, Event, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::events::{EventSink, History, LogSink, Note};

/// End of a run.
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

/// Observer of a run: one stream of events to sinks, the log and its own history among them.
pub struct Observer {
    number: u32,
    began: Instant,
    sinks: Vec<Arc<dyn EventSink>>,
    history: Arc<History>,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    commits_written: u64,
    store_failures: u64,
    end: Option<End>,
}

/// Snapshot of a run, as its observer has followed it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunSnapshot {
    /// Number of the observer: another one after its process was started anew.
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
    /// Tries of store requests that have failed.
    #[serde(default)]
    pub store_failures: u64,
    /// The notes after the one that was asked for.
    pub notes: Vec<Note>,
    /// End of the run, once it has ended.
    pub end: Option<End>,
}

/// Figures of a finished tick.
pub struct NewestTick<'a> {
    /// The tick.
    pub tick: Tick,
    /// Its epoch, from 1; of test rows the one after the last.
    pub epoch: u32,
    /// Its part of the data.
    pub part: Part,
    /// Loss and accuracy of that part so far.
    pub running: &'a Evaluation,
}

impl RunSnapshot {
    /// Figures of the newest finished tick.
    pub fn newest_tick(&self) -> Option<NewestTick<'_>> {
        match self.latest.as_ref()? {
            Event::TickFinished {
                tick,
                epoch,
                part,
                running,
                ..
            } => Some(NewestTick {
                tick: *tick,
                epoch: *epoch,
                part: *part,
                running,
            }),
            _ => None,
        }
    }

    /// Records of the epochs among the notes, the oldest first.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = &EpochRecord> {
        self.notes.iter().filter_map(|note| match &note.event {
            Event::EpochFinished(record) => Some(record),
            _ => None,
        })
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Observer {
    /// Observer of a run that begins now, whose events `further` sinks get too.
    pub fn new(further: Vec<Arc<dyn EventSink>>) -> Self {
        let history = Arc::new(History::default());
        let mut sinks: Vec<Arc<dyn EventSink>> = vec![Arc::new(LogSink), history.clone()];
        sinks.extend(further);
        Self {
            number: rand::random(),
            began: Instant::now(),
            sinks,
            history,
            state: Mutex::default(),
            ended: Notify::default(),
        }
    }

    /// Hands an event to all sinks.
    pub fn report(&self, event: &Event) {
        let at = self.began.elapsed();
        for sink in &self.sinks {
            sink.take(at, event);
        }
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

    /// End of the run, once it has ended.
    pub fn ended(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// Snapshot of the run, with the notes after number `after`.
    pub fn snapshot(&self, after: u64) -> RunSnapshot {
        let state = self.lock();
        let recent = self.history.recent();
        let old = recent.notes.partition_point(|note| note.number <= after);
        RunSnapshot {
            observer: self.number,
            elapsed: self.began.elapsed(),
            latest: recent.latest.clone(),
            rows_trained: recent.rows_trained,
            commits_written: state.commits_written,
            store_failures: state.store_failures,
            notes: recent.notes.range(old..).cloned().collect(),
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

#[cfg(test)]
mod tests {
    use cuttlefish_core::ids::{CommitPoint, Tick};

    use super::*;

    /// Numbers of the commits that it was told of.
    #[derive(Default)]
    struct Commits(Mutex<Vec<u64>>);

    impl EventSink for Commits {
        fn take(&self, _: Duration, event: &Event) {
            if let Event::Committed(commit) = event {
                self.0.lock().unwrap().push(commit.number);
            }
        }
    }

    #[test]
    fn every_sink_gets_every_event_in_order() {
        let commits = Arc::new(Commits::default());
        let observer = Observer::new(vec![commits.clone()]);
        for number in [1, 2, 3] {
            let tick = Tick(10 * number);
            observer.report(&Event::Committed(CommitPoint { number, tick }));
        }
        assert_eq!(*commits.0.lock().unwrap(), [1, 2, 3]);
        let notes = observer.snapshot(1).notes;
        let numbers: Vec<u64> = notes.iter().map(|note| note.number).collect();
        assert_eq!(numbers, [2, 3], "the notes after the first");
    }
}
