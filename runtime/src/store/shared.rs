//! Data set and snapshot of a run in its store, where its actors and the people who watch them share no disk
//! and no network but this.
//!
//! ```text
//! pk = <run>#data#<part>   sk = <sha256>   `data`, a part of the prepared data set, compressed; `parts`
//! pk = <run>#run           sk = look       `look`, JSON
//!
//! A part has a partition of its own, as one takes only so much at once.
//! ```

use std::io::{Read, Write};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::dynamodb::in_order;
use super::item::{self, MAX_VALUE_BYTES};
use super::{DynamoStore, Error};

const SNAPSHOT_SK: &str = "look";

impl DynamoStore {
    /// Keeps a prepared data set. It is under its hash, so parts of another one are never mixed in; the
    /// first part, which says how many there are, is written last.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn put_data(&self, sha256: &str, prepared: &[u8]) -> Result<(), Error> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let packed = encoder.write_all(prepared).and_then(|()| encoder.finish());
        let packed = packed.expect("memory can be written");
        let total = packed.len().div_ceil(MAX_VALUE_BYTES);
        for (part, bytes) in packed.chunks(MAX_VALUE_BYTES).enumerate().rev() {
            // One after the other, and not those that an earlier try has brought there: a table takes
            // only so much a second.
            if self.data_part(sha256, part).await?.is_some() {
                continue;
            }
            let mut item = self.data_key(sha256, part);
            item.insert("data".to_owned(), AttributeValue::B(Blob::new(bytes)));
            item.insert("parts".to_owned(), item::number(total));
            self.put(item).await?;
        }
        Ok(())
    }

    /// True when the data set of this hash is there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_data(&self, sha256: &str) -> Result<bool, Error> {
        Ok(self.data_part(sha256, 0).await?.is_some())
    }

    /// Prepared data set of this hash; `None` if it is not there, or not whole.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get_data(&self, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((total, first)) = self.data_part(sha256, 0).await? else {
            return Ok(None);
        };
        let jobs = (1..total).map(|part| {
            let (store, sha256) = (self.clone(), sha256.to_owned());
            async move { store.data_part(&sha256, part).await }
        });
        let mut packed = first;
        for part in in_order(jobs).await? {
            let Some((_, bytes)) = part else {
                return Ok(None);
            };
            packed.extend(bytes);
        }
        let mut prepared = Vec::new();
        let unpacked = GzDecoder::new(packed.as_slice()).read_to_end(&mut prepared);
        Ok(unpacked.ok().map(|_| prepared))
    }

    fn data_key(&self, sha256: &str, part: usize) -> item::Item {
        let pk = format!("{}data#{part:06}", item::run_prefix(&self.run));
        item::key(pk, sha256)
    }

    /// Number of all parts, and content of this one.
    async fn data_part(
        &self,
        sha256: &str,
        part: usize,
    ) -> Result<Option<(usize, Vec<u8>)>, Error> {
        let item = self.get(self.data_key(sha256, part)).await?;
        Ok(item.and_then(|mut item| {
            let parts = item::integer(&item, "parts").ok()?;
            match item.remove("data") {
                Some(AttributeValue::B(data)) => Some((parts as usize, data.into_inner())),
                _ => None,
            }
        }))
    }

    /// Keeps the snapshot of the run that its trainer shows, as JSON.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn put_snapshot(&self, snapshot: &str) -> Result<(), Error> {
        let mut item = item::key(item::run_pk(&self.run), SNAPSHOT_SK);
        item.insert("look".to_owned(), item::text(snapshot));
        self.put(item).await
    }

    /// Reads the snapshot that [`Self::put_snapshot`] kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get_snapshot(&self) -> Result<Option<String>, Error> {
        let key = item::key(item::run_pk(&self.run), SNAPSHOT_SK);
        let item = self.get(key).await?;
        Ok(match item.and_then(|mut item| item.remove("look")) {
            Some(AttributeValue::S(snapshot)) => Some(snapshot),
            _ => None,
        })
    }
}
