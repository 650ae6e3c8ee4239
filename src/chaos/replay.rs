//! Messages that come more than once: while they are new, and when a rewind has made them old.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::{Envelope, Message, codec};
use cuttlefish_core::topology::{Actor, Graph, Roster, names};
use futures_util::stream::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::time::Instant;

use crate::transport::amqp::Broker;
use crate::transport::amqp::connection::LARGE_FRAMES;

/// Messages that are sent a third time: fewer than would push others out of a queue.
const KEPT: usize = 256;

/// Copies that wait at most: where they come faster than they are sent again, some are left out.
const WAITING: i64 = 1024;

/// From a hello to the rewind that answers it, on a busy machine.
const REWOUND_WITHIN: Duration = Duration::from_millis(500);

/// What tells a copy from what it is a copy of, as the copies are copied too.
const MARK: &str = "chaos";

/// A message and the queue that it is for.
type Copied = (ShortString, Vec<u8>);

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
        let connection = broker.connect("chaos repeats", LARGE_FRAMES).await?;
        let channel = connection.create_channel().await?;
        let last = self.echo(&channel, of, lasts).await?;
        self.say_hello(&channel, of.address).await?;
        tokio::time::sleep(REWOUND_WITHIN).await;
        for copy in last.iter().rev() {
            self.send(&channel, copy).await?;
        }
        Ok(connection.close(200, "done".into()).await?)
    }

    /// Sends copies of all that an actor is told for so long, and returns the last ones.
    async fn echo(
        &self,
        channel: &Channel,
        actor: &Actor,
        lasts: Duration,
    ) -> anyhow::Result<VecDeque<Copied>> {
        let mut copies = self.listen(channel, actor).await?;
        let until = Instant::now() + lasts;
        let mut last = VecDeque::with_capacity(KEPT);
        while let Ok(Some(delivery)) = tokio::time::timeout_at(until, copies.next()).await {
            let delivery = delivery?;
            let mark = delivery.properties.app_id();
            if mark.as_ref().is_some_and(|mark| mark.as_str() == MARK) {
                continue;
            }
            let queue = match delivery.routing_key.as_str() {
                "" => actor.queues.inbound.as_str().into(),
                queue => queue.into(),
            };
            let copy = (queue, delivery.data);
            self.send(channel, &copy).await?;
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(copy);
        }
        let tag = copies.tag();
        channel.basic_cancel(tag, Default::default()).await?;
        Ok(last)
    }

    /// Has everything that an actor is told copied.
    async fn listen(&self, channel: &Channel, actor: &Actor) -> anyhow::Result<lapin::Consumer> {
        let name: ShortString = format!("{}.chaos", self.exchange).into();
        let options = QueueDeclareOptions {
            // It goes with the connection.
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(WAITING));
        channel
            .queue_declare(name.clone(), options, arguments)
            .await?;
        let by_name = actor.inbox.iter().map(|queue| (&self.exchange, &**queue));
        let fanned_out = actor.fan_out.iter().map(|exchange| (exchange, ""));
        for (exchange, key) in by_name.chain(fanned_out) {
            let (exchange, key) = (exchange.as_str().into(), key.into());
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            channel
                .queue_bind(name.clone(), exchange, key, options, arguments)
                .await?;
        }
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel
            .basic_consume(name, "".into(), options, FieldTable::default())
            .await?;
        Ok(consumer)
    }

    /// Says hello for an actor, as it does when it boots.
    async fn say_hello(&self, channel: &Channel, from: Address) -> anyhow::Result<()> {
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
        let trainer = self.trainer.as_str().into();
        self.send(channel, &(trainer, message)).await
    }

    async fn send(&self, channel: &Channel, (queue, message): &Copied) -> anyhow::Result<()> {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_app_id(MARK.into());
        let (exchange, key) = (self.exchange.as_str().into(), queue.clone());
        channel
            .basic_publish(exchange, key, options, message, properties)
            .await?;
        Ok(())
    }
}
