//! Amazon ECS as the target of a run: the target's methods; the work is [`EcsRun`]'s.

use async_trait::async_trait;
use cuttlefish_core::topology::Graph;

use super::api::read_stack;
use super::run::{EcsRun, services};
use super::status::ServiceStatus;
use super::watch::EcsSession;
use super::{Deployment, EcsOptions};
use crate::deploy::actors::states;
use crate::deploy::{
    self, ActorState, Actors, Changes, Error, Inspection, Session, Target, TargetKind, Workload,
    secrets,
};
use crate::host::RunSnapshot;
use crate::monitor::Monitor;
use crate::record::Record;
use crate::run_dir::{Lock, RunDir};
use crate::store::{self, DynamoStore};

/// ECS as the target of the run in a directory, in the account and region that the environment names. `options`
/// say what `up` is to use.
///
/// # Errors
/// When the run cannot be read.
pub async fn open(dir: RunDir, options: EcsOptions) -> Result<Box<dyn Target>, Error> {
    let run = match deploy::Deployment::read(&dir)? {
        Some(deploy::Deployment::Ecs(deployment)) => {
            Some(EcsRun::of(dir.clone(), *deployment).await)
        }
        _ => None,
    };
    Ok(Box::new(EcsTarget { dir, options, run }))
}

/// Amazon ECS, for one run.
struct EcsTarget {
    dir: RunDir,
    options: EcsOptions,
    /// The run, once it is up.
    run: Option<EcsRun>,
}

impl EcsTarget {
    fn run(&self) -> Result<&EcsRun, Error> {
        self.run.as_ref().ok_or_else(|| Error::NotUp {
            run: self.dir.name().to_owned(),
        })
    }
}

#[async_trait(?Send)]
impl Target for EcsTarget {
    fn kind(&self) -> TargetKind {
        TargetKind::Ecs
    }

    async fn record(&self) -> Result<Record, Error> {
        Ok(self.run()?.deployment.record.clone())
    }

    async fn check(
        &self,
        workload: &Workload,
        is_replacing: bool,
        _monitor: &Monitor,
    ) -> Result<(), Error> {
        let before = self.run.as_ref().filter(|_| !is_replacing);
        let before = before.map(|run| run.deployment.clone());
        let deployment = deployment(workload, &self.options, before).await?;
        services(&deployment, &workload.graph).map(drop)
    }

    async fn up(&mut self, workload: &Workload, monitor: &Monitor) -> Result<Changes, Error> {
        let before = self.run.as_ref().map(|run| run.deployment.clone());
        let awaited = before.as_ref().is_some_and(|before| before.awaits_weights);
        let mut deployment = deployment(workload, &self.options, before).await?;
        deployment.awaits_weights = workload.awaits_weights(self.dir.name(), awaited)?;
        let run = EcsRun::of(self.dir.clone(), deployment).await;
        self.run.insert(run).up(workload, monitor).await
    }

    async fn differences(&self, workload: &Workload) -> Result<Vec<String>, Error> {
        let before = &self.run()?.deployment;
        let deployment = Deployment::new(
            before.owner.clone(),
            before.image.clone(),
            before.stack.clone(),
            before.region.clone(),
            before.endpoint.clone(),
            workload.record.clone(),
            &workload.dataset,
        );
        let run = EcsRun::of(self.dir.clone(), deployment).await;
        run.differences(&workload.graph).await
    }

    async fn session<'a>(&'a self, _graph: &Graph) -> Result<Box<dyn Session + 'a>, Error> {
        Ok(Box::new(EcsSession::new(self.run()?).await?))
    }

    async fn actors(&self) -> Result<Actors, Error> {
        let run = self.run()?;
        let record = &run.deployment.record;
        let graph = record.graph(record.grouping)?;
        let observed = run.observe(&graph).await?;
        Ok(Actors::Services(ServiceStatus {
            cluster: run.deployment.stack.cluster.clone(),
            differences: run.differences_from(&graph, &observed)?,
            services: observed,
        }))
    }

    async fn states(&self) -> Result<Vec<ActorState>, Error> {
        let Actors::Services(status) = self.actors().await? else {
            return Ok(Vec::new());
        };
        let record = &self.run()?.deployment.record;
        let graph = record.graph(record.grouping)?;
        // A service is a group of alike actors, of which nobody knows which one a task is.
        let (running, all) = status.tasks();
        let state = if running == all {
            "running"
        } else {
            "incomplete"
        };
        Ok(states(&graph, |_| state.to_owned()))
    }

    async fn inspection(&self, _actor: &str) -> Result<Inspection, Error> {
        Err(Error::Unsupported {
            run: self.dir.name().to_owned(),
            why: "is on ECS, whose tasks cannot be asked from here",
        })
    }

    async fn snapshot(&self, after: u64) -> Result<RunSnapshot, Error> {
        let text = self.store().await?.get_snapshot().await?;
        let mut snapshot: RunSnapshot = match text {
            Some(text) => serde_json::from_str(&text)?,
            None => RunSnapshot::default(),
        };
        snapshot.notes.retain(|note| note.number > after);
        Ok(snapshot)
    }

    async fn worker(&self) -> Option<String> {
        let Ok(Actors::Services(status)) = self.actors().await else {
            return None;
        };
        let (running, all) = status.tasks();
        (running > 0).then(|| format!("{running} of {all} tasks"))
    }

    async fn store(&self) -> Result<DynamoStore, Error> {
        self.run()?.store().await
    }

    async fn down(&self, _lock: &Lock, monitor: &Monitor) -> Result<(), Error> {
        match &self.run {
            Some(run) => run.down(monitor).await,
            None => Ok(()),
        }
    }
}

/// Stack, region and image of the run: those of before, as far as it was up.
async fn deployment(
    workload: &Workload,
    options: &EcsOptions,
    before: Option<Deployment>,
) -> Result<Deployment, Error> {
    let recorded = before.as_ref();
    let stack = match (options.stack.as_deref(), recorded) {
        (Some(name), Some(before)) if name != before.stack.name => {
            return Err(Error::Fixed {
                run: workload.graph.name.clone(),
                what: "stack",
            });
        }
        (Some(name), _) => name,
        (None, Some(before)) => before.stack.name.as_str(),
        (None, None) => {
            return Err(Error::Unusable(
                "--target ecs needs the stack that infra/cloudformation/cuttlefish.yaml makes (name \
                 it with --stack)"
                    .to_owned(),
            ));
        }
    };
    let image = options.image.as_ref();
    let Some(image) = image.or(recorded.map(|before| &before.image)) else {
        return Err(Error::Unusable(
            "--target ecs needs the neuron image in a registry that ECS reaches (build it with \
             `cuttlefish image build`, push it, and name it with --image)"
                .to_owned(),
        ));
    };
    let stack = read_stack(stack).await?;
    let region = store::region_from_environment().await;
    if let Some(before) = recorded
        && (before.region != region || before.stack.cluster != stack.cluster)
    {
        return Err(Error::Unusable(format!(
            "the run is in cluster {} in {}, and the environment leads to cluster {} in {region} (set \
             AWS_REGION and AWS_PROFILE as they were)",
            before.stack.cluster, before.region, stack.cluster
        )));
    }
    let endpoint = options.endpoint.clone();
    Ok(Deployment::new(
        match recorded {
            Some(before) => before.owner.clone(),
            None => secrets::random()?,
        },
        image.clone(),
        stack,
        region,
        endpoint.or(recorded.and_then(|before| before.endpoint.clone())),
        workload.record.clone(),
        &workload.dataset,
    ))
}
