//! Which exchange and routing key a message goes to. Pure: names in, names out.

use std::collections::HashMap;

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Message;
use cuttlefish_core::topology::{Actor, Graph, Roster, names};
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
    routes: HashMap<Address, Route>,
    /// To a unit's own queue of activations.
    out: Option<Route>,
    /// To a unit's own queue of contributions.
    back: Option<Route>,
}

impl Routes {
    /// The ways out of `from`, an actor of the roster of the network.
    pub fn new(graph: &Graph, roster: &Roster, from: &Actor) -> Self {
        let run = graph.name.as_str();
        let exchange: ShortString = names::exchange(run).into();
        let direct = |queue: &String| Route {
            exchange: exchange.clone(),
            key: queue.as_str().into(),
        };
        let actors = roster.actors().iter();
        let actors = actors.map(|actor| (actor.address, direct(&actor.queues.inbound)));
        let layers = graph.layers.iter().enumerate().map(|(index, layer)| {
            let route = Route {
                exchange: names::layer_exchange(run, &layer.name).into(),
                key: "".into(),
            };
            (Address::Layer(index), route)
        });
        Self {
            routes: actors.chain(layers).collect(),
            out: from.queues.out.as_ref().map(direct),
            back: from.queues.back.as_ref().map(direct),
        }
    }

    /// Where a message goes; none if nobody has that address.
    ///
    /// What a unit computes goes to its own outbound queues, to which the receiver listens: so
    /// people see on the dashboard what each neuron has said and whether it was taken.
    pub fn find(&self, to: Address, message: &Message) -> Option<&Route> {
        let own = match message {
            Message::Activation { .. } => self.out.as_ref(),
            Message::Contribution { .. } | Message::Propagated { .. } => self.back.as_ref(),
            _ => None,
        };
        own.or_else(|| self.routes.get(&to))
    }
}
