//! A run on Amazon ECS: brought up, changed, taken down. Converges: what is there and right stays.
//!
//! Nothing here has to go on once it is up: ECS keeps the tasks, the trainer wires the queues, and
//! the trainer's figures are in the run's store.

use cuttlefish_core::topology::graph::Graph;

use super::Deployment;
use super::api::{Ecs, client_from_environment};
use super::desired::{self, EcsSite, Service, trainer_service};
use super::reconcile::{ObservedService, ServiceAction, reconcile};
use crate::container;
use crate::data::prepared;
use crate::deploy::docker::endpoints::from_containers;
use crate::deploy::removal::{all_removed, remove_items};
use crate::deploy::{self, Changes, Error, Workload};
use crate::host::RunSnapshot;
use crate::import;
use crate::monitor::Monitor;
use crate::run_dir::RunDir;
use crate::store::{self, DynamoStore, Store};

/// A run that has been brought up on ECS.
pub struct EcsRun {
    /// Its directory.
    pub dir: RunDir,
    /// Its stack, region and image.
    pub deployment: Deployment,
    ecs: Ecs,
}

impl EcsRun {
    pub(super) async fn of(dir: RunDir, deployment: Deployment) -> Self {
        let client = client_from_environment().await;
        let (stack, owner) = (deployment.stack.clone(), &deployment.owner);
        let ecs = Ecs::new(client, stack, dir.name(), owner);
        Self {
            dir,
            deployment,
            ecs,
        }
    }

    /// True if the run is still there: another process may have taken it down, or replaced it.
    pub(super) fn is_there(&self) -> bool {
        deploy::Deployment::is_still(&self.dir, &self.deployment.owner)
    }

    pub(super) async fn up(
        &self,
        workload: &Workload,
        monitor: &Monitor,
    ) -> Result<Changes, Error> {
        let services = self.desired(&workload.graph)?;
        let mut observed = self.own(self.observe(&workload.graph).await?)?;
        let leaving: Vec<String> = observed
            .iter()
            .filter(|service| service.is_leaving)
            .map(|service| service.name.clone())
            .collect();
        if !leaving.is_empty() {
            monitor.note("waiting for services that ECS is removing");
            self.ecs.wait_until_gone(&leaving).await?;
            observed.retain(|service| !service.is_leaving);
        }
        let actions = reconcile(&services, &observed);
        let store = self.store().await?;
        store.ensure_table().await?;
        monitor.check_cancelled()?;
        let record = workload.record.to_json()?;
        // From here on `down` finds what there is to remove, whatever happens to this process.
        let deployment = Box::new(self.deployment.clone());
        self.dir
            .keep_document(&deploy::Deployment::Ecs(deployment))?;
        self.put_data(&store, workload, monitor).await?;
        let trainer = trainer_service(self.dir.name());
        if actions.iter().any(|one| one.service() == trainer) {
            // The last figures of the trainer before are not those of the next one.
            let nothing = serde_json::to_string(&RunSnapshot::default()).unwrap_or_default();
            store.put_snapshot(&nothing).await?;
        }
        // Before the record, without which tasks wait.
        if let Some(weights) = &workload.weights {
            import::begin_with(&store, &workload.graph, weights).await?;
            let deployment = Deployment {
                awaits_weights: false,
                ..self.deployment.clone()
            };
            self.dir
                .keep_document(&deploy::Deployment::Ecs(Box::new(deployment)))?;
        }
        store.put_record(&record).await?;
        self.apply("changing services", &actions, monitor).await?;
        let s = if actions.len() == 1 { "" } else { "s" };
        Ok(Changes {
            details: actions.iter().map(ServiceAction::sentence).collect(),
            summary: match actions.len() {
                0 => String::new(),
                n => format!("{n} service{s} changed"),
            },
            next_step: "; ECS starts the tasks",
        })
    }

    /// Puts the data set into the run's store, unless it is there.
    async fn put_data(
        &self,
        store: &DynamoStore,
        workload: &Workload,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let sha256 = &workload.record.data_sha256;
        if store.has_data(sha256).await? {
            return Ok(());
        }
        monitor.note("storing the data set");
        let rows = prepared::bytes(&workload.dataset, sha256)
            .map_err(Error::file("prepare the data set of", self.dir.path()))?;
        Ok(store.put_data(sha256, &rows).await?)
    }

    pub(super) async fn differences(&self, graph: &Graph) -> Result<Vec<String>, Error> {
        self.differences_from(graph, &self.observe(graph).await?)
    }

    pub(super) fn differences_from(
        &self,
        graph: &Graph,
        observed: &[ObservedService],
    ) -> Result<Vec<String>, Error> {
        let actions = reconcile(&self.desired(graph)?, observed);
        Ok(actions.iter().map(ServiceAction::sentence).collect())
    }

    async fn apply(
        &self,
        what: &str,
        actions: &[ServiceAction],
        monitor: &Monitor,
    ) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        monitor.begin(what, actions.len());
        let done = |service: &str| monitor.done(service);
        let goes_on = || !monitor.is_cancelled();
        let applied = self.ecs.apply_all(actions, &done, &goes_on).await;
        monitor.end();
        monitor.check_cancelled()?;
        Ok(applied?)
    }

    /// The services of the run as they are, for a network that it has or should have.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn observe(&self, graph: &Graph) -> Result<Vec<ObservedService>, Error> {
        let expected: Vec<String> = self
            .desired(graph)?
            .into_iter()
            .map(|service| service.name)
            .collect();
        Ok(self.ecs.observe(&expected).await?)
    }

    /// Refuses to work on services of the same names that are not ours.
    fn own(&self, observed: Vec<ObservedService>) -> Result<Vec<ObservedService>, Error> {
        let ours = Some(self.deployment.owner.as_str());
        match observed.iter().find(|one| one.owner.as_deref() != ours) {
            Some(foreign) => Err(Error::NameTaken {
                run: self.dir.name().to_owned(),
                what: format!(
                    "service {} in cluster {}",
                    foreign.name, self.deployment.stack.cluster
                ),
            }),
            None => Ok(observed),
        }
    }

    /// The services that the run should have.
    ///
    /// # Errors
    /// When the stack cannot give a task what it needs.
    pub fn desired(&self, graph: &Graph) -> Result<Vec<Service>, Error> {
        services(&self.deployment, graph)
    }

    /// The run's store.
    ///
    /// # Errors
    /// When the run's name cannot be one there.
    pub async fn store(&self) -> Result<DynamoStore, Error> {
        let client = store::connect_from_environment_to(self.deployment.endpoint.as_deref()).await;
        let table = &self.deployment.stack.table;
        Ok(DynamoStore::new(client, table, self.dir.name())?)
    }

    /// Asks the trainer to commit and end.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn stop_trainer(&self) -> Result<(), Error> {
        let trainer = trainer_service(self.dir.name());
        Ok(self.ecs.scale(&trainer, 0).await?)
    }

    /// Waits until a trainer that was asked to end has.
    ///
    /// # Errors
    /// When that takes too long, or ECS refuses.
    pub async fn wait_for_trainer(&self) -> Result<(), Error> {
        let trainer = trainer_service(self.dir.name());
        Ok(self.ecs.wait_until_empty(&trainer).await?)
    }

    /// Removes services, queues, task definitions, and what is in the store. May be repeated: what is gone
    /// already is no error.
    ///
    /// # Errors
    /// Names what could not be removed.
    pub async fn down(&self, monitor: &Monitor) -> Result<(), Error> {
        let record = &self.deployment.record;
        let graph = record.graph(record.grouping);
        let graph = graph?;
        let observed = self.own(self.observe(&graph).await?)?;
        let run = self.dir.name();
        if !observed.is_empty() {
            monitor.begin("removing services", observed.len());
            let done = |service: &str| monitor.done(service);
            let removed = self.ecs.remove_all(observed, &done).await;
            monitor.end();
            // Tasks of one that is left could write again what is removed after it.
            all_removed([removed.map_err(Error::from)], run)?;
        }
        let trainer = trainer_service(self.dir.name());
        let is_defined = self.ecs.is_defined(&trainer).await;
        if matches!(is_defined, Ok(true)) {
            // The broker need not be one that this machine reaches.
            monitor.note("removing queues");
            if let Err(error) = self.ecs.run_once(&trainer, container::UNWIRE).await {
                // A run that never came up has none, and must not stay for that.
                monitor.note(format!(
                    "queues cf.{}.* may be left at the broker: failed to {error}",
                    self.dir.name()
                ));
            }
        }
        let retired = self.ecs.retire_definitions().await.map_err(Error::from);
        let items = remove_items(&self.store().await?).await;
        let defined = is_defined.map(drop).map_err(Error::from);
        all_removed([defined, retired, items], run)
    }
}

/// Services of a network in this deployment.
pub(super) fn services(deployment: &Deployment, graph: &Graph) -> Result<Vec<Service>, Error> {
    let endpoint = deployment.endpoint.as_deref().map(from_containers);
    let site = EcsSite {
        stack: &deployment.stack,
        image: &deployment.image,
        region: &deployment.region,
        endpoint: endpoint.as_deref(),
        data_bytes: deployment.data_bytes,
    };
    desired::services(graph, &site).map_err(Error::Unusable)
}
