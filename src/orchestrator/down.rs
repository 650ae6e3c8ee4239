//! Everything of a run removed, and nothing else.

use super::companion::Names;
use super::on_ecs::store_failed;
use super::up::Told;
use super::{Deployed, failed_to};
use crate::attempts::{Failures, Retry, Retryable, for_each};
use crate::runs::Lock;
use crate::runs::deployment::{BrokerPlace, StorePlace};
use crate::store::{self, DynamoStore, Store};
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::management::Management;
use crate::transport::amqp::{self, Broker, Wiring};

impl Deployed {
    /// Removes containers, networks, what the run has at a broker and in a store that stay, and at
    /// last its directory. May be repeated: what is gone already is no error.
    ///
    /// # Errors
    /// Says what could not be removed; then the directory is left, so that `down` can be repeated.
    pub async fn down(self, lock: &Lock, told: &dyn Told) -> anyhow::Result<()> {
        let (run, owner) = (self.run.name().to_owned(), self.deployment.owner.clone());
        let count = self.observe().await?.len();
        told.begin("removing containers", count);
        let done = |name: &str| told.done(name);
        let removed = self.docker.remove_containers(&run, &owner, &done).await;
        told.end();
        // One that is left could write again what is removed after it.
        removed
            .map_err(failed_to)
            .map_err(|error| again(error, &run))?;
        let networks = self.docker.remove_networks(&run, &owner).await;
        let parts = [
            networks.map_err(failed_to),
            self.leave_broker().await,
            self.leave_store().await,
        ];
        all_removed(parts, &run)?;
        self.run.remove(lock).map_err(failed_to)
    }

    /// Removes what the run has in a store that is not its own.
    async fn leave_store(&self) -> anyhow::Result<()> {
        match self.deployment.store {
            StorePlace::Given { .. } => remove_items(&self.store().await?).await,
            StorePlace::Companion => Ok(()),
        }
    }

    /// Removes what the run has at a broker that is not its own.
    async fn leave_broker(&self) -> anyhow::Result<()> {
        let BrokerPlace::Given { management } = &self.deployment.broker else {
            return Ok(());
        };
        // Without the file nothing was made there yet.
        if self.secrets.read("admin").is_err() {
            return Ok(());
        }
        if management.is_some() {
            let Some((management, vhost)) = self.management().await? else {
                return Ok(());
            };
            return remove_from_broker(&management, vhost, Names::new(self.run.name())).await;
        }
        let graph = self
            .deployment
            .record
            .graph(self.deployment.record.grouping);
        let graph = graph.map_err(|problems| anyhow::anyhow!("the run's record: {problems}"))?;
        let (broker, wiring) = (self.broker().await?, Wiring::new(&graph));
        let name = format!("cf.{} command", self.run.name());
        let remove = |()| remove_wiring(&broker, &name, &wiring);
        only(for_each(vec![()], 1, remove, |()| {}, &|| true).await).map_err(failed_to)
    }
}

/// Removes a run's queues and exchanges, over a connection of this name.
async fn remove_wiring(broker: &Broker, name: &str, wiring: &Wiring) -> Result<(), amqp::Error> {
    let connection = broker.connect(name, SMALL_FRAMES).await?;
    let channel = connection.create_channel().await?;
    wiring.remove(&channel).await?;
    Ok(connection.close(200, "done".into()).await?)
}

/// Outcome of the only item.
fn only<E>(left: Vec<((), E)>) -> Result<(), E> {
    left.into_iter()
        .next()
        .map_or(Ok(()), |((), error)| Err(error))
}

/// Removes a run's virtual host and users.
async fn remove_from_broker(
    management: &Management,
    vhost: String,
    names: Names,
) -> anyhow::Result<()> {
    let items = vec![(true, vhost), (false, names.trainer), (false, names.actor)];
    let total = items.len();
    let remove = |(is_vhost, name): (bool, String)| async move {
        match is_vhost {
            true => management.remove_vhost(&name),
            false => management.remove_user(&name),
        }
    };
    let left = for_each(items, 1, remove, |_| {}, &|| true).await;
    let left = left.into_iter().map(|((_, name), error)| (name, error));
    match Failures::new("remove", "broker object", total, left) {
        Some(left) => Err(failed_to(left)),
        None => Ok(()),
    }
}

/// Removes what a run has in a store; a table that is gone is no error.
pub(super) async fn remove_items(store: &DynamoStore) -> anyhow::Result<()> {
    let remove = |()| async move {
        match store.remove_run().await {
            Ok(_) | Err(store::Error::NoTable { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    };
    only(for_each(vec![()], 1, remove, |()| {}, &|| true).await).map_err(store_failed)
}

/// Tells of all parts of a run that could not be removed.
pub(super) fn all_removed(
    parts: impl IntoIterator<Item = anyhow::Result<()>>,
    run: &str,
) -> anyhow::Result<()> {
    let left = parts.into_iter().filter_map(Result::err);
    let left = left.map(|error| format!("{error:#}"));
    match left.reduce(|one, other| format!("{one}; {other}")) {
        Some(left) => Err(again(anyhow::Error::msg(left), run)),
        None => Ok(()),
    }
}

/// Adds to what is left of a run how to go on.
pub(super) fn again(left: anyhow::Error, run: &str) -> anyhow::Error {
    anyhow::anyhow!("{left:#} (say `cuttlefish down {run}` again)")
}

impl Retryable for store::Error {
    fn retry(&self) -> Retry {
        match self.retryable() {
            true => Retry::Later,
            false => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        self.to_string()
    }
}

impl Retryable for amqp::Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Management(_) | Self::Timeout { .. } | Self::Broker(_) | Self::Lost(_) => {
                Retry::Later
            }
            // Tried with patience of its own.
            Self::Connect { .. } | Self::System(_) => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        self.to_string()
    }
}
