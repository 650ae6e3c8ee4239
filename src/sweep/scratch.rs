//! A trial's store: memory, and behind it the sweep's store for trials that take long.
//!
//! Most trials are over before a commit would be worth its requests, one for each neuron. So commits stay in memory,
//! and only now and then one goes to the sweep's store as well, whole, for another worker to go on from: a
//! *checkpoint*.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};
use cuttlefish_core::protocol::{Ledger, NeuronState};

use crate::store::{DynamoStore, Error, Store, WriteReply};

/// Store of one trial.
pub struct ScratchStore {
    /// Store of checkpoints, and the time between two of them.
    backing: Option<(DynamoStore, Duration)>,
    memory: Mutex<Memory>,
}

struct Memory {
    generation: Generation,
    /// True once the backing store counts the generations.
    is_attached: bool,
    /// Number of the last commit that is a checkpoint, and the time when it or the trial began.
    checkpoint: (Option<u64>, Instant),
    /// True once this attempt has a whole one.
    has_checkpoint: bool,
    /// Number of the newest commit of which something has been written.
    newest_commit: u64,
    ledger: Option<Ledger>,
    /// By layer, neuron and slot.
    neurons: HashMap<(usize, usize, u8), (Generation, CommitPoint, NeuronState)>,
}

impl Memory {
    fn new(is_attached: bool) -> Self {
        Self {
            generation: Generation::default(),
            is_attached,
            checkpoint: (None, Instant::now()),
            has_checkpoint: false,
            newest_commit: 0,
            ledger: None,
            neurons: HashMap::new(),
        }
    }
}

impl ScratchStore {
    /// An empty store that never leaves memory.
    pub fn in_memory() -> Self {
        Self {
            backing: None,
            memory: Mutex::new(Memory::new(false)),
        }
    }

    /// A store that keeps a checkpoint in `backing` every so often; with `is_resumed` it begins with what is there.
    pub fn backed_by(backing: DynamoStore, checkpoint_every: Duration, is_resumed: bool) -> Self {
        Self {
            backing: Some((backing, checkpoint_every)),
            memory: Mutex::new(Memory::new(is_resumed)),
        }
    }

    /// True if something of the trial is in the backing store.
    pub fn is_backed(&self) -> bool {
        self.memory().is_attached
    }

    /// True once a checkpoint is in the backing store, with the ledger that names it.
    pub fn has_checkpoint(&self) -> bool {
        self.memory().has_checkpoint
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backing store, if this commit is a checkpoint.
    fn backing(&self, commit: CommitPoint) -> Option<&DynamoStore> {
        let (backing, _) = self.backing.as_ref()?;
        let (checkpoint, _) = self.memory().checkpoint;
        (checkpoint == Some(commit.number)).then_some(backing)
    }

    /// Decides with the first write of a commit whether it is a checkpoint. From the first one on the backing store
    /// counts the generations.
    async fn decide(&self, commit: CommitPoint) -> Result<(), Error> {
        let Some((backing, every)) = &self.backing else {
            return Ok(());
        };
        let generation = {
            let mut memory = self.memory();
            let is_first_write = commit.number > memory.newest_commit;
            memory.newest_commit = memory.newest_commit.max(commit.number);
            let (last, at) = memory.checkpoint;
            // The other slot than the last one's, which the backing store's ledger names until this one is whole.
            let is_other_slot = last.is_none_or(|last| last % 2 != commit.number % 2);
            if !is_first_write || !is_other_slot || at.elapsed() < *every {
                return Ok(());
            }
            memory.checkpoint = (Some(commit.number), Instant::now());
            if std::mem::replace(&mut memory.is_attached, true) {
                return Ok(());
            }
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
            && let Some((backing, _)) = &self.backing
        {
            let (generation, stored) = backing.begin_generation().await?;
            let mut memory = self.memory();
            memory.generation = generation;
            if memory.ledger.is_none()
                && let Some(ledger) = stored
            {
                memory.checkpoint.0 = Some(ledger.commit.number);
                memory.newest_commit = ledger.commit.number;
                memory.ledger = Some(ledger);
            }
            return Ok((generation, memory.ledger.clone()));
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
        memory.has_checkpoint |= memory.checkpoint.0 == Some(ledger.commit.number);
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
            && let refused @ WriteReply::Refused { .. } = backing
                .write_commit(generation, neurons, commit, states)
                .await?
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
            memory
                .neurons
                .insert(key, (generation, commit, state.clone()));
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
            (None, Some((backing, _))) => {
                let states = backing.read_commit(neurons, commit).await?;
                // The next commits of other neurons may leave these as they are.
                let mut memory = self.memory();
                let generation = memory.generation;
                for (neuron, state) in neurons.indices().zip(&states) {
                    let key = (neurons.layer, neuron, commit.slot());
                    memory
                        .neurons
                        .insert(key, (generation, commit, state.clone()));
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
        *self.memory() = Memory::new(false);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use cuttlefish_core::ids::Tick;
    use cuttlefish_core::protocol::{Progress, Totals};

    use super::*;
    use crate::store::{DEFAULT_TABLE, embedded};

    const NEURONS: NeuronRange = NeuronRange {
        layer: 0,
        first: 0,
        count: 2,
    };

    fn commit(number: u64) -> CommitPoint {
        let tick = Tick(number);
        CommitPoint { number, tick }
    }

    fn states(number: u64) -> Vec<NeuronState> {
        let state = NeuronState {
            weights: vec![number as f32],
            moments: Vec::new(),
        };
        vec![state; NEURONS.count]
    }

    fn ledger_of(commit: CommitPoint) -> Ledger {
        Ledger {
            commit,
            progress: Progress::start(1),
            totals: Totals::default(),
        }
    }

    async fn write(store: &ScratchStore, generation: Generation, number: u64, is_whole: bool) {
        let (commit, states) = (commit(number), states(number));
        let written = store
            .write_commit(generation, NEURONS, commit, &states)
            .await;
        assert_eq!(written.unwrap(), WriteReply::Accepted);
        if is_whole {
            let written = store.write_ledger(generation, &ledger_of(commit)).await;
            assert_eq!(written.unwrap(), WriteReply::Accepted);
        }
    }

    #[tokio::test]
    async fn a_trial_goes_on_from_its_last_whole_checkpoint() {
        let home = tempfile::tempdir().unwrap();
        let client = embedded::open(&home.path().join("store.db")).unwrap();
        let backing = DynamoStore::new(client, DEFAULT_TABLE, "sweep.1").unwrap();
        backing.ensure_table().await.unwrap();
        let open = |every, is_resumed| ScratchStore::backed_by(backing.clone(), every, is_resumed);

        let seldom = open(Duration::from_secs(3600), false);
        let (generation, _) = seldom.begin_generation().await.unwrap();
        write(&seldom, generation, 1, true).await;
        assert!(!seldom.is_backed() && backing.read_ledger().await.unwrap().is_none());

        let often = open(Duration::ZERO, false);
        // A rewind before the first checkpoint: the backing store's count has to catch up.
        often.begin_generation().await.unwrap();
        let (generation, _) = often.begin_generation().await.unwrap();
        for number in 1..=4 {
            write(&often, generation, number, true).await;
        }
        // The worker is lost in the middle of the next one, in the other slot.
        write(&often, generation, 5, false).await;

        let resumed = open(Duration::ZERO, true);
        let (newer, ledger) = resumed.begin_generation().await.unwrap();
        assert!(newer > generation);
        assert_eq!(ledger.map(|ledger| ledger.commit), Some(commit(4)));
        assert_eq!(
            resumed.read_commit(NEURONS, commit(4)).await.unwrap(),
            states(4)
        );
        write(&resumed, newer, 5, true).await;
        // Who was lost comes back: no ledger names what it writes.
        let (late, states_of_late) = (commit(6), states(6));
        let written = often
            .write_commit(generation, NEURONS, late, &states_of_late)
            .await;
        assert_eq!(written.unwrap(), WriteReply::Accepted);
        let written = often.write_ledger(generation, &ledger_of(late)).await;
        assert_eq!(written.unwrap(), WriteReply::Refused { newest: newer });
        let (_, stored) = backing.read_ledger().await.unwrap().unwrap();
        assert_eq!(stored.map(|ledger| ledger.commit), Some(commit(5)));
        let read = resumed.read_commit(NEURONS, commit(5)).await;
        assert_eq!(read.unwrap(), states(5));
    }
}
