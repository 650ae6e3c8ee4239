//! The transport over RabbitMQ, held to the contract of all transports.

use std::sync::Arc;
use std::time::Duration;

use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use cuttlefish::transport::amqp::worker::Worker;
use cuttlefish::transport::amqp::{Broker, Session, Wiring};
use cuttlefish::transport::{Error, Link, Transport};
use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping, TaskShape};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc;

#[path = "../../runtime/tests/support/transport_contract.rs"]
mod contract;

use contract::{ADDRESSES, TransportBackend};

use crate::support::{SMALL, live, setting};

/// Two units, then one, as [`ADDRESSES`] has them.
pub fn graph(run: &str) -> Graph {
    let text = format!("name: {run}{SMALL}").replace("units: 12", "units: 2");
    let sets = ["network.layers[1].neurons_per_unit=10".to_owned()];
    let document = topology::parse(&text, &sets).expect("a topology");
    let shape = DataShape {
        features: 64,
        image: None,
        value_bytes: 1,
        task: TaskShape::Classification { classes: 10 },
        train_rows: 100,
        validation_rows: 10,
        test_rows: 10,
    };
    document
        .graph(&shape, Grouping::FromFile)
        .expect("a network")
}

struct Amqp {
    sender: Arc<dyn Transport>,
    /// Arriving messages: their receiver and their number.
    arrivals: BoxStream<'static, (usize, u64)>,
}

/// Handler of arriving messages.
#[derive(Clone, Copy)]
enum Handler {
    /// The reader that asks for it.
    Stream,
    /// The connection's own thread, as in containers.
    Thread,
}

async fn connect(broker: &Broker, graph: &Graph, handler: Handler) -> Amqp {
    let mut inboxes = Vec::new();
    let mut sender = None;
    for (index, address) in ADDRESSES.into_iter().enumerate() {
        let wire = address == Address::Trainer;
        let link = Arc::new(Link::default());
        let session = Session::open(broker, graph, address, &link, wire)
            .await
            .unwrap();
        sender.get_or_insert(session.transport.clone());
        // The session lives as long as its transport, and here as its inbox.
        let transport = session.transport;
        let inbox = match handler {
            Handler::Stream => session.inbox,
            Handler::Thread => by_thread(&session.worker, session.inbox),
        };
        inboxes.push(inbox.map(move |envelope| {
            let _ = &transport;
            (index, envelope.generation.0)
        }));
    }
    Amqp {
        sender: sender.unwrap(),
        arrivals: stream::select_all(inboxes).boxed(),
    }
}

fn by_thread(worker: &Worker, inbox: BoxStream<'static, Envelope>) -> BoxStream<'static, Envelope> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let over = worker.work_off(inbox, move |envelope| {
        let _ = sender.send(envelope);
    });
    stream::unfold((receiver, over), |(mut receiver, over)| async {
        let envelope = receiver.recv().await?;
        Some((envelope, (receiver, over)))
    })
    .boxed()
}

impl TransportBackend for Amqp {
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), Error> {
        self.sender.send(to, envelope)
    }

    async fn received(&mut self, total: usize) -> Vec<Vec<u64>> {
        let mut received = vec![Vec::new(); ADDRESSES.len()];
        for _ in 0..total {
            let next = tokio::time::timeout(Duration::from_secs(30), self.arrivals.next());
            let (who, which) = next.await.expect("a message within 30 s").unwrap();
            received[who].push(which);
        }
        received
    }
}

async fn remove(broker: &Broker, graph: &Graph) {
    let connection = broker.connect("test", SMALL_FRAMES).await.unwrap();
    Wiring::new(graph).remove(&connection).await.unwrap();
}

/// Runs a test with the broker that `scripts/test` starts.
fn with_broker<F: Future>(test: impl FnOnce(Broker) -> F) {
    let url = setting("CUTTLEFISH_BROKER").expect("scripts/test starts a broker");
    let broker = Broker::parse(&url, None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(test(broker));
}

macro_rules! amqp_passes {
    ($by:expr => $($name:ident)*) => {$(
        #[test]
        fn $name() {
            let Some(_live) = live() else { return };
            with_broker(|broker| async move {
                let graph = graph("contract");
                contract::$name(connect(&broker, &graph, $by).await).await;
                remove(&broker, &graph).await;
            });
        }
    )*};
}

mod by_whoever_asks {
    use super::*;

    amqp_passes! { Handler::Stream =>
        a_message_reaches_its_receiver_and_nobody_else
        a_message_to_a_layer_reaches_each_of_its_units
        messages_of_one_sender_keep_their_order
        who_is_not_there_cannot_be_reached
    }
}

mod by_the_connections_thread {
    use super::*;

    amqp_passes! { Handler::Thread =>
        a_message_reaches_its_receiver_and_nobody_else
        a_message_to_a_layer_reaches_each_of_its_units
        messages_of_one_sender_keep_their_order
        who_is_not_there_cannot_be_reached
    }
}

/// The thread waits for the socket by then.
#[test]
fn a_session_ends_when_it_is_told_to() {
    let Some(_live) = live() else { return };
    with_broker(|broker| async move {
        let graph = graph("told");
        let link = Arc::new(Link::default());
        let session = Session::open(&broker, &graph, Address::Trainer, &link, true).await;
        let session = session.unwrap();
        let over = session.worker.work_off(session.inbox, |_| {});
        session.end.now();
        let ended = tokio::time::timeout(Duration::from_secs(30), over).await;
        assert!(ended.expect("the session ends").is_err(), "it is dropped");
        remove(&broker, &graph).await;
    });
}

/// Queues that are not needed any more go, and the run stays as it is.
#[test]
fn removing_what_another_wiring_lacks_leaves_the_rest_at_work() {
    let Some(_live) = live() else { return };
    with_broker(|broker| async move {
        let graph = graph("kept");
        let backend = connect(&broker, &graph, Handler::Stream).await;
        let connection = broker.connect("test", SMALL_FRAMES).await.unwrap();
        let wiring = Wiring::new(&graph);
        wiring.remove_all_but(&wiring, &connection).await.unwrap();
        contract::a_message_reaches_its_receiver_and_nobody_else(backend).await;
        remove(&broker, &graph).await;
    });
}
