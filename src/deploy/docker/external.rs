//! External services: a broker or store that was there before the run, and whether the run can reach it.

use std::time::Duration;

use cuttlefish_core::topology::graph::Graph;

use super::deployment::{BrokerPlace, Deployment, StorePlace};
use super::options::DockerOptions;
use super::run::{DockerRun, secrets_of};
use super::{ContainerEnd, desired};
use crate::deploy::{Error, Workload, secrets};
use crate::monitor::Monitor;
use crate::run_dir::RunDir;
use crate::store::{self, DEFAULT_TABLE, DynamoStore};
use crate::transport::amqp::Broker;
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::management::Management;

/// A container that is started on a busy machine, and the deadlines of the store's client.
const PROBE_WITHIN: Duration = Duration::from_secs(60);

/// Places of the run's services: those of before, as far as it was up.
pub(super) async fn deployment(
    dir: &RunDir,
    workload: &Workload,
    options: &DockerOptions,
    before: Option<&Deployment>,
    image: String,
) -> Result<Deployment, Error> {
    let fixed = |what| Error::Fixed {
        run: dir.name().to_owned(),
        what,
    };
    let broker = match (&options.broker, before.map(|before| &before.broker)) {
        (None, Some(place)) => place.clone(),
        (None, None) => BrokerPlace::Companion {
            image: options.broker_image.clone(),
        },
        (Some((broker, base)), Some(place)) => {
            if !is_there(dir, broker, base.as_deref(), place)? {
                return Err(fixed("broker"));
            }
            place.clone()
        }
        (Some((broker, base)), None) => {
            let management = Management::new(base.as_deref(), broker);
            let is_ours = management.is_administrator();
            if base.is_some() && !is_ours {
                return Err(Error::Unusable(format!(
                    "failed to use the management API at {}: it does not answer, or {} is no \
                     administrator there",
                    management.base(),
                    broker.credentials().0
                )));
            }
            BrokerPlace::Given {
                management: is_ours.then(|| management.base().to_owned()),
            }
        }
    };
    let store = match (&options.store, before.map(|before| &before.store)) {
        (None, Some(place)) => place.clone(),
        (None, None) => StorePlace::Companion,
        (Some(endpoint), before) => {
            let place = StorePlace::Given {
                endpoint: endpoint.clone(),
                region: store::region_from_environment().await,
            };
            if before.is_some_and(|before| *before != place) {
                return Err(fixed("store"));
            }
            place
        }
    };
    let recorded = before.map(|before| &before.table);
    let table = options.table.as_ref().or(recorded);
    let table = table.map_or(DEFAULT_TABLE, String::as_str).to_owned();
    if recorded.is_some_and(|recorded| *recorded != table) {
        return Err(fixed("table"));
    }
    let deployment = Deployment::new(
        match before {
            Some(before) => before.owner.clone(),
            None => secrets::random()?,
        },
        image,
        broker,
        store,
        table,
        options.feed(before),
        workload.record.clone(),
    );
    Ok(Deployment {
        containers_per_bridge: options.layout(before).per_bridge,
        ..deployment
    })
}

/// True if a broker is the one that the run has.
fn is_there(
    dir: &RunDir,
    broker: &Broker,
    base: Option<&str>,
    place: &BrokerPlace,
) -> Result<bool, Error> {
    let BrokerPlace::Given { management } = place else {
        return Ok(false);
    };
    if base.is_some() && base != management.as_deref() {
        return Ok(false);
    }
    match secrets_of(dir).read("admin") {
        Ok(before) => Ok(Broker::parse(&before, None)?.is_at(broker)),
        // Nothing was made there yet.
        Err(_) => Ok(true),
    }
}

/// Tries the services that were there before, before anything is made: what cannot be reached could
/// not be left tidily either.
pub(super) async fn try_from_here(
    run: &str,
    options: &DockerOptions,
    table: &str,
) -> Result<(), Error> {
    if let Some((broker, _)) = &options.broker {
        let connection = broker
            .connect(&format!("cf.{run} command"), SMALL_FRAMES)
            .await;
        let _ = connection?.close().await;
    }
    if let Some(endpoint) = &options.store {
        let client = store::connect_from_environment_to(endpoint.as_deref()).await;
        let store = DynamoStore::new(client, table, run)?;
        store.ensure_table().await?;
    }
    Ok(())
}

impl DockerRun {
    /// Tries services that are given from where the run will use them: what this machine reaches,
    /// a container need not.
    pub(super) async fn try_from_container(
        &self,
        graph: &Graph,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let has_own_broker = matches!(self.deployment.broker, BrokerPlace::Companion { .. });
        if has_own_broker && self.deployment.store == StorePlace::Companion {
            return Ok(());
        }
        monitor.note("trying broker and store from a container");
        let probe = desired::probe(graph, &self.site()?);
        let (run, owner) = (self.dir.name(), self.deployment.owner.as_str());
        let goes_on = || !monitor.is_cancelled();
        let ended = self.docker.run(&probe, run, owner, PROBE_WITHIN, &goes_on);
        let ended = ended.await?;
        monitor.check_cancelled()?;
        let said = match ended {
            Some(ContainerEnd { code: 0, .. }) => return Ok(()),
            Some(ContainerEnd { output, .. }) if !output.is_empty() => output.trim().to_owned(),
            Some(ContainerEnd { code, .. }) => format!("{} has ended with code {code}", probe.name),
            None => format!(
                "{} has not ended within {} s",
                probe.name,
                PROBE_WITHIN.as_secs()
            ),
        };
        Err(Error::Unusable(format!(
            "containers cannot use what this machine can: tried in network {}: {said} (let a \
             service on this machine listen at that address or at all, not only on loopback, and \
             let the firewall pass it; its certificate has to cover the name that is used there)",
            probe.networks.join(", ")
        )))
    }
}
