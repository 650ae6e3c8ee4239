//! Messages that come more than once: while they are new, and when a rewind has made them old.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::{Envelope, Message, codec};
use cuttlefish_core::topology::{Actor, Graph, Roster, names};
use tokio::time::Instant;

use crate::transport::amqp::Broker;
use crate::transport::amqp::tap::{Delivery, Tap};

/// Messages that are sent a third time: fewer than would push others out of a queue.
const KEPT: usize = 256;

/// From a hello to the rewind that answers it, on a busy machine.
const REWOUND_WITHIN: Duration = Duration::from_millis(500);

/// What tells a copy from what it is a copy of, as the copies are copied too.
const MARK: &str = "chaos";

/// Repeats what actors of a run are told.
#[derive(Debug)]
pub struct Replay {
    exchange: String,
    trainer: String,
    /// By name.
    actors: BTreeMap<String, Actor>,
}

impl Replay {
    /// For the run of a network.
    pub fn new(graph: &Graph) -> Self {
        let roster = Roster::new(graph);
        Self {
            exchange: names::exchange(&graph.name),
            trainer: roster.actor(Address::Trainer).queues.inbound,
            actors: roster.actors().map(|of| (of.name.clone(), of)).collect(),
        }
    }

    /// Tells an actor everything twice for so long, makes the trainer rewind, and tells the actor
    /// once more the last of what it was told before, backwards.
    pub async fn repeat(
        &self,
        broker: &Broker,
        actor: &str,
        lasts: Duration,
    ) -> anyhow::Result<()> {
        let Some(of) = self.actors.get(actor) else {
            anyhow::bail!("the run has no actor {actor}");
        };
        let by_name = of.inbox.iter().map(|queue| (&*self.exchange, &**queue));
        let fanned_out = of.fan_out.iter().map(|exchange| (&**exchange, ""));
        let bindings = by_name.chain(fanned_out);
        let mut tap = Tap::open(broker, "chaos repeats", &self.exchange, MARK, bindings).await?;
        let last = echo(&mut tap, of, lasts).await?;
        self.say_hello(&tap, of.address).await?;
        tokio::time::sleep(REWOUND_WITHIN).await;
        for copy in last.iter().rev() {
            tap.send(&copy.queue, &copy.message).await?;
        }
        Ok(tap.close().await?)
    }

    /// Says hello for an actor, as it does when it boots.
    async fn say_hello(&self, tap: &Tap, from: Address) -> anyhow::Result<()> {
        let from = match from {
            // Nobody answers the trainer: somebody else will do.
            Address::Trainer => Address::Unit { layer: 0, index: 0 },
            from => from,
        };
        let mut message = Vec::new();
        let envelope = Envelope {
            generation: Generation(0),
            message: Message::Hello { from },
        };
        codec::encode(&envelope, &mut message);
        Ok(tap.send(&self.trainer, &message).await?)
    }
}

/// Sends copies of all that an actor is told for so long, and returns the last ones.
async fn echo(tap: &mut Tap, of: &Actor, lasts: Duration) -> anyhow::Result<VecDeque<Delivery>> {
    let until = Instant::now() + lasts;
    let mut last = VecDeque::with_capacity(KEPT);
    while let Ok(next) = tokio::time::timeout_at(until, tap.next()).await {
        let Some(mut copy) = next? else { break };
        if copy.queue.is_empty() {
            copy.queue.clone_from(&of.queues.inbound);
        }
        tap.send(&copy.queue, &copy.message).await?;
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(copy);
    }
    tap.stop().await?;
    Ok(last)
}
