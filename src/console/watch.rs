//! One watcher a run, however many people watch it: what it sees goes to all of them.
//!
//! A watcher is a thread that looks at the run from outside, as anybody may: at its directory, at its trainer's
//! inspection, at its containers. It ends a while after the last of its readers has left. A reader that is too slow
//! misses events, and nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish_core::ids::Tick;
use cuttlefish_core::topology::Graph;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::api::summary::{EpochRow, RunSummary, summary};
use super::commands::Commands;
use crate::config::Config;
use crate::deploy::{Actors, TargetKind};
use crate::host::RunSnapshot;
use crate::monitor::{RunEvent, TrainingStatus};
use crate::record::RowCounts;
use crate::run::follow::ProgressTracker;
use crate::run::{Run, recorded_graph};

/// Interval of looks at the trainer.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Interval of looks at store, command and actors.
const SURVEY_EVERY: Duration = Duration::from_secs(1);
/// The least interval in which containers are asked for their memory and queues.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// Time that a watcher without readers goes on: a page that is loaded again finds it.
const LINGER: Duration = Duration::from_secs(5);
/// Events that are kept for readers who come back.
const MAX_KEPT: usize = 4096;
/// Events that a slow reader may be behind.
const MAX_BEHIND: usize = 4096;

/// An event on its way to readers.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The watcher: another one counts anew.
    pub series: u32,
    /// Counts the events of a watcher from 1.
    pub number: u64,
    /// The kind of event.
    pub event: &'static str,
    /// Its content, as JSON.
    pub data: String,
}

/// All watchers.
#[derive(Clone, Default)]
pub struct Watchers {
    by_run: Arc<Mutex<HashMap<String, Arc<Channel>>>>,
}

/// The way from a watcher to its readers.
struct Channel {
    series: u32,
    sender: broadcast::Sender<Arc<Frame>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    newest: u64,
    frames: VecDeque<Arc<Frame>>,
}

/// Events that a reader is given first, and the way of the rest.
pub struct Subscription {
    /// Events that it has missed, or that say how things are.
    pub first: Vec<Arc<Frame>>,
    /// Events to come.
    pub next: broadcast::Receiver<Arc<Frame>>,
}

impl Channel {
    fn send(&self, event: &'static str, data: &impl Serialize) {
        let mut kept = lock(&self.kept);
        kept.newest += 1;
        let frame = Arc::new(Frame {
            series: self.series,
            number: kept.newest,
            event,
            data: serde_json::to_string(data).unwrap_or_default(),
        });
        // Of what is said several times a second only the newest is worth keeping.
        if matches!(event, "status" | "actors" | "run") {
            kept.frames.retain(|old| old.event != event);
        }
        if kept.frames.len() >= MAX_KEPT {
            kept.frames.pop_front();
        }
        kept.frames.push_back(frame.clone());
        // Nobody may be listening.
        let _ = self.sender.send(frame);
    }
}

impl Watchers {
    /// Watches a run. Events after number `after` of the watcher of that series come first; all that are kept, where
    /// it is another one by now.
    pub fn subscribe(
        &self,
        run: &str,
        (series, after): (u32, u64),
        commands: &Arc<Commands>,
        config: &Config,
    ) -> Subscription {
        let mut by_run = lock(&self.by_run);
        let channel = match by_run.get(run) {
            Some(channel) => channel.clone(),
            None => {
                let channel = Arc::new(Channel {
                    series: rand::random(),
                    sender: broadcast::channel(MAX_BEHIND).0,
                    kept: Mutex::default(),
                });
                let watcher = Watcher {
                    run: run.to_owned(),
                    channel: channel.clone(),
                    watchers: self.clone(),
                    commands: commands.clone(),
                    config: config.clone(),
                };
                let thread = std::thread::Builder::new().name("watcher".to_owned());
                match thread.spawn(move || crate::block_on(watcher.watch())) {
                    Ok(_) => {
                        by_run.insert(run.to_owned(), channel.clone());
                    }
                    // Nobody holds the channel then: the stream ends, and its reader comes back.
                    Err(error) => tracing::error!("cannot watch a run: {error}"),
                }
                channel
            }
        };
        let kept = lock(&channel.kept);
        let after = if series == channel.series { after } else { 0 };
        let frames = kept.frames.iter().filter(|frame| frame.number > after);
        Subscription {
            first: frames.cloned().collect(),
            next: channel.sender.subscribe(),
        }
    }
}

struct Watcher {
    run: String,
    channel: Arc<Channel>,
    watchers: Watchers,
    commands: Arc<Commands>,
    config: Config,
}

impl Watcher {
    async fn watch(self) {
        let mut left: Option<Instant> = None;
        let mut before: Option<RunSummary> = None;
        // The last epoch that readers have been told.
        let mut told = 0;
        loop {
            match summary(&self.run, &self.commands, &self.config).await {
                Ok(now) => {
                    let was_under_way = before.as_ref().is_some_and(|before| !before.is_over());
                    if now.is_over() && was_under_way {
                        // Epochs that ended after the last look at the trainer.
                        self.tell_epochs_after(told).await;
                    }
                    self.tell(&mut before, now);
                }
                Err(problem) => {
                    self.channel.send(
                        "end",
                        &json!({"state": "removed", "detail": problem.detail()}),
                    );
                    lock(&self.watchers.by_run).remove(&self.run);
                    return;
                }
            }
            let is_running = before
                .as_ref()
                .is_some_and(|summary| summary.state == "running");
            if is_running {
                // Whatever ends it is seen by the next survey.
                let _ = self.follow(&mut before, &mut told).await;
            }
            tokio::time::sleep(SURVEY_EVERY).await;
            if self.channel.sender.receiver_count() > 0 {
                left = None;
            } else if left.get_or_insert_with(Instant::now).elapsed() >= LINGER {
                let mut by_run = lock(&self.watchers.by_run);
                // Nobody can subscribe meanwhile.
                if self.channel.sender.receiver_count() == 0 {
                    by_run.remove(&self.run);
                    return;
                }
            }
        }
    }

    /// Says how the run is, if that has changed.
    fn tell(&self, before: &mut Option<RunSummary>, now: RunSummary) {
        if before.as_ref() == Some(&now) {
            return;
        }
        // One that was over when it was first looked at has an end too.
        let was_over = before.as_ref().is_some_and(RunSummary::is_over);
        let ends = now.is_over() && !was_over;
        self.channel.send("run", &now);
        if ends {
            self.channel
                .send("end", &json!({"state": now.state, "detail": now.detail}));
        }
        *before = Some(now);
    }

    /// Says the epochs of the last commit that readers have not been told.
    async fn tell_epochs_after(&self, told: u32) {
        let history = async {
            let saved = Run::open(&self.config, &self.run).await?.saved().await?;
            Ok::<_, crate::run::Error>(saved.progress().history)
        };
        let history = history.await.unwrap_or_default();
        for record in history.iter().filter(|record| record.epoch > told) {
            self.channel.send("epoch", &EpochRow::from(record));
        }
    }

    /// Follows a run for as long as it runs and somebody reads.
    async fn follow(
        &self,
        before: &mut Option<RunSummary>,
        told: &mut u32,
    ) -> Result<(), crate::run::Error> {
        let run = Run::open(&self.config, &self.run).await?;
        let record = run.target().record().await?;
        let graph: Graph = recorded_graph(&self.run, &record)?;
        let none = RowCounts {
            train: 0,
            validation: 0,
            test: 0,
        };
        let mut tracker = ProgressTracker::new(&graph, record.rows.counts.unwrap_or(none));
        let mut actors = Value::Null;
        let mut surveyed: Option<Instant> = None;
        let mut figures = HashMap::new();
        let mut figures_every = FIGURES_EVERY;
        let mut figures_at: Option<Instant> = None;
        let mut failures = 0;
        let mut last: Option<Seen> = None;
        let mut empty_since: Option<Instant> = None;
        loop {
            if surveyed.is_none_or(|at| at.elapsed() >= SURVEY_EVERY) {
                surveyed = Some(Instant::now());
                if figures_at.is_none_or(|at: Instant| at.elapsed() >= figures_every) {
                    let began = Instant::now();
                    figures = asked(&run).await;
                    // A large run is asked less often.
                    figures_every = FIGURES_EVERY.max(10 * began.elapsed());
                    figures_at = Some(Instant::now());
                }
                if let Ok(mut states) = run.target().states().await {
                    for state in &mut states {
                        if let Some((memory, queued)) = figures.get(&state.name) {
                            state.memory_bytes = *memory;
                            state.queued_messages = *queued;
                        }
                    }
                    let now = json!({ "actors": states });
                    if now != actors {
                        self.channel.send("actors", &now);
                        actors = now;
                    }
                }
                match summary(&self.run, &self.commands, &self.config).await {
                    Ok(now) if now.state == "running" => self.tell(before, now),
                    _ => return Ok(()),
                }
            }
            match run.target().snapshot(tracker.last_note()).await {
                Ok(snapshot) => {
                    failures = 0;
                    let speed = speed(last.as_ref(), &snapshot);
                    let tick = snapshot.newest_tick().map(|newest| newest.tick);
                    for mut event in tracker.events(&snapshot) {
                        if let (RunEvent::Training(status), Some(speed)) = (&mut event, speed) {
                            status.rows_per_second = speed;
                        }
                        if let RunEvent::EpochFinished { record, .. } = &event {
                            *told = record.epoch;
                        }
                        self.send(event, tick, snapshot.elapsed);
                    }
                    last = Some(Seen {
                        observer: snapshot.observer,
                        elapsed: snapshot.elapsed,
                        rows: snapshot.rows_trained,
                    });
                    if snapshot.end.is_some() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        let text = format!("the trainer does not answer: {error}");
                        self.channel.send("note", &json!({"at": 0.0, "text": text}));
                    }
                }
            }
            if self.channel.sender.receiver_count() > 0 {
                empty_since = None;
            } else if empty_since.get_or_insert_with(Instant::now).elapsed() >= LINGER {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn send(&self, event: RunEvent, tick: Option<Tick>, at: Duration) {
        let at = at.as_secs_f64();
        match event {
            RunEvent::Training(status) => {
                self.channel.send("status", &status_document(&status, tick));
            }
            RunEvent::EpochFinished { record, .. } => {
                self.channel.send("epoch", &EpochRow::from(&record));
            }
            RunEvent::Rewound { to, reason } => self.channel.send(
                "rewound",
                &json!({"at": at, "commit": to.number, "tick": to.tick, "reason": reason}),
            ),
            RunEvent::Resumed(from) => {
                let text = format!("goes on from tick {}", from.tick);
                self.channel.send("note", &json!({"at": at, "text": text}));
            }
            RunEvent::BeyondInFlightBound { at: unit, tick, .. } => {
                let text = format!("{unit} was sent tick {tick} too early");
                self.channel.send("note", &json!({"at": at, "text": text}));
            }
            RunEvent::Note(text) => self.channel.send("note", &json!({"at": at, "text": text})),
            // Those of a command that brings a run up or stops it.
            RunEvent::StepsBegun { .. }
            | RunEvent::StepDone { .. }
            | RunEvent::StepsEnded
            | RunEvent::TrainingBegun { .. }
            | RunEvent::TrainingEnded
            | RunEvent::Stopping => {}
        }
    }
}

/// Memory and queued messages of each actor in a container, by its name.
async fn asked(run: &Run) -> HashMap<String, (Option<u64>, Option<u64>)> {
    if run.kind() != TargetKind::Docker {
        return HashMap::new();
    }
    let Ok(Actors::Containers(containers)) = run.target().actors().await else {
        return HashMap::new();
    };
    let figures = containers.into_iter().map(|container| {
        let memory = container.figure("cuttlefish_private_memory_bytes");
        let memory = memory.map(|bytes| bytes as u64);
        (container.observed.actor, (memory, container.queued))
    });
    figures.collect()
}

/// Rows so far, as a snapshot has said them.
struct Seen {
    observer: u32,
    elapsed: Duration,
    rows: u64,
}

/// Rows a second between two snapshots: epochs may be shorter than the time between them. None where the trainer
/// was started anew meanwhile.
fn speed(last: Option<&Seen>, now: &RunSnapshot) -> Option<f64> {
    let last = last.filter(|last| last.observer == now.observer)?;
    let seconds = now.elapsed.saturating_sub(last.elapsed).as_secs_f64();
    let rows = now.rows_trained.checked_sub(last.rows)?;
    (seconds > 0.0).then(|| rows as f64 / seconds)
}

fn status_document(status: &TrainingStatus, tick: Option<Tick>) -> Value {
    json!({
        "tick": tick,
        "epoch": status.epoch,
        "epochs": status.epochs,
        "part": status.part.word(),
        "index": status.index,
        "batches": status.batches,
        "samples_per_second": status.rows_per_second,
        "loss": status.loss,
        "accuracy": status.accuracy,
        "remaining_seconds": status.remaining.map(|remaining| remaining.as_secs_f64()),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
