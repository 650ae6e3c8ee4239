//! The embedded store: the contract, what large neurons leave behind, two processes, `kill -9`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, KeySchemaElement, KeyType,
    ScalarAttributeType, WriteRequest,
};
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};
use cuttlefish_runtime::store::{
    DEFAULT_TABLE, DynamoStore, Endpoint, Error, Store, WriteReply, connect, embedded, serve,
};

use crate::store_contract::{
    self as contract, ONE, StoreBackend, TWO, commit, ledger, neurons, states,
};

/// A database in a directory that goes away with it.
pub struct Embedded {
    pub client: Client,
    _directory: tempfile::TempDir,
}

impl Embedded {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = open(directory.path()).await;
        Self {
            client,
            _directory: directory,
        }
    }

    pub fn dynamo(&self, run: &str) -> DynamoStore {
        DynamoStore::new(self.client.clone(), DEFAULT_TABLE, run).unwrap()
    }

    /// Sort keys of what is stored for a neuron.
    async fn sort_keys(&self, pk: &str) -> Vec<String> {
        let mut pages = self
            .client
            .query()
            .table_name(DEFAULT_TABLE)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            keys.push(item.unwrap()["sk"].as_s().unwrap().clone());
        }
        keys
    }
}

impl StoreBackend for Embedded {
    fn store(&self, run: &str) -> Arc<dyn Store> {
        Arc::new(self.dynamo(run))
    }

    async fn damage(&self, run: &str, layer: usize, neuron: usize, commit: CommitPoint) {
        let pk = AttributeValue::S(format!("{run}#{layer}#{neuron}"));
        let sk = AttributeValue::S(format!("commit#{}", commit.slot()));
        let get = self.client.get_item().table_name(DEFAULT_TABLE);
        let reply = get.key("pk", pk).key("sk", sk).send().await.unwrap();
        let mut item = reply.item.unwrap();
        let mut weights = item["weights"].as_b().unwrap().clone().into_inner();
        weights[0] ^= 1;
        item.insert("weights".into(), AttributeValue::B(Blob::new(weights)));
        let put = self.client.put_item().table_name(DEFAULT_TABLE);
        put.set_item(Some(item)).send().await.unwrap();
    }
}

async fn open(directory: &Path) -> Client {
    let client = embedded::open(&directory.join("store.db")).unwrap();
    let store = DynamoStore::new(client.clone(), DEFAULT_TABLE, "any").unwrap();
    store.ensure_table().await.unwrap();
    client
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The embedded store behind a real HTTP server, as containers reach it.
struct StoreServer {
    embedded: Embedded,
    server: actix_web::dev::ServerHandle,
}

impl StoreServer {
    async fn new() -> Self {
        let (port, server, directory) = serve_one();
        let client = client(port, "key");
        let store = DynamoStore::new(client.clone(), DEFAULT_TABLE, "any").unwrap();
        store.ensure_table().await.unwrap();
        let embedded = Embedded {
            client,
            _directory: directory,
        };
        Self { embedded, server }
    }
}

/// A served database for those who have the key `key`: its port, its handle, its directory.
fn serve_one() -> (u16, actix_web::dev::ServerHandle, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = directory.path().join("store.db");
    let server = serve::serve(listener, &file, Some("key")).unwrap();
    let handle = server.handle();
    tokio::spawn(server);
    (port, handle, directory)
}

fn client(port: u16, key: &str) -> Client {
    let credentials = Credentials::new(key, "unused", None, None, "test");
    connect(Endpoint {
        region: "local".to_owned(),
        url: Some(format!("http://127.0.0.1:{port}")),
        credentials: SharedCredentialsProvider::new(credentials),
    })
}

impl StoreBackend for StoreServer {
    fn store(&self, run: &str) -> Arc<dyn Store> {
        self.embedded.store(run)
    }

    async fn damage(&self, run: &str, layer: usize, neuron: usize, commit: CommitPoint) {
        self.embedded.damage(run, layer, neuron, commit).await;
    }
}

#[test]
fn a_served_store_refuses_other_keys() {
    block_on(async {
        let (port, server, _directory) = serve_one();
        let store = DynamoStore::new(client(port, "other"), DEFAULT_TABLE, "any").unwrap();
        let error = store.ensure_table().await.unwrap_err().to_string();
        assert!(error.contains("access key"), "{error}");
        server.stop(false).await;
    });
}

macro_rules! embedded_passes {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                block_on(async { contract::$name(&Embedded::new().await).await });
            }
        )*

        /// The embedded store over HTTP.
        mod served {
            use super::*;
            $(
                #[test]
                fn $name() {
                    block_on(async {
                        let served = StoreServer::new().await;
                        contract::$name(&served).await;
                        served.server.stop(false).await;
                    });
                }
            )*
        }
    };
}

embedded_passes! {
    generations_drawn_at_once_are_all_different
    a_run_is_unknown_until_a_generation_is_drawn
    only_the_newest_generation_writes_the_ledger
    a_generation_that_was_never_drawn_writes_no_ledger
    a_ledger_that_would_not_read_back_is_not_written
    a_slot_of_a_newer_generation_refuses_older_ones
    a_request_that_lands_late_does_not_bring_an_old_commit_back
    a_rewound_run_writes_an_earlier_commit_over_a_later_one
    two_slots_do_not_disturb_each_other
    a_commit_reads_back_with_any_grouping
    what_cannot_be_read_is_named
    a_neuron_larger_than_an_item_round_trips
    bits_of_odd_floats_survive
    a_record_is_kept
    removing_a_run_leaves_its_namesakes_alone
}

#[test]
fn parts_that_a_commit_replaces_are_removed_and_no_others() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = backend.dynamo("parts");
        let range = neurons(0, 1);
        let write = async |generation, number| {
            let states = states(range, number, 150_000);
            let written = store.write_commit(generation, range, commit(number), &states);
            written.await.unwrap()
        };
        // 1.2 MB: a head and four parts in each of the two slots.
        assert_eq!(write(TWO, 1).await, WriteReply::Accepted);
        assert_eq!(write(TWO, 2).await, WriteReply::Accepted);
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 10);
        assert_eq!(write(TWO, 3).await, WriteReply::Accepted);
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 10);

        // A zombie's parts land beside ours, whose head goes on naming ours ...
        assert!(matches!(write(ONE, 3).await, WriteReply::Refused { .. }));
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 14);
        let read = store.read_commit(range, commit(3)).await.unwrap();
        assert!(read == states(range, 3, 150_000));
        // ... and go with the next commit to the slot.
        assert_eq!(write(TWO, 5).await, WriteReply::Accepted);
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 10);
    });
}

#[test]
fn a_lost_part_is_named() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = backend.dynamo("parts");
        let range = neurons(0, 1);
        let states = states(range, 1, 150_000);
        let written = store.write_commit(ONE, range, commit(1), &states);
        assert_eq!(written.await.unwrap(), WriteReply::Accepted);
        let lost = backend.sort_keys("parts#1#0").await.pop().unwrap();
        let key = DeleteRequest::builder()
            .key("pk", AttributeValue::S("parts#1#0".into()))
            .key("sk", AttributeValue::S(lost.clone()));
        let delete = WriteRequest::builder().delete_request(key.build().unwrap());
        let batch = backend.client.batch_write_item();
        let batch = batch.request_items(DEFAULT_TABLE, vec![delete.build()]);
        batch.send().await.unwrap();
        let error = store.read_commit(range, commit(1)).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { neuron: 0, .. }));
        assert!(error.to_string().contains(&lost), "{error}");
    });
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let content = "this is not a database, but long enough to have a header".repeat(20);
    std::fs::write(&path, &content).unwrap();
    let error = embedded::open(&path).unwrap_err();
    assert!(matches!(error, Error::Unopenable { .. }), "{error:?}");
    assert!(error.to_string().contains("store.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[test]
fn a_missing_table_and_a_foreign_one_are_named() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let client = embedded::open(&directory.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client.clone(), "elsewhere", "run").unwrap();
        let error = store.begin_generation().await.unwrap_err();
        assert!(matches!(error, Error::NoTable { .. }), "{error}");
        store.ensure_table().await.unwrap();
        store.ensure_table().await.unwrap();
        store.begin_generation().await.unwrap();
        let key = KeySchemaElement::builder()
            .attribute_name("pk")
            .key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder()
            .attribute_name("pk")
            .attribute_type(ScalarAttributeType::S);
        client
            .create_table()
            .table_name("foreign")
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key.build().unwrap())
            .attribute_definitions(attribute.build().unwrap())
            .send()
            .await
            .unwrap();
        let foreign = DynamoStore::new(client.clone(), "foreign", "run").unwrap();
        let error = foreign.ensure_table().await.unwrap_err();
        assert!(matches!(error, Error::ForeignTable { .. }), "{error}");
    });
}

#[test]
fn a_name_that_could_begin_another_runs_keys_is_refused() {
    block_on(async {
        let client = Embedded::new().await.client;
        for name in ["", "a#b"] {
            let error = DynamoStore::new(client.clone(), DEFAULT_TABLE, name).unwrap_err();
            assert!(matches!(error, Error::InvalidRun { .. }), "{error}");
        }
    });
}

#[test]
fn two_openings_of_a_file_share_one_fence() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let mut draws = tokio::task::JoinSet::new();
        let mut stores = Vec::new();
        for _ in 0..2 {
            let client = open(directory.path()).await;
            let store = DynamoStore::new(client, DEFAULT_TABLE, "shared").unwrap();
            for _ in 0..20 {
                let store = store.clone();
                draws.spawn(async move { store.begin_generation().await.unwrap().0 });
            }
            stores.push(store);
        }
        let drawn: BTreeSet<_> = draws.join_all().await.into_iter().collect();
        assert_eq!(drawn, (1..=40).map(Generation).collect());

        let range = neurons(0, 1);
        let newer = states(range, 2, 4);
        let written = contract::write(&stores[0], TWO, range, 1, &newer).await;
        assert_eq!(written, WriteReply::Accepted);
        let older = contract::write(&stores[1], ONE, range, 1, &states(range, 1, 4)).await;
        assert_eq!(older, WriteReply::Refused { newest: TWO });
        let read = stores[1].read_commit(range, commit(1)).await.unwrap();
        assert_eq!(read, newer);
    });
}

const CRASHING: NeuronRange = NeuronRange {
    layer: 1,
    first: 0,
    count: 20,
};

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::writer_that_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = |line: String| line.rsplit_once("acknowledged ")?.1.parse::<u64>().ok();
        let mut killed = false;
        // Everything still in the pipe after the kill was acknowledged, too.
        for number in lines.map_while(Result::ok).filter_map(acknowledged) {
            newest = number;
            if !killed && number >= round * 15 {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(
            killed && newest >= round * 15,
            "the child wrote up to {newest}"
        );

        block_on(async {
            let client = open(directory.path()).await;
            let store = DynamoStore::new(client, DEFAULT_TABLE, "crash").unwrap();
            let (generation, ledger) = store.read_ledger().await.unwrap().unwrap();
            assert_eq!(generation, Generation(round));
            // The write after the last acknowledged one may have got through.
            let last = ledger.unwrap().commit.number;
            assert!((newest..=newest + 1).contains(&last), "{newest} {last}");
            for number in [last - 1, last] {
                let read = store.read_commit(CRASHING, commit(number)).await;
                match read {
                    Ok(read) => assert!(read == states(CRASHING, number, 785)),
                    // The next commit is being written to the other slot.
                    Err(Error::OtherCommit { found: other, .. }) => {
                        assert_eq!((number, other), (last - 1, commit(last + 1)));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            newest = last;
        });
    }
}

#[test]
#[ignore = "the child of `what_was_acknowledged_survives_kill_9`: writes until it is killed"]
fn writer_that_is_killed() {
    block_on(async {
        let client = open(Path::new(".")).await;
        let store = DynamoStore::new(client, DEFAULT_TABLE, "crash").unwrap();
        let (generation, newest) = store.begin_generation().await.unwrap();
        let first = newest.map_or(1, |ledger| ledger.commit.number + 1);
        for number in first..first + 10_000 {
            let states = states(CRASHING, number, 785);
            let written = store.write_commit(generation, CRASHING, commit(number), &states);
            assert_eq!(written.await.unwrap(), WriteReply::Accepted);
            let written = store.write_ledger(generation, &ledger(number)).await;
            assert_eq!(written.unwrap(), WriteReply::Accepted);
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {number}").unwrap();
            out.flush().unwrap();
        }
    });
}

#[test]
#[ignore = "a measurement: run it with --ignored --nocapture in a release build"]
fn how_long_a_commit_of_784_128_10_takes() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = backend.dynamo("timed");
        let range = neurons(0, 138);
        for number in 1..=10 {
            let states = states(range, number, 785);
            let start = Instant::now();
            let written = store.write_commit(ONE, range, commit(number), &states);
            assert_eq!(written.await.unwrap(), WriteReply::Accepted);
            let wrote = start.elapsed();
            store.read_commit(range, commit(number)).await.unwrap();
            let read = start.elapsed() - wrote;
            println!("138 neurons of 6 KB: written in {wrote:.1?}, read in {read:.1?}");
        }
    });
}
