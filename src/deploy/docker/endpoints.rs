//! Addresses of broker, store and inspection, as this machine and as the containers reach them.

use futures_util::StreamExt;

use super::deployment::{BrokerPlace, StorePlace};
use super::desired::{self, BROKER_PORT, DASHBOARD_PORT};
use super::own_services::BrokerNames;
use super::reconcile::ObservedContainer;
use super::run::DockerRun;
use crate::config::{ContainerConfig, StoreConfig};
use crate::deploy::{Error, Inspection};
use crate::store::{self, DynamoStore};
use crate::transport::amqp::Broker;
use crate::transport::amqp::management::Management;

/// True if a host name means the machine that uses it.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A URL of this machine as containers reach it.
pub fn from_containers(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, format!(":{port}")),
        _ => (authority, String::new()),
    };
    if is_loopback(host) {
        format!("{scheme}://{}{port}{path}", ContainerConfig::HOST)
    } else {
        url.to_owned()
    }
}

/// The inspection of a container, if it publishes one.
pub fn inspection_of(observed: &ObservedContainer, token: &str) -> Option<Inspection> {
    let inside = ContainerConfig::DEFAULT_PORT;
    let port = observed.ports.iter().find(|(port, _)| *port == inside);
    port.map(|&(_, outside)| inspection_at(outside, token.to_owned()))
}

fn inspection_at(port: u16, token: String) -> Inspection {
    Inspection::new(format!("http://127.0.0.1:{port}"), token)
}

impl DockerRun {
    /// The containers of the run as they are now.
    pub async fn observe(&self) -> Result<Vec<ObservedContainer>, Error> {
        let containers = self.docker.observe(Some(self.dir.name())).await;
        let ours = containers?.into_iter().filter_map(|(summary, observed)| {
            let owner = super::owner_of(&summary);
            (owner == Some(self.deployment.owner.as_str())).then_some(observed)
        });
        Ok(ours.collect())
    }

    /// The port on this machine's loopback address that leads to a container's.
    pub async fn port(&self, actor: &str, port: u16) -> Result<u16, Error> {
        let run = self.dir.name();
        let name = desired::container_name(run, actor);
        let observed = self.observe().await?;
        let Some(container) = observed.iter().find(|container| container.name == name) else {
            return Err(Error::Unusable(format!(
                "container {name} is not there (bring the run up with `cuttlefish up`)"
            )));
        };
        let published = container.ports.iter().find(|(inside, _)| *inside == port);
        if let Some(&(_, outside)) = published.filter(|_| container.is_running()) {
            return Ok(outside);
        }
        if container.state == "running" {
            return Err(Error::Unusable(format!(
                "container {name} does not publish port {port}"
            )));
        }
        let said = self.last_line(&name).await;
        let said = said.map_or(String::new(), |line| format!(", and has said last: {line}"));
        Err(Error::Unusable(format!(
            "container {name} has {}{said} (`cuttlefish logs {run} {actor}` may say more)",
            container.state
        )))
    }

    /// The last line that a container has written.
    async fn last_line(&self, name: &str) -> Option<String> {
        let lines: Vec<_> = self.docker.logs(name, false, "1").collect().await;
        let last = lines.into_iter().filter_map(Result::ok).next_back()?;
        Some(last.trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// The inspection of an actor.
    pub async fn inspect(&self, actor: &str) -> Result<Inspection, Error> {
        let port = self.port(actor, ContainerConfig::DEFAULT_PORT).await?;
        Ok(inspection_at(port, self.secrets.read("token")?))
    }

    /// The run's store, as this machine reaches it.
    pub async fn store(&self) -> Result<DynamoStore, Error> {
        let client = match &self.deployment.store {
            StorePlace::Companion => {
                let port = self.port(desired::STORE, StoreConfig::DEFAULT_PORT).await?;
                let key = self.secrets.number("store/access-key")?;
                store::connect_with_key(format!("http://127.0.0.1:{port}"), key)
            }
            StorePlace::Given { endpoint, .. } => {
                store::connect_from_environment_to(endpoint.as_deref()).await
            }
        };
        let run = self.dir.name();
        Ok(DynamoStore::new(client, &self.deployment.table, run)?)
    }

    /// The broker with all rights that we have there, as this machine reaches it.
    pub async fn broker(&self) -> Result<Broker, Error> {
        let url = self.secrets.read("admin")?;
        let ca = self.secrets.dir().join("broker-ca.pem");
        let broker = Broker::parse(&url, Some(ca.as_path()).filter(|ca| ca.exists()))?;
        match self.deployment.broker {
            BrokerPlace::Companion { .. } => {
                let port = self.port(desired::BROKER, BROKER_PORT).await?;
                Ok(broker.at("127.0.0.1", port))
            }
            BrokerPlace::Given { .. } => Ok(broker),
        }
    }

    /// The broker with the rights of the trainer, who may do everything with the run's names, in the
    /// run's own virtual host if it has one.
    pub async fn broker_as_trainer(&self) -> Result<Broker, Error> {
        let trainer_broker = Broker::parse(&self.secrets.read("trainer/broker")?, None)?;
        let (user, password) = trainer_broker.credentials();
        let broker = self.broker().await?;
        Ok(broker.for_user(user, password, trainer_broker.vhost()))
    }

    /// The broker's management API, and the virtual host that the run is in; None where we may not
    /// use it.
    pub async fn management(&self) -> Result<Option<(Management, String)>, Error> {
        let broker = self.broker().await?;
        let names = BrokerNames::new(self.dir.name());
        Ok(match &self.deployment.broker {
            BrokerPlace::Companion { .. } => {
                let port = self.port(desired::BROKER, DASHBOARD_PORT).await?;
                let base = format!("http://127.0.0.1:{port}");
                Some((Management::new(Some(&base), &broker), names.vhost))
            }
            BrokerPlace::Given {
                management: Some(base),
            } => Some((Management::new(Some(base), &broker), names.vhost)),
            BrokerPlace::Given { management: None } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_the_hosts_for_containers() {
        for (url, seen) in [
            ("http://127.0.0.1:8000", "http://host.docker.internal:8000"),
            (
                "http://localhost:8000/",
                "http://host.docker.internal:8000/",
            ),
            ("http://[::1]:8000", "http://host.docker.internal:8000"),
            ("http://localhost", "http://host.docker.internal"),
            (
                "https://dynamodb.eu-west-1.amazonaws.com",
                "https://dynamodb.eu-west-1.amazonaws.com",
            ),
            ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ] {
            assert_eq!(from_containers(url), seen);
        }
    }
}
