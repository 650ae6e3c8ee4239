//! Everything of a run removed, and nothing else.

use super::deployment::{BrokerPlace, StorePlace};
use super::own_services::Names;
use super::run::DockerRun;
use crate::attempts::{Failures, for_each};
use crate::deploy::Error;
use crate::deploy::removal::{all_removed, only, remove_items};
use crate::monitor::Monitor;
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::management::Management;
use crate::transport::amqp::{self, Broker, Wiring};

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
        let done = |name: &str| monitor.done(name);
        let removed = self.docker.remove_containers(&run, &owner, &done).await;
        monitor.end();
        // One that is left could write again what is removed after it.
        all_removed([removed.map_err(Error::from)], &run)?;
        let networks = self.docker.remove_networks(&run, &owner).await;
        let parts = [
            networks.map_err(Error::from),
            self.leave_broker().await,
            self.leave_store().await,
        ];
        all_removed(parts, &run)
    }

    /// Removes what the run has in a store that is not its own.
    async fn leave_store(&self) -> Result<(), Error> {
        match self.deployment.store {
            StorePlace::Given { .. } => remove_items(&self.store().await?).await,
            StorePlace::Companion => Ok(()),
        }
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
            let Some((management, vhost)) = self.management().await? else {
                return Ok(());
            };
            return remove_from_broker(&management, vhost, Names::new(self.dir.name())).await;
        }
        let graph = self
            .deployment
            .record
            .graph(self.deployment.record.grouping);
        let graph = graph?;
        let (broker, wiring) = (self.broker().await?, Wiring::new(&graph));
        let name = format!("cf.{} command", self.dir.name());
        let remove = |()| remove_wiring(&broker, &name, &wiring);
        Ok(only(
            for_each(vec![()], 1, remove, |()| {}, &|| true).await,
        )?)
    }
}

/// Removes a run's queues and exchanges, over a connection of this name.
async fn remove_wiring(broker: &Broker, name: &str, wiring: &Wiring) -> Result<(), amqp::Error> {
    let connection = broker.connect(name, SMALL_FRAMES).await?;
    wiring.remove(&connection).await?;
    connection.close().await
}

/// Removes a run's virtual host and users.
async fn remove_from_broker(
    management: &Management,
    vhost: String,
    names: Names,
) -> Result<(), Error> {
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
        Some(left) => Err(Error::BrokerObjects(left)),
        None => Ok(()),
    }
}
