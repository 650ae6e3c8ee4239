//! A trial's store: memory, and behind it the sweep's store for trials that take long.
//!
//! Most trials are over before their first commit would be worth a request. What one commits in its first seconds
//! stays in memory; later commits go to the sweep's store as well, so that another worker can go on from there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};
use cuttlefish_core::protocol::{Ledger, NeuronState};

use crate::store::{DynamoStore, Error, Store, WriteReply};

/// Commits are kept in memory alone for so long.
pub const MEMORY_ONLY_FOR: Duration = Duration::from_secs(4);

/// Store of one trial.
pub struct ScratchStore {
    began: Instant,
    /// Store for commits of a trial that takes long.
    backing: Option<DynamoStore>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    generation: Generation,
    /// Number of the first commit that goes to the backing store, whole or not at all.
    backed_from: Option<u64>,
    /// Number of the newest commit of which something has been written.
    newest_commit: u64,
    ledger: Option<Ledger>,
    /// By layer, neuron and slot.
    neurons: HashMap<(usize, usize, u8), (Generation, CommitPoint, NeuronState)>,
}

impl Memory {
    fn is_backed(&self, commit: CommitPoint) -> bool {
        self.backed_from.is_some_and(|first| first <= commit.number)
    }
}

impl ScratchStore {
    /// An empty store that never leaves memory.
    pub fn in_memory() -> Self {
        Self {
            began: Instant::now(),
            backing: None,
            memory: Mutex::default(),
        }
    }

    /// A store whose late commits go to `backing`; with `is_resumed` it begins with what is there.
    pub fn backed_by(backing: DynamoStore, is_resumed: bool) -> Self {
        let memory = Memory {
            backed_from: is_resumed.then_some(0),
            ..Memory::default()
        };
        Self {
            began: Instant::now(),
            backing: Some(backing),
            memory: Mutex::new(memory),
        }
    }

    /// The last committed state of every neuron, `[layer][neuron]`; `None` if one is missing.
    pub fn states(&self, layers: &[usize], commit: CommitPoint) -> Option<Vec<Vec<NeuronState>>> {
        let memory = self.memory();
        let layer = |(l, &units): (usize, &usize)| {
            let neuron = |n| match memory.neurons.get(&(l, n, commit.slot())) {
                Some((_, at, state)) if *at == commit => Some(state.clone()),
                _ => None,
            };
            (0..units).map(neuron).collect()
        };
        layers.iter().enumerate().map(layer).collect()
    }

    /// True if something of the trial is in the backing store.
    pub fn is_backed(&self) -> bool {
        self.memory().backed_from.is_some()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backing store, if it has this commit.
    fn backing(&self, commit: CommitPoint) -> Option<&DynamoStore> {
        let backing = self.backing.as_ref();
        backing.filter(|_| self.memory().is_backed(commit))
    }

    /// Decides with the first write of a commit whether the backing store gets it, and from then on counts
    /// generations there.
    async fn decide(&self, commit: CommitPoint) -> Result<(), Error> {
        let Some(backing) = &self.backing else {
            return Ok(());
        };
        let generation = {
            let mut memory = self.memory();
            let is_first_write = commit.number > memory.newest_commit;
            memory.newest_commit = memory.newest_commit.max(commit.number);
            let is_late = self.began.elapsed() >= MEMORY_ONLY_FOR;
            if !is_first_write || !is_late || memory.backed_from.is_some() {
                return Ok(());
            }
            memory.backed_from = Some(commit.number);
            memory.generation
        };
        while backing.begin_generation().await?.0 < generation {}
        Ok(())
    }
}

#[async_trait]
impl Store for ScratchStore {
    async fn begin_generation(&self) -> Result<(Generation, Option<Ledger>), Error> {
        if self.is_backed()
            && let Some(backing) = &self.backing
        {
            let (generation, ledger) = backing.begin_generation().await?;
            let mut memory = self.memory();
            memory.generation = generation;
            memory.ledger.clone_from(&ledger);
            return Ok((generation, ledger));
        }
        let mut memory = self.memory();
        memory.generation = Generation(memory.generation.0 + 1);
        Ok((memory.generation, memory.ledger.clone()))
    }

    async fn write_ledger(
        &self,
        generation: Generation,
        ledger: &Ledger,
    ) -> Result<WriteReply, Error> {
        if let Some(backing) = self.backing(ledger.commit)
            && let refused @ WriteReply::Refused { .. } =
                backing.write_ledger(generation, ledger).await?
        {
            return Ok(refused);
        }
        let mut memory = self.memory();
        if memory.generation != generation {
            let newest = memory.generation;
            return Ok(WriteReply::Refused { newest });
        }
        memory.ledger = Some(ledger.clone());
        Ok(WriteReply::Accepted)
    }

    async fn read_ledger(&self) -> Result<Option<(Generation, Option<Ledger>)>, Error> {
        let memory = self.memory();
        Ok(Some((memory.generation, memory.ledger.clone())))
    }

    async fn write_commit(
        &self,
        generation: Generation,
        neurons: NeuronRange,
        commit: CommitPoint,
        states: &[NeuronState],
    ) -> Result<WriteReply, Error> {
        assert_eq!(states.len(), neurons.count, "one state for each neuron");
        self.decide(commit).await?;
        if let Some(backing) = self.backing(commit)
            && let refused @ WriteReply::Refused { .. } =
                backing.write_commit(generation, neurons, commit, states).await?
        {
            return Ok(refused);
        }
        let mut memory = self.memory();
        for (neuron, state) in neurons.indices().zip(states) {
            let key = (neurons.layer, neuron, commit.slot());
            let newer = memory.neurons.get(&key).filter(|(by, at, _)| {
                *by > generation || (*by == generation && at.number > commit.number)
            });
            if let Some((newest, ..)) = newer {
                let newest = *newest;
                return Ok(WriteReply::Refused { newest });
            }
            memory.neurons.insert(key, (generation, commit, state.clone()));
        }
        Ok(WriteReply::Accepted)
    }

    async fn read_commit(
        &self,
        neurons: NeuronRange,
        commit: CommitPoint,
    ) -> Result<Vec<NeuronState>, Error> {
        let found: Option<Vec<_>> = {
            let memory = self.memory();
            let state = |neuron| match memory.neurons.get(&(neurons.layer, neuron, commit.slot())) {
                Some((_, at, state)) if *at == commit => Some(state.clone()),
                _ => None,
            };
            neurons.indices().map(state).collect()
        };
        match (found, &self.backing) {
            (Some(states), _) => Ok(states),
            (None, Some(backing)) => {
                let states = backing.read_commit(neurons, commit).await?;
                // The next commits of other neurons may leave these as they are.
                let mut memory = self.memory();
                let generation = memory.generation;
                for (neuron, state) in neurons.indices().zip(&states) {
                    let key = (neurons.layer, neuron, commit.slot());
                    memory.neurons.insert(key, (generation, commit, state.clone()));
                }
                Ok(states)
            }
            (None, None) => Err(Error::Missing {
                layer: neurons.layer,
                neuron: neurons.first,
                expected: commit,
            }),
        }
    }

    async fn put_record(&self, _record: &str) -> Result<(), Error> {
        // A trial is described by its sweep.
        Ok(())
    }

    async fn get_record(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn remove_run(&self) -> Result<u64, Error> {
        *self.memory() = Memory::default();
        Ok(0)
    }
}
