//! Requests to AWS that are written down instead of sent, for those who send them by other means.
//!
//! They are what the SDK makes of the very calls that send them elsewhere, so that nothing is described
//! twice: bodies as `aws ... --cli-input-json` takes them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedHttpClient};
use serde_json::{Value, json};

use super::{DynamoStore, Error, client, in_process};

/// A request that was not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `PutItem`.
    pub operation: String,
    /// What it says; names in alphabetical order.
    pub body: Value,
}

/// Requests of clients, in the order in which they were made.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Request>>>);

impl Requests {
    /// What a client makes its requests with. `answer` is the service's answer, as far as anybody looks at
    /// it.
    pub fn http(&self, answer: fn(&Request) -> Value) -> SharedHttpClient {
        let requests = self.clone();
        in_process::http(move |target, body| {
            let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
            // Items are maps, which have no order of their own.
            body.sort_all_objects();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let request = Request { operation, body };
            let answered = answer(&request).to_string();
            requests.locked().push(request);
            (200, answered)
        })
    }

    /// What has been asked since this was called last.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.locked())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests that store what a run is and its prepared data set, which has this hash. The first one is
/// refused where there is another run of that name, the last one completes the data set.
///
/// # Errors
/// When one of them cannot be made.
pub async fn of_run(
    table: &str,
    run: &str,
    record: &str,
    sha256: &str,
    prepared: &[u8],
) -> Result<Vec<Value>, Error> {
    let requests = Requests::default();
    // Nothing is there.
    let http = requests.http(|_| json!({}));
    let config = client::config(http)
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "requests"))
        .endpoint_url("http://requests.invalid");
    let store = DynamoStore::new(Client::from_conf(config.build()), table, run)?;
    store.put_record_once(record).await?;
    store.put_data(sha256, prepared).await?;
    let puts = requests.take().into_iter();
    Ok(puts
        .filter(|one| one.operation == "PutItem")
        .map(|one| one.body)
        .collect())
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
        let asked = of_run(DEFAULT_TABLE, "run", "a record", "hash", &data);
        let asked = asked.await.unwrap();
        assert_eq!(asked.len(), 1 + 3, "noise cannot be compressed");
        assert_eq!(
            asked[0]["ConditionExpression"],
            "attribute_not_exists(#record) OR #record = :record"
        );

        let home = tempfile::tempdir().unwrap();
        let client = embedded::open(&home.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client, DEFAULT_TABLE, "run").unwrap();
        store.ensure_table().await.unwrap();
        for body in &asked {
            assert!(!store.has_data("hash").await.unwrap(), "whole or not there");
            store.put(item(body)).await.unwrap();
        }
        let record = store.get_record().await.unwrap();
        assert_eq!(record.as_deref(), Some("a record"));
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
