//! Deletion of many items, some of which a table at its limit leaves for later.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};

use super::item::Item;
use super::{DynamoStore, Error, table};

/// DynamoDB's limit for one BatchWriteItem.
const DELETE_BATCH: usize = 25;
/// Requests in a row that delete nothing before the table is left alone: about 30 s.
const MAX_FRUITLESS: u32 = 18;
/// Doublings of the pause between them, at most: 2 s.
const MAX_DOUBLINGS: u32 = 3;

impl DynamoStore {
    /// Deletes items, given at least their keys.
    ///
    /// # Errors
    /// When the store refuses, or deletes nothing for half a minute.
    pub(super) async fn delete(&self, items: Vec<Item>) -> Result<u64, Error> {
        let count = items.len() as u64;
        let mut requests: Vec<WriteRequest> = items.into_iter().map(request).collect();
        let mut patience = Patience::default();
        while !requests.is_empty() {
            let batch = requests.split_off(requests.len().saturating_sub(DELETE_BATCH));
            let asked = batch.len();
            let reply = self
                .client
                .batch_write_item()
                .request_items(&*self.table, batch)
                .send()
                .await
                .map_err(|error| Error::from_sdk("BatchWriteItem", &self.table, error))?;
            let unprocessed = reply.unprocessed_items.unwrap_or_default();
            let left: Vec<_> = unprocessed.into_values().flatten().collect();
            if left.is_empty() {
                patience = Patience::default();
                continue;
            }
            // The table is at its limit, and the SDK does not see that as an error.
            let pause = patience.after(asked, left.len());
            requests.extend(left);
            let pause = pause.ok_or_else(|| Error::Undeleted {
                table: self.table.to_string(),
                left: requests.len(),
                tries: MAX_FRUITLESS,
            })?;
            tokio::time::sleep(pause).await;
        }
        Ok(count)
    }
}

fn request(mut item: Item) -> WriteRequest {
    item.retain(|name, _| name == "pk" || name == "sk");
    let delete = DeleteRequest::builder().set_key(Some(item)).build();
    let delete = delete.expect("the key is given");
    WriteRequest::builder().delete_request(delete).build()
}

/// Patience with a table at its limit.
#[derive(Default)]
struct Patience {
    /// Requests in a row that have deleted nothing.
    fruitless: u32,
}

impl Patience {
    /// Pause after a request that was asked to delete so many items and has left some; `None` once the
    /// patience is at its end.
    fn after(&mut self, asked: usize, left: usize) -> Option<Duration> {
        self.fruitless = if left < asked { 0 } else { self.fruitless + 1 };
        let pause = table::POLL_EVERY * (1 << self.fruitless.min(MAX_DOUBLINGS));
        (self.fruitless < MAX_FRUITLESS).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_deletes_nothing_is_left_alone_after_half_a_minute() {
        let mut patience = Patience::default();
        let pauses: Vec<Duration> = std::iter::from_fn(|| patience.after(25, 25)).collect();
        let waited = pauses.iter().sum::<Duration>();
        assert!((20..40).contains(&waited.as_secs()), "{waited:?}");
        assert_eq!(pauses.len() as u32 + 1, MAX_FRUITLESS);
    }

    #[test]
    fn a_table_that_deletes_slowly_is_never_left_alone() {
        let mut patience = Patience::default();
        for _ in 0..100 {
            for _ in 1..MAX_FRUITLESS {
                assert!(patience.after(25, 25).is_some());
            }
            assert_eq!(patience.after(25, 24), Some(table::POLL_EVERY));
        }
    }
}
