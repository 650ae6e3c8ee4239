//! A run on Amazon ECS: brought up, changed, taken down. Converges: what is there and right stays.
//!
//! Nothing here has to go on once it is up: ECS keeps the tasks, the trainer wires the queues, and
//! what people want to see of the run is in its store.

use anyhow::bail;
use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::graph::Graph;

use super::places::from_containers;
use super::up::{Told, go_on};
use super::{failed_to, secrets};
use crate::data::prepared;
use crate::deploy::ecs::desired::{self, Service, Site, trainer_service};
use crate::deploy::ecs::reconcile::{Action, Observed, reconcile};
use crate::deploy::ecs::{self, Ecs};
use crate::host::{Look, process};
use crate::runs::{EcsDeployment, Lock, Record, RunDir};
use crate::store::{self, DynamoStore, Store};

/// What a person wants to run there.
pub struct Wanted<'a> {
    /// The network and its data.
    pub record: &'a Record,
    /// The network, grouped as the record says.
    pub graph: &'a Graph,
    /// The data set.
    pub dataset: &'a Dataset,
    /// The stack; that of the run without.
    pub stack: Option<&'a str>,
    /// The neuron image; that of the run without.
    pub image: Option<&'a str>,
    /// The store: `Some(url)` of an emulator; the region's own without.
    pub endpoint: Option<&'a str>,
}

/// A run on ECS.
pub struct OnEcs {
    /// Its directory.
    pub run: RunDir,
    /// Where and how it is there.
    pub deployment: EcsDeployment,
    ecs: Ecs,
}

impl OnEcs {
    /// A run that has been brought up there.
    ///
    /// # Errors
    /// When its directory cannot be used.
    pub async fn open(run: RunDir) -> anyhow::Result<Self> {
        let deployment = run.ecs_deployment().map_err(failed_to)?;
        Ok(Self::of(run, deployment).await)
    }

    async fn of(run: RunDir, deployment: EcsDeployment) -> Self {
        let client = ecs::client_from_environment().await;
        let (stack, owner) = (deployment.stack.clone(), &deployment.owner);
        let ecs = Ecs::new(client, stack, run.name(), owner);
        Self {
            run,
            deployment,
            ecs,
        }
    }

    /// Brings a run up, or to what is now wanted of it, and returns what was done. The caller holds the
    /// run's lock.
    ///
    /// # Errors
    /// Says what failed. What was made is left: the caller knows whether it was there before.
    pub async fn up(
        run: RunDir,
        wanted: &Wanted<'_>,
        told: &dyn Told,
    ) -> anyhow::Result<(Self, Vec<Action>)> {
        let before = run.is_on_ecs().then(|| run.ecs_deployment()).transpose();
        let before = before.map_err(failed_to)?;
        let deployment = deployment(wanted, before).await?;
        let this = Self::of(run, deployment).await;
        let services = this.desired(wanted.graph)?;
        let mut observed = this.own(this.observe(wanted.graph).await?)?;
        let leaving: Vec<String> = observed
            .iter()
            .filter(|found| found.is_leaving)
            .map(|found| found.name.clone())
            .collect();
        if !leaving.is_empty() {
            told.note("waiting for services that ECS is removing");
            let gone = this.ecs.wait_until_gone(&leaving).await;
            gone.map_err(failed_to)?;
            observed.retain(|found| !found.is_leaving);
        }
        let actions = reconcile(&services, &observed);
        let store = this.store().await?;
        store.ensure_table().await.map_err(store_failed)?;
        go_on(told)?;
        // From here on `down` finds what there is to remove, whatever happens to this process.
        let kept = this.run.keep_ecs_deployment(&this.deployment);
        kept.map_err(failed_to)?;
        let sha256 = &wanted.record.data_sha256;
        if !store.has_data(sha256).await.map_err(store_failed)? {
            told.note("storing the data set");
            let rows = prepared::bytes(wanted.dataset, sha256)?;
            let stored = store.put_data(sha256, &rows).await;
            stored.map_err(store_failed)?;
        }
        if actions
            .iter()
            .any(|one| one.service() == trainer_service(this.run.name()))
        {
            // What the trainer before has shown last is not how the next one stands.
            let nothing = serde_json::to_string(&Look::default())?;
            store.put_look(&nothing).await.map_err(store_failed)?;
        }
        let record = wanted.record.to_json().map_err(failed_to)?;
        store.put_record(&record).await.map_err(store_failed)?;
        this.apply("changing services", &actions, told).await?;
        Ok((this, actions))
    }

    async fn apply(&self, what: &str, actions: &[Action], told: &dyn Told) -> anyhow::Result<()> {
        if actions.is_empty() {
            return Ok(());
        }
        told.begin(what, actions.len());
        for action in actions {
            let applied = self.ecs.apply(action).await;
            if applied.is_err() || told.is_cancelled() {
                told.end();
            }
            applied.map_err(failed_to)?;
            go_on(told)?;
            told.done(action.service());
        }
        told.end();
        Ok(())
    }

    /// The services of the run as they are, for a network that it has or should have.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn observe(&self, graph: &Graph) -> anyhow::Result<Vec<Observed>> {
        let expected: Vec<String> = self
            .desired(graph)?
            .into_iter()
            .map(|service| service.name)
            .collect();
        self.ecs.observe(&expected).await.map_err(failed_to)
    }

    /// Refuses to work on services of the same names that are not ours.
    fn own(&self, observed: Vec<Observed>) -> anyhow::Result<Vec<Observed>> {
        let ours = Some(self.deployment.owner.as_str());
        match observed.iter().find(|one| one.owner.as_deref() != ours) {
            Some(foreign) => bail!(
                "failed to use the name `{}`: service {} in cluster {} belongs to another run of \
                 that name (give this one another name with `--set name=...`)",
                self.run.name(),
                foreign.name,
                self.deployment.stack.cluster
            ),
            None => Ok(observed),
        }
    }

    /// The services that the run should have.
    ///
    /// # Errors
    /// When the stack cannot give a task what it needs.
    pub fn desired(&self, graph: &Graph) -> anyhow::Result<Vec<Service>> {
        services(&self.deployment, graph)
    }

    /// The run's store.
    ///
    /// # Errors
    /// When the run's name cannot be one there.
    pub async fn store(&self) -> anyhow::Result<DynamoStore> {
        let client = store::connect_from_environment_to(self.deployment.endpoint.as_deref()).await;
        let table = &self.deployment.stack.table;
        Ok(DynamoStore::new(client, table, self.run.name())?)
    }

    /// Asks the trainer to commit and end.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn stop_trainer(&self) -> anyhow::Result<()> {
        let trainer = trainer_service(self.run.name());
        self.ecs.scale(&trainer, 0).await.map_err(failed_to)
    }

    /// Waits until a trainer that was asked to end has.
    ///
    /// # Errors
    /// When that takes too long, or ECS refuses.
    pub async fn wait_for_trainer(&self) -> anyhow::Result<()> {
        let trainer = trainer_service(self.run.name());
        let empty = self.ecs.wait_until_empty(&trainer).await;
        empty.map_err(failed_to)
    }

    /// Removes services, queues, task definitions, what is in the store, and at last the run's
    /// directory. May be repeated: what is gone already is no error.
    ///
    /// # Errors
    /// Says what could not be removed; then the directory is left, so that `down` can be repeated.
    pub async fn down(self, lock: &Lock, told: &dyn Told) -> anyhow::Result<()> {
        let record = &self.deployment.record;
        let graph = record.graph(record.grouping);
        let graph = graph.map_err(|problems| anyhow::anyhow!("the run's record: {problems}"))?;
        let observed = self.own(self.observe(&graph).await?)?;
        let names: Vec<String> = observed.iter().map(|found| found.name.clone()).collect();
        if !names.is_empty() {
            told.begin("removing services", names.len());
            let removed = self.remove_services(&observed, told).await;
            told.end();
            removed?;
        }
        let trainer = trainer_service(self.run.name());
        if self.ecs.is_defined(&trainer).await.map_err(failed_to)? {
            // The broker need not be one that this machine reaches.
            told.note("removing queues");
            if let Err(error) = self.ecs.run_once(&trainer, process::UNWIRE).await {
                // A run that never came up has none, and must not stay for that.
                told.note(&format!(
                    "queues cf.{}.* may be left at the broker: failed to {error}",
                    self.run.name()
                ));
            }
        }
        let retired = self.ecs.retire_definitions().await;
        retired.map_err(failed_to)?;
        match self.store().await?.remove_run().await {
            Ok(_) | Err(store::Error::NoTable { .. }) => {}
            Err(error) => return Err(store_failed(error)),
        }
        self.run.remove(lock).map_err(failed_to)
    }

    async fn remove_services(&self, observed: &[Observed], told: &dyn Told) -> anyhow::Result<()> {
        for found in observed.iter().filter(|found| !found.is_leaving) {
            let removed = self.ecs.apply(&Action::Delete(found.name.clone())).await;
            removed.map_err(failed_to)?;
        }
        // One after the other, so that a person sees how far it is.
        for found in observed {
            let gone = self.ecs.wait_until_gone(std::slice::from_ref(&found.name));
            gone.await.map_err(failed_to)?;
            let empty = self.ecs.wait_until_empty(&found.name).await;
            empty.map_err(failed_to)?;
            told.done(&found.name);
        }
        Ok(())
    }
}

/// The services of a network that is deployed so.
pub(super) fn services(deployment: &EcsDeployment, graph: &Graph) -> anyhow::Result<Vec<Service>> {
    let endpoint = deployment.endpoint.as_deref().map(from_containers);
    let site = Site {
        stack: &deployment.stack,
        image: &deployment.image,
        region: &deployment.region,
        endpoint: endpoint.as_deref(),
        data_bytes: deployment.data_bytes,
    };
    desired::services(graph, &site).map_err(anyhow::Error::msg)
}

pub(super) fn store_failed(error: store::Error) -> anyhow::Error {
    anyhow::anyhow!("the store failed: {error}")
}

/// How the run is to be there: as before, as far as it was.
async fn deployment(
    wanted: &Wanted<'_>,
    before: Option<EcsDeployment>,
) -> anyhow::Result<EcsDeployment> {
    let recorded = before.as_ref();
    let stack = match (wanted.stack, recorded) {
        (Some(name), Some(before)) if name != before.stack.name => bail!(
            "the run's stack cannot be changed while it is up (take it down with `cuttlefish down {}` \
             first)",
            wanted.graph.name
        ),
        (Some(name), _) => name,
        (None, Some(before)) => before.stack.name.as_str(),
        (None, None) => bail!(
            "--target ecs needs the stack that infra/cloudformation/cuttlefish.yaml makes (name it \
             with --stack)"
        ),
    };
    let Some(image) = wanted
        .image
        .or(recorded.map(|before| before.image.as_str()))
    else {
        bail!(
            "--target ecs needs the neuron image in a registry that ECS reaches (build it with \
             `cuttlefish image build`, push it, and name it with --image)"
        );
    };
    let stack = ecs::read_stack(stack).await.map_err(failed_to)?;
    let region = store::region_from_environment().await;
    if let Some(before) = recorded
        && (before.region != region || before.stack.cluster != stack.cluster)
    {
        bail!(
            "the run is in cluster {} in {}, and the environment leads to cluster {} in {region} (set \
             AWS_REGION and AWS_PROFILE as they were)",
            before.stack.cluster,
            before.region,
            stack.cluster
        );
    }
    Ok(EcsDeployment::new(
        match recorded {
            Some(before) => before.owner.clone(),
            None => secrets::random()?,
        },
        image.to_owned(),
        stack,
        region,
        wanted
            .endpoint
            .or(recorded.and_then(|before| before.endpoint.as_deref()))
            .map(str::to_owned),
        wanted.record.clone(),
        wanted.dataset,
    ))
}
