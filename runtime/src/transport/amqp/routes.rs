//! Exchange and routing key of a message. Pure: names in, names out.

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
    /// The ways out of `from`: to those whom it tells, and to itself.
    pub fn new(graph: &Graph, from: &Actor) -> Self {
        let run = graph.name.as_str();
        let direct = |queue: &String| Route {
            exchange: names::exchange(run).into(),
            key: queue.as_str().into(),
        };
        let route = |to: &Address| match *to {
            Address::Layer(layer) => Route {
                exchange: names::layer_exchange(run, &graph.layers[layer].name).into(),
                key: "".into(),
            },
            to => direct(&Roster::new(graph).actor(to).queues.inbound),
        };
        let addressees = from.tells.iter().chain([&from.address]);
        Self {
            routes: addressees.map(|to| (*to, route(to))).collect(),
            out: from.queues.out.as_ref().map(direct),
            back: from.queues.back.as_ref().map(direct),
        }
    }

    /// Route of a message; `None` if it is for nobody whom the machine tells.
    ///
    /// A unit's results go to its own outbound queues, to which the receiver listens: so
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
