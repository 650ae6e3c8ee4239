//! Everything of a run removed, and nothing else.

use super::deployment::{BrokerPlace, StorePlace};
use super::own_services::Names;
use super::run::DockerRun;
use crate::deploy::Error;
use crate::monitor::Monitor;
use crate::store::Store;
use crate::transport::amqp::Wiring;
use crate::transport::amqp::connection::SMALL_FRAMES;

impl DockerRun {
    /// Removes containers, networks, and what the run has at a broker and in a store that stay. May be
    /// repeated: what is gone already is no error.
    ///
    /// # Errors
    /// Names what could not be removed.
    pub async fn down(&self, monitor: &Monitor) -> Result<(), Error> {
        let (run, owner) = (self.dir.name().to_owned(), self.deployment.owner.clone());
        let count = self.observe().await?.len();
        monitor.begin("removing containers", count);
        let removed = self
            .docker
            .remove_run(&run, &owner, &|name| {
                monitor.done(name);
                true
            })
            .await;
        monitor.end();
        removed?;
        // Nothing of the run is left that could write.
        self.leave_broker().await?;
        if let StorePlace::Given { .. } = self.deployment.store {
            let store = self.store().await?;
            match store.remove_run().await {
                Ok(_) | Err(crate::store::Error::NoTable { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes what the run has at a broker that is not its own.
    async fn leave_broker(&self) -> Result<(), Error> {
        let BrokerPlace::Given { management } = &self.deployment.broker else {
            return Ok(());
        };
        // Without the file nothing was made there yet.
        if self.secrets.read("admin").is_err() {
            return Ok(());
        }
        if management.is_some() {
            let names = Names::new(self.dir.name());
            let Some((management, vhost)) = self.management().await? else {
                return Ok(());
            };
            let remove = || {
                management.remove_vhost(&vhost)?;
                management.remove_user(&names.trainer)?;
                management.remove_user(&names.actor)
            };
            return Ok(remove()?);
        }
        let graph = self
            .deployment
            .record
            .graph(self.deployment.record.grouping);
        let graph = graph?;
        let broker = self.broker().await?;
        let name = format!("cf.{} command", self.dir.name());
        let connection = broker.connect(&name, SMALL_FRAMES).await?;
        Wiring::new(&graph).remove(&connection).await?;
        let closed = connection.close().await;
        Ok(closed?)
    }
}
