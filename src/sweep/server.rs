//! The server of a sweep: proposes trials, publishes their tasks, and counts results.
//!
//! It holds a window of tasks that are under way and keeps nothing that the store does not have: killed at any
//! moment and started again, it proposes the same trials, finds their results, and publishes what is missing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::sweep::{configuration, trials_before};

use super::Error;
use super::data::{DataCache, PINNED, PreparedData};
use super::definition::Definition;
use super::progress::{FinishedTrial, Progress};
use super::task::{Task, TaskId, TaskResult};
use super::worker::unix_ms;
use crate::data;
use crate::monitor::Monitor;
use crate::store::{Claim, DynamoStore, Holder, StoredTask};
use crate::transport::tasks::TaskBoard;

/// Tasks under way at most: enough that no worker waits, few enough that a restart repeats little.
const WINDOW: usize = 256;
/// Tasks and trials that are begun before the server looks for notices and interrupts.
const MAX_STEPS: usize = 64;
/// Time between two looks at a task whose notice has not come.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A task that nobody has claimed for so long, or whose lease has ended, is published again: its message may be lost.
/// The wait doubles each time, since it may only wait for its turn.
const UNCLAIMED_FOR: Duration = Duration::from_secs(120);

/// The server of one sweep.
pub struct Server {
    /// Name of the sweep.
    pub name: String,
    /// The sweep.
    pub definition: Arc<Definition>,
    /// Its store.
    pub store: DynamoStore,
    /// Data sets for workers of this process.
    pub data: DataCache,
    /// True if workers elsewhere get their data sets from the store.
    pub is_shared: bool,
    /// Directories that the data sets are read from: of the topology file, and of data sets by name.
    pub directories: (PathBuf, PathBuf),
}

/// A task that is published and not known to be done.
struct Outstanding {
    task: Task,
    published: Instant,
    checked: Instant,
    /// Wait for somebody to claim it.
    patience: Duration,
}

/// What a sweep has when its server begins.
#[derive(Default)]
pub struct Found {
    /// Tasks that are done.
    pub done: HashSet<TaskId>,
    /// Tasks that were claimed and are not done, with their attempts.
    pub claimed: HashMap<TaskId, u64>,
}

/// Reason why a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every trial is done.
    Completed,
    /// The sweep's time was up; the trials that had begun are done.
    OutOfTime,
    /// The caller interrupted it.
    Interrupted,
}

/// State of a server while it serves.
struct Serving<'a> {
    server: &'a Server,
    progress: &'a mut Progress,
    found: &'a Found,
    next: u32,
    /// Tasks of trials that have begun, to be published.
    waiting: VecDeque<(TaskId, Task)>,
    outstanding: BTreeMap<TaskId, Outstanding>,
    /// Hashes of the data sets by the `data` section that they are of.
    datasets: HashMap<String, String>,
    /// Time after which no task is begun, Unix milliseconds.
    deadline: Option<u64>,
    on_trial: &'a mut dyn FnMut(&FinishedTrial, &Progress),
}

impl Found {
    /// What a store has of a sweep.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(store: &DynamoStore) -> Result<Self, Error> {
        let mut found = Self::default();
        let each = |stored: StoredTask| {
            if let Some(id) = TaskId::parse(&stored.task) {
                match stored.result {
                    Some(_) => drop(found.done.insert(id)),
                    None => drop(found.claimed.insert(id, stored.attempt)),
                }
            }
        };
        store.each_task(each).await?;
        Ok(found)
    }
}

impl Server {
    /// Serves the sweep to its end. `on_trial` hears of every trial that is done, those of earlier servers too.
    ///
    /// # Errors
    /// When store, queue or data cannot be used; a server that is started again goes on from there.
    pub async fn serve(
        &self,
        board: &mut dyn TaskBoard,
        found: &Found,
        progress: &mut Progress,
        monitor: &Monitor,
        on_trial: &mut dyn FnMut(&FinishedTrial, &Progress),
    ) -> Result<Ended, Error> {
        let limit = self.definition.sweep().max_time;
        let limit = limit.map(Duration::from_secs_f64);
        let mut serving = Serving {
            server: self,
            progress,
            found,
            next: 0,
            waiting: VecDeque::new(),
            outstanding: BTreeMap::new(),
            datasets: HashMap::new(),
            deadline: limit.map(|limit| unix_ms() + limit.as_millis() as u64),
            on_trial,
        };
        let began = Instant::now();
        loop {
            let is_out_of_time = limit.is_some_and(|limit| began.elapsed() >= limit);
            if is_out_of_time {
                serving.waiting.clear();
            }
            let filled = match is_out_of_time {
                true => Filled::Exhausted,
                false => serving.fill(board).await?,
            };
            if filled == Filled::Exhausted && serving.outstanding.is_empty() {
                return Ok(match is_out_of_time {
                    true => Ended::OutOfTime,
                    false => Ended::Completed,
                });
            }
            let patience = match filled {
                Filled::More => Duration::ZERO,
                Filled::Full | Filled::Exhausted => Duration::from_secs(1),
            };
            let notice = tokio::select! {
                biased;
                () = monitor.interrupted_more_than(0) => return Ok(Ended::Interrupted),
                notice = board.notice(patience) => notice?,
            };
            let named = notice.and_then(|notice| TaskId::parse(str::from_utf8(&notice).ok()?));
            match named {
                Some(id) => serving.check(id, board).await?,
                None => serving.check_overdue(is_out_of_time, board).await?,
            }
        }
    }
}

impl Serving<'_> {
    /// Publishes tasks until the window is full, or for so long that the caller should look around.
    async fn fill(&mut self, board: &mut dyn TaskBoard) -> Result<Filled, Error> {
        for _ in 0..MAX_STEPS {
            if self.outstanding.len() >= WINDOW {
                return Ok(Filled::Full);
            }
            let Some((id, task)) = self.waiting.pop_front() else {
                match self.propose().await? {
                    Proposal::Begun => continue,
                    Proposal::Later => return Ok(Filled::Full),
                    Proposal::Exhausted => return Ok(Filled::Exhausted),
                }
            };
            board.publish(&task.to_bytes()).await?;
            let now = Instant::now();
            let outstanding = Outstanding {
                task,
                published: now,
                checked: now,
                patience: UNCLAIMED_FOR,
            };
            self.outstanding.insert(id, outstanding);
        }
        Ok(Filled::More)
    }

    /// Begins the next trial.
    async fn propose(&mut self) -> Result<Proposal, Error> {
        let definition = &self.server.definition;
        let sweep = definition.sweep();
        let number = self.next;
        let observations = match trials_before(sweep, number) {
            0 => Vec::new(),
            needed => {
                let observations = self.progress.observations();
                if (observations.len() as u32) < needed {
                    return Ok(Proposal::Later);
                }
                observations
            }
        };
        let seed = definition.topology.seed;
        let Some(configuration) = configuration(sweep, seed, number, &observations) else {
            return Ok(Proposal::Exhausted);
        };
        self.next += 1;
        let folds = match sweep.folds {
            Some(count) => 1..=count,
            None => 0..=0,
        };
        let ids: Vec<TaskId> = (0..sweep.seeds)
            .flat_map(|seed| {
                folds.clone().map(move |fold| TaskId {
                    trial: number,
                    seed,
                    fold,
                })
            })
            .collect();
        let values = configuration.0.clone();
        self.progress.begin(number, configuration, ids.clone());
        for id in ids {
            if self.found.done.contains(&id)
                && let Some(result) = self.result(id).await?
            {
                self.note(id, result);
                continue;
            }
            match self.task(id, &values).await? {
                Ok(task) => self.waiting.push_back((id, task)),
                Err(reason) => {
                    // Workers would say the same.
                    let result = TaskResult::failed(&values, reason);
                    self.server.store_result(id, &result).await?;
                    self.note(id, result);
                }
            }
        }
        Ok(Proposal::Begun)
    }

    /// A task with its data set ready, or the reason why there cannot be one.
    async fn task(
        &mut self,
        id: TaskId,
        values: &[(String, serde_json::Value)],
    ) -> Result<Result<Task, String>, Error> {
        let server = self.server;
        let document = match server.definition.document(id, values) {
            Ok(document) => document,
            Err(problems) => return Ok(Err(problems.to_string())),
        };
        let spec = &document.spec().data;
        let section = serde_json::to_string(spec).unwrap_or_default();
        let sha256 = match self.datasets.get(&section) {
            Some(sha256) => sha256.clone(),
            None => {
                let (base_dir, data_dir) = &server.directories;
                let dataset = match data::load(spec, base_dir, data_dir) {
                    Ok(loaded) => Arc::new(loaded.dataset),
                    // Whether it is the file or a value of this trial, others may do.
                    Err(error) => return Ok(Err(format!("failed to {error}"))),
                };
                let prepared = PreparedData::new(&dataset)?;
                let sha256 = prepared.sha256.clone();
                let is_fetched = server.is_shared || self.datasets.len() >= PINNED;
                if is_fetched && !server.store.has_data(&sha256).await? {
                    server.store.put_data(&sha256, &prepared.bytes).await?;
                }
                server.data.insert(&sha256, dataset).await;
                self.datasets.insert(section, sha256.clone());
                sha256
            }
        };
        Ok(Ok(Task {
            sweep: server.name.clone(),
            key: server.definition.key.clone(),
            task: id.name(),
            values: values.to_vec(),
            data: sha256,
            deadline: self.deadline,
        }))
    }

    /// Result of a task in the store.
    async fn result(&self, id: TaskId) -> Result<Option<TaskResult>, Error> {
        let stored = self.server.store.get_task(&id.name()).await?;
        match stored.and_then(|stored| stored.result) {
            Some(json) => self.server.parse(&json).map(Some),
            None => Ok(None),
        }
    }

    fn note(&mut self, id: TaskId, result: TaskResult) {
        if let Some(trial) = self.progress.note(id, result) {
            (self.on_trial)(&trial, self.progress);
        }
    }

    /// Looks whether an outstanding task is done, and publishes it again if its worker was lost.
    async fn check(&mut self, id: TaskId, board: &mut dyn TaskBoard) -> Result<(), Error> {
        let Some(outstanding) = self.outstanding.get_mut(&id) else {
            return Ok(());
        };
        outstanding.checked = Instant::now();
        let waited = outstanding.published.elapsed();
        let stored = self.server.store.get_task(&id.name()).await?;
        let is_held = |stored: &StoredTask| stored.lease >= unix_ms();
        let is_free = !stored.as_ref().is_some_and(is_held);
        let is_too_late = outstanding.task.deadline.is_some_and(|at| unix_ms() > at);
        if let Some(json) = stored.and_then(|stored| stored.result) {
            let result = self.server.parse(&json)?;
            self.outstanding.remove(&id);
            self.note(id, result);
        } else if is_free && is_too_late {
            // Nobody begins it any more.
            self.outstanding.remove(&id);
        } else if is_free && waited >= outstanding.patience {
            outstanding.published = Instant::now();
            outstanding.patience *= 2;
            let message = outstanding.task.to_bytes();
            board.publish(&message).await?;
        }
        Ok(())
    }

    async fn check_overdue(
        &mut self,
        is_out_of_time: bool,
        board: &mut dyn TaskBoard,
    ) -> Result<(), Error> {
        let is_due = |outstanding: &Outstanding| {
            is_out_of_time || outstanding.checked.elapsed() >= CHECK_EVERY
        };
        let outstanding = self.outstanding.iter();
        let due: Vec<_> = outstanding
            .filter(|(_, o)| is_due(o))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.check(id, board).await?;
        }
        Ok(())
    }
}

impl Server {
    /// Stores a result that no worker has to find out.
    async fn store_result(&self, id: TaskId, result: &TaskResult) -> Result<(), Error> {
        let (name, now) = (id.name(), unix_ms());
        let claimed = self
            .store
            .claim_task(&name, "server", (now, now), Holder::Gone);
        if let Claim::Granted { attempt, .. } = claimed.await? {
            self.store
                .finish_task(&name, attempt, &result.to_json())
                .await?;
        }
        Ok(())
    }

    fn parse(&self, json: &str) -> Result<TaskResult, Error> {
        TaskResult::parse(json).map_err(|problem| Error::Broken {
            sweep: self.name.clone(),
            problem,
        })
    }
}

/// State of the window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// There is room for more tasks.
    More,
    /// It is full, or the search waits for trials that are under way.
    Full,
    /// There are no more tasks.
    Exhausted,
}

/// Reply to the wish for another trial.
enum Proposal {
    /// A trial has begun.
    Begun,
    /// The search waits for trials that are under way.
    Later,
    /// There are no more.
    Exhausted,
}
