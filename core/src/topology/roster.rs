//! Roster of a run: a row for each actor, with everything in which kinds of actors differ from outside.
//!
//! A pure function of the graph. Queues and routes, mailboxes, containers, services and the trainer's
//! members are read from it, so that a kind of actor is described here and nowhere else. What a kind
//! does with its messages is its machine's affair.

use std::fmt;
use std::iter;

use serde::Serialize;
use serde_json::json;

use super::graph::Graph;
use super::names;
use super::plan_text::grouped;
use crate::data::Feed;
use crate::digest::sha256;
use crate::ids::{Address, NeuronRange};
use crate::layers::ContainerResources;
use crate::protocol::IN_FLIGHT_BOUND;

/// Resources of a container that gathers whole layers, which takes more than neurons do.
pub const COORDINATOR: ContainerResources = ContainerResources {
    cpu: 1.0,
    memory: 512 << 20,
};

/// Room in a mailbox for the messages around a rewind.
const CONTROL: usize = 16;

/// Kind of an actor, in the order in which containers are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Host of neurons.
    Unit,
    /// Gatherer between two layers.
    Synapse,
    /// Driver of the run, of which there is one.
    Trainer,
}

impl ActorKind {
    /// Every kind, in order.
    pub const ALL: [Self; 3] = [Self::Unit, Self::Synapse, Self::Trainer];

    /// Word for labels, names and people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Synapse => "synapse",
            Self::Trainer => "trainer",
        }
    }
}

/// Row of the roster: one actor as transports and platforms see it.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Address in messages; never [`Address::Layer`].
    pub address: Address,
    /// Kind of machine.
    pub kind: ActorKind,
    /// Name within the run, which its queues, connections and container have in theirs: `hidden.003`,
    /// `synapse.hidden-digit`, `trainer`.
    pub name: String,
    /// Name for all actors that differ in nothing but their place in the network: the layer of a
    /// unit, the kind of any other.
    pub group: String,
    /// Neurons that it hosts, which are what commits consist of.
    pub neurons: Option<NeuronRange>,
    /// Queues of its own.
    pub queues: Queues,
    /// Exchange that fans out to its inbound queue.
    pub fan_out: Option<String>,
    /// Queues that it listens to, its own inbound one first.
    pub inbox: Vec<String>,
    /// Actors that it sends messages to, and layers to whose units it sends one for all.
    pub tells: Vec<Address>,
    /// Messages that can wait for it: all senders times the ticks in flight, and room for what is said
    /// around a rewind.
    pub mailbox_bound: usize,
    /// Values of most of its messages, 4 bytes each, with a full batch.
    pub message_values: usize,
    /// Resources of its container.
    pub resources: ContainerResources,
    /// Feeds with which it reads the data set by itself.
    reads_data: &'static [Feed],
}

/// Names of an actor's own queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Messages to the actor: batches, errors, rewinds.
    pub inbound: String,
    /// Its activations, for the actor above.
    pub out: Option<String>,
    /// Its contributions to the errors of the layer below; the first layer has none.
    pub back: Option<String>,
}

/// Number of actors of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ActorCounts {
    /// Always one.
    pub trainers: usize,
    /// One between any two adjacent layers.
    pub synapses: usize,
    /// Hosts of neurons.
    pub units: usize,
}

/// Rows of the actors of a run, worked out from its network when they are asked for: a process that is
/// one of a thousand actors needs few of them.
#[derive(Clone, Copy, Debug)]
pub struct Roster<'a>(&'a Graph);

impl<'a> Roster<'a> {
    /// Roster of a network's run.
    pub fn new(graph: &'a Graph) -> Self {
        Self(graph)
    }

    /// Addresses of all actors: the trainer, the synapses, the units layer by layer.
    pub fn addresses(self) -> impl Iterator<Item = Address> + 'a {
        let n_layers = self.0.layers.len();
        let synapses = (1..n_layers).map(|above| Address::Synapse(above - 1));
        let units = (0..n_layers).flat_map(move |layer| {
            (0..n_units(self.0, layer)).map(move |index| Address::Unit { layer, index })
        });
        iter::once(Address::Trainer).chain(synapses).chain(units)
    }

    /// Addresses of the trainer's members, for which it waits after a rewind: all but its own.
    pub fn members(self) -> impl Iterator<Item = Address> + 'a {
        self.addresses().skip(1)
    }

    /// True if an address is that of a member.
    pub fn has_member(self, address: Address) -> bool {
        match address {
            Address::Synapse(below) => below + 1 < self.0.layers.len(),
            Address::Unit { layer, index } => {
                layer < self.0.layers.len() && index < n_units(self.0, layer)
            }
            Address::Trainer | Address::Layer(_) => false,
        }
    }

    /// Every row, in the order of addresses.
    pub fn actors(self) -> impl Iterator<Item = Actor> + 'a {
        self.addresses().map(move |address| self.actor(address))
    }

    /// Row of the actor at an address, if the run has it.
    pub fn get(self, address: Address) -> Option<Actor> {
        let graph = self.0;
        let is_member = self.has_member(address);
        match address {
            Address::Trainer => Some(trainer(graph)),
            Address::Synapse(below) => is_member.then(|| synapse(graph, below)),
            Address::Unit { layer, index } => is_member.then(|| unit(graph, layer, index)),
            Address::Layer(_) => None,
        }
    }

    /// Row of the actor at an address.
    ///
    /// # Panics
    /// When the run has no such actor.
    pub fn actor(self, address: Address) -> Actor {
        let actor = self.get(address);
        actor.unwrap_or_else(|| panic!("the run has no {address}"))
    }

    /// Number of actors of each kind.
    pub fn counts(self) -> ActorCounts {
        let n_layers = self.0.layers.len();
        ActorCounts {
            trainers: 1,
            synapses: n_layers - 1,
            units: (0..n_layers).map(|layer| n_units(self.0, layer)).sum(),
        }
    }
}

impl ActorCounts {
    /// Actors of all kinds.
    pub fn all(self) -> usize {
        self.trainers + self.members()
    }

    /// Members of the trainer.
    pub fn members(self) -> usize {
        self.synapses + self.units
    }
}

impl fmt::Display for ActorCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trainers,
            synapses,
            units,
        } = self;
        let units = grouped(*units as u64);
        write!(f, "trainer {trainers}, synapses {synapses}, units {units}")
    }
}

impl Actor {
    /// True if it reads the data set by itself where the first layer is fed so.
    pub fn reads_data(&self, feed: Feed) -> bool {
        self.reads_data.contains(&feed)
    }

    /// SHA-256 of the part of a network that it computes with, in hexadecimal: when that changes, the
    /// actor has to start anew.
    pub fn fingerprint(&self, graph: &Graph) -> String {
        let training = &graph.training;
        let part = match self.address {
            Address::Unit { layer, index } => json!([
                index,
                &graph.layers[layer],
                graph.layers.len(),
                graph.seed,
                training.batch_size,
                training.shuffle,
                training.augmentation,
                training.optimizer,
            ]),
            Address::Synapse(below) => json!([
                &graph.layers[below..=below + 1],
                training.batch_size,
                graph.layers.len(),
            ]),
            Address::Trainer | Address::Layer(_) => json!(graph),
        };
        sha256(part.to_string())
    }
}

impl Queues {
    fn inbound_only(run: &str, actor: &str) -> Self {
        Self {
            inbound: names::queue(run, actor, "in"),
            out: None,
            back: None,
        }
    }

    fn of_unit(graph: &Graph, layer: usize, index: usize) -> Self {
        let (run, actor) = (&graph.name, names::unit(&graph.layers[layer], index));
        Self {
            inbound: names::queue(run, &actor, "in"),
            out: Some(names::queue(run, &actor, "out")),
            back: (layer > 0).then(|| names::queue(run, &actor, "back")),
        }
    }

    /// Every queue.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        [&self.inbound]
            .into_iter()
            .chain(&self.out)
            .chain(&self.back)
    }
}

fn trainer(graph: &Graph) -> Actor {
    let roster = Roster::new(graph);
    let name = ActorKind::Trainer.word().to_owned();
    let queues = Queues::inbound_only(&graph.name, &name);
    let last = graph.layers.len() - 1;
    Actor {
        address: Address::Trainer,
        kind: ActorKind::Trainer,
        group: name.clone(),
        name,
        neurons: None,
        inbox: inbox(&queues, queues_of(graph, last).filter_map(|of| of.out)),
        queues,
        fan_out: None,
        tells: roster.members().chain([Address::Layer(0)]).collect(),
        mailbox_bound: mailbox(n_units(graph, last)) + 4 * roster.counts().all(),
        message_values: graph.training.batch_size * graph.outputs(),
        resources: COORDINATOR,
        reads_data: &[Feed::Reference, Feed::Broadcast],
    }
}

fn synapse(graph: &Graph, below: usize) -> Actor {
    let name = names::synapse(graph, below);
    let queues = Queues::inbound_only(&graph.name, &name);
    let (n_below, n_above) = (n_units(graph, below), n_units(graph, below + 1));
    let out = queues_of(graph, below).filter_map(|of| of.out);
    let back = queues_of(graph, below + 1).filter_map(|of| of.back);
    let units = (0..n_below).map(|index| Address::Unit {
        layer: below,
        index,
    });
    let others = [Address::Trainer, Address::Layer(below + 1)];
    Actor {
        address: Address::Synapse(below),
        kind: ActorKind::Synapse,
        name,
        group: ActorKind::Synapse.word().to_owned(),
        neurons: None,
        inbox: inbox(&queues, out.chain(back)),
        queues,
        fan_out: None,
        tells: others.into_iter().chain(units).collect(),
        mailbox_bound: mailbox(n_below + n_above),
        message_values: graph.training.batch_size * graph.layers[below].features(),
        resources: COORDINATOR,
        reads_data: &[],
    }
}

fn unit(graph: &Graph, layer: usize, index: usize) -> Actor {
    let of = &graph.layers[layer];
    let first = index * of.neurons_per_unit;
    let queues = Queues::of_unit(graph, layer, index);
    let is_first = layer == 0;
    // The first layer's inputs are no messages where it reads them by itself.
    let values = if is_first {
        of.neurons_per_unit * of.outputs()
    } else {
        of.inputs()
    };
    let synapses = layer.saturating_sub(1)..(layer + 1).min(graph.layers.len() - 1);
    let synapses = synapses.map(Address::Synapse);
    Actor {
        address: Address::Unit { layer, index },
        kind: ActorKind::Unit,
        name: names::unit(of, index),
        group: of.name.clone(),
        neurons: Some(NeuronRange {
            layer,
            first,
            count: of.neurons_per_unit.min(of.units - first),
        }),
        inbox: inbox(&queues, []),
        queues,
        fan_out: Some(names::layer_exchange(&graph.name, &of.name)),
        tells: [Address::Trainer].into_iter().chain(synapses).collect(),
        mailbox_bound: mailbox(2),
        message_values: graph.training.batch_size * values,
        resources: of.resources,
        reads_data: if is_first { &[Feed::Reference] } else { &[] },
    }
}

fn n_units(graph: &Graph, layer: usize) -> usize {
    graph.layers[layer].unit_ranges().len()
}

fn queues_of(graph: &Graph, layer: usize) -> impl Iterator<Item = Queues> {
    (0..n_units(graph, layer)).map(move |index| Queues::of_unit(graph, layer, index))
}

fn inbox(own: &Queues, others: impl IntoIterator<Item = String>) -> Vec<String> {
    let own = [own.inbound.clone()];
    own.into_iter().chain(others).collect()
}

fn mailbox(senders: usize) -> usize {
    senders * IN_FLIGHT_BOUND as usize + CONTROL
}
