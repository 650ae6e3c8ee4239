//! Faults of the wire to a store: it loses a reply, throttles, denies, or is not there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{
    Credentials, RuntimeComponents, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use cuttlefish_core::ids::Generation;
use cuttlefish_runtime::store::{
    DEFAULT_TABLE, DynamoStore, Endpoint, Error, Store, WriteReply, connect,
};

use crate::store::{Embedded, block_on};
use crate::store_contract::{TWO, ledger, neurons, states, write};

/// Fault of a request.
#[derive(Clone)]
enum WireFault {
    /// The store does it and the reply is lost; before that, somebody may draw a generation.
    LostReply(Option<DynamoStore>),
    /// The store answers with an error, having done nothing.
    Answer(u16, &'static str),
    /// The store leaves every item of a batch for later, and does anything else.
    LeavesItems,
}

/// A wire on which the first `left` requests meet a fault.
#[derive(Clone)]
struct Wire {
    inner: SharedHttpClient,
    left: Arc<AtomicU32>,
    fault: WireFault,
}

struct Connector(Wire, SharedHttpConnector);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector(self.clone(), inner))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let left = self.0.left.load(Ordering::SeqCst);
        let is_batch = request.headers().get("x-amz-target");
        let is_batch = is_batch.is_some_and(|target| target.ends_with("BatchWriteItem"));
        let is_spared = matches!(self.0.fault, WireFault::LeavesItems) && !is_batch;
        if left == 0 || is_spared {
            return self.1.call(request);
        }
        self.0.left.store(left - 1, Ordering::SeqCst);
        match self.0.fault.clone() {
            WireFault::Answer(status, code) => {
                let body = format!(r#"{{"__type":"x#{code}","message":"said the server"}}"#);
                let status = status.try_into().unwrap();
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.into())))
            }
            WireFault::LeavesItems => {
                let asked = request.body().bytes().expect("a body in memory");
                let asked: serde_json::Value = serde_json::from_slice(asked).unwrap();
                let body = serde_json::json!({"UnprocessedItems": asked["RequestItems"]});
                let answer = HttpResponse::new(200.try_into().unwrap(), body.to_string().into());
                HttpConnectorFuture::ready(Ok(answer))
            }
            WireFault::LostReply(successor) => {
                let reply = self.1.call(request);
                HttpConnectorFuture::new(async move {
                    reply.await.unwrap();
                    if let Some(successor) = successor {
                        successor.begin_generation().await.unwrap();
                    }
                    Err(ConnectorError::io("the connection broke".into()))
                })
            }
        }
    }
}

/// The store of `run` behind a wire with a fault for the next `count` requests.
fn faulty(backend: &Embedded, count: u32, fault: WireFault) -> DynamoStore {
    let config = backend.client.config();
    let wire = Wire {
        inner: config.http_client().unwrap(),
        left: Arc::new(AtomicU32::new(count)),
        fault,
    };
    let client = Client::from_conf(config.to_builder().http_client(wire).build());
    DynamoStore::new(client, DEFAULT_TABLE, "wire").unwrap()
}

#[test]
fn a_write_whose_reply_is_lost_is_accepted() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = faulty(&backend, 1, WireFault::LostReply(None));
        let begun = store.begin_generation().await.unwrap();
        assert_eq!(begun, (TWO, None), "a lost draw skips a number");

        let range = neurons(0, 1);
        let store = faulty(&backend, 1, WireFault::LostReply(None));
        let written = write(&store, TWO, range, 1, &states(range, 1, 4)).await;
        assert_eq!(written, WriteReply::Accepted);

        // Even when the fence has closed behind it before it was repeated.
        let successor = Some(backend.dynamo("wire"));
        let store = faulty(&backend, 1, WireFault::LostReply(successor));
        let written = store.write_ledger(TWO, &ledger(1)).await.unwrap();
        assert_eq!(written, WriteReply::Accepted);
        let stored = backend.dynamo("wire").read_ledger().await.unwrap();
        assert_eq!(stored, Some((Generation(3), Some(ledger(1)))));
    });
}

#[test]
fn a_store_that_throttles_or_stumbles_is_asked_again() {
    block_on(async {
        let backend = Embedded::new().await;
        for fault in [
            WireFault::Answer(400, "ProvisionedThroughputExceededException"),
            WireFault::Answer(400, "ThrottlingException"),
            WireFault::Answer(500, "InternalServerError"),
        ] {
            let store = faulty(&backend, 3, fault.clone());
            store.begin_generation().await.unwrap();
            let store = faulty(&backend, u32::MAX, fault);
            let error = store.begin_generation().await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            assert!(error.retryable());
            assert!(error.to_string().contains("said the server"), "{error}");
        }
    });
}

#[test]
fn items_that_a_table_leaves_for_later_are_deleted_later() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = faulty(&backend, 2, WireFault::LeavesItems);
        store.begin_generation().await.unwrap();
        store.put_record("{}").await.unwrap();
        assert_eq!(store.remove_run().await.unwrap(), 2);
        assert_eq!(store.get_record().await.unwrap(), None);
    });
}

#[test]
fn a_store_that_denies_or_rejects_is_not() {
    block_on(async {
        let backend = Embedded::new().await;
        let store = faulty(&backend, 1, WireFault::Answer(400, "AccessDeniedException"));
        let error = store.begin_generation().await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(!error.retryable());
        let store = faulty(&backend, 1, WireFault::Answer(400, "ValidationException"));
        let error = store.begin_generation().await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert!(!error.retryable());
    });
}

#[test]
fn a_store_that_is_not_there_is_unavailable_soon() {
    block_on(async {
        let credentials = Credentials::new("key", "secret", None, None, "test");
        let client = connect(Endpoint {
            region: "eu-west-1".to_owned(),
            // Nothing listens on the discard port.
            url: Some("http://127.0.0.1:9".to_owned()),
            credentials: SharedCredentialsProvider::new(credentials),
        });
        let store = DynamoStore::new(client, DEFAULT_TABLE, "wire").unwrap();
        let start = Instant::now();
        let error = store.begin_generation().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(25));
    });
}
