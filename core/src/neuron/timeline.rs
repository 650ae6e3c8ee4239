//! Timelines: how a unit begins a generation, and what the store has answered.

use std::collections::BTreeMap;

use super::{Neurons, Running, State, Unit};
use crate::ids::{Address, CommitPoint, Generation, NeuronRange, Tick};
use crate::machine::{Effect, Effects, StoreReply, StoreRequest};
use crate::protocol::Message;

impl Unit {
    fn say_ready(&self, effects: &mut dyn Effects) {
        let from = self.address;
        self.send(Address::Trainer, Message::Ready { from }, effects);
    }

    pub(super) fn rewind(
        &mut self,
        generation: Generation,
        commit: CommitPoint,
        effects: &mut dyn Effects,
    ) {
        if generation == self.generation {
            match self.state {
                State::Running(_) => return self.say_ready(effects),
                State::Restoring(_) => return,
                State::Blank => {}
            }
        }
        self.generation = generation;
        if commit.is_initial() {
            self.run(self.initial(), commit.tick, effects);
        } else {
            self.state = State::Restoring(commit);
            effects.push(Effect::Store(StoreRequest::ReadCommit {
                generation,
                neurons: self.neurons,
                commit,
            }));
        }
    }

    fn initial(&self) -> Neurons {
        let NeuronRange { layer, .. } = self.neurons;
        Neurons::initial(
            &self.graph.layers[layer],
            layer,
            self.neurons.indices(),
            self.graph.seed,
            self.graph.training.optimizer,
        )
    }

    fn run(&mut self, weights: Neurons, applied: Tick, effects: &mut dyn Effects) {
        self.state = State::Running(Box::new(Running {
            weights,
            applied,
            current: None,
            last_batch: None,
            waiting: BTreeMap::new(),
        }));
        self.say_ready(effects);
    }

    pub(super) fn stored(&mut self, reply: StoreReply, effects: &mut dyn Effects) {
        match reply {
            StoreReply::Commit { generation, states } if generation == self.generation => {
                let State::Restoring(commit) = self.state else {
                    return;
                };
                let mut weights = self.initial();
                match states.and_then(|states| weights.restore(&states)) {
                    Ok(()) => self.run(weights, commit.tick, effects),
                    Err(problem) => {
                        self.state = State::Blank;
                        let from = self.address;
                        let problem = format!("cannot restore commit {}: {problem}", commit.number);
                        let message = Message::Unable { from, problem };
                        self.send(Address::Trainer, message, effects);
                    }
                }
            }
            StoreReply::Committed {
                generation,
                commit,
                accepted,
            } if generation == self.generation => {
                if accepted {
                    let from = self.address;
                    let message = Message::Committed { from, commit };
                    self.send(Address::Trainer, message, effects);
                } else {
                    // A newer timeline owns these neurons now; what we hold is of no use.
                    self.state = State::Blank;
                }
            }
            _ => {}
        }
    }
}
