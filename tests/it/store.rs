//! The embedded store: the contract, what large neurons leave behind, lost replies, `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::{RuntimeComponents, SharedHttpClient};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use cuttlefish::store::{DEFAULT_TABLE, DynamoStore, Error, Store, Written, embedded};
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};

use crate::store_contract::{self as contract, Backend, ONE, TWO, commit, ledger, neurons, states};

/// A database in a directory that goes away with it.
struct Embedded {
    client: Client,
    _directory: tempfile::TempDir,
}

impl Embedded {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = open(directory.path()).await;
        Self {
            client,
            _directory: directory,
        }
    }

    fn dynamo(&self, run: &str) -> DynamoStore {
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

impl Backend for Embedded {
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

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

macro_rules! embedded_passes {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            block_on(async { contract::$name(&Embedded::new().await).await });
        }
    )*};
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
        assert_eq!(write(TWO, 1).await, Written::Accepted);
        assert_eq!(write(TWO, 2).await, Written::Accepted);
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 10);
        assert_eq!(write(TWO, 3).await, Written::Accepted);
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 10);

        // A zombie's parts land beside ours, whose head goes on naming ours ...
        assert!(matches!(write(ONE, 3).await, Written::Refused { .. }));
        assert_eq!(backend.sort_keys("parts#1#0").await.len(), 14);
        let read = store.read_commit(range, commit(3)).await.unwrap();
        assert!(read == states(range, 3, 150_000));
        // ... and go with the next commit to the slot.
        assert_eq!(write(TWO, 5).await, Written::Accepted);
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
        assert_eq!(written.await.unwrap(), Written::Accepted);
        let lost = backend.sort_keys("parts#1#0").await.pop().unwrap();
        let mut empty = std::collections::HashMap::new();
        empty.insert("pk".to_owned(), AttributeValue::S("parts#1#0".into()));
        empty.insert("sk".to_owned(), AttributeValue::S(lost.clone()));
        let request = aws_sdk_dynamodb::types::WriteRequest::builder().delete_request(
            aws_sdk_dynamodb::types::DeleteRequest::builder()
                .set_key(Some(empty))
                .build()
                .unwrap(),
        );
        let batch = backend.client.batch_write_item();
        let batch = batch.request_items(DEFAULT_TABLE, vec![request.build()]);
        batch.send().await.unwrap();
        let error = store.read_commit(range, commit(1)).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { neuron: 0, .. }));
        assert!(error.to_string().contains(&lost), "{error}");
    });
}

/// Hands the first request on and loses its reply; before that, somebody else may draw a
/// generation.
#[derive(Clone, Debug)]
struct LosesTheFirstReply {
    inner: SharedHttpClient,
    is_lost: Arc<AtomicBool>,
    successor: Option<DynamoStore>,
}

#[derive(Debug)]
struct LossyConnector(LosesTheFirstReply, SharedHttpConnector);

impl HttpClient for LosesTheFirstReply {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(LossyConnector(self.clone(), inner))
    }
}

impl HttpConnector for LossyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let reply = self.1.call(request);
        let wire = self.0.clone();
        HttpConnectorFuture::new(async move {
            let reply = reply.await;
            if wire.is_lost.swap(true, Ordering::SeqCst) {
                return reply;
            }
            if let Some(successor) = wire.successor {
                successor.begin_generation().await.unwrap();
            }
            Err(ConnectorError::io("the connection broke".into()))
        })
    }
}

/// The same run behind a wire that loses the first reply.
fn lossy(store: &Embedded, run: &str, successor: Option<DynamoStore>) -> DynamoStore {
    let config = store.client.config();
    let wire = LosesTheFirstReply {
        inner: config.http_client().unwrap(),
        is_lost: Arc::default(),
        successor,
    };
    let client = Client::from_conf(config.to_builder().http_client(wire).build());
    DynamoStore::new(client, DEFAULT_TABLE, run).unwrap()
}

#[test]
fn a_write_whose_reply_is_lost_is_accepted() {
    block_on(async {
        let backend = Embedded::new().await;
        let run = "lost";
        let store = lossy(&backend, run, None);
        let begun = store.begin_generation().await.unwrap();
        assert_eq!(begun, (TWO, None), "a lost draw skips a number");

        let store = lossy(&backend, run, None);
        let states = states(neurons(0, 1), 1, 4);
        let written = store.write_commit(TWO, neurons(0, 1), commit(1), &states);
        assert_eq!(written.await.unwrap(), Written::Accepted);

        let store = lossy(&backend, run, Some(backend.dynamo(run)));
        let written = store.write_ledger(TWO, &ledger(1)).await.unwrap();
        assert_eq!(written, Written::Accepted);
        let found = backend.dynamo(run).read_ledger().await.unwrap();
        assert_eq!(found, Some((Generation(3), Some(ledger(1)))));
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
        for name in ["", "a#b"] {
            let error = DynamoStore::new(client.clone(), "elsewhere", name).unwrap_err();
            assert!(matches!(error, Error::InvalidRun { .. }), "{error}");
        }
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
        // What is still in the pipe after the kill was acknowledged, too.
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
            let (generation, found) = store.read_ledger().await.unwrap().unwrap();
            assert_eq!(generation, Generation(round));
            // The write after the last acknowledged one may have got through.
            let found = found.unwrap().commit.number;
            assert!((newest..=newest + 1).contains(&found), "{newest} {found}");
            for number in [found - 1, found] {
                let read = store.read_commit(CRASHING, commit(number)).await;
                match read {
                    Ok(read) => assert!(read == states(CRASHING, number, 785)),
                    // The next commit is being written to the other slot.
                    Err(Error::OtherCommit { found: other, .. }) => {
                        assert_eq!((number, other), (found - 1, commit(found + 1)));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            newest = found;
        });
    }
}

#[test]
#[ignore = "the child of `what_was_acknowledged_survives_kill_9`: writes until it is killed"]
fn writer_that_is_killed() {
    block_on(async {
        let client = open(Path::new(".")).await;
        let store = DynamoStore::new(client, DEFAULT_TABLE, "crash").unwrap();
        let (generation, found) = store.begin_generation().await.unwrap();
        let first = found.map_or(1, |ledger| ledger.commit.number + 1);
        for number in first..first + 10_000 {
            let states = states(CRASHING, number, 785);
            let written = store.write_commit(generation, CRASHING, commit(number), &states);
            assert_eq!(written.await.unwrap(), Written::Accepted);
            let written = store.write_ledger(generation, &ledger(number)).await;
            assert_eq!(written.unwrap(), Written::Accepted);
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
            assert_eq!(written.await.unwrap(), Written::Accepted);
            let wrote = start.elapsed();
            store.read_commit(range, commit(number)).await.unwrap();
            let read = start.elapsed() - wrote;
            println!("138 neurons of 6 KB: written in {wrote:.1?}, read in {read:.1?}");
        }
    });
}
