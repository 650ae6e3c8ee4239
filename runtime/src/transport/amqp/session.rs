//! One machine's part in the traffic: it listens and sends on one connection. A broker that holds
//! senders back (a memory or disk alarm) reads nothing from them, but goes on writing what they wait
//! for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::codec::{self, Limits};
use cuttlefish_core::protocol::{Envelope, codec::Error as CodecError};
use cuttlefish_core::topology::{Actor, Graph, Roster};
use futures_util::future::{self, FutureExt, try_join_all};
use futures_util::stream::{self, BoxStream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer, ErrorKind, Event};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::connection::{Connection, LARGE_FRAMES, SMALL_FRAMES};
use super::routes::Routes;
use super::worker::Worker;
use super::{Broker, Error, Wiring, claim};
use crate::transport::{self, Link, LinkState, Transport};

/// Listening to all queues, or wiring all of them.
const SET_UP_WITHIN: Duration = Duration::from_secs(60);

/// Pause before a queue that is not there is asked for again.
const WIRING_PAUSE: Duration = Duration::from_millis(500);

/// AMQP's number for it.
const NOT_FOUND: u16 = 404;

/// An open session: what to send through, and what comes in.
pub struct Session {
    /// Sends for the machine.
    pub transport: Arc<dyn Transport>,
    /// Messages to the machine. Ends when the connection is lost, which the transport keeps open.
    pub inbox: BoxStream<'static, Envelope>,
    /// Ends the inbox, and with it the session.
    pub end: SessionEnd,
    /// The wiring, where this session has declared it.
    pub wired: Option<Wired>,
    /// The connection's thread, which may take over the inbox.
    pub worker: Worker,
    /// To ask who else listens.
    pub place: Place,
}

/// The queue that makes a machine who it is.
pub struct Place {
    channel: Channel,
    queue: String,
}

impl Place {
    /// True if nobody else listens to the machine's queue. To be asked before the worker computes.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn is_ours_alone(&self) -> Result<bool, Error> {
        let consumers = async { Ok(claim::consumers(&self.channel, &self.queue).await?) };
        Ok(within("asking who listens", consumers).await? <= 1)
    }
}

/// Ends a session.
#[derive(Clone)]
pub struct SessionEnd {
    notify: Arc<Notify>,
    worker: Worker,
}

impl SessionEnd {
    /// Now: the inbox ends with what it has given so far.
    pub fn now(&self) {
        self.notify.notify_one();
        self.worker.call();
    }
}

/// Queues that a session has wired, and a connection to wire them again.
pub struct Wired {
    wiring: Wiring,
    channel: Channel,
    _connection: Connection,
}

impl Wired {
    async fn connect(broker: &Broker, graph: &Graph, name: &str) -> Result<Self, Error> {
        // The session's own connection is not to be waited for: its thread works.
        let name = format!("{name} wires");
        let connection = broker.connect(&name, SMALL_FRAMES).await?;
        let wired = Self {
            wiring: Wiring::new(graph),
            channel: connection.client.create_channel().await?,
            _connection: connection,
        };
        wired.declare().await?;
        Ok(wired)
    }

    /// Declares it; what is there already stays as it is.
    pub async fn declare(&self) -> Result<(), Error> {
        let declared = self.wiring.declare_on(&self.channel);
        within("wiring the run's queues", declared).await
    }
}

async fn within<T>(what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = tokio::time::timeout(SET_UP_WITHIN, work).await;
    done.map_err(|_| Error::Timeout {
        what: what.to_owned(),
        seconds: SET_UP_WITHIN.as_secs(),
    })?
}

impl Session {
    /// Connects the machine at `address`. With `wire` the run's wiring is declared first, which
    /// needs the right to do so.
    ///
    /// # Errors
    /// When the broker cannot be reached, refuses us, or does not have the queues.
    pub async fn open(
        broker: &Broker,
        graph: &Graph,
        address: Address,
        link: &Arc<Link>,
        wire: bool,
    ) -> Result<Self, Error> {
        let actor = Roster::new(graph).actor(address);
        let name = format!("cf.{}.{}", graph.name, actor.name);
        let wired = if wire {
            Some(Wired::connect(broker, graph, &name).await?)
        } else {
            None
        };
        let (worker, kit) = Worker::new()?;
        let frames = frame_max(&actor);
        let connection = broker.connect_with(kit.into(), &name, frames).await?;
        let listen = consume_once_wired(&connection, &actor.inbox, link);
        let (channel, consumers) = within("listening to the run's queues", listen).await?;
        let end = SessionEnd {
            notify: Arc::new(Notify::new()),
            worker: worker.clone(),
        };
        let dropped = Arc::new(AtomicBool::new(false));
        let events = connection.events_listener().boxed();
        tokio::spawn(watch(events, link.clone(), end.clone(), dropped.clone()));
        let inbox = inbox(consumers, limits(graph), link.clone(), end.notify.clone());
        let place = Place {
            channel: channel.clone(),
            queue: actor.queues.inbound.clone(),
        };
        let transport = AmqpTransport {
            channel,
            connection,
            routes: Routes::new(graph, &actor),
            buffer: Mutex::default(),
            link: link.clone(),
            end: end.clone(),
            dropped,
        };
        link.sessions.fetch_add(1, Ordering::Relaxed);
        link.set(LinkState::Connected);
        Ok(Self {
            transport: Arc::new(transport),
            inbox,
            end,
            wired,
            worker,
            place,
        })
    }
}

/// Frames as large as most of the actor's messages are.
fn frame_max(actor: &Actor) -> u32 {
    if 4 * actor.message_values > 2 * SMALL_FRAMES as usize {
        LARGE_FRAMES
    } else {
        SMALL_FRAMES
    }
}

/// The largest sizes that messages of a run can have.
pub fn limits(graph: &Graph) -> Limits {
    let widest = |of: fn(&cuttlefish_core::topology::Layer) -> usize| {
        graph.layers.iter().map(of).max().unwrap_or(0) as u32
    };
    Limits {
        max_layers: graph.layers.len() as u32,
        max_neurons: widest(|layer| layer.features()),
        max_rows: graph.training.batch_size as u32,
        max_positions: widest(|layer| layer.positions()),
        max_features: widest(|layer| layer.inputs().max(layer.fan_in)),
    }
}

/// Listens to queues as soon as the trainer has declared them. A broker that has just come back empty
/// has better things to do meanwhile than to accept everybody's connections again and again.
async fn consume_once_wired(
    connection: &lapin::Connection,
    queues: &[String],
    link: &Link,
) -> Result<(Channel, Vec<Consumer>), Error> {
    loop {
        // One that asked for a queue that is not there is closed.
        let channel = connection.create_channel().await?;
        let listening = queues.iter().map(|queue| consume(&channel, queue));
        match try_join_all(listening).await {
            Err(error) if is_not_found(&error) => {
                link.set(LinkState::Lost(error.to_string()));
                tokio::time::sleep(WIRING_PAUSE).await;
            }
            consumers => return Ok((channel, consumers?)),
        }
    }
}

pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}

/// Listens to a queue.
pub(super) async fn consume(channel: &Channel, queue: &str) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions {
        // Deliveries are not acknowledged: what gets lost is computed again.
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    channel
        .basic_consume(queue.into(), "".into(), options, FieldTable::default())
        .await
}

/// Notes what happens to a connection; the session ends with it, or when messages were dropped
/// while the broker took none: what they would have set off is set off by booting again.
async fn watch(
    mut events: BoxStream<'static, Event>,
    link: Arc<Link>,
    end: SessionEnd,
    dropped: Arc<AtomicBool>,
) {
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) => {
                warn!(reason, "the broker takes no messages");
                link.set(LinkState::Blocked(reason));
            }
            Event::ConnectionUnblocked if dropped.load(Ordering::Relaxed) => {
                let reason = "messages were lost while the broker took none";
                link.set(LinkState::Lost(reason.to_owned()));
                break;
            }
            Event::ConnectionUnblocked => link.set(LinkState::Connected),
            Event::Error(error) => {
                link.set(LinkState::Lost(error.to_string()));
                break;
            }
            _ => {}
        }
    }
    end.now();
}

/// Messages of all queues, decoded. Ends with the first queue that ends.
fn inbox(
    consumers: Vec<Consumer>,
    limits: Limits,
    link: Arc<Link>,
    lost: Arc<Notify>,
) -> BoxStream<'static, Envelope> {
    let ending = |consumer: Consumer| consumer.map(Some).chain(stream::once(future::ready(None)));
    let deliveries = stream::select_all(consumers.into_iter().map(ending).map(StreamExt::boxed));
    let counted = link.clone();
    let until_lost = async move { lost.notified().await };
    deliveries
        .scan((), move |(), delivery| {
            future::ready(match delivery {
                Some(Ok(delivery)) => Some(delivery),
                Some(Err(error)) => {
                    link.set(LinkState::Lost(error.to_string()));
                    None
                }
                None => {
                    link.set(LinkState::Lost(
                        "the broker cancelled a consumer".to_owned(),
                    ));
                    None
                }
            })
        })
        .filter_map(move |delivery| future::ready(decode(&delivery, &limits, &counted)))
        .take_until(until_lost.boxed())
        .boxed()
}

fn decode(delivery: &Delivery, limits: &Limits, link: &Link) -> Option<Envelope> {
    link.received.add(delivery.data.len());
    let decoded: Result<Envelope, CodecError> = codec::decode(&delivery.data, limits);
    decoded
        .inspect_err(|error| {
            link.refused.fetch_add(1, Ordering::Relaxed);
            let queue = delivery.routing_key.as_str();
            warn!(queue, %error, "a message was refused");
        })
        .ok()
}

impl Drop for AmqpTransport {
    fn drop(&mut self) {
        self.end.worker.end();
    }
}

/// Sends for one machine.
struct AmqpTransport {
    channel: Channel,
    connection: lapin::Connection,
    routes: Routes,
    /// Messages are encoded here, one after the other, into the same memory.
    buffer: Mutex<Vec<u8>>,
    link: Arc<Link>,
    end: SessionEnd,
    /// True once messages were not sent because the broker took none.
    dropped: Arc<AtomicBool>,
}

impl Transport for AmqpTransport {
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), transport::Error> {
        let Some(route) = self.routes.find(to, &envelope.message) else {
            return Err(transport::Error::Unknown { to });
        };
        // The client would keep messages without a bound until the broker takes them again.
        if self.connection.status().blocked() {
            self.dropped.store(true, Ordering::Relaxed);
            if !self.connection.status().blocked() {
                // It may have been lifted before anybody could know of this one.
                self.end.now();
            }
            return Err(transport::Error::Blocked { to });
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        codec::encode(&envelope, &mut buffer);
        self.link.sent.add(buffer.len());
        let publish = self.channel.basic_publish(
            route.exchange.clone(),
            route.key.clone(),
            BasicPublishOptions::default(),
            &buffer,
            BasicProperties::default(),
        );
        // The first poll hands the frames to the connection's own thread; the rest of the future
        // would only tell when they have left.
        match publish.now_or_never() {
            None | Some(Ok(_)) => {
                self.end.worker.call();
                Ok(())
            }
            Some(Err(error)) => {
                debug!(%error, "cannot send");
                self.end.now();
                Err(transport::Error::Closed { to })
            }
        }
    }
}
