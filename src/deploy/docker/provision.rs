//! Files and users that containers need: secrets, the data set, certificates, the broker's users; and the
//! containers that follow from them.

use std::path::{Path, PathBuf};

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::graph::Graph;

use super::deployment::{BrokerPlace, StorePlace};
use super::desired::{self, BROKER, CERTIFICATES, Container, STORE, Site};
use super::endpoints::{from_containers, is_loopback};
use super::image::{self, Program};
use super::options::DockerOptions;
use super::own_services::{self, BrokerNames, Passwords, READERS};
use super::run::DockerRun;
use crate::config::{ContainerConfig, StoreConfig};
use crate::data::prepared;
use crate::data::prepared::data_file;
use crate::deploy::secrets::Secrets;
use crate::deploy::{Error, Workload};
use crate::store;
use crate::transport::amqp::Broker;
use crate::transport::amqp::management::Management;
use crate::trust::system_certificates;

impl DockerRun {
    /// Writes what containers read: secrets, data, the store's directory. Returns whether the data was not
    /// there.
    pub(super) async fn provision(
        &self,
        workload: &Workload,
        options: &DockerOptions,
    ) -> Result<bool, Error> {
        let site = self.site()?;
        let made = self.secrets.make_dir(&site.store_dir);
        made.map_err(Error::file("make", &site.store_dir))?;
        let sha256 = &workload.record.data_sha256;
        let is_new = write_data(&self.secrets, &site.data_dir, &workload.dataset, sha256)?;
        let token = self.secrets.number("token")?;
        let credentials = match &self.deployment.store {
            StorePlace::Companion => {
                let key = self.secrets.number("store/access-key")?;
                own_services::store_credentials(&key)
            }
            StorePlace::Given { .. } => store::credentials_from_environment().await?,
        };
        let files = own_services::reader_files(&token, &credentials);
        self.secrets.write_all(&files)?;
        self.write_certificates(options).await?;
        Ok(is_new)
    }

    /// Writes down whom containers have to trust at the services that are given.
    async fn write_certificates(&self, options: &DockerOptions) -> Result<(), Error> {
        let broker = match (&self.deployment.broker, &options.broker) {
            (BrokerPlace::Companion { .. }, _) => None,
            (BrokerPlace::Given { .. }, Some((broker, _))) => Some(broker.clone()),
            (BrokerPlace::Given { .. }, None) => Some(self.broker().await?),
        };
        let certificates =
            certificates(broker.as_ref(), &self.deployment.store, system_certificates);
        if let Some(certificates) = certificates {
            for reader in READERS {
                self.secrets
                    .write(&format!("{reader}/{CERTIFICATES}"), &certificates)?;
            }
        }
        Ok(())
    }

    /// Keeps the containers' program where they can share it: from now on it is mounted over the
    /// one in their image. Without a program there is none to mount any more.
    pub(super) fn keep_program(&self, program: Option<&Program>) -> Result<(), Error> {
        let path = self.program_file();
        let keep = || match program {
            Some(program) => {
                std::fs::create_dir_all(path.parent().unwrap_or(self.dir.path()))?;
                program.write(&path)
            }
            None if path.exists() => std::fs::remove_file(&path),
            None => Ok(()),
        };
        keep().map_err(Error::file("write", &path))
    }

    fn program_file(&self) -> PathBuf {
        let dir = self.dir.path().join("program");
        std::path::absolute(&dir)
            .unwrap_or(dir)
            .join(image::PROGRAM)
    }

    /// Writes the secrets of the broker's users, and makes the users where that takes requests.
    pub(super) async fn admit(&self, options: &DockerOptions) -> Result<(), Error> {
        let names = BrokerNames::new(self.dir.name());
        let passwords = || -> Result<Passwords, Error> {
            Ok(Passwords {
                admin: self.secrets.number("broker/admin-password")?,
                trainer: self.secrets.number("broker/trainer-password")?,
                actor: self.secrets.number("broker/actor-password")?,
            })
        };
        match (&self.deployment.broker, &options.broker) {
            (BrokerPlace::Companion { .. }, _) => {
                let files = own_services::broker_files(&names, &passwords()?, BROKER)?;
                self.secrets.write_all(&files)?;
            }
            (BrokerPlace::Given { management }, Some((broker, _))) => {
                if let Some(ca) = broker.ca() {
                    self.secrets.write("broker-ca.pem", ca)?;
                }
                let inside_broker = if is_loopback(broker.host()) {
                    broker.at(ContainerConfig::HOST, broker.port())
                } else {
                    broker.clone()
                };
                self.secrets.write("admin", &broker.secret_url())?;
                if let Some(base) = management {
                    let passwords = passwords()?;
                    let management = Management::new(Some(base), broker);
                    make_users(&management, &names, &passwords)?;
                    self.write_users(&inside_broker, &names, &passwords)?;
                } else {
                    for reader in READERS {
                        self.secrets
                            .write(&format!("{reader}/broker"), &inside_broker.secret_url())?;
                    }
                }
            }
            // As it was written when the run was first brought up.
            (BrokerPlace::Given { .. }, None) => {}
        }
        Ok(())
    }

    /// Writes the addresses of a given broker for its users: `inside_broker` is how containers see it.
    fn write_users(
        &self,
        inside_broker: &Broker,
        names: &BrokerNames,
        passwords: &Passwords,
    ) -> Result<(), Error> {
        let trainer = inside_broker.for_user(&names.trainer, &passwords.trainer, &names.vhost);
        let actor = inside_broker.for_user(&names.actor, &passwords.actor, &names.vhost);
        self.secrets
            .write("trainer/broker", &trainer.secret_url())?;
        self.secrets.write("actor/broker", &actor.secret_url())
    }

    /// The containers that the run should have.
    pub fn desired(&self, graph: &Graph) -> Result<Vec<Container>, Error> {
        Ok(desired::containers(graph, &self.site()?))
    }

    pub(super) fn site(&self) -> Result<Site, Error> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::file("find", path));
        let dir = absolute(self.dir.path())?;
        let secrets_dir = absolute(self.secrets.dir())?;
        let store_environment = match &self.deployment.store {
            StorePlace::Companion => own_store_environment(STORE),
            StorePlace::Given { endpoint, region } => {
                let endpoint = endpoint.as_deref().map(from_containers);
                store_environment(endpoint, region)
            }
        };
        let broker_image = match &self.deployment.broker {
            BrokerPlace::Companion { image } => Some(image.clone()),
            BrokerPlace::Given { .. } => None,
        };
        Ok(Site {
            image: self.deployment.image.clone(),
            program: Some(self.program_file()).filter(|path| path.exists()),
            broker_image,
            own_store: self.deployment.store == StorePlace::Companion,
            store_environment,
            table: self.deployment.table.clone(),
            user: self.secrets.user(),
            has_certificates: secrets_dir.join("actor").join(CERTIFICATES).exists(),
            secrets_dir,
            data_dir: dir.join("data"),
            store_dir: dir.join("store"),
            feed: self.deployment.feed,
            per_bridge: self.deployment.containers_per_bridge,
        })
    }
}

/// Writes the data set for containers to `dir`, unless it is there; returns whether it was not.
pub(in crate::deploy) fn write_data(
    secrets: &Secrets,
    dir: &Path,
    dataset: &Dataset,
    sha256: &str,
) -> Result<bool, Error> {
    let made = secrets.make_dir(dir);
    made.map_err(Error::file("make", dir))?;
    let file = data_file(dir);
    if prepared::map(&file).is_ok_and(|data| data.sha256 == sha256) {
        return Ok(false);
    }
    prepared::write(dataset, sha256, &file)
        .and_then(|()| secrets.hand_over(&file))
        .map_err(Error::file("write", &file))?;
    Ok(true)
}

/// Variables that tell containers the place of their DynamoDB.
fn store_environment(endpoint: Option<String>, region: &str) -> Vec<(String, String)> {
    let endpoint = endpoint.map(|url| ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url));
    let region = ("AWS_REGION".to_owned(), region.to_owned());
    endpoint.into_iter().chain([region]).collect()
}

/// Variables for a store of the run's own, which containers know as `host`.
pub(in crate::deploy) fn own_store_environment(host: &str) -> Vec<(String, String)> {
    let url = format!("http://{host}:{}", StoreConfig::DEFAULT_PORT);
    store_environment(Some(url), store::OWN_REGION)
}

/// The certificates that containers need, as PEM: those that this machine trusts where a service is
/// given that speaks TLS, but only the broker's own authority where nothing else does.
fn certificates(
    broker: Option<&Broker>,
    store: &StorePlace,
    system: impl FnOnce() -> String,
) -> Option<String> {
    let broker = broker.filter(|broker| broker.is_encrypted());
    let ca = broker.and_then(Broker::ca);
    let store_is_encrypted = match store {
        StorePlace::Companion => false,
        StorePlace::Given { endpoint, .. } => {
            let url = endpoint.as_deref();
            url.is_none_or(|url| url.starts_with("https://"))
        }
    };
    let needs_system = store_is_encrypted || broker.is_some() && ca.is_none();
    let mut pem = if needs_system {
        system()
    } else {
        String::new()
    };
    pem += ca.unwrap_or_default();
    (!pem.is_empty()).then_some(pem)
}

fn make_users(
    management: &Management,
    names: &BrokerNames,
    passwords: &Passwords,
) -> Result<(), Error> {
    let made = || {
        management.ensure_vhost(&names.vhost, "a Cuttlefish run")?;
        for (user, password, may) in [
            (&names.trainer, &passwords.trainer, names.trainer_may()),
            (&names.actor, &passwords.actor, names.actor_may()),
        ] {
            management.ensure_user(user, password)?;
            management.permit(&names.vhost, user, &may)?;
        }
        Ok(())
    };
    made().map_err(|error: crate::transport::amqp::Error| {
        Error::Unusable(format!("failed to make users: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_trust_those_that_the_command_trusts_and_where_nothing_else_is_needed_one() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\n";
        std::fs::write(ca.path(), pem).unwrap();
        let parse = |url: &str, ca| Some(Broker::parse(url, ca).unwrap());
        let given = |endpoint: Option<&str>| StorePlace::Given {
            endpoint: endpoint.map(str::to_owned),
            region: store::OWN_REGION.to_owned(),
        };
        let (plain, tls) = ("amqp://u:p@h/v", "amqps://u:p@h/v");
        let both = format!("system\n{pem}");
        let (own, http) = (StorePlace::Companion, given(Some("http://h:1")));
        let cases = [
            (None, &own, None),
            (parse(plain, Some(ca.path())), &http, None),
            (parse(tls, None), &own, Some("system\n")),
            (parse(tls, Some(ca.path())), &http, Some(pem)),
            (
                parse(tls, Some(ca.path())),
                &given(None),
                Some(both.as_str()),
            ),
            (None, &given(Some("https://h:1")), Some("system\n")),
        ];
        for (broker, store, expected) in cases {
            let pem = certificates(broker.as_ref(), store, || "system\n".to_owned());
            assert_eq!(pem.as_deref(), expected, "{broker:?} {store:?}");
        }
    }
}
