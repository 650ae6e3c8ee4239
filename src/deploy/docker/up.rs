//! Bringing a run up: from a workload to containers that train. Converges: what is there and right stays.

use std::path::Path;
use std::time::{Duration, Instant};

use super::deployment::{BrokerPlace, Deployment, StorePlace};
use super::desired::{self, Container, Role};
use super::image::{self, Program};
use super::options::DockerOptions;
use super::reconcile::{ContainerAction, ObservedContainer, reconcile};
use super::run::DockerRun;
use super::{Docker, external, owner_of};
use crate::container::LOOKS_FOR_DATA_EVERY;
use crate::deploy::{self, Changes, Error, Workload};
use crate::host::End;
use crate::import;
use crate::monitor::Monitor;
use crate::run_dir::RunDir;
use crate::store::{DynamoStore, Store};
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::{Broker, Wiring};

/// A broker in a container needs some seconds to boot, more on a busy machine.
const BROKER_READY_WITHIN: Duration = Duration::from_secs(90);
const STORE_READY_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(200);

/// The neuron image.
pub struct NeuronImage {
    /// Its name.
    pub name: String,
    /// Program in the image; None if it is unknown.
    pub program: Option<Program>,
}

/// Finds the neuron image, or builds it from `program`.
///
/// # Errors
/// When an image that was named is not there, or none can be built.
pub async fn neuron_image(
    docker: &Docker,
    image: Option<&str>,
    program: Option<&Path>,
    monitor: &Monitor,
) -> Result<NeuronImage, Error> {
    if let Some(image) = image {
        if docker.has_image(image).await? {
            return Ok(NeuronImage {
                name: image.to_owned(),
                program: image::program_of(image),
            });
        }
        return Err(Error::Unusable(format!(
            "failed to find the neuron image `{image}` (build one with `cuttlefish image build`)"
        )));
    }
    let path = match program {
        Some(path) => path.to_owned(),
        None => image::find_program(&|text| monitor.note(text))?,
    };
    let program = Program::read(&path)?;
    let image = program.image();
    if !docker.has_image(&image).await? {
        monitor.note(format!("building image {image}"));
        docker.build_image(&program).await?;
    }
    Ok(NeuronImage {
        name: image,
        program: Some(program),
    })
}

/// Refuses to work beside containers of the same names that are not ours.
async fn refuse_foreign(docker: &Docker, run: &str, owner: &str) -> Result<(), Error> {
    let containers = docker.observe(Some(run)).await?;
    let foreign = containers
        .iter()
        .find(|(summary, _)| owner_of(summary) != Some(owner));
    match foreign {
        Some((_, foreign)) => Err(Error::NameTaken {
            run: run.to_owned(),
            what: format!("container {}", foreign.name),
        }),
        None => Ok(()),
    }
}

impl DockerRun {
    /// Finds out how the run is to be deployed, refuses what cannot be, and writes that down: from then on
    /// `down` finds what there is to remove, whatever happens to this process.
    pub(super) async fn prepare(
        dir: RunDir,
        docker: Docker,
        workload: &Workload,
        options: &DockerOptions,
        before: Option<&Deployment>,
        monitor: &Monitor,
    ) -> Result<(Self, NeuronImage), Error> {
        let (image, program) = (options.image.as_deref(), options.program.as_deref());
        let image = neuron_image(&docker, image, program, monitor).await?;
        monitor.check_cancelled()?;
        let name = image.name.clone();
        let mut deployment = external::deployment(&dir, workload, options, before, name).await?;
        deployment.awaits_weights = workload.awaits_weights(
            dir.name(),
            before.is_some_and(|before| before.awaits_weights),
        )?;
        refuse_foreign(&docker, dir.name(), &deployment.owner).await?;
        external::try_from_here(dir.name(), options, &deployment.table).await?;
        if let BrokerPlace::Companion { image } = &deployment.broker
            && !docker.has_image(image).await?
        {
            monitor.note(format!("pulling {image}"));
            docker.pull(image).await?;
        }
        monitor.check_cancelled()?;
        // A path in it that cannot be written is refused before the document is.
        workload.record.to_json()?;
        dir.keep_document(&deploy::Deployment::Docker(Box::new(deployment.clone())))?;
        Ok((Self::of(dir, deployment, docker), image))
    }

    /// Makes, replaces, starts and removes containers until they are those that should be.
    pub(super) async fn converge(
        &self,
        workload: &Workload,
        options: &DockerOptions,
        image: &NeuronImage,
        before: Option<&Deployment>,
        monitor: &Monitor,
    ) -> Result<Changes, Error> {
        let is_new_data = self.provision(workload, options).await?;
        if is_new_data && before.is_some() {
            // A container that lacked it would make the trainer fail again until then.
            tokio::time::sleep(LOOKS_FOR_DATA_EVERY + POLL_EVERY).await;
            monitor.check_cancelled()?;
        }
        let shares = self.docker.shares_images().await?;
        self.keep_program(image.program.as_ref().filter(|_| !shares))?;
        let (run, owner) = (self.dir.name(), self.deployment.owner.as_str());
        let desired = self.desired(&workload.graph)?;
        self.admit(options).await?;
        let n_actors = desired.iter().filter(|c| c.role.is_actor()).count();
        let networks = desired::networks(run, n_actors, self.deployment.containers_per_bridge);
        self.docker.ensure_networks(&networks, run, owner).await?;
        let actions = reconcile(&desired, &self.observe().await?);
        let changes = changes(&actions);
        let (first, rest): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_first);
        let (last, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_last);
        self.apply("starting broker and store", first, monitor)
            .await?;
        let store = self.wait_for_store(monitor).await?;
        let broker = self.wait_for_broker(monitor).await?;
        if !rest.is_empty() {
            self.try_from_container(&workload.graph, monitor).await?;
        }
        let wiring = Wiring::new(&workload.graph);
        let connection = broker
            .connect(&format!("cf.{run} command"), SMALL_FRAMES)
            .await?;
        wiring.declare(&connection).await?;
        // Before the record, without which containers wait.
        if let Some(weights) = &workload.weights {
            import::begin_with(&store, &workload.graph, weights).await?;
            let deployment = Deployment {
                awaits_weights: false,
                ..self.deployment.clone()
            };
            self.dir
                .keep_document(&deploy::Deployment::Docker(Box::new(deployment)))?;
        }
        store.put_record(&workload.record.to_json()?).await?;
        self.apply("starting containers", rest, monitor).await?;
        if last.is_empty() {
            self.restart_failed_trainer(monitor).await?;
        }
        self.apply("starting the trainer", last, monitor).await?;
        if let Some(before) = before
            && let Ok(graph) = before.record.graph(before.record.grouping)
        {
            // Queues and exchanges that nobody uses any more.
            let before = Wiring::new(&graph);
            before.remove_all_but(&wiring, &connection).await?;
        }
        let _ = connection.close().await;
        Ok(changes)
    }

    /// A trainer that has failed does not go on by itself, whatever has been mended since.
    async fn restart_failed_trainer(&self, monitor: &Monitor) -> Result<(), Error> {
        let actor = Role::TRAINER.word();
        let Ok(inspection) = self.inspect(actor).await else {
            return Ok(());
        };
        let snapshot = inspection.look(u64::MAX).await;
        if snapshot.is_ok_and(|snapshot| matches!(snapshot.end, Some(End::Failed(_)))) {
            monitor.note("starting the trainer again, which has failed");
            let name = desired::container_name(self.dir.name(), actor);
            self.docker.restart(&name).await?;
        }
        Ok(())
    }

    async fn apply(
        &self,
        what: &str,
        actions: Vec<ContainerAction>,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        monitor.begin(what, actions.len());
        let (run, owner) = (self.dir.name(), self.deployment.owner.as_str());
        let done = |name: &str| monitor.done(name);
        let goes_on = || !monitor.is_cancelled();
        let applied = self.docker.apply(actions, run, owner, &done, &goes_on);
        let applied = applied.await;
        monitor.end();
        monitor.check_cancelled()?;
        Ok(applied?)
    }

    /// Starts again what has ended, as long as somebody watches; `started` hears of each by name.
    ///
    /// # Errors
    /// Says what could not be started.
    pub async fn revive(
        &self,
        desired: &[Container],
        started: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Error> {
        let observed = self.observe().await?;
        let has_left = trainer_has_left(&observed);
        let actions: Vec<ContainerAction> = reconcile(desired, &observed)
            .into_iter()
            .filter(|action| match action {
                ContainerAction::Create { .. } => true,
                ContainerAction::Start { role, .. } => *role != Role::TRAINER || !has_left,
                ContainerAction::Remove { .. } => false,
            })
            .collect();
        let (run, owner) = (self.dir.name(), self.deployment.owner.as_str());
        let applied = self.docker.apply(actions, run, owner, started, &|| true);
        Ok(applied.await?)
    }

    /// True if a person has ended the run, or taken it down.
    pub async fn has_been_left(&self) -> Result<bool, Error> {
        Ok(!self.is_there() || trainer_has_left(&self.observe().await?))
    }

    async fn wait_for_store(&self, monitor: &Monitor) -> Result<DynamoStore, Error> {
        let started = Instant::now();
        let is_ours = self.deployment.store == StorePlace::Companion;
        loop {
            monitor.check_cancelled()?;
            let store = self.store().await?;
            match store.ensure_table().await {
                Ok(()) => return Ok(store),
                Err(error)
                    if is_ours && error.retryable() && started.elapsed() < STORE_READY_WITHIN =>
                {
                    tokio::time::sleep(POLL_EVERY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the broker takes the trainer's connections.
    async fn wait_for_broker(&self, monitor: &Monitor) -> Result<Broker, Error> {
        let started = Instant::now();
        let is_ours = matches!(self.deployment.broker, BrokerPlace::Companion { .. });
        let mut is_waiting = false;
        loop {
            monitor.check_cancelled()?;
            let broker = self.broker_as_trainer().await?;
            let connection = broker.connect("cuttlefish looks", SMALL_FRAMES).await;
            match connection {
                Ok(connection) => {
                    let _ = connection.close().await;
                    return Ok(broker);
                }
                Err(_) if is_ours && started.elapsed() < BROKER_READY_WITHIN => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        monitor.note("waiting for the broker");
                    }
                    tokio::time::sleep(POLL_EVERY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A trainer ends well only when a person asks it to (`container/signals.rs`).
fn trainer_has_left(observed: &[ObservedContainer]) -> bool {
    let is_trainer = |container: &&ObservedContainer| container.role == Some(Role::TRAINER);
    let trainer = observed.iter().find(is_trainer);
    trainer.is_some_and(|trainer| trainer.status.starts_with("Exited (0)"))
}

/// Broker and store, which everybody else needs; and what is in the way.
fn is_first(action: &ContainerAction) -> bool {
    match action {
        ContainerAction::Create { container, .. } => !container.role.is_actor(),
        ContainerAction::Start { role, .. } => !role.is_actor(),
        ContainerAction::Remove { name, .. } => name.ends_with(&format!(".{}", desired::PROBE)),
    }
}

/// The trainer, who would only wait for the others.
fn is_last(action: &ContainerAction) -> bool {
    match action {
        ContainerAction::Create { container, .. } => container.role == Role::TRAINER,
        ContainerAction::Start { role, .. } => *role == Role::TRAINER,
        ContainerAction::Remove { .. } => false,
    }
}

/// The number of containers that are made (replaced ones included), started and removed.
fn changes(actions: &[ContainerAction]) -> Changes {
    let count = |is_one: fn(&ContainerAction) -> bool, word: &str| {
        let count = actions.iter().filter(|action| is_one(action)).count();
        let s = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} container{s} {word}"))
    };
    let parts = [
        count(
            |action| matches!(action, ContainerAction::Create { .. }),
            "created",
        ),
        count(
            |action| matches!(action, ContainerAction::Start { .. }),
            "started",
        ),
        count(
            |action| matches!(action, ContainerAction::Remove { .. }),
            "removed",
        ),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Changes {
        summary: parts.join(", "),
        ..Changes::default()
    }
}
