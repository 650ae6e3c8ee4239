//! Runs a machine: gives it inputs, executes its effects against a transport and the store.

pub mod actor;
pub mod events;
pub mod observer;
pub mod storekeeper;

use std::sync::Arc;
use std::time::Instant;

use cuttlefish_core::data::{BatchSource, Feed, Task};
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Effect, Effects, Input, Machine, StoreReply, StoreRequest};
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::synapse::Synapse;
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::{Timing, Trainer};
use cuttlefish_core::view::View;
use tracing::debug;

use crate::transport::Transport;

pub use events::{EventSink, Note};
pub use observer::{End, Observer, RunSnapshot};
pub use storekeeper::Storekeeper;

/// A machine with what its effects need.
pub struct Host {
    address: Address,
    machine: Box<dyn Machine + Send>,
    outside: Outside,
    /// Begin of the run; machines are told the time since then.
    began: Instant,
}

/// World outside of a machine, on which its effects act.
struct Outside {
    address: Address,
    transport: Arc<dyn Transport>,
    storekeeper: Storekeeper,
    observer: Arc<Observer>,
    /// Brings the store's answers back to this machine as inputs.
    replies: Arc<dyn Fn(StoreReply) + Send + Sync>,
}

impl Host {
    /// Hosts a machine.
    pub fn new(
        address: Address,
        machine: Box<dyn Machine + Send>,
        transport: Arc<dyn Transport>,
        storekeeper: Storekeeper,
        observer: Arc<Observer>,
        replies: Arc<dyn Fn(StoreReply) + Send + Sync>,
        began: Instant,
    ) -> Self {
        Self {
            address,
            machine,
            outside: Outside {
                address,
                transport,
                storekeeper,
                observer,
                replies,
            },
            began,
        }
    }

    /// Address of the machine.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Gives the machine an input. Its effects are executed while it computes, in order.
    pub fn feed(&mut self, input: Input) {
        self.machine
            .on(self.began.elapsed(), input, &mut self.outside);
    }

    /// View of the machine now.
    pub fn view(&self) -> View {
        self.machine.view()
    }
}

impl Outside {
    fn request(&self, request: StoreRequest) {
        self.storekeeper
            .perform(self.address, request, self.replies.clone());
    }
}

impl Effects for Outside {
    fn push(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, envelope } => {
                if let Err(error) = self.transport.send(to, envelope) {
                    // Lost like any lost message: the trainer's deadline notices.
                    debug!(from = %self.address, %error, "message lost");
                }
            }
            Effect::Store(request) => self.request(request),
            Effect::Report(event) => self.observer.report(&event),
            Effect::Finish(outcome) => self.observer.end(End::Finished(outcome)),
            Effect::Fail(fault) => self.observer.end(End::Failed(fault)),
        }
    }
}

/// The machine of an actor, knowing nothing yet.
pub fn machine(
    address: Address,
    graph: &Arc<Graph>,
    batches: &Arc<dyn BatchSource>,
    task: &Task,
    timing: Timing,
    feed: Feed,
) -> Box<dyn Machine + Send> {
    let (graph, batches) = (graph.clone(), batches.clone());
    match address {
        Address::Trainer => Box::new(Trainer::new(graph, batches, task, timing).with_feed(feed)),
        Address::Synapse(below) => Box::new(Synapse::new(graph, below)),
        Address::Unit { layer, index } => Box::new(Unit::new(graph, batches, layer, index)),
        Address::Layer(_) => unreachable!("a layer is not an actor"),
    }
}
