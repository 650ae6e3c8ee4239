//! The API of ECS and CloudFormation, as far as a run needs it.
//!
//! Every request may be repeated: names are the run's own, and what is there is looked up first. The
//! API is only eventually consistent, so nothing here depends on reading back what was just written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{
    self, DeploymentConfiguration, NetworkConfiguration, NetworkMode, PropagateTags, ServiceField,
    Tag,
};

use super::desired::{Service, TaskDefinition, TaskNetwork, prefix};
use super::error::Error;
use super::reconcile::{ObservedService, ServiceAction, ServiceChanges};
use super::stack::Stack;
use super::{OWNER_TAG, RUN_TAG, render};

use crate::attempts::{Failures, for_each};
use crate::store;

/// Services that DescribeServices takes at once.
const DESCRIBED_AT_ONCE: usize = 10;
pub(super) const POLL_EVERY: Duration = Duration::from_secs(1);
/// Tasks have 30 s to end, after which ECS kills them.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(180);

/// Codes of ECS for a service that is not there.
const GONE: [&str; 2] = ["ServiceNotFoundException", "ServiceNotActiveException"];

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
    pub(super) client: Client,
    pub(super) stack: Stack,
    pub(super) run: String,
    pub(super) owner: String,
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
    pub async fn observe(&self, expected: &[String]) -> Result<Vec<ObservedService>, Error> {
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
        for service in self.describe(names).await? {
            let arn = service.task_definition().unwrap_or_default().to_owned();
            let owner = service
                .tags()
                .iter()
                .find(|tag| tag.key() == Some(OWNER_TAG));
            observed.push(ObservedService {
                name: service.service_name().unwrap_or_default().to_owned(),
                is_leaving: service.status() == Some("DRAINING"),
                count: service.desired_count().unsigned_abs(),
                running: service.running_count().unsigned_abs(),
                definition: self.definition(&arn).await?,
                definition_arn: arn,
                network: service
                    .network_configuration()
                    .and_then(render::read_network),
                launch_type: match service.capacity_provider_strategy() {
                    [] => service.launch_type().and_then(render::read_launch_type),
                    _ => None,
                },
                owner: owner.and_then(|tag| tag.value()).map(str::to_owned),
            });
        }
        observed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(observed)
    }

    /// Services of these names that are there, or on their way out.
    async fn describe(&self, names: BTreeSet<String>) -> Result<Vec<types::Service>, Error> {
        let names: Vec<String> = names.into_iter().collect();
        let mut services = Vec::new();
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
            let page = described.services.unwrap_or_default().into_iter();
            // Removed ones are described as inactive for a while.
            services.extend(page.filter(|one| one.status() != Some("INACTIVE")));
        }
        Ok(services)
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

    /// Task definition with that ARN; None if it is not of the form that we write.
    async fn definition(&self, arn: &str) -> Result<Option<TaskDefinition>, Error> {
        let description = self
            .client
            .describe_task_definition()
            .task_definition(arn)
            .send()
            .await
            .map_err(request(format!("describe task definition {arn}")))?;
        Ok(description.task_definition().and_then(render::read))
    }

    /// Takes steps, one after the other; `done` is told after each, and `goes_on` says whether to begin
    /// others.
    ///
    /// # Errors
    /// Says which steps are left; one that fails does not keep the others from being taken.
    pub async fn apply_all(
        &self,
        actions: &[ServiceAction],
        done: &(dyn Fn(&str) + Send + Sync),
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), Error> {
        let step = |action: ServiceAction| async move { self.apply(&action).await };
        let done = |action: &ServiceAction| done(action.service());
        let left = for_each(actions.to_vec(), 1, step, done, goes_on).await;
        let left = left
            .into_iter()
            .map(|(one, error)| (one.service().to_owned(), error));
        of_many("change", "service", actions.len(), left.collect())
    }

    /// Removes services and waits until they and their tasks are gone; `done` is told after each.
    ///
    /// # Errors
    /// Says which are left.
    pub async fn remove_all(
        &self,
        services: Vec<ObservedService>,
        done: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Error> {
        let total = services.len();
        let goes_on = || true;
        let (leaving, staying): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|one| one.is_leaving);
        let names = |services: Vec<ObservedService>| services.into_iter().map(|one| one.name);
        let mut leaving: BTreeSet<String> = names(leaving).collect();
        leaving.extend(staying.iter().map(|one| one.name.clone()));
        let delete = |name: String| async move { self.delete(&name).await };
        let staying = names(staying).collect();
        let mut left = for_each(staying, 1, delete, |_| {}, &goes_on).await;
        for (name, _) in &left {
            leaving.remove(name);
        }
        // One after the other, so that a person sees how far it is.
        let wait = |name: String| async move {
            self.wait_until_gone(std::slice::from_ref(&name)).await?;
            self.wait_until_empty(&name).await
        };
        let leaving = leaving.into_iter().collect();
        left.extend(for_each(leaving, 1, wait, |name| done(name), &goes_on).await);
        of_many("remove", "service", total, left)
    }

    /// Takes a step.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn apply(&self, action: &ServiceAction) -> Result<(), Error> {
        match action {
            ServiceAction::Create(service) => self.create(service).await,
            ServiceAction::Update {
                service, changes, ..
            } => self.update(service, *changes).await,
            ServiceAction::Replace { service, .. } => {
                self.delete(&service.name).await?;
                let name = std::slice::from_ref(&service.name);
                self.wait_until_gone(name).await?;
                self.create(service).await
            }
            ServiceAction::Delete(name) => self.delete(name).await,
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

    async fn update(&self, service: &Service, changes: ServiceChanges) -> Result<(), Error> {
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
            is_transient: false,
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
            is_transient: false,
        })
    }

    async fn delete(&self, service: &str) -> Result<(), Error> {
        let delete = self.client.delete_service().cluster(&self.stack.cluster);
        match delete.service(service).force(true).send().await {
            // One that is gone is no error: this may be a second try.
            Err(error) if GONE.contains(&error.code().unwrap_or_default()) => Ok(()),
            deleted => deleted
                .map(drop)
                .map_err(request(format!("delete service {service}"))),
        }
    }

    pub(super) fn tags(&self) -> Vec<Tag> {
        [(RUN_TAG, &self.run), (OWNER_TAG, &self.owner)]
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .to_vec()
    }
}

/// Network of tasks as the API takes it.
pub(super) fn network(network: &TaskNetwork, what: &str) -> Result<NetworkConfiguration, Error> {
    render::network(network).map_err(|error| Error::Request {
        what: what.to_owned(),
        problem: error.to_string(),
        is_transient: false,
    })
}

pub(super) async fn within<T>(
    most: Duration,
    what: String,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = |_| Error::Late { what, within: most };
    tokio::time::timeout(most, work).await.map_err(late)?
}

/// Error of a failed SDK call.
pub(super) fn request<E>(what: impl Into<String>) -> impl FnOnce(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let what = what.into();
    |error| Error::Request {
        what,
        problem: store::describe(&error),
        is_transient: store::is_transient(&error),
    }
}

/// Outcome of many items: the error itself where there was but one.
pub(super) fn of_many(
    verb: &str,
    noun: &str,
    total: usize,
    left: Vec<(String, Error)>,
) -> Result<(), Error> {
    Failures::outcome(verb, noun, total, left, Error::Several)
}
