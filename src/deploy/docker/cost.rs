//! Cost of a run in containers for its host. A pure function of the network.
//!
//! The constants are measured: a 64-490-10 network as 500 neuron containers on two processors, with
//! Docker 20.10 (fuse-overlayfs), Linux 6.18 and RabbitMQ 4.0. `docs/adr/0010-*.md` says how.

use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::roster::COORDINATOR;
use cuttlefish_core::topology::traffic::{Traffic, TrafficKind};
use cuttlefish_core::topology::{Graph, Plan, Roster};
use serde::Serialize;

use super::desired;

/// Memory of a unit's process before any neuron (`Pss_Anon` 2.3 MiB), in bytes.
const UNIT: u64 = 5 << 19;
/// Memory of a synapse's or trainer's process, which listens to hundreds of queues (6.5 and 8.0 MiB), in bytes.
const GATHERER: u64 = 8 << 20;
/// The store's process, with its database's cache and a connection of every actor (34 MiB).
const STORE: u64 = 40 << 20;
/// A value in flight is in the buffers of the connection as well, as bytes.
const COPIES: u64 = 2;
/// Ticks in flight.
const TICKS: u64 = 2;

/// Memory of Docker and the kernel beside a process (6.3 MiB): its shim 2.6, the proxy of its port 0.7, the
/// file system's process 0.2, the daemons 0.5; slabs 1.3, page tables 0.5, stacks 0.4.
const BESIDE: u64 = 13 << 19;
/// Threads of a container (23.6): shim 11, process 4, proxy 7, file system 1.
const TASKS: u64 = 24;
/// Files that all of these have open (81).
const FILES: u64 = 85;
/// Files of a container that the daemon has open (8.0).
const DAEMON_FILES: u64 = 8;
/// Entries of the kernel's neighbour table, which is one for all containers (5.0 an actor): actor and
/// companion know each other, and one of actor and gateway the other.
const NEIGHBOURS_OF_COMPANION: u64 = 2;
/// See [`NEIGHBOURS_OF_COMPANION`].
const NEIGHBOURS_OF_GATEWAY: u64 = 1;

/// A broker's memory: idle, for each actor, for each queue. From above: 122 MiB were measured with 76
/// and 160 of them.
const BROKER_MEMORY: [u64; 3] = [140 << 20, 200 << 10, 120 << 10];
/// Its Erlang processes (1,587 with 76 actors and 160 queues). It may have 1,048,576.
const BROKER_PROCESSES: [u64; 3] = [450, 11, 2];
/// Its open files; one for a queue that has something on disk.
const BROKER_FILES: [u64; 3] = [100, 1, 1];

/// Layout of a run on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// True if the run brings a broker along.
    pub own_broker: bool,
    /// True if the run brings a store along.
    pub own_store: bool,
    /// Actors on a bridge, at most.
    pub per_bridge: usize,
}

/// Cost of a run for its host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Containers, companions included.
    pub containers: u64,
    /// Bridge networks.
    pub networks: u64,
    /// Containers on the fullest of them.
    pub containers_on_a_bridge: u64,
    /// Expected use of memory, by who uses it.
    pub memory: Vec<MemoryUse>,
    /// Threads, of all processes.
    pub threads: u64,
    /// Open files, of all processes.
    pub open_files: u64,
    /// Open files of the Docker daemon.
    pub daemon_open_files: u64,
    /// Entries of the kernel's neighbour table: who talks to whom, and back.
    pub neighbour_entries: u64,
    /// Cost for the broker.
    pub broker: BrokerCost,
    /// Bytes of the largest message.
    pub largest_message_bytes: u64,
}

/// Memory of containers that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Containers that use it, in words.
    pub used_by: String,
    /// Number of these containers.
    pub containers: u64,
    /// Bytes that each is expected to use, at most.
    pub expected_bytes: u64,
    /// Bytes that each may use; None where nothing is limited.
    pub limit_bytes: Option<u64>,
    /// True if the topology file sets the limit.
    pub is_unit: bool,
}

/// Cost of a run for its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BrokerCost {
    /// True if the broker is the run's own.
    pub own: bool,
    /// Connections.
    pub connections: u64,
    /// Queues.
    pub queues: u64,
    /// Open files.
    pub open_files: u64,
    /// Erlang processes.
    pub erlang_processes: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Cost {
    /// Cost of a network in a layout. The plan is that of the graph, deployed.
    pub fn new(graph: &Graph, plan: &Plan, layout: Layout) -> Self {
        let roster = Roster::new(graph);
        let actors = roster.counts().all() as u64;
        let n_companions = u64::from(layout.own_broker) + u64::from(layout.own_store);
        let containers = actors + n_companions;
        let queues = plan.broker.as_ref().map_or(0, |broker| broker.queues.count) as u64;
        let at_broker =
            |[idle, of_actor, of_queue]: [u64; 3]| idle + of_actor * actors + of_queue * queues;
        let broker = BrokerCost {
            own: layout.own_broker,
            // The trainer wires over one of its own.
            connections: actors + 1,
            queues,
            open_files: at_broker(BROKER_FILES),
            erlang_processes: at_broker(BROKER_PROCESSES),
            memory_bytes: at_broker(BROKER_MEMORY),
        };
        let mut memory = of_actors(graph, roster, plan);
        if layout.own_store {
            memory.push(MemoryUse::one("store", STORE, Some(COORDINATOR.memory)));
        }
        if layout.own_broker {
            memory.push(MemoryUse::one("broker", broker.memory_bytes, None));
        }
        memory.push(MemoryUse {
            used_by: "Docker and the kernel, beside each".to_owned(),
            containers,
            expected_bytes: BESIDE,
            limit_bytes: None,
            is_unit: false,
        });
        let broker_files = if layout.own_broker {
            broker.open_files
        } else {
            0
        };
        Self {
            containers,
            networks: desired::networks(&graph.name, actors as usize, layout.per_bridge).len()
                as u64,
            containers_on_a_bridge: actors.min(layout.per_bridge as u64) + n_companions,
            memory,
            threads: TASKS * containers,
            open_files: FILES * containers + broker_files,
            daemon_open_files: DAEMON_FILES * containers,
            neighbour_entries: actors
                * (NEIGHBOURS_OF_GATEWAY + NEIGHBOURS_OF_COMPANION * n_companions.max(1)),
            broker,
            largest_message_bytes: largest_message(plan),
        }
    }

    /// Bytes of memory that everything together is expected to use.
    pub fn expected_memory(&self) -> u64 {
        let uses = self.memory.iter();
        uses.map(|one| one.containers.saturating_mul(one.expected_bytes))
            .fold(0, u64::saturating_add)
    }

    /// Bytes of memory that all containers together may use; a broker minds its own, and counts as
    /// what it is expected to use.
    pub fn memory_limits(&self) -> u64 {
        let uses = self.memory.iter();
        uses.map(|one| {
            one.containers
                .saturating_mul(one.limit_bytes.unwrap_or(one.expected_bytes))
        })
        .fold(0, u64::saturating_add)
    }
}

impl MemoryUse {
    /// A synapse or trainer that holds so many bytes of values.
    fn gatherer(roster: Roster<'_>, address: Address, held: u64) -> Self {
        let actor = roster.actor(address);
        Self::one(&actor.name, GATHERER + held, Some(actor.resources.memory))
    }

    fn one(used_by: &str, expected_bytes: u64, limit_bytes: Option<u64>) -> Self {
        Self {
            used_by: used_by.to_owned(),
            containers: 1,
            expected_bytes,
            limit_bytes,
            is_unit: false,
        }
    }
}

/// Bytes of the largest message of a tick.
fn largest_message(plan: &Plan) -> u64 {
    let each = plan
        .traffic
        .iter()
        .map(|of| of.wire_bytes.div_ceil(of.deliveries.max(1)));
    each.max().unwrap_or(0)
}

/// Units by layer, synapses, the trainer: their state, and the values of the two ticks that are in
/// flight at most.
fn of_actors(graph: &Graph, roster: Roster<'_>, plan: &Plan) -> Vec<MemoryUse> {
    let rows = graph.training.batch_size as u64;
    let by_layer = plan.traffic.chunk_by(|one, next| one.layer == next.layer);
    let by_layer: Vec<&[Traffic]> = by_layer.collect();
    let values = |layer: usize, kinds: &[TrafficKind]| -> u64 {
        let of = by_layer[layer].iter();
        of.filter(|of| kinds.contains(&of.kind))
            .map(|of| of.value_bytes)
            .sum()
    };
    let answers = [TrafficKind::Activation, TrafficKind::Backward];
    // Errors under way are those of one tick.
    let errors = |layer| values(layer, &[TrafficKind::Contribution, TrafficKind::Propagated]);
    let held = |of_each_tick: u64, of_one_tick: u64| COPIES * (TICKS * of_each_tick + of_one_tick);
    // Rows that the first layer reads by itself are in flight as well, but in no message.
    let read = (plan.memory.in_flight_bytes / 2).saturating_sub(plan.per_tick.value_bytes);
    let mut uses = Vec::new();
    for (index, layer) in plan.layers.iter().enumerate() {
        let own = if index == 0 { read } else { 0 };
        let of_each = values(index, &[TrafficKind::Forward]) + values(index, &answers) + own;
        let units = layer.units as u64;
        let rows = graph.training.batch_size;
        let layer_of_graph = &graph.layers[index];
        // Filters of the first layer make numbers of the batch's bytes, in two layouts, and keep two batches.
        let panels = match (index, layer_of_graph.kind.unpacks_bytes()) {
            (0, true) => units * (16 * rows * graph.inputs) as u64,
            _ => 0,
        };
        let held = held(of_each, errors(index)) + layer_of_graph.map_bytes(rows) + panels;
        uses.push(MemoryUse {
            used_by: format!("units of {}", layer.name),
            containers: units,
            expected_bytes: UNIT + (layer.state_bytes as u64 + held) / units,
            limit_bytes: Some(layer_of_graph.resources.memory),
            is_unit: true,
        });
    }
    for below in 0..graph.layers.len() - 1 {
        let handed_on = 4 * rows * graph.layers[below].features() as u64;
        let held = held(values(below, &answers) + handed_on, errors(below + 1));
        uses.push(MemoryUse::gatherer(roster, Address::Synapse(below), held));
    }
    let last = values(graph.layers.len() - 1, &answers);
    let held = held(last, 0);
    uses.push(MemoryUse::gatherer(roster, Address::Trainer, held));
    uses
}
