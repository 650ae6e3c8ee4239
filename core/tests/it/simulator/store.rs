//! A store whose writes land late, twice as likely after their writer is gone, or get no reply.

use std::collections::BTreeMap;

use cuttlefish_core::ids::{CommitPoint, Generation};
use cuttlefish_core::machine::{StoreReply, StoreRequest};
use cuttlefish_core::protocol::{Ledger, NeuronState};

/// What the store holds for one neuron in one slot.
#[derive(Clone)]
struct Item {
    generation: Generation,
    commit: CommitPoint,
    state: NeuronState,
}

/// The truth, with the conditions that make it one.
#[derive(Default)]
pub struct Store {
    counter: u64,
    ledger: Option<Ledger>,
    items: BTreeMap<(usize, usize, u8), Item>,
    /// Generations drawn while the ledger said that the run goes on.
    pub interruptions: u64,
    /// Breaks the rule that older generations are refused.
    pub without_fence: bool,
}

impl Store {
    /// Does what a request asks, at once and whole.
    pub fn execute(&mut self, request: StoreRequest) -> StoreReply {
        match request {
            StoreRequest::BeginGeneration => {
                self.counter += 1;
                let goes_on = |ledger: &Ledger| ledger.totals.generation.is_some();
                self.interruptions += u64::from(self.ledger.as_ref().is_some_and(goes_on));
                StoreReply::Generation {
                    generation: Generation(self.counter),
                    ledger: self.ledger.clone().map(Box::new),
                }
            }
            StoreRequest::WriteLedger { generation, ledger } => {
                let accepted = generation.0 == self.counter || self.without_fence;
                let commit = ledger.commit;
                if accepted {
                    if let Some(Ledger { totals, .. }) = self.ledger.as_ref()
                        && !self.without_fence
                    {
                        assert!(
                            totals.rewinds <= ledger.totals.rewinds,
                            "rewinds are forgotten"
                        );
                        assert!(totals.rows <= ledger.totals.rows, "rows are forgotten");
                        assert!(totals.elapsed <= ledger.totals.elapsed, "time is forgotten");
                    }
                    self.ledger = Some(*ledger);
                }
                StoreReply::Ledger {
                    generation,
                    commit,
                    refused_by: (!accepted).then_some(Generation(self.counter)),
                }
            }
            StoreRequest::ReadCommit {
                generation,
                neurons,
                commit,
            } => {
                let states = neurons
                    .indices()
                    .map(|n| self.read(neurons.layer, n, commit))
                    .collect();
                StoreReply::Commit { generation, states }
            }
            StoreRequest::WriteCommit {
                generation,
                neurons,
                commit,
                states,
            } => {
                let mut accepted = true;
                for (neuron, state) in neurons.indices().zip(states) {
                    let key = (neurons.layer, neuron, commit.slot());
                    let newer = self
                        .items
                        .get(&key)
                        .is_some_and(|i| i.generation > generation);
                    if newer && !self.without_fence {
                        accepted = false;
                        continue;
                    }
                    let item = Item {
                        generation,
                        commit,
                        state,
                    };
                    self.items.insert(key, item);
                }
                StoreReply::Committed {
                    generation,
                    commit,
                    accepted,
                }
            }
        }
    }

    /// Generations that were drawn.
    pub fn generations(&self) -> u64 {
        self.counter
    }

    /// The state of one neuron at a commit point.
    pub fn read(
        &self,
        layer: usize,
        neuron: usize,
        commit: CommitPoint,
    ) -> Result<NeuronState, String> {
        match self.items.get(&(layer, neuron, commit.slot())) {
            Some(item) if item.commit == commit => Ok(item.state.clone()),
            Some(item) => Err(format!("holds {:?} instead of {commit:?}", item.commit)),
            None => Err(format!("has no {commit:?}")),
        }
    }
}
