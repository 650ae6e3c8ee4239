//! Workers: each takes tasks one after the other, claims them in the store, trains them, and stores results.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cuttlefish_core::data::Dataset;
use cuttlefish_core::protocol::EpochRecord;

use super::Error;
use super::data::DataCache;
use super::definition::Definition;
use super::judge::RungJudge;
use super::scratch::ScratchStore;
use super::task::{Outcome, Task, TaskId, TaskResult};
use super::trial::{Trial, curve};
use crate::deploy::local_run::ActorThreads;
use crate::monitor::Monitor;
use crate::store::{Claim, DynamoStore, Holder, Store};
use crate::transport::tasks::{Delivery, TaskQueue};

/// Time for which a claim holds unless it is renewed. A store that takes the checkpoint of a large network may keep
/// the renewal waiting.
pub const LEASE: Duration = Duration::from_secs(120);
/// Time between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Time between two checkpoints of a trial: what is lost with its worker at most.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Attempts at a task in a row that may end with their worker; then it is the task's fault.
const MAX_LOSSES: u64 = 10;
/// Tries to store a result, a second apart: less than a lease.
const MAX_TRIES: u32 = 60;

/// What the slots of a worker share.
pub struct Workshop {
    /// Name of the worker.
    name: String,
    /// A store of the table that all sweeps are in.
    store: DynamoStore,
    /// Data sets by hash.
    data: DataCache,
    /// Sweeps by name.
    definitions: Mutex<HashMap<String, Arc<Definition>>>,
    /// Tasks whose workers are known to be lost, with their attempts.
    orphans: HashMap<TaskId, u64>,
}

/// Reason why a task is not worked on to its end here.
enum Dropped {
    /// Somebody else works on it, or it is done.
    NotOurs,
    /// The caller interrupted it.
    Interrupted,
}

impl Workshop {
    /// A worker of this name, for all sweeps of the table of `store`.
    pub fn new(name: String, store: DynamoStore, data: DataCache) -> Self {
        Self {
            name,
            store,
            data,
            definitions: Mutex::default(),
            orphans: HashMap::new(),
        }
    }

    /// Lets tasks be claimed although the lease of a worker that is known to be lost still holds.
    pub fn with_orphans(mut self, orphans: HashMap<TaskId, u64>) -> Self {
        self.orphans = orphans;
        self
    }

    /// Works on the tasks of a queue until it ends or the caller interrupts. Must be called inside an actix system.
    ///
    /// # Errors
    /// When queue or store cannot be reached: the task in hand is somebody else's then.
    pub async fn work(&self, queue: &mut dyn TaskQueue, monitor: &Monitor) -> Result<(), Error> {
        let threads = ActorThreads::single().map_err(|error| Error::Threads(error.to_string()))?;
        let threads = Arc::new(threads);
        loop {
            let delivery = tokio::select! {
                biased;
                () = monitor.interrupted_more_than(0) => return Ok(()),
                delivery = queue.next() => delivery?,
            };
            let Some(delivery) = delivery else {
                return Ok(());
            };
            self.attend_to(&delivery, queue, &threads, monitor).await?;
        }
    }

    async fn attend_to(
        &self,
        delivery: &Delivery,
        queue: &mut dyn TaskQueue,
        threads: &Arc<ActorThreads>,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let (task, id) = match Task::parse(&delivery.task) {
            Ok(task) => task,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(queue.reject().await?);
            }
        };
        let Ok(store) = self.store.of_run(&task.sweep) else {
            tracing::warn!("`{}` names no sweep", task.sweep);
            return Ok(queue.reject().await?);
        };
        let definition = match self.definition(&task, &store).await {
            Err(error @ Error::Broken { .. }) => {
                tracing::warn!("{error}");
                return Ok(queue.reject().await?);
            }
            definition => definition?,
        };
        let now = unix_ms();
        let is_too_late = task.deadline.is_some_and(|deadline| now > deadline);
        let Some(definition) = definition.filter(|_| !is_too_late) else {
            // Its sweep was removed or replaced, or its time is up.
            return Ok(queue.finish(task.task.as_bytes()).await?);
        };
        let holder = match self.orphans.get(&id) {
            Some(&attempt) => Holder::Lost { attempt },
            None if delivery.is_redelivered => Holder::Gone,
            None => Holder::Unknown,
        };
        let lease = (now, now + LEASE.as_millis() as u64);
        let claimed = store.claim_task(&task.task, &self.name, lease, holder);
        let (attempt, losses) = match claimed.await? {
            Claim::Granted { attempt, losses } => (attempt, losses),
            Claim::Held { .. } | Claim::Done { .. } => {
                return Ok(queue.finish(task.task.as_bytes()).await?);
            }
        };
        if losses > MAX_LOSSES {
            let reason = format!("{MAX_LOSSES} workers ended while they trained it");
            let result = self.result(&task, Outcome::Failed(reason));
            store
                .finish_task(&task.task, attempt, &result.to_json())
                .await?;
            return Ok(queue.reject().await?);
        }
        let claimed = ClaimedTask {
            task: &task,
            id,
            attempt,
            store: &store,
            definition: &definition,
        };
        match self.train(&claimed, queue, threads, monitor).await? {
            Ok((result, checkpoint)) => {
                let json = result.to_json();
                let is_ours = finish(&store, &task, attempt, &json).await?;
                // Somebody else's attempt may go on from it.
                if let Some(checkpoint) = checkpoint.filter(|_| is_ours) {
                    checkpoint.remove().await?;
                }
                Ok(queue.finish(task.task.as_bytes()).await?)
            }
            Err(Dropped::NotOurs) => Ok(queue.finish(task.task.as_bytes()).await?),
            Err(Dropped::Interrupted) => {
                // Whoever takes it next need not wait.
                store.give_task_back(&task.task, attempt).await?;
                Ok(())
            }
        }
    }

    /// Trains a claimed task, and keeps the claim meanwhile.
    async fn train(
        &self,
        claimed: &ClaimedTask<'_>,
        queue: &mut dyn TaskQueue,
        threads: &Arc<ActorThreads>,
        monitor: &Monitor,
    ) -> Result<Result<(TaskResult, Option<Checkpoint>), Dropped>, Error> {
        let ClaimedTask {
            task,
            id,
            attempt,
            store,
            definition,
        } = *claimed;
        let dataset = self.data.get(&task.data, store).await?;
        let trial = match self.trial(claimed, &dataset) {
            Ok(trial) => trial,
            Err(problem) => return Ok(Ok((self.result(task, Outcome::Failed(problem)), None))),
        };
        // With the key: a sweep that replaces this one is not to go on from there.
        let name = format!("{}.{}.{}", task.sweep, task.key, task.task);
        let backing = self.store.of_run(&name)?;
        let is_resumed = attempt > 1;
        let earlier = match is_resumed {
            true => backing.read_ledger().await?.and_then(|(_, ledger)| ledger),
            false => None,
        };
        let earlier = earlier.map_or_else(Vec::new, |ledger| ledger.progress.history);
        let mut judge = RungJudge::new(definition, id, store);
        let scratch = Arc::new(ScratchStore::backed_by(
            backing.clone(),
            CHECKPOINT_EVERY,
            is_resumed,
        ));
        let began = Instant::now();
        let trained = tokio::select! {
            biased;
            () = monitor.interrupted_more_than(0) => return Ok(Err(Dropped::Interrupted)),
            trained = trial.train(scratch.clone(), threads.clone(), &earlier, &mut judge) => trained,
            lost = keep(claimed, &scratch, queue) => {
                lost?;
                return Ok(Err(Dropped::NotOurs));
            }
        };
        if let Some(error) = judge.error() {
            return Err(error);
        }
        let trained = trained.map_err(|lost| Error::StoreLost(lost.0))?;
        let checkpoint = scratch.is_backed().then(|| Checkpoint {
            store: backing,
            layers: trial.layers(),
        });
        let epochs = |record: &EpochRecord| record.epoch;
        let result = TaskResult {
            epochs: trained.history.last().map_or(0, epochs),
            curve: curve(&trained.history),
            parameters: trial.parameters(),
            seconds: began.elapsed().as_secs_f64(),
            ..self.result(task, trained.outcome)
        };
        Ok(Ok((result, checkpoint)))
    }

    fn trial(&self, claimed: &ClaimedTask<'_>, dataset: &Arc<Dataset>) -> Result<Trial, String> {
        let (definition, id) = (claimed.definition, claimed.id);
        let document = definition.document(id, &claimed.task.values);
        Trial::new(&document.map_err(|problems| problems.to_string())?, dataset)
    }

    fn result(&self, task: &Task, outcome: Outcome) -> TaskResult {
        TaskResult {
            outcome,
            worker: self.name.clone(),
            ..TaskResult::failed(&task.values, String::new())
        }
    }

    /// The definition of a task's sweep; `None` if the task belongs to no sweep that there is.
    async fn definition(
        &self,
        task: &Task,
        store: &DynamoStore,
    ) -> Result<Option<Arc<Definition>>, Error> {
        let is_its = |definition: &Arc<Definition>| definition.key == task.key;
        let known = || {
            self.definitions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let current = known().get(&task.sweep).cloned();
        if let Some(definition) = current.filter(is_its) {
            return Ok(Some(definition));
        }
        let Some(stored) = Definition::read(store, &task.sweep).await? else {
            return Ok(None);
        };
        let stored = Arc::new(stored);
        known().insert(task.sweep.clone(), stored.clone());
        Ok(Some(stored).filter(is_its))
    }
}

/// What a trial has left in the store.
struct Checkpoint {
    store: DynamoStore,
    layers: Vec<usize>,
}

impl Checkpoint {
    async fn remove(&self) -> Result<(), Error> {
        Ok(self.store.remove_commits(&self.layers).await?)
    }
}

/// A task that is this worker's.
#[derive(Clone, Copy)]
struct ClaimedTask<'a> {
    task: &'a Task,
    id: TaskId,
    attempt: u64,
    store: &'a DynamoStore,
    definition: &'a Definition,
}

/// Stores a result; false if the task is no longer this attempt's. What was trained is not lost because the store
/// is away for a moment.
async fn finish(
    store: &DynamoStore,
    task: &Task,
    attempt: u64,
    result: &str,
) -> Result<bool, Error> {
    for _ in 1..MAX_TRIES {
        match store.finish_task(&task.task, attempt, result).await {
            Err(error) if error.retryable() => tracing::warn!("a result waits: {error}"),
            finished => return Ok(finished?),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(store.finish_task(&task.task, attempt, result).await?)
}

/// Renews the claim on a task; returns when it is no longer ours.
async fn keep(
    claimed: &ClaimedTask<'_>,
    scratch: &ScratchStore,
    queue: &mut dyn TaskQueue,
) -> Result<(), Error> {
    let ClaimedTask {
        task,
        attempt,
        store,
        ..
    } = *claimed;
    let mut is_kept = false;
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        if !std::mem::replace(&mut is_kept, true) {
            queue.keep().await?;
        }
        let until = unix_ms() + LEASE.as_millis() as u64;
        let is_getting_on = scratch.has_checkpoint();
        let renewed = store.renew_task(&task.task, attempt, until, is_getting_on);
        match renewed.await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // There is time for another try before the lease ends.
            Err(error) if error.retryable() => tracing::warn!("a claim was not renewed: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Time since 1970 in milliseconds.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
