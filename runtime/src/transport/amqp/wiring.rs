//! The exchanges, queues and bindings of a run: declared, and removed.
//!
//! Everything is declared again by whoever connects with the right to do so (the command, and the
//! trainer when it boots and before every generation): declaring what is there changes nothing, and a broker that lost all it
//! had is wired anew.

use std::collections::BTreeSet;

use cuttlefish_core::topology::{Graph, Roster, names};
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::{Connection, Error};

/// Messages that wait in a queue at most; older ones are dropped first. Far beyond what ticks in
/// flight can come to: it bounds what foreign or forgotten messages cost.
const MAX_LENGTH: i64 = 4096;

/// Exchanges, queues and bindings of a run at its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// The direct exchange of the run.
    pub exchange: String,
    /// The fan-out exchanges.
    pub fan_outs: BTreeSet<String>,
    /// Every queue.
    pub queues: BTreeSet<String>,
    /// Fan-out exchange and queue.
    pub fan_out_bindings: BTreeSet<(String, String)>,
}

impl Wiring {
    /// The wiring of a network.
    pub fn new(graph: &Graph) -> Self {
        let mut wiring = Self {
            exchange: names::exchange(&graph.name),
            fan_outs: BTreeSet::new(),
            queues: BTreeSet::new(),
            fan_out_bindings: BTreeSet::new(),
        };
        for actor in Roster::new(graph).actors() {
            wiring.queues.extend(actor.queues.iter().cloned());
            if let Some(fan_out) = actor.fan_out {
                let binding = (fan_out.clone(), actor.queues.inbound);
                wiring.fan_out_bindings.insert(binding);
                wiring.fan_outs.insert(fan_out);
            }
        }
        wiring
    }

    /// Declares everything; what is there already stays as it is.
    ///
    /// # Errors
    /// When the broker refuses, or the connection is lost.
    pub async fn declare(&self, connection: &Connection) -> Result<(), Error> {
        let channel = connection.client.create_channel().await?;
        self.declare_on(&channel).await?;
        close(channel).await
    }

    pub(super) async fn declare_on(&self, channel: &Channel) -> Result<(), Error> {
        let exchange = self.exchange.as_str();
        declare_exchange(channel, exchange, ExchangeKind::Direct).await?;
        for fan_out in &self.fan_outs {
            declare_exchange(channel, fan_out, ExchangeKind::Fanout).await?;
        }
        for queue in &self.queues {
            let options = QueueDeclareOptions {
                // Queues are durable because from 4.3 on a broker may refuse others; what is in
                // them is not.
                durable: true,
                nowait: true,
                ..QueueDeclareOptions::default()
            };
            let name = queue.as_str().into();
            channel
                .queue_declare(name, options, queue_arguments())
                .await?;
            bind(channel, queue, exchange, queue).await?;
        }
        for (fan_out, queue) in &self.fan_out_bindings {
            bind(channel, queue, fan_out, "").await?;
        }
        settle(channel, exchange).await
    }

    /// Removes everything; what is not there is no error.
    ///
    /// # Errors
    /// When the broker refuses, or the connection is lost.
    pub async fn remove(&self, connection: &Connection) -> Result<(), Error> {
        let exchanges = self.fan_outs.iter().chain([&self.exchange]);
        remove(connection, &self.queues, exchanges).await
    }

    /// Removes what `kept`, of the same run, does not have.
    ///
    /// # Errors
    /// When the broker refuses, or the connection is lost.
    pub async fn remove_all_but(&self, kept: &Self, connection: &Connection) -> Result<(), Error> {
        let queues = self.queues.difference(&kept.queues);
        let fan_outs = self.fan_outs.difference(&kept.fan_outs);
        remove(connection, queues, fan_outs).await
    }
}

async fn remove(
    connection: &Connection,
    queues: impl IntoIterator<Item = &String>,
    exchanges: impl IntoIterator<Item = &String>,
) -> Result<(), Error> {
    let channel = connection.client.create_channel().await?;
    for queue in queues {
        let options = QueueDeleteOptions {
            nowait: true,
            ..QueueDeleteOptions::default()
        };
        channel.queue_delete(queue.as_str().into(), options).await?;
    }
    for exchange in exchanges {
        // Waited for, so that all is gone when this returns.
        let options = ExchangeDeleteOptions::default();
        let name = exchange.as_str().into();
        channel.exchange_delete(name, options).await?;
    }
    close(channel).await
}

/// Closes a channel and waits for that: a connection cannot be closed while one of its channels is closing.
async fn close(channel: Channel) -> Result<(), Error> {
    Ok(channel.close(200, "done".into()).await?)
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        nowait: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    channel
        .exchange_declare(name.into(), kind, options, arguments)
        .await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
    let options = QueueBindOptions { nowait: true };
    let (queue, exchange, key) = (queue.into(), exchange.into(), key.into());
    channel
        .queue_bind(queue, exchange, key, options, FieldTable::default())
        .await?;
    Ok(())
}

/// Waits until the broker has done everything before: it works through a channel in order.
async fn settle(channel: &Channel, exchange: &str) -> Result<(), Error> {
    let options = ExchangeDeclareOptions {
        passive: true,
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let (kind, arguments) = (ExchangeKind::Direct, FieldTable::default());
    channel
        .exchange_declare(exchange.into(), kind, options, arguments)
        .await?;
    Ok(())
}

fn queue_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    // A second copy of an actor waits behind the first instead of taking half of its messages.
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_LENGTH));
    arguments.insert("x-queue-version".into(), AMQPValue::LongInt(2));
    arguments
}
