//! A probe of a run's broker and store: from inside a container, before there are others.

use std::net::ToSocketAddrs;

use anyhow::bail;

use crate::config::ContainerConfig;
use crate::store::{self, DynamoStore, Store};
use crate::transport::amqp::Broker;
use crate::transport::amqp::connection::SMALL_FRAMES;

/// Tries broker and store as the actors will use them, each with its client's deadlines. Writes to
/// stdout what cannot be reached, for the command that waits for it.
///
/// # Errors
/// When something cannot be reached.
pub async fn run(config: &ContainerConfig) -> anyhow::Result<()> {
    let broker = Broker::parse(&config.secrets.broker()?, None)?;
    let client = store::connect_from_environment().await;
    let store = DynamoStore::new(client, &config.table, &config.run)?;
    let (connected, read) = tokio::join!(connect(&broker, config), store.get_record());
    let mut problems = Vec::new();
    if let Err(error) = connected {
        problems.push(format!("failed to {error}"));
    }
    if let Err(error) = read {
        problems.push(format!("the store failed: {error}"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.join("; ");
    println!("{problems}{}", host_address());
    bail!(problems)
}

async fn connect(
    broker: &Broker,
    config: &ContainerConfig,
) -> Result<(), crate::transport::amqp::Error> {
    let name = format!("cf.{}.{}", config.run, config.actor);
    let connection = broker.connect(&name, SMALL_FRAMES).await?;
    let _ = connection.close().await;
    Ok(())
}

/// Address behind the host's name, as a container resolves it.
fn host_address() -> String {
    let host = ContainerConfig::HOST;
    let address = (host, 0)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next());
    address.map_or(String::new(), |address| {
        format!("; {host} is {} there", address.ip())
    })
}
