//! Removes the exchanges and queues of a run, from where its broker can be reached.

use anyhow::Context as _;

use crate::config::ContainerConfig;
use crate::record::Record;
use crate::store::{self, DynamoStore, Store};
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::{Broker, Wiring};

/// Removes the exchanges and queues, as far as they are there.
///
/// # Errors
/// When the broker or the store cannot be reached.
pub async fn run(config: &ContainerConfig) -> anyhow::Result<()> {
    let client = store::connect_from_environment().await;
    let store = DynamoStore::new(client, &config.table, &config.run)?;
    let Some(record) = store.get_record().await.context("the store failed")? else {
        return Ok(());
    };
    let record = Record::parse(&record).map_err(anyhow::Error::msg)?;
    let graph = record
        .graph(record.grouping)
        .map_err(|problems| anyhow::anyhow!("the run's record: {problems}"))?;
    let name = format!("cf.{} unwires", config.run);
    let broker = Broker::parse(&config.secrets.broker()?, None)?;
    let connection = broker.connect(&name, SMALL_FRAMES).await?;
    Wiring::new(&graph).remove(&connection).await?;
    connection.close().await?;
    Ok(())
}
