//! Writes a run's record to its store, from inside a container: where `up` does not, as in a run that was
//! rendered. Everybody else waits for it.

use anyhow::{Context as _, bail};
use tracing::{info, warn};

use crate::config::ContainerConfig;
use crate::container::pauses::FIRST_PAUSE;
use crate::container::signals::{EndSignal, EndSignals};
use crate::record::Record;
use crate::store::{self, DynamoStore, Store};

/// Writes the record that the configuration names, once, and makes the table for it. Waits for a store
/// that is not there yet. Returns nothing when it is done, or how it was told to end before.
///
/// # Errors
/// When the record cannot be used, or the store refuses it or has another one.
pub async fn run(config: &ContainerConfig) -> anyhow::Result<Option<EndSignal>> {
    let path = config.record.as_ref();
    let path = path.with_context(|| format!("{} is not set", ContainerConfig::RECORD))?;
    let record = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the record in `{}`", path.display()))?;
    Record::parse(&record).map_err(anyhow::Error::msg)?;
    let mut signals = EndSignals::listen()?;
    let client = store::connect_from_environment().await;
    let store = DynamoStore::new(client, &config.table, &config.run)?;
    loop {
        match keep(&store, &record).await {
            Ok(Kept::Now) => info!(run = config.run, "the store has the run's record"),
            Ok(Kept::Before) => info!(run = config.run, "the store had the run's record already"),
            Ok(Kept::Another) => bail!(
                "the store has another run `{}`, which goes on as it was (start this one with an empty \
                 store, or render it with another name: `--set name=...`)",
                config.run
            ),
            Err(error) if error.retryable() => {
                warn!(%error, "waiting for the store");
                tokio::select! {
                    () = tokio::time::sleep(FIRST_PAUSE) => continue,
                    signal = signals.next() => return Ok(Some(signal)),
                }
            }
            Err(error) => bail!("the store failed: {error}"),
        }
        return Ok(None);
    }
}

/// Outcome of keeping a record.
enum Kept {
    /// It was written.
    Now,
    /// It was there.
    Before,
    /// There was another one, and is.
    Another,
}

async fn keep(store: &DynamoStore, record: &str) -> Result<Kept, store::Error> {
    store.ensure_table().await?;
    match store.get_record().await? {
        None if store.put_record_once(record).await? => Ok(Kept::Now),
        Some(stored) if stored == record => Ok(Kept::Before),
        _ => Ok(Kept::Another),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DEFAULT_TABLE, embedded};

    #[tokio::test]
    async fn a_record_is_written_once_and_another_one_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let client = embedded::open(&home.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client, DEFAULT_TABLE, "run").unwrap();
        assert!(matches!(keep(&store, "one").await, Ok(Kept::Now)));
        assert!(matches!(keep(&store, "one").await, Ok(Kept::Before)));
        assert!(matches!(keep(&store, "two").await, Ok(Kept::Another)));
        let stored = store.get_record().await.unwrap();
        assert_eq!(stored.as_deref(), Some("one"));
    }
}
