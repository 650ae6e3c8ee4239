//! Everything of a run removed, and nothing else.

use anyhow::Context as _;

use super::companion::Names;
use super::up::Told;
use super::{Deployed, failed_to};
use crate::runs::Lock;
use crate::runs::deployment::{BrokerPlace, StorePlace};
use crate::store::Store;
use crate::transport::amqp::Wiring;
use crate::transport::amqp::connection::SMALL_FRAMES;

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
        let removed = self
            .docker
            .remove_run(&run, &owner, &|name| {
                told.done(name);
                true
            })
            .await;
        told.end();
        removed.map_err(failed_to)?;
        // Nothing of the run is left that could write.
        self.leave_broker().await?;
        if let StorePlace::Given { .. } = self.deployment.store {
            let store = self.store().await?;
            match store.remove_run().await {
                Ok(_) | Err(crate::store::Error::NoTable { .. }) => {}
                Err(error) => anyhow::bail!("the store failed: {error}"),
            }
        }
        self.run.remove(lock).map_err(failed_to)
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
            let names = Names::new(self.run.name());
            let Some((management, vhost)) = self.management().await? else {
                return Ok(());
            };
            let remove = || {
                management.remove_vhost(&vhost)?;
                management.remove_user(&names.trainer)?;
                management.remove_user(&names.actor)
            };
            return remove().map_err(failed_to);
        }
        let graph = self
            .deployment
            .record
            .graph(self.deployment.record.grouping);
        let graph = graph.map_err(|problems| anyhow::anyhow!("the run's record: {problems}"))?;
        let broker = self.broker().await?;
        let name = format!("cf.{} command", self.run.name());
        let connection = broker
            .connect(&name, SMALL_FRAMES)
            .await
            .map_err(failed_to)?;
        let removed = Wiring::new(&graph).remove(&connection).await;
        removed.map_err(failed_to)?;
        let closed = connection.close().await;
        closed.context("failed to close the connection to the broker")
    }
}
