//! Tasks of a run: waiting for their end, and one that does a single thing.

use std::time::Duration;

use aws_sdk_ecs::types::{ContainerOverride, DesiredStatus, TaskDefinitionStatus, TaskOverride};

use super::api::{Ecs, GONE_WITHIN, POLL_EVERY, network, of_many, request, within};
use super::desired::{CONTAINER, TaskNetwork, prefix};
use super::error::Error;
use super::render;
use crate::attempts::for_each;

/// A task of our own has to be placed and started first.
const TASK_WITHIN: Duration = Duration::from_secs(300);

/// Tasks that DescribeTasks takes at once.
const DESCRIBED_AT_ONCE: usize = 100;

impl Ecs {
    /// Waits until no task of a service is left.
    ///
    /// # Errors
    /// When that takes too long, or ECS refuses.
    pub async fn wait_until_empty(&self, service: &str) -> Result<(), Error> {
        let wait = async {
            loop {
                let running = self.tasks(service, DesiredStatus::Running).await?;
                // Tasks that are to stop are among the stopped ones before they have.
                let stopped = self.tasks(service, DesiredStatus::Stopped).await?;
                if running.is_empty() && self.have_stopped(&stopped).await? {
                    return Ok(());
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        within(GONE_WITHIN, format!("see the tasks of {service} end"), wait).await
    }

    /// The ARNs of a service's tasks.
    async fn tasks(&self, service: &str, status: DesiredStatus) -> Result<Vec<String>, Error> {
        let listed = self.client.list_tasks().cluster(&self.stack.cluster);
        let listed = listed.family(service).desired_status(status);
        let mut pages = listed.into_paginator().send();
        let mut arns = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(request(format!("list the tasks of {service}")))?;
            arns.extend_from_slice(page.task_arns());
        }
        Ok(arns)
    }

    /// True if tasks that are to stop have done so.
    async fn have_stopped(&self, arns: &[String]) -> Result<bool, Error> {
        for arns in arns.chunks(DESCRIBED_AT_ONCE) {
            let described = self
                .client
                .describe_tasks()
                .cluster(&self.stack.cluster)
                .set_tasks(Some(arns.to_vec()))
                .send()
                .await
                .map_err(request("describe tasks"))?;
            let mut tasks = described.tasks().iter();
            if !tasks.all(|task| task.last_status() == Some("STOPPED")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Starts a task of a service's kind with a command of its own, and returns its ARN.
    ///
    /// # Errors
    /// When it is not started, which ECS may say in an answer that is no error.
    pub async fn start_once(&self, service: &str, command: &str) -> Result<String, Error> {
        let failed = |problem: String| failed(service, problem);
        let instead = ContainerOverride::builder()
            .name(CONTAINER)
            .command(command)
            .build();
        let started = self
            .client
            .run_task()
            .cluster(&self.stack.cluster)
            .task_definition(service)
            .launch_type(render::launch_type(self.stack.capacity))
            .network_configuration(network(&TaskNetwork::of(&self.stack), "run a task")?)
            .overrides(TaskOverride::builder().container_overrides(instead).build())
            .started_by(&self.owner)
            .set_tags(Some(self.tags()))
            .send()
            .await
            .map_err(request(format!("run a task of {service}")))?;
        if let Some(failure) = started.failures().first() {
            let reason = failure.reason().unwrap_or("no reason is given");
            let detail = failure.detail().unwrap_or_default();
            return Err(failed(format!("{reason} {detail}").trim().to_owned()));
        }
        let arn = started.tasks().first().and_then(|task| task.task_arn());
        arn.map(str::to_owned)
            .ok_or_else(|| failed("ECS started none".to_owned()))
    }

    /// Runs a command in a task of a service's kind, to its end.
    ///
    /// # Errors
    /// When it is not started, or fails.
    pub async fn run_once(&self, service: &str, command: &str) -> Result<(), Error> {
        let arn = self.start_once(service, command).await?;
        let wait = async {
            loop {
                tokio::time::sleep(POLL_EVERY).await;
                let described = self
                    .client
                    .describe_tasks()
                    .cluster(&self.stack.cluster)
                    .tasks(&arn)
                    .send()
                    .await
                    .map_err(request("describe tasks"))?;
                let Some(task) = described.tasks().first() else {
                    continue;
                };
                if task.last_status() != Some("STOPPED") {
                    continue;
                }
                let code = task.containers().first().and_then(|one| one.exit_code());
                return match code {
                    Some(0) => Ok(()),
                    code => {
                        let reason = task.stopped_reason().unwrap_or("it has stopped");
                        let code = code.map_or("none".to_owned(), |code| code.to_string());
                        let log = &self.stack.log_group;
                        let problem = format!("{reason}, exit code {code} (its log is in {log})");
                        Err(failed(service, problem))
                    }
                };
            }
        };
        within(TASK_WITHIN, format!("see a task of {service} end"), wait).await
    }

    /// True if tasks of a service's kind can be started.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn is_defined(&self, service: &str) -> Result<bool, Error> {
        let listed = self.client.list_task_definitions().family_prefix(service);
        let listed = listed.status(TaskDefinitionStatus::Active).send().await;
        let listed = listed.map_err(request("list task definitions"))?;
        Ok(!listed.task_definition_arns().is_empty())
    }

    /// Makes the revisions of the run's task definitions inactive: ECS keeps them, but starts none.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn retire_definitions(&self) -> Result<(), Error> {
        let families = self.client.list_task_definition_families();
        let mut families = families
            .family_prefix(prefix(&self.run))
            .into_paginator()
            .send();
        let mut arns = Vec::new();
        while let Some(page) = families.next().await {
            let page = page.map_err(request("list task definitions"))?;
            for family in page.families() {
                let listed = self.client.list_task_definitions().family_prefix(family);
                let mut listed = listed
                    .status(TaskDefinitionStatus::Active)
                    .into_paginator()
                    .send();
                while let Some(page) = listed.next().await {
                    let page = page.map_err(request("list task definitions"))?;
                    arns.extend(page.task_definition_arns().to_vec());
                }
            }
        }
        let total = arns.len();
        let retire = |arn: String| async move {
            let retire = self.client.deregister_task_definition();
            let retired = retire.task_definition(&arn).send().await;
            let what = format!("deregister task definition {arn}");
            retired.map(drop).map_err(request(what))
        };
        let left = for_each(arns, 1, retire, |_| {}, &|| true).await;
        of_many("deregister", "task definition", total, left)
    }
}

fn failed(service: &str, problem: String) -> Error {
    Error::Task {
        family: service.to_owned(),
        problem,
    }
}
