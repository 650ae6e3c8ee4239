//! The messages of training without the training, moved by one process: what a broker and its client do
//! when nobody computes, and when nothing waits for an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cuttlefish::transport::amqp::connection::LARGE_FRAMES;
use cuttlefish::transport::amqp::{Broker, Wiring, routes};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::names::{self, Queue};
use cuttlefish_core::topology::traffic::{Kind, Traffic};
use cuttlefish_core::topology::{Graph, Plan};
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use tokio::sync::Notify;

/// Ticks that the publisher is ahead of its consumers at most: as training has it.
const IN_FLIGHT: u64 = 2;

/// Who receives what the publisher sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consumers {
    /// Every actor on a connection of its own, as in training.
    Actors,
    /// One for all of them: a read or a write on its connection carries many messages.
    One,
}

/// Messages of one kind and layer.
struct Parcels {
    exchange: String,
    /// One for each.
    routing_keys: Vec<String>,
    payload: Vec<u8>,
}

/// A training tick's messages, layer by layer.
fn parcels(graph: &Graph, plan: &Plan) -> Vec<Parcels> {
    plan.traffic
        .iter()
        .map(|traffic| of_one_kind(graph, traffic))
        .collect()
}

fn of_one_kind(graph: &Graph, traffic: &Traffic) -> Parcels {
    let run = graph.name.as_str();
    let mut layers = graph.layers.iter();
    let layer = layers.find(|layer| layer.name == traffic.layer);
    let layer = layer.expect("the plan is of this graph");
    let payload = vec![0; (traffic.wire_bytes / traffic.messages) as usize];
    let queue = match traffic.kind {
        Kind::Forward => {
            return Parcels {
                exchange: names::layer_exchange(run, &layer.name),
                routing_keys: vec![String::new()],
                payload,
            };
        }
        Kind::Backward => Queue::In,
        Kind::Activation => Queue::Out,
        Kind::Contribution | Kind::Propagated => Queue::Back,
    };
    let key = |unit| names::unit_queue(run, layer, unit, queue);
    Parcels {
        exchange: names::exchange(run),
        routing_keys: (0..traffic.messages as usize).map(key).collect(),
        payload,
    }
}

/// Where messages leave, and where each actor's arrive.
struct Places {
    connections: Vec<Connection>,
    publisher: Channel,
    inboxes: BTreeMap<Address, Channel>,
}

impl Places {
    async fn open(broker: &Broker, graph: &Graph, consumers: Consumers) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        let mut channel = async |name: &str| {
            let connection = broker.connect(name, LARGE_FRAMES).await?;
            let channel = connection.create_channel().await?;
            connections.push(connection);
            anyhow::Ok(channel)
        };
        let publisher = channel("bare publisher").await?;
        let mut inboxes = BTreeMap::new();
        let one = match consumers {
            Consumers::One => Some(channel("bare consumer").await?),
            Consumers::Actors => None,
        };
        for actor in names::actors(graph) {
            let inbox = match &one {
                Some(one) => one.clone(),
                None => channel(&format!("bare {}", names::actor(graph, actor))).await?,
            };
            inboxes.insert(actor, inbox);
        }
        Ok(Self {
            connections,
            publisher,
            inboxes,
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        for connection in self.connections {
            connection.close(200, "done".into()).await?;
        }
        Ok(())
    }
}

/// How many ticks' messages are moved in a second, in the best of some epochs, by who does nothing
/// else.
pub async fn ticks_per_second(
    broker: &Broker,
    graph: &Graph,
    plan: &Plan,
    epochs: u32,
    consumers: Consumers,
) -> anyhow::Result<f64> {
    let mut graph = graph.clone();
    graph.name.push_str("-bare");
    let parcels = parcels(&graph, plan);
    let places = Places::open(broker, &graph, consumers).await?;
    let wiring = Wiring::new(&graph);
    wiring.declare(&places.publisher).await?;
    let (received, progress) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    for (&actor, inbox) in &places.inboxes {
        for queue in routes::inbox(&graph, actor) {
            let options = BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            };
            let consumer =
                inbox.basic_consume(queue.into(), "".into(), options, FieldTable::default());
            let mut consumer = consumer.await?;
            let (received, progress) = (received.clone(), progress.clone());
            let per_tick = plan.per_tick.messages;
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
            while sent >= received.load(Ordering::Relaxed) / plan.per_tick.messages + IN_FLIGHT {
                progress.notified().await;
            }
            publish(&places, &parcels).await?;
            sent += 1;
        }
        while received.load(Ordering::Relaxed) < sent * plan.per_tick.messages {
            progress.notified().await;
        }
        best = best.max(ticks as f64 / started.elapsed().as_secs_f64());
    }
    wiring.remove(&places.publisher).await?;
    places.close().await?;
    Ok(best)
}

async fn publish(places: &Places, parcels: &[Parcels]) -> anyhow::Result<()> {
    for parcels in parcels {
        for key in &parcels.routing_keys {
            let published = places.publisher.basic_publish(
                parcels.exchange.as_str().into(),
                key.as_str().into(),
                BasicPublishOptions::default(),
                &parcels.payload,
                BasicProperties::default(),
            );
            published.await?;
        }
    }
    Ok(())
}
