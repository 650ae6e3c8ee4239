//! Requests to AWS that are written down instead of sent, for those who send them by other means.
//!
//! They are what the SDK makes of the very calls that send them elsewhere, so that nothing is described
//! twice: bodies as `aws ... --cli-input-json` takes them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedHttpClient};
use serde_json::{Value, json};

use super::{DynamoStore, Error, client, in_process};

const PUT: &str = "PutItem";

/// A request that was not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `PutItem`.
    pub operation: String,
    /// Its body as JSON, names in alphabetical order.
    pub body: Value,
}

/// Requests of clients, in the order in which they were made.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Request>>>);

impl Requests {
    /// HTTP client that keeps its requests. `answer` is the service's answer, as far as anybody looks at it.
    pub fn http(&self, answer: fn(&Request) -> Value) -> SharedHttpClient {
        let requests = self.clone();
        in_process::http(move |target, body| {
            let mut body: Value = match serde_json::from_slice(body) {
                Ok(body) => body,
                Err(error) => return (400, json!({"message": error.to_string()}).to_string()),
            };
            // Items are maps, which have no order of their own.
            body.sort_all_objects();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let request = Request { operation, body };
            let answered = answer(&request).to_string();
            requests.locked().push(request);
            (200, answered)
        })
    }

    /// The bodies of the requests for an operation that have been made since this was called last; the
    /// others stay.
    pub fn take(&self, operation: &str) -> Vec<Value> {
        let is_one = |request: &mut Request| request.operation == operation;
        let mut requests = self.locked();
        requests
            .extract_if(.., is_one)
            .map(|request| request.body)
            .collect()
    }

    /// Body of the only request; `None` where there are none or several.
    pub fn take_only(&self, operation: &str) -> Option<Value> {
        let [only] = <[Value; 1]>::try_from(self.take(operation)).ok()?;
        Some(only)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests that store a run.
#[derive(Clone, Debug)]
pub struct RunRequests {
    /// The run's record. Refused where there is another run of that name.
    pub record: Value,
    /// Snapshot of a run that has not begun.
    pub snapshot: Value,
    /// The parts of the prepared data set, the last of which completes it.
    pub data: Vec<Value>,
}

/// Requests that store what a run is, what its trainer shows before it has begun, and the prepared data
/// set of this hash.
///
/// # Errors
/// When one of them cannot be made.
pub async fn of_run(
    table: &str,
    run: &str,
    (record, snapshot): (&str, &str),
    sha256: &str,
    prepared: &[u8],
) -> Result<RunRequests, Error> {
    let requests = Requests::default();
    // Nothing is there.
    let http = requests.http(|_| json!({}));
    let config = client::config(http)
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "requests"))
        .endpoint_url("http://requests.invalid");
    let store = DynamoStore::new(Client::from_conf(config.build()), table, run)?;
    let put = || {
        let put = requests.take_only(PUT);
        put.ok_or(Error::NotAsked { operation: PUT })
    };
    store.put_record_once(record).await?;
    let record = put()?;
    store.put_snapshot(snapshot).await?;
    let snapshot = put()?;
    store.put_data(sha256, prepared).await?;
    let data = requests.take(PUT);
    Ok(RunRequests {
        record,
        snapshot,
        data,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::item::Item;
    use super::super::{DEFAULT_TABLE, Store, embedded};
    use super::*;

    /// An item as the body of a request says it.
    fn item(body: &Value) -> Item {
        let attributes = body["Item"].as_object().unwrap().iter();
        attributes
            .map(|(name, value)| {
                let (kind, text) = value.as_object().unwrap().iter().next().unwrap();
                let text = text.as_str().unwrap();
                let value = match kind.as_str() {
                    "S" => AttributeValue::S(text.to_owned()),
                    "N" => AttributeValue::N(text.to_owned()),
                    "B" => AttributeValue::B(Blob::new(STANDARD.decode(text).unwrap())),
                    other => panic!("{other}"),
                };
                (name.clone(), value)
            })
            .collect()
    }

    #[tokio::test]
    async fn what_is_asked_stores_a_run_and_its_data_set() {
        let mut noise = 1_u32;
        let data: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(1_000_000)
        .collect();
        let texts = ("a record", "a look");
        let stored = of_run(DEFAULT_TABLE, "run", texts, "hash", &data);
        let stored = stored.await.unwrap();
        assert_eq!(stored.data.len(), 3, "noise cannot be compressed");
        assert_eq!(
            stored.record["ConditionExpression"],
            "attribute_not_exists(#record) OR #record = :record"
        );

        let home = tempfile::tempdir().unwrap();
        let client = embedded::open(&home.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client, DEFAULT_TABLE, "run").unwrap();
        store.ensure_table().await.unwrap();
        for body in [&stored.record, &stored.snapshot]
            .into_iter()
            .chain(&stored.data)
        {
            assert!(!store.has_data("hash").await.unwrap(), "whole or not there");
            store.put(item(body)).await.unwrap();
        }
        let record = store.get_record().await.unwrap();
        assert_eq!(record.as_deref(), Some("a record"));
        let snapshot = store.get_snapshot().await.unwrap();
        assert_eq!(snapshot.as_deref(), Some("a look"));
        assert_eq!(store.get_data("hash").await.unwrap(), Some(data));
    }

    #[tokio::test]
    async fn a_record_is_kept_once() {
        let home = tempfile::tempdir().unwrap();
        let client = embedded::open(&home.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client, DEFAULT_TABLE, "run").unwrap();
        store.ensure_table().await.unwrap();
        for (record, is_kept) in [("one", true), ("one", true), ("two", false)] {
            assert_eq!(store.put_record_once(record).await.unwrap(), is_kept);
        }
        assert_eq!(store.get_record().await.unwrap().as_deref(), Some("one"));
    }
}
