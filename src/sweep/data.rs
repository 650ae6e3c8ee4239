//! Data sets of sweeps: prepared once by the server, fetched once by each worker.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::digest::hexadecimal;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::Error;
use crate::data::prepared;
use crate::record::data_sha256;
use crate::store::DynamoStore;

/// Data sets that a worker keeps at most.
const MAX_KEPT: usize = 64;
/// The first ones are kept for good; of the others, which the store has, the oldest goes first.
pub const PINNED: usize = 32;

/// Data sets by the SHA-256 of their prepared form. Clones share them.
#[derive(Clone)]
pub struct DataCache {
    shared: Arc<Shared>,
}

struct Shared {
    directory: TempDir,
    kept: Mutex<VecDeque<(String, Arc<Dataset>)>>,
}

/// A data set in the form in which workers get it.
pub struct PreparedData {
    /// SHA-256 of the form: of values, right answers and split.
    pub sha256: String,
    /// The form itself.
    pub bytes: Vec<u8>,
}

impl PreparedData {
    /// The form of a data set.
    ///
    /// # Errors
    /// When it is too large.
    pub fn new(dataset: &Dataset) -> Result<Self, Error> {
        let bytes = prepared::bytes(dataset, &data_sha256(dataset)).map_err(Error::Prepare)?;
        Ok(Self {
            sha256: sha256(&bytes),
            bytes,
        })
    }
}

impl DataCache {
    /// An empty cache, with a directory of its own that goes with it.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new() -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("cuttlefish-data-")
            .tempdir();
        Ok(Self {
            shared: Arc::new(Shared {
                directory: directory.map_err(Error::Prepare)?,
                kept: Mutex::default(),
            }),
        })
    }

    /// Keeps a data set that is here already.
    pub async fn insert(&self, sha256: &str, dataset: Arc<Dataset>) {
        let mut kept = self.shared.kept.lock().await;
        keep(&mut kept, sha256, dataset);
    }

    /// The data set of a hash, fetched from the store if it is not here.
    ///
    /// # Errors
    /// When the store does not have it whole, or the disk is full.
    pub async fn get(&self, sha256: &str, store: &DynamoStore) -> Result<Arc<Dataset>, Error> {
        // Locked until it is there: it is fetched once, however many ask.
        let mut kept = self.shared.kept.lock().await;
        if let Some((_, dataset)) = kept.iter().find(|(hash, _)| hash == sha256) {
            return Ok(dataset.clone());
        }
        let missing = || Error::NoData {
            sha256: sha256.to_owned(),
        };
        let bytes = store.get_data(sha256).await?.ok_or_else(missing)?;
        if self::sha256(&bytes) != sha256 {
            return Err(missing());
        }
        let path = self.path(sha256);
        std::fs::write(&path, bytes).map_err(Error::Prepare)?;
        let mapped = prepared::map(&path).map_err(|error| Error::Mapped(error.to_string()));
        // The mapping keeps the file for as long as it is needed.
        let _ = std::fs::remove_file(&path);
        let dataset = Arc::new(mapped?.dataset);
        keep(&mut kept, sha256, dataset.clone());
        Ok(dataset)
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.shared.directory.path().join(sha256)
    }
}

fn keep(kept: &mut VecDeque<(String, Arc<Dataset>)>, sha256: &str, dataset: Arc<Dataset>) {
    if kept.len() >= MAX_KEPT {
        kept.remove(PINNED);
    }
    kept.push_back((sha256.to_owned(), dataset));
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}
