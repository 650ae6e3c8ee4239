//! Copies of the messages that queues of a run get, and messages sent to them from outside.

use futures_util::stream::StreamExt;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};

use super::connection::{Connection, LARGE_FRAMES};
use super::{Broker, Error};

/// Copies that wait at most: where they come faster than they are read, some are left out.
const MAX_LENGTH: i64 = 1024;

/// Tap on queues of a run: reads copies of what they get, and sends messages to any queue of the run.
pub struct Tap {
    exchange: ShortString,
    /// Tells a message from outside from those of the run, as the former are copied too.
    mark: ShortString,
    connection: Connection,
    channel: Channel,
    copies: Consumer,
}

/// Message that was delivered to a tapped queue.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Queue that it is for; empty where it was fanned out.
    pub queue: String,
    /// The message, encoded.
    pub message: Vec<u8>,
}

impl Tap {
    /// Opens a tap with a queue of its own, `<exchange>.<mark>`, which goes with the connection. It gets
    /// what is published to each of `bindings`, an exchange with a routing key.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub async fn open<'a>(
        broker: &Broker,
        name: &str,
        exchange: &str,
        mark: &str,
        bindings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let connection = broker.connect(name, LARGE_FRAMES).await?;
        let channel = connection.client.create_channel().await?;
        let queue: ShortString = format!("{exchange}.{mark}").into();
        let options = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_LENGTH));
        channel
            .queue_declare(queue.clone(), options, arguments)
            .await?;
        for (exchange, key) in bindings {
            let (exchange, key) = (exchange.into(), key.into());
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            channel
                .queue_bind(queue.clone(), exchange, key, options, arguments)
                .await?;
        }
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let copies = channel
            .basic_consume(queue, "".into(), options, FieldTable::default())
            .await?;
        Ok(Self {
            exchange: exchange.into(),
            mark: mark.into(),
            connection,
            channel,
            copies,
        })
    }

    /// Next message that is not from outside; `None` when the queue has ended.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        while let Some(delivery) = self.copies.next().await {
            let delivery = delivery?;
            if delivery.properties.app_id().as_ref() != Some(&self.mark) {
                return Ok(Some(Delivery {
                    queue: delivery.routing_key.as_str().to_owned(),
                    message: delivery.data,
                }));
            }
        }
        Ok(None)
    }

    /// Ends the copies; messages can still be sent.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn stop(&self) -> Result<(), Error> {
        let (tag, options) = (self.copies.tag(), BasicCancelOptions::default());
        Ok(self.channel.basic_cancel(tag, options).await?)
    }

    /// Sends an encoded message to a queue of the run.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&self, queue: &str, message: &[u8]) -> Result<(), Error> {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_app_id(self.mark.clone());
        let (exchange, key) = (self.exchange.clone(), queue.into());
        self.channel
            .basic_publish(exchange, key, options, message, properties)
            .await?;
        Ok(())
    }

    /// Closes the connection, once all messages have left.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn close(self) -> Result<(), Error> {
        self.connection.close().await
    }
}
