//! Services that were there before a run: which ones it uses, and whether it can reach them.

use std::time::Duration;

use anyhow::bail;
use cuttlefish_core::topology::graph::Graph;

use super::up::{Told, Wanted, go_on};
use super::{Deployed, failed_to, secrets};
use crate::deploy::docker::{Ended, desired};
use crate::runs::deployment::{BrokerPlace, StorePlace};
use crate::runs::{Deployment, RunDir};
use crate::store::{self, DEFAULT_TABLE, DynamoStore};
use crate::transport::amqp::Broker;
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::management::Management;

/// A container that is started on a busy machine, and the deadlines of the store's client.
const PROBE_WITHIN: Duration = Duration::from_secs(60);

/// How the run is to be deployed: as before, as far as it was.
pub(super) async fn deployment(
    run: &RunDir,
    wanted: &Wanted,
    before: Option<&Deployment>,
    image: String,
) -> anyhow::Result<Deployment> {
    let stays = |what: &str| {
        format!(
            "the run's {what} cannot be changed while it is up (take it down with `cuttlefish down \
             {}` first)",
            wanted.graph.name
        )
    };
    let broker = match (&wanted.services.broker, before.map(|before| &before.broker)) {
        (None, Some(place)) => place.clone(),
        (None, None) => BrokerPlace::Companion {
            image: wanted.services.broker_image.clone(),
        },
        (Some((broker, base)), Some(place)) => {
            if !is_there(run, broker, base.as_deref(), place)? {
                bail!(stays("broker"));
            }
            place.clone()
        }
        (Some((broker, base)), None) => {
            let management = Management::new(base.as_deref(), broker);
            let is_ours = management.is_administrator();
            if base.is_some() && !is_ours {
                bail!(
                    "failed to use the management API at {}: it does not answer, or {} is no \
                     administrator there",
                    management.base(),
                    broker.credentials().0
                );
            }
            BrokerPlace::Given {
                management: is_ours.then(|| management.base().to_owned()),
            }
        }
    };
    let store = match (&wanted.services.store, before.map(|before| &before.store)) {
        (None, Some(place)) => place.clone(),
        (None, None) => StorePlace::Companion,
        (Some(endpoint), before) => {
            let place = StorePlace::Given {
                endpoint: endpoint.clone(),
                region: store::region_from_environment().await,
            };
            if before.is_some_and(|before| *before != place) {
                bail!(stays("store"));
            }
            place
        }
    };
    let recorded = before.map(|before| &before.table);
    let table = wanted.services.table.as_ref().or(recorded);
    let table = table.map_or(DEFAULT_TABLE, String::as_str).to_owned();
    if recorded.is_some_and(|recorded| *recorded != table) {
        bail!(stays("table"));
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
        wanted.services.feed(before),
        wanted.record.clone(),
    );
    Ok(Deployment {
        containers_per_bridge: wanted.services.layout(before).per_bridge,
        ..deployment
    })
}

/// Whether a broker is the one that a run has.
fn is_there(
    run: &RunDir,
    broker: &Broker,
    base: Option<&str>,
    place: &BrokerPlace,
) -> anyhow::Result<bool> {
    let BrokerPlace::Given { management } = place else {
        return Ok(false);
    };
    if base.is_some() && base != management.as_deref() {
        return Ok(false);
    }
    match super::secrets_of(run).read("admin") {
        Ok(before) => Ok(Broker::parse(&before, None)?.is_at(broker)),
        // Nothing was made there yet.
        Err(_) => Ok(true),
    }
}

/// Tries the services that were there before, before anything is made: what cannot be reached could
/// not be left tidily either.
pub(super) async fn try_from_here(wanted: &Wanted, table: &str) -> anyhow::Result<()> {
    let run = wanted.graph.name.as_str();
    if let Some((broker, _)) = &wanted.services.broker {
        let tried = broker
            .connect(&format!("cf.{run} command"), SMALL_FRAMES)
            .await;
        let _ = tried.map_err(failed_to)?.close().await;
    }
    if let Some(endpoint) = &wanted.services.store {
        let client = store::connect_from_environment_to(endpoint.as_deref()).await;
        let store = DynamoStore::new(client, table, run)?;
        let tried = store.ensure_table().await;
        tried.map_err(|error| anyhow::anyhow!("the store failed: {error}"))?;
    }
    Ok(())
}

impl Deployed {
    /// Tries services that are given from where the run will use them: what this machine reaches,
    /// a container need not.
    pub(super) async fn try_from_container(
        &self,
        graph: &Graph,
        told: &dyn Told,
    ) -> anyhow::Result<()> {
        let has_own_broker = matches!(self.deployment.broker, BrokerPlace::Companion { .. });
        if has_own_broker && self.deployment.store == StorePlace::Companion {
            return Ok(());
        }
        told.note("trying broker and store from a container");
        let probe = desired::probe(graph, &self.site()?);
        let (run, owner) = (self.run.name(), self.deployment.owner.as_str());
        let goes_on = || !told.is_cancelled();
        let ended = self.docker.run(&probe, run, owner, PROBE_WITHIN, &goes_on);
        let ended = ended.await.map_err(failed_to)?;
        go_on(told)?;
        let said = match ended {
            Some(Ended { code: 0, .. }) => return Ok(()),
            Some(Ended { output, .. }) if !output.is_empty() => output.trim().to_owned(),
            Some(Ended { code, .. }) => format!("{} has ended with code {code}", probe.name),
            None => format!(
                "{} has not ended within {} s",
                probe.name,
                PROBE_WITHIN.as_secs()
            ),
        };
        bail!(
            "containers cannot use what this machine can: tried in network {}: {said} (let a \
             service on this machine listen at that address or at all, not only on loopback, and \
             let the firewall pass it; its certificate has to cover the name that is used there)",
            probe.networks.join(", ")
        )
    }
}
