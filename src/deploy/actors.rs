//! The actors of a run, as its target sees them.

use cuttlefish_core::topology::{Graph, Roster};
use schemars::JsonSchema;
use serde::Serialize;

use super::docker::status::ContainerStatus;
use super::ecs::status::ServiceStatus;

/// The actors of a run, with what they say of themselves.
#[derive(Clone, Debug)]
pub enum Actors {
    /// Threads of a process, by its number; None while none works on the run.
    Process(Option<String>),
    /// Containers, the trainer first.
    Containers(Vec<ContainerStatus>),
    /// Services, which keep their tasks.
    Services(ServiceStatus),
}

/// State of an actor, as its target sees it without asking the actor.
#[derive(Clone, Debug, JsonSchema, PartialEq, Eq, Serialize)]
pub struct ActorState {
    /// Its name within the run.
    pub name: String,
    /// Its kind: `trainer`, `synapse` or `unit`.
    pub kind: &'static str,
    /// The layer whose neurons it hosts.
    pub layer: Option<String>,
    /// The first of them.
    pub first: Option<usize>,
    /// Their number.
    pub neurons: Option<usize>,
    /// Its state in the target's word: `running`, `exited`, `missing`, ...
    pub state: String,
    /// Memory that no other process maps, where the actor has been asked.
    pub memory_bytes: Option<u64>,
    /// Messages in its queues, where the broker has been asked.
    pub queued_messages: Option<u64>,
}

/// State of every actor of a network, by its name: the trainer, the synapses, the units layer by layer.
pub(super) fn states(graph: &Graph, state_of: impl Fn(&str) -> String) -> Vec<ActorState> {
    let actors = Roster::new(graph).actors();
    actors
        .map(|actor| ActorState {
            kind: actor.kind.word(),
            layer: actor
                .neurons
                .map(|neurons| graph.layers[neurons.layer].name.clone()),
            first: actor.neurons.map(|neurons| neurons.first),
            neurons: actor.neurons.map(|neurons| neurons.count),
            state: state_of(&actor.name),
            name: actor.name,
            memory_bytes: None,
            queued_messages: None,
        })
        .collect()
}
