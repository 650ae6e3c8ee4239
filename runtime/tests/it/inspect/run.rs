//! A small run with all its actors in this process, trained to its end and then looked at.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cuttlefish_core::data::{BatchSource, Batches, Dataset, Split, Task, Values};
use cuttlefish_core::ids::{Address, NeuronRange};
use cuttlefish_core::machine::{Input, Machine};
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::protocol::{NeuronState, Outcome};
use cuttlefish_core::synapse::Synapse;
use cuttlefish_core::topology::{DataShape, Graph, Grouping, parse};
use cuttlefish_core::trainer::{Timing, Trainer};
use cuttlefish_core::view::View;
use cuttlefish_runtime::host::actor::ActorMailbox;
use cuttlefish_runtime::host::{End, Host, Observer, RunSnapshot, Storekeeper};
use cuttlefish_runtime::inspect::{self, About, Access, Subject};
use cuttlefish_runtime::store::Store;
use cuttlefish_runtime::transport::Link;
use cuttlefish_runtime::transport::{Mailbox, MemoryTransport};

use crate::store::Embedded;

/// Token of the one unit that asks for one.
pub const TOKEN: &str = "s3cret &/token";

const TOPOLOGY: &str = "
name: shapes
seed: 3
data: {source: digits}
network:
  layers:
    - {type: dense, name: hidden, units: 5, activation: relu}
    - {type: dense, name: shape, units: 3, activation: softmax}
  loss: sparse_categorical_crossentropy
training:
  epochs: 4
  batch_size: 8
  shuffle: false
  optimizer: {type: sgd, learning_rate: 0.1}
";

/// Height and width of the images.
pub const IMAGE: (usize, usize) = (3, 4);

pub fn graph(dataset: &Dataset) -> Graph {
    let document = parse(TOPOLOGY, &[]).unwrap();
    let shape = DataShape::from(dataset);
    document.graph(&shape, Grouping::Units(2)).unwrap()
}

/// Three kinds of images of 3 x 4 pixels: bright rows.
pub fn dataset() -> Dataset {
    let rows = 48;
    let pixel = |row: usize, i: usize| {
        let bright = u8::from(i / IMAGE.1 == row % 3);
        200 * bright + (row * 7 + i * 5) as u8 % 50
    };
    let image = |row| (0..12).map(move |i| pixel(row, i));
    Dataset {
        name: "shapes".to_owned(),
        features: 12,
        image: Some(IMAGE),
        feature_names: Vec::new(),
        values: Values::Bytes {
            bytes: (0..rows).flat_map(image).collect::<Vec<u8>>().into(),
            scale: 1.0 / 255.0,
        },
        task: Task::Classification {
            class_names: ["top", "middle", "bottom"].map(str::to_owned).to_vec(),
            labels: (0..rows as u32).map(|row| row % 3).collect(),
        },
        split: Split {
            train: (0..32).collect(),
            validation: (32..40).collect(),
            test: (40..48).collect(),
        },
    }
}

/// An actor with its server's point of view.
pub struct HostedActor {
    pub about: About,
    pub mailbox: ActorMailbox,
    pub observer: Arc<Observer>,
    pub link: Option<Link>,
}

#[async_trait]
impl Subject for HostedActor {
    fn about(&self) -> &About {
        &self.about
    }

    async fn view(&self) -> Option<View> {
        self.mailbox.view(Duration::from_secs(60)).await
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn snapshot(&self, after: u64) -> RunSnapshot {
        self.observer.snapshot(after)
    }

    fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }
}

/// The servers of a run that has ended, and what they must agree with.
pub struct Run {
    pub outcome: Outcome,
    /// State of each neuron in the store at the last commit, by layer.
    pub stored: Vec<Vec<NeuronState>>,
    servers: BTreeMap<Address, SocketAddr>,
    /// A server of unit 0.0 that wants [`TOKEN`] and answers for the name `hidden-0`.
    pub guarded: SocketAddr,
}

impl Run {
    /// The server of an actor.
    pub fn server(&self, address: Address) -> SocketAddr {
        self.servers[&address]
    }

    /// The server of unit number `index` of a layer.
    pub fn unit(&self, layer: usize, index: usize) -> SocketAddr {
        self.server(Address::Unit { layer, index })
    }
}

/// The run of all tests that only look. Its threads end with the process.
pub static RUN: LazyLock<Run> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            sender.send(train().await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("the run ends")
});

/// Serves a subject on a thread of its own, which ends with the process.
pub fn serve(subject: Arc<dyn Subject>, access: Access) -> SocketAddr {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            sender.send(listen(subject, access)).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("the server starts")
}

fn listen(subject: Arc<dyn Subject>, access: Access) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(inspect::serve(listener, subject, access).unwrap());
    address
}

fn addresses(graph: &Graph) -> Vec<Address> {
    let units = (0..graph.layers.len()).flat_map(|layer| {
        let count = graph.layers[layer].unit_ranges().len();
        (0..count).map(move |index| Address::Unit { layer, index })
    });
    let others = [Address::Trainer, Address::Synapse(0)];
    others.into_iter().chain(units).collect()
}

async fn train() -> Run {
    let dataset = Arc::new(dataset());
    let graph = Arc::new(graph(&dataset));
    let embedded = Embedded::new().await;
    let store: Arc<dyn Store> = Arc::new(embedded.dynamo(&graph.name));
    let batches: Arc<dyn BatchSource> =
        Arc::new(Batches::new(dataset.clone(), graph.seed, 8, false));
    let observer = Arc::new(Observer::default());
    let runtime = tokio::runtime::Handle::current();
    let storekeeper = Storekeeper::new(store.clone(), runtime, observer.clone());
    let transport = Arc::new(MemoryTransport::default());
    let arbiter = actix_rt::Arbiter::new();
    let began = Instant::now();
    let mut mailboxes = BTreeMap::new();
    for address in addresses(&graph) {
        let (graph, batches) = (graph.clone(), batches.clone());
        let machine: Box<dyn Machine + Send> = match address {
            Address::Trainer => {
                let timing = Timing::default();
                Box::new(Trainer::new(graph, batches, &dataset.task, timing))
            }
            Address::Synapse(below) => Box::new(Synapse::new(graph, below)),
            Address::Unit { layer, index } => Box::new(Unit::new(graph, batches, layer, index)),
            Address::Layer(_) => unreachable!("a layer is not an actor"),
        };
        let mailbox = ActorMailbox::default();
        let host = Host::new(
            address,
            machine,
            transport.clone(),
            storekeeper.clone(),
            observer.clone(),
            mailbox.replies(),
            began,
        );
        mailbox.start(host, 64, &arbiter);
        mailboxes.insert(address, mailbox);
    }
    let routes = mailboxes
        .iter()
        .map(|(address, mailbox)| (*address, Arc::new(mailbox.clone()) as Arc<dyn Mailbox>));
    transport.connect(routes);
    for mailbox in mailboxes.values() {
        mailbox.feed(Input::Boot);
    }
    observer.wait(Duration::from_secs(60)).await;
    let Some(End::Finished(outcome)) = observer.snapshot(0).end else {
        panic!("the run has not finished: {:?}", observer.snapshot(0).end);
    };
    let mut stored = Vec::new();
    for (layer, of) in graph.layers.iter().enumerate() {
        let all = NeuronRange {
            layer,
            first: 0,
            count: of.units,
        };
        let states = store.read_commit(all, outcome.ledger.commit).await;
        stored.push(states.unwrap());
    }
    let hosted = |address: Address| -> Arc<dyn Subject> {
        Arc::new(HostedActor {
            about: About::new(&graph, address, dataset.image, began),
            mailbox: mailboxes[&address].clone(),
            observer: observer.clone(),
            link: (address == Address::Unit { layer: 0, index: 1 }).then(busy_link),
        })
    };
    let servers = mailboxes
        .keys()
        .map(|&address| (address, listen(hosted(address), Access::open())))
        .collect();
    let access = Access::with_token(TOKEN).unwrap().allow("hidden-0");
    let guarded = listen(hosted(Address::Unit { layer: 0, index: 0 }), access);
    // The actors live as long as their thread, and the servers ask them.
    std::mem::forget((arbiter, embedded));
    Run {
        outcome: *outcome,
        stored,
        servers,
        guarded,
    }
}

/// A link that has carried something.
fn busy_link() -> Link {
    let link = Link::default();
    let counts = [
        (&link.sent.messages, 11),
        (&link.sent.bytes, 22),
        (&link.received.messages, 33),
        (&link.received.bytes, 44),
        (&link.refused, 55),
        (&link.sessions, 2),
    ];
    for (count, value) in counts {
        count.store(value, Ordering::Relaxed);
    }
    link.set(cuttlefish_runtime::transport::LinkState::Connected);
    link
}
