//! The messages of training without the training, moved by one process: what a broker and its client do
//! when nobody computes, and when no message waits for another of its tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cuttlefish::transport::amqp::connection::{LARGE_FRAMES, SMALL_FRAMES};
use cuttlefish::transport::amqp::{Broker, Wiring};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::traffic::{Traffic, TrafficKind};
use cuttlefish_core::topology::{Graph, Plan, Roster, names};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use tokio::sync::Notify;

/// Ticks that the publisher is ahead of its consumers at most: as training has it.
const IN_FLIGHT: u64 = 2;

/// Distribution of connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// One publisher and one consumer: a read or a write of theirs carries many messages.
    Pair,
    /// Every actor has one, as in training.
    Actors,
}

/// Messages of one kind and layer.
struct MessageGroup {
    exchange: String,
    /// Sender and routing key of each.
    keys: Vec<(Address, String)>,
    payload: Vec<u8>,
}

/// A training tick's messages, layer by layer.
fn message_groups(graph: &Graph, plan: &Plan) -> Vec<MessageGroup> {
    plan.traffic
        .iter()
        .map(|traffic| of_one_kind(graph, traffic))
        .collect()
}

fn of_one_kind(graph: &Graph, traffic: &Traffic) -> MessageGroup {
    let run = graph.name.as_str();
    let mut layers = graph.layers.iter();
    let index = layers.position(|layer| layer.name == traffic.layer);
    let index = index.expect("the plan is of this graph");
    let layer = &graph.layers[index];
    let below = match index {
        0 => Address::Trainer,
        _ => Address::Synapse(index - 1),
    };
    let above = if index + 1 == graph.layers.len() {
        Address::Trainer
    } else {
        Address::Synapse(index)
    };
    let payload = vec![0; (traffic.wire_bytes / traffic.deliveries) as usize];
    if traffic.kind == TrafficKind::Forward {
        return MessageGroup {
            exchange: names::layer_exchange(run, &layer.name),
            keys: vec![(below, String::new())],
            payload,
        };
    }
    let roster = Roster::new(graph);
    let key = |unit| {
        let unit = Address::Unit {
            layer: index,
            index: unit,
        };
        let queues = roster.actor(unit).queues;
        let (sender, queue) = match traffic.kind {
            TrafficKind::Forward | TrafficKind::Backward => (above, Some(queues.inbound)),
            TrafficKind::Activation => (unit, queues.out),
            TrafficKind::Contribution | TrafficKind::Propagated => (unit, queues.back),
        };
        (sender, queue.unwrap_or_default())
    };
    MessageGroup {
        exchange: names::exchange(run),
        keys: (0..traffic.deliveries as usize).map(key).collect(),
        payload,
    }
}

/// Channels on which each actor's messages leave and arrive.
struct ActorChannels {
    connections: Vec<Connection>,
    channels: BTreeMap<Address, (Channel, Channel)>,
}

impl ActorChannels {
    async fn open(
        broker: &Broker,
        graph: &Graph,
        connections: Connections,
    ) -> anyhow::Result<Self> {
        let mut actor_channels = Self {
            connections: Vec::new(),
            channels: BTreeMap::new(),
        };
        let mut pair = None;
        if connections == Connections::Pair {
            let publisher = actor_channels.channel(broker, "bare publisher").await?;
            pair = Some((
                publisher,
                actor_channels.channel(broker, "bare consumer").await?,
            ));
        }
        for actor in Roster::new(graph).actors() {
            let channels = match &pair {
                Some(pair) => pair.clone(),
                None => {
                    let name = format!("bare {}", actor.name);
                    let channel = actor_channels.channel(broker, &name).await?;
                    (channel.clone(), channel)
                }
            };
            actor_channels.channels.insert(actor.address, channels);
        }
        Ok(actor_channels)
    }

    async fn channel(&mut self, broker: &Broker, name: &str) -> anyhow::Result<Channel> {
        let connection = broker.connect(name, LARGE_FRAMES).await?.into_client();
        let channel = connection.create_channel().await?;
        self.connections.push(connection);
        Ok(channel)
    }

    async fn close(self) -> anyhow::Result<()> {
        for connection in self.connections {
            connection.close(200, "done".into()).await?;
        }
        Ok(())
    }
}

/// Ticks whose messages are moved in a second, in the best of some epochs, with nothing else to do.
pub async fn ticks_per_second(
    broker: &Broker,
    graph: &Graph,
    plan: &Plan,
    epochs: u32,
    connections: Connections,
) -> anyhow::Result<f64> {
    let mut graph = graph.clone();
    graph.name.push_str("-bare");
    let groups = message_groups(&graph, plan);
    let actor_channels = ActorChannels::open(broker, &graph, connections).await?;
    let connection = broker.connect("bare wires", SMALL_FRAMES).await?;
    let wiring = Wiring::new(&graph);
    wiring.declare(&connection).await?;
    let (received, progress) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    for actor in Roster::new(&graph).actors() {
        let (_, channel) = &actor_channels.channels[&actor.address];
        for queue in &actor.inbox {
            let options = BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            };
            let consumer = channel.basic_consume(
                queue.as_str().into(),
                "".into(),
                options,
                FieldTable::default(),
            );
            let mut consumer = consumer.await?;
            let (received, progress) = (received.clone(), progress.clone());
            let per_tick = plan.per_tick.deliveries;
            tokio::spawn(async move {
                while let Some(Ok(delivery)) = consumer.next().await {
                    std::hint::black_box(&delivery.data);
                    if (received.fetch_add(1, Ordering::Relaxed) + 1) % per_tick == 0 {
                        progress.notify_one();
                    }
                }
            });
        }
    }
    let ticks = plan.ticks.train_per_epoch;
    let mut best: f64 = 0.0;
    let mut sent = 0;
    for _ in 0..epochs {
        let started = Instant::now();
        for _ in 0..ticks {
            while sent >= received.load(Ordering::Relaxed) / plan.per_tick.deliveries + IN_FLIGHT {
                progress.notified().await;
            }
            publish(&actor_channels, &groups)?;
            sent += 1;
        }
        while received.load(Ordering::Relaxed) < sent * plan.per_tick.deliveries {
            progress.notified().await;
        }
        best = best.max(ticks as f64 / started.elapsed().as_secs_f64());
    }
    wiring.remove(&connection).await?;
    connection.close().await?;
    actor_channels.close().await?;
    Ok(best)
}

fn publish(actor_channels: &ActorChannels, groups: &[MessageGroup]) -> anyhow::Result<()> {
    for group in groups {
        for (sender, key) in &group.keys {
            let published = actor_channels.channels[sender].0.basic_publish(
                group.exchange.as_str().into(),
                key.as_str().into(),
                BasicPublishOptions::default(),
                &group.payload,
                BasicProperties::default(),
            );
            // The first poll hands it over; the rest would only tell when it has left.
            if let Some(published) = published.now_or_never() {
                published?;
            }
        }
    }
    Ok(())
}
