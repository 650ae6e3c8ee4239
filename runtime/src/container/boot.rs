//! Boot of an actor in a process of its own, before its first session: it finds out who it is, what the run
//! is, and where broker and data set are, and waits for what is not there yet.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, bail};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::Graph;
use tracing::warn;

use super::pauses::{LONGEST_PAUSE, Pauses};
use super::session::Actor;
use super::source::Source;
use crate::config::{ContainerConfig, DataPlace};
use crate::host::Observer;
use crate::inspect::Access;
use crate::record::Record;
use crate::store::{self, DynamoStore, Store};
use crate::transport::amqp::Broker;
use crate::transport::amqp::claim::{self, Claim};
use crate::transport::{Link, LinkState};

/// Boots the actor that the configuration names.
///
/// # Errors
/// When the configuration cannot be right, or the run has no such actor.
pub(super) async fn boot(
    config: &ContainerConfig,
    link: Arc<Link>,
    observer: Arc<Observer>,
) -> anyhow::Result<Actor> {
    // Trust in certificates, if TLS is spoken, is given to every client by a variable.
    let broker = Broker::parse(&config.secrets.broker()?, None)?;
    let client = store::connect_from_environment().await;
    let store = DynamoStore::new(client, &config.table, &config.run)?;
    let record = wait_for_record(&store, &link).await;
    let record = Record::parse(&record).map_err(anyhow::Error::msg)?;
    let graph = record
        .graph(record.grouping)
        .map_err(|problems| anyhow::anyhow!("the run's record: {problems}"))?;
    let candidates = claim::candidates(&graph, &config.actor);
    let (address, claim) = match candidates.as_slice() {
        [] => bail!("run `{}` has no actor `{}`", config.run, config.actor),
        [address] => (*address, None),
        _ => {
            let claim = become_one(&broker, &graph, &candidates, &config.actor, &link).await;
            (claim.address, Some(claim))
        }
    };
    let task = record.rows.task();
    let sha256 = &record.data_sha256;
    let source = match &config.data {
        None => Source::file(None, sha256),
        Some(DataPlace::File(path)) => Source::file(Some(path.clone()), sha256),
        Some(DataPlace::Store) => {
            let data = wait_for_data(&store, sha256, &link).await;
            Source::bytes(&data, sha256).context("failed to keep the data set in memory")?
        }
    };
    // Products are not spread over threads: the other neurons of the host want the cores as well.
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build_global()
        .context("failed to prepare the arithmetic")?;
    Ok(Actor {
        graph: Arc::new(graph),
        address,
        source,
        task,
        image: record.rows.image,
        feed: config.feed,
        store,
        broker,
        is_one_of_several: claim.is_some(),
        claim: Mutex::new(claim),
        is_replaced: AtomicBool::new(false),
        link,
        observer,
        began: Instant::now(),
    })
}

/// Access for those with the run's token.
pub(super) fn read_access(config: &ContainerConfig) -> anyhow::Result<Access> {
    Ok(Access::with_token(config.secrets.token()?.trim())?.allow(&config.actor))
}

/// Becomes one of several actors, as soon as the broker can say which of them is missing.
async fn become_one(
    broker: &Broker,
    graph: &Graph,
    candidates: &[Address],
    group: &str,
    link: &Link,
) -> Claim {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        match Claim::make(broker, graph, candidates, group).await {
            Ok(claim) => return claim,
            Err(error) => {
                warn!(%error, group, "cannot become one of the actors yet");
                link.set(LinkState::Lost(error.to_string()));
            }
        }
        tokio::time::sleep(pauses.draw()).await;
    }
}

/// The data set, as soon as the store has it.
async fn wait_for_data(store: &DynamoStore, sha256: &str, link: &Link) -> Vec<u8> {
    loop {
        let problem = match store.get_data(sha256).await {
            Ok(Some(data)) => return data,
            Ok(None) => {
                "the run's data set is not in the store (bring the run up again)".to_owned()
            }
            Err(error) => format!("the store: {error}"),
        };
        warn!(problem, "waiting for the data set");
        link.set(LinkState::Lost(problem));
        tokio::time::sleep(LONGEST_PAUSE).await;
    }
}

/// The run's record, as soon as there is one.
async fn wait_for_record(store: &DynamoStore, link: &Link) -> String {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        let problem = match store.get_record().await {
            Ok(Some(record)) => return record,
            Ok(None) => "the store does not know the run yet".to_owned(),
            Err(error) => format!("the store: {error}"),
        };
        warn!(problem, "waiting for the run's record");
        link.set(LinkState::Lost(problem));
        tokio::time::sleep(pauses.draw()).await;
    }
}
