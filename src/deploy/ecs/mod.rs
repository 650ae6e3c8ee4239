//! A run on Amazon ECS.
//!
//! | module | responsibility |
//! |---|---|
//! | [`stack`] | what has to exist in the account; pure |
//! | [`desired`] | the services that a run should have; pure |
//! | [`cost`] | what that costs, and AWS's quotas; pure |
//! | [`reconcile`] | what differs from those that are there; pure |
//! | [`render`] | task definitions as the API wants them said, and back; pure |
//! | [`manifests`] | the same requests as files that others send |
//! | [`run`] | the target, and a run there |
//! | [`deployment`] | the document of such a run |
//! | [`watch`], [`status`] | training followed; the services' state |
//! | [`bundle`] | a run as files that others apply |
//! | `tasks` | tasks that end, and one that does a single thing |
//! | this file | the API |
//!
//! Every request may be repeated: names are the run's own, and what is there is looked up first. The
//! API is only eventually consistent, so nothing here depends on reading back what was just written.

pub mod bundle;
pub mod cost;
pub mod deployment;
pub mod desired;
pub mod manifests;
pub mod reconcile;
pub mod render;
pub mod run;
pub mod stack;
pub mod status;
mod tasks;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{
    self, DeploymentConfiguration, NetworkConfiguration, NetworkMode, PropagateTags, ServiceField,
    Tag,
};

pub use deployment::Deployment;
use desired::{Network, Service, TaskDefinition, prefix};
use reconcile::{Action, Changes, Observed};
use stack::{Stack, StackError};

use crate::store;

/// DescribeServices takes so many at once.
const DESCRIBED_AT_ONCE: usize = 10;
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Tasks have 30 s to end, after which ECS kills them.
const GONE_WITHIN: Duration = Duration::from_secs(180);

/// Tags of everything of a run.
const RUN_TAG: &str = "cuttlefish:run";
const OWNER_TAG: &str = "cuttlefish:owner";

/// What can go wrong at AWS. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request was refused or lost.
    #[error("{what}: {problem}")]
    Request {
        /// What we wanted.
        what: String,
        /// What AWS or the SDK said.
        problem: String,
    },
    /// The account is not prepared.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A task was not started, or did not do what it was for.
    #[error("run a task of {family}: {problem}")]
    Task {
        /// Its task definition.
        family: String,
        /// What ECS said.
        problem: String,
    },
    /// It takes too long.
    #[error("{what} within {} s", .within.as_secs())]
    Late {
        /// What we waited for.
        what: String,
        /// How long.
        within: Duration,
    },
}

fn request<E>(what: impl Into<String>) -> impl FnOnce(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let what = what.into();
    |error| Error::Request {
        what,
        problem: store::describe(&error),
    }
}

/// A client of the account and region that the environment names.
pub async fn client_from_environment() -> Client {
    Client::new(&store::sdk_from_environment().await)
}

/// The outputs of a CloudFormation stack, of the account and region that the environment names.
///
/// # Errors
/// When there is no such stack, or it has not all that is needed.
pub async fn read_stack(name: &str) -> Result<Stack, Error> {
    let client = aws_sdk_cloudformation::Client::new(&store::sdk_from_environment().await);
    let described = client.describe_stacks().stack_name(name).send().await;
    let described = described.map_err(request(format!("read stack `{name}`")))?;
    let outputs: BTreeMap<String, String> = described
        .stacks()
        .iter()
        .flat_map(|stack| stack.outputs())
        .filter_map(|output| {
            let (key, value) = (output.output_key()?, output.output_value()?);
            Some((key.to_owned(), value.to_owned()))
        })
        .collect();
    Ok(Stack::new(name, &outputs)?)
}

/// The cluster of a run.
#[derive(Clone, Debug)]
pub struct Ecs {
    client: Client,
    stack: Stack,
    run: String,
    owner: String,
}

impl Ecs {
    /// The run `run`, which is `owner`'s, in the cluster of `stack`.
    pub fn new(client: Client, stack: Stack, run: &str, owner: &str) -> Self {
        Self {
            client,
            stack,
            run: run.to_owned(),
            owner: owner.to_owned(),
        }
    }

    /// The services of the run as they are, those among them that ECS is still removing included.
    /// `expected` are looked for by name: a list need not have yet what was just made.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn observe(&self, expected: &[String]) -> Result<Vec<Observed>, Error> {
        let cluster = &self.stack.cluster;
        let mut names: BTreeSet<String> = expected.iter().cloned().collect();
        let pages = self.client.list_services().cluster(cluster);
        let mut pages = pages.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(request(format!("list the services of cluster {cluster}")))?;
            let own = page.service_arns().iter().filter_map(|arn| {
                let name = arn.rsplit('/').next()?;
                name.starts_with(&prefix(&self.run))
                    .then(|| name.to_owned())
            });
            names.extend(own);
        }
        let mut observed = Vec::new();
        for found in self.describe(names).await? {
            let arn = found.task_definition().unwrap_or_default().to_owned();
            let owner = found.tags().iter().find(|tag| tag.key() == Some(OWNER_TAG));
            observed.push(Observed {
                name: found.service_name().unwrap_or_default().to_owned(),
                is_leaving: found.status() == Some("DRAINING"),
                count: found.desired_count().unsigned_abs(),
                running: found.running_count().unsigned_abs(),
                definition: self.definition(&arn).await?,
                definition_arn: arn,
                network: found.network_configuration().and_then(render::read_network),
                launch_type: match found.capacity_provider_strategy() {
                    [] => found.launch_type().and_then(render::read_launch_type),
                    _ => None,
                },
                owner: owner.and_then(|tag| tag.value()).map(str::to_owned),
            });
        }
        observed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(observed)
    }

    /// Those of these services that are there, or on their way out.
    async fn describe(&self, names: BTreeSet<String>) -> Result<Vec<types::Service>, Error> {
        let names: Vec<String> = names.into_iter().collect();
        let mut found = Vec::new();
        for names in names.chunks(DESCRIBED_AT_ONCE) {
            let described = self
                .client
                .describe_services()
                .cluster(&self.stack.cluster)
                .set_services(Some(names.to_vec()))
                .include(ServiceField::Tags)
                .send()
                .await
                .map_err(request("describe services"))?;
            let services = described.services.unwrap_or_default().into_iter();
            // Removed ones are described as inactive for a while.
            found.extend(services.filter(|one| one.status() != Some("INACTIVE")));
        }
        Ok(found)
    }

    /// Waits until ECS has removed services, with all their tasks.
    ///
    /// # Errors
    /// When that takes too long, or ECS refuses.
    pub async fn wait_until_gone(&self, names: &[String]) -> Result<(), Error> {
        let names: BTreeSet<String> = names.iter().cloned().collect();
        let wait = async {
            while !self.describe(names.clone()).await?.is_empty() {
                tokio::time::sleep(POLL_EVERY).await;
            }
            Ok(())
        };
        within(GONE_WITHIN, "see ECS remove services".to_owned(), wait).await
    }

    /// What a task definition says.
    async fn definition(&self, arn: &str) -> Result<Option<TaskDefinition>, Error> {
        let found = self
            .client
            .describe_task_definition()
            .task_definition(arn)
            .send()
            .await
            .map_err(request(format!("describe task definition {arn}")))?;
        Ok(found.task_definition().and_then(render::read))
    }

    /// Takes a step.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn apply(&self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Create(service) => self.create(service).await,
            Action::Update {
                service, changes, ..
            } => self.update(service, *changes).await,
            Action::Replace { service, .. } => {
                self.delete(&service.name).await?;
                let name = std::slice::from_ref(&service.name);
                self.wait_until_gone(name).await?;
                self.create(service).await
            }
            Action::Delete(name) => self.delete(name).await,
        }
    }

    /// Sets the number of a service's tasks.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn scale(&self, service: &str, count: u32) -> Result<(), Error> {
        let update = self.client.update_service().cluster(&self.stack.cluster);
        update
            .service(service)
            .desired_count(count as i32)
            .send()
            .await
            .map_err(request(format!("scale service {service}")))?;
        Ok(())
    }

    async fn create(&self, service: &Service) -> Result<(), Error> {
        let what = format!("create service {}", service.name);
        let revision = self.register(&service.definition).await?;
        // One copy of an actor is enough: the old one ends before the new one begins.
        let deployment = DeploymentConfiguration::builder()
            .maximum_percent(100)
            .minimum_healthy_percent(0)
            .build();
        self.client
            .create_service()
            .cluster(&self.stack.cluster)
            .service_name(&service.name)
            .task_definition(revision)
            .desired_count(service.count as i32)
            .launch_type(render::launch_type(service.definition.capacity))
            .network_configuration(network(&service.network, &what)?)
            .deployment_configuration(deployment)
            .propagate_tags(PropagateTags::Service)
            .set_tags(Some(self.tags()))
            .send()
            .await
            .map_err(request(what))?;
        Ok(())
    }

    async fn update(&self, service: &Service, changes: Changes) -> Result<(), Error> {
        let what = format!("update service {}", service.name);
        let revision = match changes.definition {
            true => Some(self.register(&service.definition).await?),
            false => None,
        };
        let place = changes.network.then(|| network(&service.network, &what));
        self.client
            .update_service()
            .cluster(&self.stack.cluster)
            .service(&service.name)
            .desired_count(service.count as i32)
            .set_task_definition(revision)
            .set_network_configuration(place.transpose()?)
            .send()
            .await
            .map_err(request(what))?;
        Ok(())
    }

    async fn register(&self, definition: &TaskDefinition) -> Result<String, Error> {
        let what = format!("register task definition {}", definition.family);
        let container = render::container(definition).map_err(|error| Error::Request {
            what: what.clone(),
            problem: error.to_string(),
        })?;
        let registered = self
            .client
            .register_task_definition()
            .family(&definition.family)
            .requires_compatibilities(render::compatibility(definition.capacity))
            .network_mode(NetworkMode::Awsvpc)
            .cpu(definition.cpu.to_string())
            .memory(definition.memory.to_string())
            .task_role_arn(&definition.task_role)
            .execution_role_arn(&definition.execution_role)
            .container_definitions(container)
            .set_tags(Some(self.tags()))
            .send()
            .await
            .map_err(request(what.clone()))?;
        let revision = registered.task_definition();
        let arn = revision.and_then(|revision| revision.task_definition_arn());
        arn.map(str::to_owned).ok_or_else(|| Error::Request {
            what,
            problem: "ECS told no ARN".to_owned(),
        })
    }

    async fn delete(&self, service: &str) -> Result<(), Error> {
        let delete = self.client.delete_service().cluster(&self.stack.cluster);
        delete
            .service(service)
            .force(true)
            .send()
            .await
            .map_err(request(format!("delete service {service}")))?;
        Ok(())
    }

    fn tags(&self) -> Vec<Tag> {
        [(RUN_TAG, &self.run), (OWNER_TAG, &self.owner)]
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .to_vec()
    }
}

/// Where tasks are, as a request wants it said.
fn network(network: &Network, what: &str) -> Result<NetworkConfiguration, Error> {
    render::network(network).map_err(|error| Error::Request {
        what: what.to_owned(),
        problem: error.to_string(),
    })
}

async fn within<T>(
    most: Duration,
    what: String,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = |_| Error::Late { what, within: most };
    tokio::time::timeout(most, work).await.map_err(late)?
}
