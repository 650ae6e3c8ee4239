//! Routes of a machine: the queues it listens to, and the exchange and routing key of each message.
//! Pure: names in, names out.

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Message;
use cuttlefish_core::topology::Graph;
use cuttlefish_core::topology::names::{self, Queue};
use lapin::types::ShortString;

/// An exchange and the key under which it finds the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The exchange.
    pub exchange: ShortString,
    /// The routing key; empty for a fan-out.
    pub key: ShortString,
}

/// Every way out of one machine, worked out once: the hot path only looks up.
#[derive(Debug)]
pub struct Routes {
    trainer: Route,
    synapses: Vec<Route>,
    units: Vec<Vec<Route>>,
    layers: Vec<Route>,
    /// A unit's own outbound queues: activations, contributions.
    own: Option<(Route, Route)>,
}

impl Routes {
    /// The ways out of `from`.
    pub fn new(graph: &Graph, from: Address) -> Self {
        let run = graph.name.as_str();
        let direct = |queue: String| Route {
            exchange: names::exchange(run).into(),
            key: queue.into(),
        };
        let unit = |layer: usize, index: usize, queue: Queue| {
            direct(names::unit_queue(run, &graph.layers[layer], index, queue))
        };
        Self {
            trainer: direct(names::trainer_queue(run)),
            synapses: (1..graph.layers.len())
                .map(|above| direct(names::synapse_queue(graph, above - 1)))
                .collect(),
            units: (0..graph.layers.len())
                .map(|layer| {
                    let n_units = graph.layers[layer].unit_ranges().len();
                    (0..n_units)
                        .map(|index| unit(layer, index, Queue::In))
                        .collect()
                })
                .collect(),
            layers: graph
                .layers
                .iter()
                .map(|layer| Route {
                    exchange: names::layer_exchange(run, &layer.name).into(),
                    key: "".into(),
                })
                .collect(),
            own: match from {
                Address::Unit { layer, index } => Some((
                    unit(layer, index, Queue::Out),
                    unit(layer, index, Queue::Back),
                )),
                _ => None,
            },
        }
    }

    /// Route of a message; `None` if nobody has that address.
    ///
    /// A unit's results go to its own outbound queues, to which the receiver listens: so
    /// people see on the dashboard what each neuron has said and whether it was taken.
    pub fn find(&self, to: Address, message: &Message) -> Option<&Route> {
        if let Some((out, back)) = &self.own {
            match message {
                Message::Activation { .. } => return Some(out),
                Message::Contribution { .. } | Message::Propagated { .. } => return Some(back),
                _ => {}
            }
        }
        match to {
            Address::Trainer => Some(&self.trainer),
            Address::Synapse(below) => self.synapses.get(below),
            Address::Unit { layer, index } => self.units.get(layer)?.get(index),
            Address::Layer(layer) => self.layers.get(layer),
        }
    }
}

/// The queues that a machine listens to.
pub fn inbox(graph: &Graph, address: Address) -> Vec<String> {
    let run = graph.name.as_str();
    let of_layer = |layer: usize, queue: Queue| {
        let layer = &graph.layers[layer];
        (0..layer.unit_ranges().len()).map(move |unit| names::unit_queue(run, layer, unit, queue))
    };
    match address {
        Address::Trainer => std::iter::once(names::trainer_queue(run))
            .chain(of_layer(graph.layers.len() - 1, Queue::Out))
            .collect(),
        Address::Synapse(below) => std::iter::once(names::synapse_queue(graph, below))
            .chain(of_layer(below, Queue::Out))
            .chain(of_layer(below + 1, Queue::Back))
            .collect(),
        Address::Unit { layer, index } => {
            vec![names::unit_queue(
                run,
                &graph.layers[layer],
                index,
                Queue::In,
            )]
        }
        Address::Layer(_) => Vec::new(),
    }
}
