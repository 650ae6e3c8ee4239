//! An embedded DynamoDB: the local target's store, a `SQLite` file in the run's directory.
//!
//! The client is the SDK's own, whose requests are answered by the database in this process
//! (`in_process`): everything above it is the code that talks to the real one, and nobody else on
//! the machine can reach the data but through the file's permissions.
//!
//! Acknowledged writes survive `kill -9`: `SQLite` runs with a write-ahead log and its default
//! `synchronous = FULL`, which also covers a power cut as far as the disk keeps its word.
//! Several processes may have the file open, as for a look at a run while it trains; the fence of
//! the generations works between them as it does on a server.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, client, in_process};

/// The code of an error that only the embedded database has.
pub(super) const STORAGE_FAILURE: &str = "StorageFailure";

/// Opens the database in `path`, creating it unless it exists, and returns a client of it. It is
/// closed with the last clone of the client.
///
/// Blocks while another process brings the file up to date, at most half a minute.
pub fn open(path: &Path) -> Result<Client, Error> {
    let database = database(path)?;
    // The database blocks: on its lock, on the disk, on another process.
    let http = in_process::http(move |target, body| answer_to(&database, target, body));
    let config = client::config(http)
        // Requests are signed as the protocol wants it; nobody checks.
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "embedded"))
        .endpoint_url("http://embedded.invalid");
    Ok(Client::from_conf(config.build()))
}

pub(super) fn database(path: &Path) -> Result<Arc<Database>, Error> {
    path.to_str()
        .ok_or_else(|| "the path is not UTF-8".into())
        .and_then(|path| Database::new(path).map_err(|error| error.into()))
        .map(Arc::new)
        .map_err(|source| unopenable(path, source))
}

fn unopenable(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let path = path.to_owned();
    // The database's error type is not ours to name: it belongs to a dependency's dependency.
    if source.to_string().contains("database is locked") {
        Error::Locked { path, source }
    } else {
        Error::Unopenable { path, source }
    }
}

/// Status and JSON of the answer to a request with this target (`DynamoDB_20120810.GetItem`).
pub(super) fn answer_to(database: &Database, target: &str, body: &[u8]) -> (u16, String) {
    let operation = target.rsplit('.').next().unwrap_or_default();
    match dispatch(database, operation, body) {
        Ok(json) => (200, json),
        Err(error) if is_beyond_retrying(&error) => {
            let message = error.to_string();
            let body = serde_json::json!({"__type": STORAGE_FAILURE, "message": message});
            (400, body.to_string())
        }
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// True when the file or its disk is at fault. The database reports that as a server's internal
/// error, which the SDK and everybody above it would try again and again.
fn is_beyond_retrying(error: &DynoxideError) -> bool {
    let text = error.to_string();
    [
        "disk is full",
        "disk I/O error",
        "malformed",
        "readonly database",
    ]
    .iter()
    .any(|problem| text.contains(problem))
}

/// The operations that the store uses.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "BatchWriteItem" => answer(body, |request| database.batch_write_item(request)),
        "CreateTable" => answer(body, |request| database.create_table(request)),
        "DescribeTable" => answer(body, |request| database.describe_table(request)),
        "GetItem" => answer(body, |request| database.get_item(request)),
        "PutItem" => answer(body, |request| database.put_item(request)),
        "Query" => answer(body, |request| database.query(request)),
        "Scan" => answer(body, |request| database.scan(request)),
        "UpdateItem" => answer(body, |request| database.update_item(request)),
        _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
    }
}

fn answer<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    let reply = run(request)?;
    serde_json::to_string(&reply)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
