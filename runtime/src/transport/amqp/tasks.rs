//! Tasks of sweeps on a broker.
//!
//! ```text
//! cf.tasks         every task of every sweep; a quorum queue where the broker has them
//! cf.tasks.dead    tasks that nobody could work on
//! cf.sweep.NAME    notices to the server of that sweep
//! ```
//!
//! Messages are persistent and publishing is confirmed, but nothing depends on either: the server publishes again
//! what stays unclaimed. A worker acknowledges a task when its result is stored, so that the broker gives it to
//! another one the moment its worker is lost. One that takes long is acknowledged before ([`TaskQueue::keep`]): the
//! broker would take it for stuck after its `consumer_timeout`, and from then on the lease in the store guards it.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::StreamExt;
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};

use super::connection::{Connection, SMALL_FRAMES};
use super::{Broker, Error};
use crate::transport::tasks::{self, Delivery, TaskBoard, TaskQueue};

/// Queue of all tasks.
pub const TASKS: &str = "cf.tasks";
/// Queue of the tasks that nobody could work on.
pub const DEAD_TASKS: &str = "cf.tasks.dead";
/// Deliveries of one task after which the broker puts it aside.
const DELIVERY_LIMIT: i64 = 20;
/// Notices that wait for a server that is away; the store has what they say.
const MAX_NOTICES: i64 = 100_000;
/// Notices are forgotten with a server that does not come back for so long, in milliseconds.
const NOTICES_EXPIRE: i64 = 24 * 60 * 60 * 1000;

impl From<Error> for tasks::Error {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

/// Notices are kept for the server of a sweep in this queue.
pub fn notice_queue(sweep: &str) -> String {
    format!("cf.sweep.{sweep}")
}

/// Opens a channel on which the queues of tasks are declared.
async fn open_channel(connection: &Connection) -> Result<Channel, Error> {
    let channel = connection.client.create_channel().await?;
    if declare_tasks(&channel, true).await.is_ok() {
        return Ok(channel);
    }
    // The broker has no quorum queues, or has the queue as another kind. Its refusal has closed the channel.
    let channel = connection.client.create_channel().await?;
    declare_tasks(&channel, false).await?;
    Ok(channel)
}

async fn declare_tasks(channel: &Channel, is_quorum: bool) -> Result<(), Error> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let text = |text: &str| AMQPValue::LongString(text.into());
    channel
        .queue_declare(DEAD_TASKS.into(), options, FieldTable::default())
        .await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(DEAD_TASKS));
    if is_quorum {
        arguments.insert("x-queue-type".into(), text("quorum"));
        let limit = AMQPValue::LongLongInt(DELIVERY_LIMIT);
        arguments.insert("x-delivery-limit".into(), limit);
    }
    channel
        .queue_declare(TASKS.into(), options, arguments)
        .await?;
    Ok(())
}

/// The server's end at a broker.
pub struct AmqpBoard {
    notice_queue: ShortString,
    channel: Channel,
    notices: Consumer,
    connection: Connection,
}

impl AmqpBoard {
    /// Connects the server of a sweep. There is one at a time.
    ///
    /// # Errors
    /// When the broker cannot be reached, or another server of this sweep is connected.
    pub async fn connect(broker: &Broker, sweep: &str) -> Result<Self, Error> {
        let name = notice_queue(sweep);
        let connection = broker.connect(&name, SMALL_FRAMES).await?;
        let channel = open_channel(&connection).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let notice_queue: ShortString = name.into();
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_NOTICES));
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(NOTICES_EXPIRE));
        channel
            .queue_declare(notice_queue.clone(), options, arguments)
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let notices = channel
            .basic_consume(
                notice_queue.clone(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await?;
        Ok(Self {
            notice_queue,
            channel,
            notices,
            connection,
        })
    }

    /// Removes the queue of notices, and closes the connection.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn close(self) -> Result<(), Error> {
        let options = QueueDeleteOptions::default();
        self.channel
            .queue_delete(self.notice_queue.clone(), options)
            .await?;
        self.channel.close(200, "done".into()).await?;
        self.connection.close().await
    }
}

#[async_trait(?Send)]
impl TaskBoard for AmqpBoard {
    async fn publish(&mut self, task: &[u8]) -> Result<(), tasks::Error> {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_reply_to(self.notice_queue.clone());
        let published = publish(&self.channel, TASKS.into(), task, properties).await;
        Ok(published?)
    }

    async fn notice(&mut self, within: Duration) -> Result<Option<Vec<u8>>, tasks::Error> {
        match tokio::time::timeout(within, self.notices.next()).await {
            Err(_) => Ok(None),
            Ok(Some(Ok(message))) => Ok(Some(message.data)),
            Ok(Some(Err(error))) => Err(Error::from(error).into()),
            Ok(None) => Err(lost().into()),
        }
    }
}

/// Publishes to a queue, and waits until the broker has taken it if the channel is one that confirms.
async fn publish(
    channel: &Channel,
    queue: ShortString,
    payload: &[u8],
    properties: BasicProperties,
) -> Result<(), Error> {
    let options = BasicPublishOptions::default();
    let confirm = channel
        .basic_publish("".into(), queue, options, payload, properties)
        .await?;
    match confirm.await?.is_nack() {
        true => Err(Error::Lost("the broker did not take a task".to_owned())),
        false => Ok(()),
    }
}

fn lost() -> Error {
    Error::Lost("it was closed".to_owned())
}

/// A worker's end at a broker.
pub struct AmqpQueue {
    channel: Channel,
    consumer: Option<Consumer>,
    in_hand: Option<Message>,
    /// Queue for the notice of the last task.
    reply_to: Option<ShortString>,
    _connection: Connection,
}

impl AmqpQueue {
    /// Connects a worker under this name.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub async fn connect(broker: &Broker, worker: &str) -> Result<Self, Error> {
        let connection = broker.connect(worker, SMALL_FRAMES).await?;
        let channel = open_channel(&connection).await?;
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        Ok(Self {
            channel,
            consumer: None,
            in_hand: None,
            reply_to: None,
            _connection: connection,
        })
    }

    async fn consume(&mut self) -> Result<&mut Consumer, Error> {
        if self.consumer.is_none() {
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consuming = self
                .channel
                .basic_consume(TASKS.into(), "".into(), options, arguments);
            self.consumer = Some(consuming.await?);
        }
        self.consumer.as_mut().ok_or_else(lost)
    }

    async fn take(&mut self) -> Result<Delivery, Error> {
        let message = match self.consume().await?.next().await {
            Some(message) => message?,
            None => return Err(lost()),
        };
        self.reply_to = message.properties.reply_to().clone();
        let delivery = Delivery {
            task: message.data.clone(),
            is_redelivered: message.redelivered,
        };
        self.in_hand = Some(message);
        Ok(delivery)
    }

    async fn acknowledge(&mut self) -> Result<(), Error> {
        if let Some(message) = self.in_hand.take() {
            message.ack(BasicAckOptions::default()).await?;
        }
        Ok(())
    }

    async fn stop_consuming(&mut self) -> Result<(), Error> {
        if let Some(consumer) = self.consumer.take() {
            let (tag, options) = (consumer.tag(), BasicCancelOptions::default());
            self.channel.basic_cancel(tag, options).await?;
        }
        Ok(())
    }

    async fn put_aside(&mut self) -> Result<(), Error> {
        if let Some(message) = self.in_hand.take() {
            let options = BasicNackOptions::default();
            message.nack(options).await?;
        }
        Ok(())
    }

    async fn notify(&mut self, notice: &[u8]) -> Result<(), Error> {
        match self.reply_to.take() {
            // A server that has gone finds the result in the store when it comes back.
            None => Ok(()),
            Some(queue) => publish(&self.channel, queue, notice, BasicProperties::default()).await,
        }
    }
}

#[async_trait(?Send)]
impl TaskQueue for AmqpQueue {
    async fn next(&mut self) -> Result<Option<Delivery>, tasks::Error> {
        Ok(Some(self.take().await?))
    }

    async fn keep(&mut self) -> Result<(), tasks::Error> {
        // The broker would send the next task after the acknowledgement.
        self.stop_consuming().await?;
        Ok(self.acknowledge().await?)
    }

    async fn finish(&mut self, notice: &[u8]) -> Result<(), tasks::Error> {
        self.notify(notice).await?;
        Ok(self.acknowledge().await?)
    }

    async fn reject(&mut self) -> Result<(), tasks::Error> {
        Ok(self.put_aside().await?)
    }
}
