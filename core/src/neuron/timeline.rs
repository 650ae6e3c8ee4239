//! Timelines: how a unit begins a generation, and what the store has answered.

use std::collections::BTreeMap;

use super::{Identity, Neurons, Running, State, Unit};
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::machine::{Effect, Effects, StoreReply, StoreRequest};
use crate::protocol::Message;

impl Unit {
    fn tell_trainer(&self, message: Message, effects: &mut dyn Effects) {
        effects.push(Effect::send(Address::Trainer, self.generation, message));
    }

    fn say_ready(&self, effects: &mut dyn Effects) {
        let from = self.identity.address;
        self.tell_trainer(Message::Ready { from }, effects);
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
                neurons: self.identity.neurons,
                commit,
            }));
        }
    }

    fn initial(&self) -> Neurons {
        let Identity { neurons, graph, .. } = &self.identity;
        let layer = neurons.layer;
        Neurons::initial(
            &graph.layers[layer],
            layer,
            neurons.indices(),
            graph.seed,
            graph.training.optimizer,
        )
    }

    fn run(&mut self, weights: Neurons, applied: Tick, effects: &mut dyn Effects) {
        self.state = State::Running(Box::new(Running {
            identity: self.identity.clone(),
            generation: self.generation,
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
                        let from = self.identity.address;
                        let problem = format!("cannot restore commit {}: {problem}", commit.number);
                        let message = Message::Unable { from, problem };
                        self.tell_trainer(message, effects);
                    }
                }
            }
            StoreReply::Committed {
                generation,
                commit,
                accepted,
            } if generation == self.generation => {
                if accepted {
                    let from = self.identity.address;
                    self.tell_trainer(Message::Committed { from, commit }, effects);
                } else {
                    // A newer timeline owns these neurons now; what we hold is of no use.
                    self.state = State::Blank;
                }
            }
            _ => {}
        }
    }
}
