//! A Docker host as the target of a run: the target's methods, a line each; the work is [`DockerRun`]'s.

use std::collections::HashMap;

use async_trait::async_trait;
use cuttlefish_core::topology::Graph;

use super::desired::Role;
use super::options::DockerOptions;
use super::reconcile::{ContainerAction, ObservedContainer, reconcile};
use super::watch::DockerSession;
use super::{Docker, DockerRun, estimate};
use crate::deploy::actors::states;
use crate::deploy::{
    self, ActorState, Actors, Changes, Error, Inspection, Session, Target, TargetKind, Workload,
};
use crate::monitor::Monitor;
use crate::record::Record;
use crate::run_dir::{Lock, RunDir};
use crate::store::DynamoStore;

/// A Docker host, for one run.
pub struct DockerTarget {
    dir: RunDir,
    docker: Docker,
    options: DockerOptions,
    /// The run, once it is up.
    run: Option<DockerRun>,
}

impl DockerTarget {
    /// The host that this machine's Docker is, for the run in a directory. `services` say what `up` is to
    /// use.
    ///
    /// # Errors
    /// When there is no daemon that can be used, or the run cannot be read.
    pub async fn new(dir: RunDir, options: DockerOptions) -> Result<Self, Error> {
        let docker = Docker::connect().await?;
        let run = match deploy::Deployment::read(&dir)? {
            Some(deploy::Deployment::Docker(deployment)) => {
                Some(DockerRun::of(dir.clone(), *deployment, docker.clone()))
            }
            _ => None,
        };
        Ok(Self {
            dir,
            docker,
            options,
            run,
        })
    }

    fn run(&self) -> Result<&DockerRun, Error> {
        self.run.as_ref().ok_or_else(|| Error::NotUp {
            run: self.dir.name().to_owned(),
        })
    }
}

#[async_trait(?Send)]
impl Target for DockerTarget {
    fn kind(&self) -> TargetKind {
        TargetKind::Docker
    }

    async fn record(&self) -> Result<Record, Error> {
        Ok(self.run()?.deployment.record.clone())
    }

    async fn check(
        &self,
        workload: &Workload,
        is_replacing: bool,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let before = self.run.as_ref().filter(|_| !is_replacing);
        let before = before.map(|run| &run.deployment);
        let checked = estimate::check(&self.docker, workload, &self.options, before);
        checked.await?.note(monitor);
        Ok(())
    }

    async fn up(&mut self, workload: &Workload, monitor: &Monitor) -> Result<Changes, Error> {
        let before = self.run.as_ref().map(|run| run.deployment.clone());
        let before = before.as_ref();
        // From here on the run may be there, whatever comes of this.
        let run = DockerRun::prepare(
            self.dir.clone(),
            self.docker.clone(),
            workload,
            &self.options,
            before,
            monitor,
        );
        let (run, image) = run.await?;
        let run = self.run.insert(run);
        run.converge(workload, &self.options, &image, before, monitor)
            .await
    }

    async fn differences(&self, workload: &Workload) -> Result<Vec<String>, Error> {
        let run = self.run()?;
        let mut deployment = run.deployment.clone();
        deployment.record = workload.record.clone();
        deployment.feed = self.options.feed(Some(&deployment));
        let next_run = DockerRun::of(run.dir.clone(), deployment, run.docker.clone());
        let actions = reconcile(&next_run.desired(&workload.graph)?, &run.observe().await?);
        Ok(actions.iter().map(ContainerAction::sentence).collect())
    }

    async fn session<'a>(&'a self, graph: &Graph) -> Result<Box<dyn Session + 'a>, Error> {
        Ok(Box::new(DockerSession::new(self.run()?, graph)?))
    }

    async fn actors(&self) -> Result<Actors, Error> {
        Ok(Actors::Containers(self.run()?.status().await?))
    }

    async fn states(&self) -> Result<Vec<ActorState>, Error> {
        let run = self.run()?;
        let record = &run.deployment.record;
        let graph = record.graph(record.grouping)?;
        let observed: HashMap<String, String> = run
            .observe()
            .await?
            .into_iter()
            .map(|container| (container.actor, container.state))
            .collect();
        let missing = || "missing".to_owned();
        Ok(states(&graph, |actor| {
            observed.get(actor).cloned().unwrap_or_else(missing)
        }))
    }

    async fn inspection(&self, actor: &str) -> Result<Inspection, Error> {
        self.run()?.inspect(actor).await
    }

    async fn worker(&self) -> Option<String> {
        let observed = self.run().ok()?.observe().await.ok()?;
        let is_at_work =
            |one: &&ObservedContainer| one.role == Some(Role::TRAINER) && one.is_running();
        observed.iter().find(is_at_work)?;
        let running = observed.iter().filter(|one| one.is_running()).count();
        Some(format!("{running} of {} containers", observed.len()))
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
