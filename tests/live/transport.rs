//! The transport over RabbitMQ, held to the contract of all transports.

use std::sync::Arc;
use std::time::Duration;

use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use cuttlefish::transport::amqp::{Broker, Link, Session, Wiring};
use cuttlefish::transport::{Error, Transport};
use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping, TaskShape};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

#[path = "../support/transport_contract.rs"]
mod contract;

use contract::{ADDRESSES, Backend};

use crate::support::{SMALL, live, setting};

/// Two units, then one, as [`ADDRESSES`] has them.
pub fn graph(run: &str) -> Graph {
    let text = format!("name: {run}{SMALL}").replace("units: 12", "units: 2");
    let sets = ["network.layers[1].neurons_per_unit=10".to_owned()];
    let document = topology::parse(&text, &sets).expect("a topology");
    let shape = DataShape {
        features: 64,
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
    /// What arrives: who, and which.
    arrivals: BoxStream<'static, (usize, u64)>,
}

async fn connected(broker: &Broker, graph: &Graph) -> Amqp {
    let mut inboxes = Vec::new();
    let mut sender = None;
    for (index, address) in ADDRESSES.into_iter().enumerate() {
        let wire = address == Address::Trainer;
        let link = Arc::new(Link::default());
        let session = Session::open(broker, graph, address, &link, wire)
            .await
            .unwrap();
        sender.get_or_insert(session.transport.clone());
        // The session lives as long as its inbox.
        let kept = session.transport;
        inboxes.push(session.inbox.map(move |envelope| {
            let _ = &kept;
            (index, envelope.generation.0)
        }));
    }
    Amqp {
        sender: sender.unwrap(),
        arrivals: stream::select_all(inboxes).boxed(),
    }
}

impl Backend for Amqp {
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

macro_rules! amqp_passes {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let Some(_live) = live() else { return };
            let url = setting("CUTTLEFISH_BROKER").expect("scripts/test starts a broker");
            let broker = Broker::parse(&url, None).unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let graph = graph("contract");
                contract::$name(connected(&broker, &graph).await).await;
                let connection = broker.connect("test", SMALL_FRAMES).await.unwrap();
                let channel = connection.create_channel().await.unwrap();
                Wiring::new(&graph).remove(&channel).await.unwrap();
            });
        }
    )*};
}

amqp_passes! {
    a_message_reaches_its_receiver_and_nobody_else
    a_message_to_a_layer_reaches_each_of_its_units
    messages_of_one_sender_keep_their_order
    who_is_not_there_cannot_be_reached
}
