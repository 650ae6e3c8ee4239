//! Becoming one of several actors: the one to whose queue nobody listens.
//!
//! A platform may start copies without telling them apart: then each takes the place of an actor that is
//! missing. The broker says which are missing, and keeps the order among those who come at the same
//! moment: who listens to a queue and is still its only consumer has it, everybody else steps back.
//! Whoever comes back from a lost connection and finds another one in its place ends, so that the
//! platform starts one that takes the place that is free now.

use std::time::Duration;

use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Graph, Roster};
use futures_util::future::try_join_all;
use lapin::options::{BasicCancelOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use super::connection::{Connection, SMALL_FRAMES};
use super::session::{consume, is_not_found};
use super::{Broker, Error};

/// Between two rounds in which nobody was missing.
const PAUSE: Duration = Duration::from_millis(500);

/// An actor that is ours as long as this is kept, or a session has begun before it was dropped.
pub struct Claim {
    /// Actor that we have become.
    pub address: Address,
    // Dropped, each of these gives up what it is about.
    _consumer: Consumer,
    _channel: Channel,
    connection: Connection,
}

impl Claim {
    /// Waits until one of `candidates` is missing, and takes its place.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses. Not where queues are missing: those are waited
    /// for.
    pub async fn make(
        broker: &Broker,
        graph: &Graph,
        candidates: &[Address],
        group: &str,
    ) -> Result<Self, Error> {
        let name = format!("cf.{}.{group} becomes somebody", graph.name);
        let connection = broker.connect(&name, SMALL_FRAMES).await?;
        loop {
            // One that asked for a queue that is not there is closed.
            let channel = connection.client.create_channel().await?;
            match claim_one(&channel, graph, candidates).await {
                Ok(Some((address, consumer))) => {
                    return Ok(Self {
                        address,
                        _consumer: consumer,
                        _channel: channel,
                        connection,
                    });
                }
                Ok(None) => {}
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(error.into()),
            }
            let _ = channel.close(200, "again".into()).await;
            tokio::time::sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        }
    }

    /// Gives it up, now that a session listens in its place. The broker knows of it when this returns.
    pub async fn release(self) {
        let _ = self.connection.close().await;
    }
}

async fn claim_one(
    channel: &Channel,
    graph: &Graph,
    candidates: &[Address],
) -> lapin::Result<Option<(Address, Consumer)>> {
    let roster = Roster::new(graph);
    let queues: Vec<String> = candidates
        .iter()
        .map(|&address| roster.actor(address).queues.inbound)
        .collect();
    let counted = queues.iter().map(|queue| consumers(channel, queue));
    let counted = try_join_all(counted).await?;
    let missing: Vec<usize> = (0..queues.len()).filter(|&i| counted[i] == 0).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    // Containers that come at the same moment begin at different places.
    let start = rand::random_range(0..missing.len());
    for &candidate in missing[start..].iter().chain(&missing[..start]) {
        let queue = &queues[candidate];
        let consumer = consume(channel, queue).await?;
        if consumers(channel, queue).await? == 1 {
            return Ok(Some((candidates[candidate], consumer)));
        }
        let tag = consumer.tag();
        channel
            .basic_cancel(tag, BasicCancelOptions::default())
            .await?;
    }
    Ok(None)
}

/// Number of consumers of a queue.
pub(super) async fn consumers(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let state = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await?;
    Ok(state.consumer_count())
}

/// Actors that `name` may mean: the one of that name, or else those of the group (`hidden` for
/// `hidden.000` and its like).
pub fn candidates(graph: &Graph, name: &str) -> Vec<Address> {
    let roster = Roster::new(graph);
    if let Some(actor) = roster.actors().find(|actor| actor.name == name) {
        return vec![actor.address];
    }
    let group = roster.actors().filter(|actor| actor.group == name);
    group.map(|actor| actor.address).collect()
}
