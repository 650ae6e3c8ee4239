//! Containers of a Docker host.
//!
//! | module | responsibility |
//! |---|---|
//! | [`desired`] | what a run's containers should be; pure |
//! | [`cost`] | what they cost the host; pure |
//! | [`limits`] | which limits of the host that meets, and whether they hold; pure |
//! | [`facts`] | what the host has, as the daemon and the kernel say |
//! | [`render`] | a container as the API wants it said; pure |
//! | [`reconcile`] | the steps from what is there to what should be; pure |
//! | [`image`] | the neuron image: found, or built without a base image |
//! | [`disturb`] | what is done to a container by those who test what it survives |
//! | `once` | a container run to its end |
//! | [`error`] | what can go wrong, and what to do about it |
//!
//! This module knows containers, not neurons. It touches only what carries the label of the run.

pub mod cost;
pub mod desired;
pub mod disturb;
pub mod error;
pub mod facts;
pub mod image;
pub mod limits;
mod once;
pub mod reconcile;
pub mod render;

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerSummary, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, ListNetworksOptions,
    LogsOptions, RemoveContainerOptions, StartContainerOptions,
};
use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt};

use desired::{Container, Role};
pub use error::Error;
pub use once::Ended;
use reconcile::{Action, Observed};
use render::label;

/// Requests to the daemon at once. It works on few containers at a time, and more only make each
/// of them slower.
const AT_ONCE: usize = 6;

/// The daemons that this program was tried with begin here (Docker 20.10).
const OLDEST_API: (u32, u32) = (1, 41);

/// A daemon answers simple questions within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A Docker daemon.
#[derive(Clone)]
pub struct Docker {
    client: bollard::Docker,
}

impl Docker {
    /// Connects to the daemon of this machine and asks what it is.
    ///
    /// # Errors
    /// When there is none, we may not use it, or it is too old.
    pub async fn connect() -> Result<Self, Error> {
        let client = bollard::Docker::connect_with_local_defaults().map_err(Error::unreachable)?;
        let version = tokio::time::timeout(ANSWER_WITHIN, client.version()).await;
        let version = version
            .map_err(|_| Error::Silent {
                seconds: ANSWER_WITHIN.as_secs(),
            })?
            .map_err(Error::unreachable)?;
        let found = version.api_version.unwrap_or_default();
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        let mut parts = found.split('.');
        let api = (number(parts.next()), number(parts.next()));
        if let (Some(major), Some(minor)) = api
            && (major, minor) < OLDEST_API
        {
            return Err(Error::TooOld { found });
        }
        Ok(Self { client })
    }

    /// The containers of a run, whoever made them, by name; those of all runs without a name.
    pub async fn observe(
        &self,
        run: Option<&str>,
    ) -> Result<Vec<(ContainerSummary, Observed)>, Error> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(of_run(run)),
            ..ListContainersOptions::default()
        };
        let listed = self.client.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| Error::api("list containers", error))?;
        let mut found: Vec<_> = listed
            .into_iter()
            .map(|summary| {
                let observed = observed(&summary);
                (summary, observed)
            })
            .collect();
        found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Makes the networks that are not there. Returns whether any was made.
    pub async fn ensure_networks(
        &self,
        networks: &[String],
        run: &str,
        owner: &str,
    ) -> Result<bool, Error> {
        let mut made = false;
        for name in networks {
            let options = ListNetworksOptions {
                filters: Some(HashMap::from([("name".to_owned(), vec![name.clone()])])),
            };
            let listed = self.client.list_networks(Some(options)).await;
            let listed = listed.map_err(|error| Error::api("list networks", error))?;
            // The filter also finds names that contain this one.
            if let Some(found) = listed
                .iter()
                .find(|found| found.name.as_ref() == Some(name))
            {
                let labels = found.labels.clone().unwrap_or_default();
                if labels.get(label::OWNER).map(String::as_str) != Some(owner) {
                    return Err(Error::Taken {
                        what: "network",
                        name: name.clone(),
                    });
                }
                continue;
            }
            let request = NetworkCreateRequest {
                name: name.clone(),
                driver: Some("bridge".to_owned()),
                labels: Some(render::labels(run, owner)),
                ..NetworkCreateRequest::default()
            };
            let created = self.client.create_network(request).await;
            created.map_err(|error| Error::api(&format!("create network {name}"), error))?;
            made = true;
        }
        Ok(made)
    }

    /// Takes steps, several at a time; `done` is told after each, and says whether to go on.
    ///
    /// # Errors
    /// The first error. Steps that are under way are finished in any case: one that is given up
    /// half way could leave a container that nobody has seen yet.
    pub async fn apply(
        &self,
        actions: Vec<Action>,
        run: &str,
        owner: &str,
        done: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<(), Error> {
        let mut waiting = actions.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut result = Ok(());
        let mut goes_on = true;
        loop {
            while goes_on
                && under_way.len() < AT_ONCE
                && let Some(action) = waiting.next()
            {
                under_way.push(self.step(action, run, owner));
            }
            match under_way.next().await {
                None => return result,
                Some(Ok(name)) => goes_on &= done(&name),
                Some(Err(error)) => {
                    goes_on = false;
                    result = result.and(Err(error));
                }
            }
        }
    }

    async fn step(&self, action: Action, run: &str, owner: &str) -> Result<String, Error> {
        match action {
            Action::Create {
                container,
                instead_of,
            } => {
                for id in instead_of {
                    self.remove(&id).await?;
                }
                self.create(&container, run, owner).await?;
                Ok(container.name)
            }
            Action::Start { id, name, .. } => {
                self.start(&id, &name).await?;
                Ok(name)
            }
            Action::Remove { id, name } => {
                self.remove(&id).await?;
                Ok(name)
            }
        }
    }

    /// Makes and starts a container. Returns Docker's number of it.
    async fn create(&self, container: &Container, run: &str, owner: &str) -> Result<String, Error> {
        let name = container.name.as_str();
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..CreateContainerOptions::default()
        };
        let body = render::container(container, run, owner);
        let created = self.client.create_container(Some(options), body).await;
        let id = created
            .map_err(|error| Error::creating(container, error))?
            .id;
        for network in container.networks.iter().skip(1) {
            let request = NetworkConnectRequest {
                container: id.clone(),
                endpoint_config: Some(render::endpoint(container)),
            };
            let connected = self.client.connect_network(network, request).await;
            connected
                .map_err(|error| Error::api(&format!("connect {name} to {network}"), error))?;
        }
        self.start(&id, name).await?;
        Ok(id)
    }

    /// Starts a container that is there.
    pub async fn start(&self, id: &str, name: &str) -> Result<(), Error> {
        let started = self
            .client
            .start_container(id, None::<StartContainerOptions>)
            .await;
        started.map_err(|error| Error::api(&format!("start {name}"), error))
    }

    /// Sends a signal to a container's process.
    pub async fn signal(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        let sent = self.client.kill_container(name, Some(options)).await;
        sent.map_err(|error| Error::api(&format!("send {signal} to {name}"), error))
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions {
            force: true,
            // Volumes that its image asked for.
            v: true,
            ..RemoveContainerOptions::default()
        };
        match self.client.remove_container(id, Some(options)).await {
            Err(error) if !error::is_gone(&error) => Err(Error::api("remove a container", error)),
            _ => Ok(()),
        }
    }

    /// Removes everything that carries the label of the run and its owner; `done` is told of each
    /// container.
    pub async fn remove_run(
        &self,
        run: &str,
        owner: &str,
        done: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<(), Error> {
        let found = self.observe(Some(run)).await?;
        let actions = found
            .into_iter()
            .filter(|(summary, _)| owner_of(summary) == Some(owner))
            .map(|(_, observed)| Action::Remove {
                id: observed.id,
                name: observed.name,
            })
            .collect();
        self.apply(actions, run, owner, done).await?;
        let options = ListNetworksOptions {
            filters: Some(of_run(Some(run))),
        };
        let mut in_use = None;
        let listed = self.client.list_networks(Some(options)).await;
        for network in listed.map_err(|error| Error::api("list networks", error))? {
            let labels = network.labels.unwrap_or_default();
            let name = network.name.unwrap_or_default();
            if labels.get(label::OWNER).map(String::as_str) != Some(owner) {
                continue;
            }
            match self.client.remove_network(&name).await {
                Err(error) if error::is_in_use(&error) => {
                    in_use = Some(Error::InUse { network: name });
                }
                Err(error) if !error::is_gone(&error) => {
                    return Err(Error::api(&format!("remove network {name}"), error));
                }
                _ => {}
            }
        }
        in_use.map_or(Ok(()), Err)
    }

    /// The lines that a container has written, and with `follow` those to come.
    pub fn logs(
        &self,
        name: &str,
        follow: bool,
        tail: &str,
    ) -> BoxStream<'static, Result<String, Error>> {
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            tail: tail.to_owned(),
            ..LogsOptions::default()
        };
        let what = format!("read the log of {name}");
        self.client
            .logs(name, Some(options))
            .map(move |line| match line {
                Ok(output) => Ok(text(output)),
                Err(error) => Err(Error::api(&what, error)),
            })
            .boxed()
    }

    /// The client itself, for what only one module needs.
    fn client(&self) -> &bollard::Docker {
        &self.client
    }
}

/// Whose a container is.
pub fn owner_of(summary: &ContainerSummary) -> Option<&str> {
    summary
        .labels
        .as_ref()?
        .get(label::OWNER)
        .map(String::as_str)
}

fn of_run(run: Option<&str>) -> HashMap<String, Vec<String>> {
    let label = match run {
        Some(run) => format!("{}={run}", label::RUN),
        None => label::RUN.to_owned(),
    };
    HashMap::from([("label".to_owned(), vec![label])])
}

fn text(output: LogOutput) -> String {
    String::from_utf8_lossy(&output.into_bytes())
        .trim_end_matches('\n')
        .to_owned()
}

fn observed(summary: &ContainerSummary) -> Observed {
    let label = |name: &str| {
        let labels = summary.labels.as_ref();
        labels
            .and_then(|labels| labels.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let name = summary.names.as_ref().and_then(|names| names.first());
    let ports = summary.ports.iter().flatten();
    Observed {
        id: summary.id.clone().unwrap_or_default(),
        name: name.map_or(String::new(), |name| {
            name.trim_start_matches('/').to_owned()
        }),
        actor: label(label::ACTOR),
        role: Role::parse(&label(label::ROLE)),
        fingerprint: label(label::FINGERPRINT),
        state: summary
            .state
            .map_or(String::new(), |state| state.to_string()),
        status: summary.status.clone().unwrap_or_default(),
        ports: ports
            .filter_map(|port| Some((port.private_port, port.public_port?)))
            .collect(),
    }
}
