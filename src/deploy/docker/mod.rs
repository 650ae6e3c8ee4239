//! Containers of a Docker host.
//!
//! | module | responsibility |
//! |---|---|
//! | [`target`], [`options`] | the host as a target, and what a person may choose there |
//! | [`run`] | a run in containers |
//! | [`deployment`] | the document of such a run |
//! | [`up`], [`down`] | containers that train; the removal of everything of a run, and nothing else |
//! | [`external`], [`own_services`] | a broker and store that were there; those that a run brings along |
//! | [`provision`] | files and users that containers need |
//! | [`endpoints`] | addresses of broker, store and actors |
//! | [`watch`], [`status`], [`neuron`] | training followed; each container's state; one neuron's |
//! | [`estimate`] | cost of a run beside what the host can carry |
//! | [`desired`] | a run's containers as they should be; pure |
//! | [`cost`] | memory, threads and files that they cost the host; pure |
//! | [`limits`] | limits of the host that this meets, and whether they hold; pure |
//! | [`facts`] | the host's memory and limits, as the daemon and the kernel say |
//! | [`render`] | a container as a request to the API; pure |
//! | [`reconcile`] | steps from what is there to what should be; pure |
//! | [`image`] | the neuron image: found, or built without a base image |
//! | `networks` | a run's networks, made and removed |
//! | [`disturb`] | faults that are done to a container on purpose |
//! | `once` | a container run to its end |
//! | [`error`] | errors of the daemon, and what to do about them |
//!
//! Only what carries the label of the run is touched.

pub mod cost;
pub mod deployment;
pub mod desired;
pub mod disturb;
pub mod down;
pub mod endpoints;
pub mod error;
pub mod estimate;
pub mod external;
pub mod facts;
pub mod image;
pub mod limits;
mod networks;
pub mod neuron;
mod once;
pub mod options;
pub mod own_services;
pub mod provision;
pub mod reconcile;
pub mod render;
pub mod run;
pub mod status;
pub mod target;
pub mod up;
pub mod watch;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerSummary, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, StartContainerOptions,
};
use futures_util::stream::{BoxStream, StreamExt};

pub use deployment::Deployment;
use desired::{Container, Role};
pub use error::Error;
pub use once::ContainerEnd;
pub use options::DockerOptions;
use reconcile::{ContainerAction, ObservedContainer};
use render::label;
pub use run::DockerRun;
pub use target::DockerTarget;

use crate::attempts::for_each;

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

    /// Containers of a run, whoever made them, by name; None for those of all runs.
    pub async fn observe(
        &self,
        run: Option<&str>,
    ) -> Result<Vec<(ContainerSummary, ObservedContainer)>, Error> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(of_run(run)),
            ..ListContainersOptions::default()
        };
        let listed = self.client.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| Error::api("list containers", error))?;
        let mut containers: Vec<_> = listed
            .into_iter()
            .map(|summary| {
                let observed = observed(&summary);
                (summary, observed)
            })
            .collect();
        containers.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Takes steps, several at a time; `done` is told after each, and `goes_on` says whether to begin
    /// others.
    ///
    /// # Errors
    /// Says which steps are left; one that fails does not keep the others from being taken. Steps that
    /// are under way are finished in any case: one that is given up half way could leave a container that
    /// nobody has seen yet.
    pub async fn apply(
        &self,
        actions: Vec<ContainerAction>,
        run: &str,
        owner: &str,
        done: &(dyn Fn(&str) + Send + Sync),
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), Error> {
        let total = actions.len();
        let verbs = BTreeSet::from_iter(actions.iter().map(ContainerAction::verb));
        let verb = Vec::from_iter(verbs).join(" or ");
        let step = |action| self.step(action, run, owner);
        let name = |action: &ContainerAction| action.name().to_owned();
        let left = for_each(actions, AT_ONCE, step, |one| done(one.name()), goes_on).await;
        let left = left.into_iter().map(|(one, error)| (name(&one), error));
        Error::of_many(&verb, "container", total, left.collect())
    }

    async fn step(&self, action: ContainerAction, run: &str, owner: &str) -> Result<(), Error> {
        match action {
            ContainerAction::Create {
                container,
                instead_of,
            } => {
                for id in instead_of {
                    self.remove(&id, &container.name).await?;
                }
                self.create(&container, run, owner).await.map(drop)
            }
            ContainerAction::Start { id, name, .. } => self.start(&id, &name).await,
            ContainerAction::Remove { id, name } => self.remove(&id, &name).await,
        }
    }

    /// Makes and starts a container, and returns its ID. One that cannot be started is removed again.
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
        let begun = self.connect_and_start(container, &id).await;
        if begun.is_err() {
            // So that it can be tried again: the name is free.
            let _ = self.remove(&id, name).await;
        }
        begun.map(|()| id)
    }

    async fn connect_and_start(&self, container: &Container, id: &str) -> Result<(), Error> {
        let name = container.name.as_str();
        for network in container.networks.iter().skip(1) {
            let request = NetworkConnectRequest {
                container: id.to_owned(),
                endpoint_config: Some(render::endpoint(container)),
            };
            let connected = self.client.connect_network(network, request).await;
            connected
                .map_err(|error| Error::api(&format!("connect {name} to {network}"), error))?;
        }
        self.start(id, name).await
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

    async fn remove(&self, id: &str, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions {
            force: true,
            // Volumes that its image asked for.
            v: true,
            ..RemoveContainerOptions::default()
        };
        match self.client.remove_container(id, Some(options)).await {
            Err(error) if !error::is_gone(&error) => {
                Err(Error::api(&format!("remove {name}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the containers that carry the label of the run and its owner; `done` is told of each.
    ///
    /// # Errors
    /// Says which are left.
    pub async fn remove_containers(
        &self,
        run: &str,
        owner: &str,
        done: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Error> {
        let containers = self.observe(Some(run)).await?;
        let actions = containers
            .into_iter()
            .filter(|(summary, _)| owner_of(summary) == Some(owner))
            .map(|(_, observed)| ContainerAction::Remove {
                id: observed.id,
                name: observed.name,
            })
            .collect();
        self.apply(actions, run, owner, done, &|| true).await
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

/// Owner of a container, by its label.
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

fn observed(summary: &ContainerSummary) -> ObservedContainer {
    let label = |name: &str| {
        let labels = summary.labels.as_ref();
        labels
            .and_then(|labels| labels.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let name = summary.names.as_ref().and_then(|names| names.first());
    let ports = summary.ports.iter().flatten();
    ObservedContainer {
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

#[cfg(test)]
mod tests;
