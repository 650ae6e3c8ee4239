//! From what a person wants to containers that train. Converges: what is there and right stays.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use cuttlefish_core::data::{Dataset, Feed};
use cuttlefish_core::machine::NeuronState;
use cuttlefish_core::topology::graph::Graph;

use super::{Deployed, failed_to, given};
use crate::deploy::docker::cost::Layout;
use crate::deploy::docker::desired::{self, CONTAINERS_PER_BRIDGE, Container, Role};
use crate::deploy::docker::image::{self, Program};
use crate::deploy::docker::reconcile::{Action, Observed, reconcile};
use crate::deploy::docker::{Docker, owner_of};
use crate::host::End;
use crate::host::container::LOOKS_FOR_DATA_EVERY;
use crate::import;
use crate::runs::deployment::{BrokerPlace, StorePlace};
use crate::runs::{Deployment, Record, RunDir};
use crate::store::{DynamoStore, Store};
use crate::transport::amqp::connection::SMALL_FRAMES;
use crate::transport::amqp::{Broker, Wiring};

/// A broker in a container needs some seconds to boot, more on a busy machine.
const BROKER_READY_WITHIN: Duration = Duration::from_secs(90);
const STORE_READY_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(200);

/// What a person wants to run, and where.
pub struct Wanted {
    /// The network and its data.
    pub record: Record,
    /// The network, grouped as the record says.
    pub graph: Graph,
    /// The data set.
    pub dataset: Dataset,
    /// Where it is to run.
    pub services: Services,
    /// The state of every neuron that a new run begins with, `[layer][neuron]`, if it is not the one
    /// that its file says.
    pub weights: Option<Vec<Vec<NeuronState>>>,
}

/// Broker, store and images, as far as a person has named them.
pub struct Services {
    /// A broker that is there, with its management API if it is not at the usual port.
    pub broker: Option<(Broker, Option<String>)>,
    /// The image of the run's own broker otherwise.
    pub broker_image: String,
    /// A store that is there: `Some(None)` is the DynamoDB of the environment's region.
    pub store: Option<Option<String>>,
    /// The table; that of the run, or the usual one, without.
    pub table: Option<String>,
    /// How batches get to the first layer; as the run has it, or by reference, without.
    pub feed: Option<Feed>,
    /// Actors on a bridge, at most; as the run has it, or [`CONTAINERS_PER_BRIDGE`], without.
    pub containers_per_bridge: Option<usize>,
    /// A neuron image that is there.
    pub image: Option<String>,
    /// The program to build the neuron image from.
    pub program: Option<PathBuf>,
}

impl Services {
    /// How batches get to the first layer of a run that is deployed like `before`.
    pub fn feed(&self, before: Option<&Deployment>) -> Feed {
        let recorded = before.map(|before| before.feed);
        self.feed.or(recorded).unwrap_or_default()
    }

    /// How such a run is laid out on its host.
    pub fn layout(&self, before: Option<&Deployment>) -> Layout {
        let is_ours = |place: &BrokerPlace| matches!(place, BrokerPlace::Companion { .. });
        let recorded = before.map(|before| before.containers_per_bridge);
        let per_bridge = self.containers_per_bridge.or(recorded);
        Layout {
            own_broker: self.broker.is_none()
                && before.is_none_or(|before| is_ours(&before.broker)),
            own_store: self.store.is_none()
                && before.is_none_or(|before| before.store == StorePlace::Companion),
            per_bridge: per_bridge.unwrap_or(CONTAINERS_PER_BRIDGE),
        }
    }
}

/// Who is told what happens.
pub trait Told: Send + Sync {
    /// Something that is done once.
    fn note(&self, text: &str);
    /// So many things of a kind begin.
    fn begin(&self, what: &str, total: usize);
    /// One of them is done.
    fn done(&self, name: &str);
    /// All of them are.
    fn end(&self);
    /// Whether a person wants no more of it.
    fn is_cancelled(&self) -> bool;
}

/// A person pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

pub(super) fn go_on(told: &dyn Told) -> anyhow::Result<()> {
    if told.is_cancelled() {
        return Err(Interrupted.into());
    }
    Ok(())
}

/// What `up` has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Containers made, replaced ones included.
    pub created: usize,
    /// Containers started.
    pub started: usize,
    /// Containers removed that are not to be any more.
    pub removed: usize,
}

/// The neuron image.
pub struct NeuronImage {
    /// Its name.
    pub name: String,
    /// What it was, or would be, built from; none for an image that holds we do not know what.
    pub program: Option<Program>,
}

/// Which neuron image to use, built unless it is there.
pub async fn neuron_image(
    docker: &Docker,
    image: Option<&str>,
    program: Option<&std::path::Path>,
    told: &dyn Told,
) -> anyhow::Result<NeuronImage> {
    if let Some(image) = image {
        if docker.has_image(image).await.map_err(failed_to)? {
            return Ok(NeuronImage {
                name: image.to_owned(),
                program: image::program_of(image),
            });
        }
        bail!(
            "failed to find the neuron image `{image}` (build one with `cuttlefish image build`)"
        );
    }
    let path = match program {
        Some(path) => path.to_owned(),
        None => image::find_program(&|text| told.note(text)).map_err(failed_to)?,
    };
    let program = Program::read(&path).map_err(failed_to)?;
    let image = program.image();
    if !docker.has_image(&image).await.map_err(failed_to)? {
        told.note(&format!("building image {image}"));
        docker.build_image(&program).await.map_err(failed_to)?;
    }
    Ok(NeuronImage {
        name: image,
        program: Some(program),
    })
}

/// Brings a run up, or to what is now wanted of it. The caller holds the run's lock.
///
/// # Errors
/// Says what failed. What was made is left: the caller knows whether it was there before.
pub async fn up(
    run: RunDir,
    wanted: &Wanted,
    told: &dyn Told,
) -> anyhow::Result<(Deployed, Changes)> {
    let docker = Docker::connect().await.map_err(failed_to)?;
    let before = run.is_deployed().then(|| run.deployment()).transpose();
    let before = before.map_err(failed_to)?;
    let image = wanted.services.image.as_deref();
    let image = neuron_image(&docker, image, wanted.services.program.as_deref(), told).await?;
    go_on(told)?;
    let deployment = given::deployment(&run, wanted, before.as_ref(), image.name).await?;
    refuse_foreign(&docker, &run, &deployment.owner).await?;
    given::try_from_here(wanted, &deployment.table).await?;
    if let BrokerPlace::Companion { image } = &deployment.broker
        && !docker.has_image(image).await.map_err(failed_to)?
    {
        told.note(&format!("pulling {image}"));
        docker.pull(image).await.map_err(failed_to)?;
    }
    go_on(told)?;
    // From here on `down` finds what there is to remove, whatever happens to this process.
    run.keep_deployment(&deployment).map_err(failed_to)?;
    let secrets = super::secrets_of(&run);
    let deployed = Deployed {
        run,
        deployment,
        docker,
        secrets,
    };
    let is_new_data = deployed.prepare(wanted).await?;
    if is_new_data && before.is_some() {
        // Whoever lacked it would make the trainer fail again until then.
        tokio::time::sleep(LOOKS_FOR_DATA_EVERY + POLL_EVERY).await;
        go_on(told)?;
    }
    let shares = deployed.docker.shares_images().await.map_err(failed_to)?;
    deployed.keep_program(image.program.as_ref().filter(|_| !shares))?;
    let desired = deployed.desired(&wanted.graph)?;
    let changes = deployed
        .converge(wanted, before.as_ref(), &desired, told)
        .await?;
    Ok((deployed, changes))
}

/// Refuses to work beside containers of the same names that are not ours.
async fn refuse_foreign(docker: &Docker, run: &RunDir, owner: &str) -> anyhow::Result<()> {
    let found = docker.observe(Some(run.name())).await.map_err(failed_to)?;
    let foreign = found
        .iter()
        .find(|(summary, _)| owner_of(summary) != Some(owner));
    if let Some((_, foreign)) = foreign {
        bail!(
            "failed to use the name `{}`: container {} belongs to another run of that name (give \
             this one another name with `--set name=...`)",
            run.name(),
            foreign.name
        );
    }
    Ok(())
}

impl Deployed {
    async fn converge(
        &self,
        wanted: &Wanted,
        before: Option<&Deployment>,
        desired: &[Container],
        told: &dyn Told,
    ) -> anyhow::Result<Changes> {
        let (run, owner) = (self.run.name(), self.deployment.owner.as_str());
        self.admit(wanted).await?;
        let n_actors = desired.iter().filter(|c| c.role.is_actor()).count();
        let networks = desired::networks(run, n_actors, self.deployment.containers_per_bridge);
        let made = self.docker.ensure_networks(&networks, run, owner).await;
        made.map_err(failed_to)?;
        let observed = self.observe().await?;
        let actions = reconcile(desired, &observed);
        let changes = count(&actions);
        let (first, rest): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_first);
        let (last, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_last);
        self.apply("starting broker and store", first, told).await?;
        let store = self.wait_for_store(told).await?;
        let wiring_broker = self.wait_for_broker(told).await?;
        if !rest.is_empty() {
            self.try_from_container(&wanted.graph, told).await?;
        }
        let wiring = Wiring::new(&wanted.graph);
        let connection = wiring_broker
            .connect(&format!("cf.{run} command"), SMALL_FRAMES)
            .await
            .map_err(failed_to)?;
        let channel = connection.create_channel().await?;
        wiring.declare(&channel).await.map_err(failed_to)?;
        // Before the record, without which containers wait.
        if let Some(weights) = &wanted.weights {
            import::begin_with(&store, &wanted.graph, weights)
                .await
                .map_err(failed_to)?;
        }
        let record = wanted.record.to_json().map_err(failed_to)?;
        store
            .put_record(&record)
            .await
            .map_err(|error| anyhow::anyhow!("the store failed: {error}"))?;
        self.apply("starting containers", rest, told).await?;
        if last.is_empty() {
            self.restart_failed_trainer(told).await?;
        }
        self.apply("starting the trainer", last, told).await?;
        if let Some(before) = before
            && let Ok(graph) = before.record.graph(before.record.grouping)
        {
            // What nobody listens to any more.
            let before = Wiring::new(&graph);
            let removed = before.remove_all_but(&wiring, &channel).await;
            removed.map_err(failed_to)?;
        }
        let _ = connection.close(200, "done".into()).await;
        Ok(changes)
    }

    /// A trainer that has failed does not go on by itself, whatever has been mended since.
    async fn restart_failed_trainer(&self, told: &dyn Told) -> anyhow::Result<()> {
        let actor = Role::TRAINER.word();
        let Ok(inspection) = self.inspect(actor).await else {
            return Ok(());
        };
        let look = inspection.look(u64::MAX).await;
        if look.is_ok_and(|look| matches!(look.end, Some(End::Failed(_)))) {
            told.note("starting the trainer again, which has failed");
            let name = desired::container_name(self.run.name(), actor);
            self.docker.restart(&name).await.map_err(failed_to)?;
        }
        Ok(())
    }

    async fn apply(&self, what: &str, actions: Vec<Action>, told: &dyn Told) -> anyhow::Result<()> {
        if actions.is_empty() {
            return Ok(());
        }
        told.begin(what, actions.len());
        let (run, owner) = (self.run.name(), self.deployment.owner.as_str());
        let done = |name: &str| {
            told.done(name);
            !told.is_cancelled()
        };
        let applied = self.docker.apply(actions, run, owner, &done).await;
        told.end();
        go_on(told)?;
        applied.map_err(failed_to)
    }

    /// Starts again what has ended, as long as somebody watches. Returns the names.
    pub async fn revive(&self, desired: &[Container]) -> anyhow::Result<Vec<String>> {
        let observed = self.observe().await?;
        let has_left = trainer_has_left(&observed);
        let actions: Vec<Action> = reconcile(desired, &observed)
            .into_iter()
            .filter(|action| match action {
                Action::Create { .. } => true,
                Action::Start { role, .. } => *role != Role::TRAINER || !has_left,
                Action::Remove { .. } => false,
            })
            .collect();
        let names = actions.iter().map(|action| match action {
            Action::Create { container, .. } => container.name.clone(),
            Action::Start { name, .. } | Action::Remove { name, .. } => name.clone(),
        });
        let names = names.collect();
        let (run, owner) = (self.run.name(), self.deployment.owner.as_str());
        self.docker
            .apply(actions, run, owner, &|_| true)
            .await
            .map_err(failed_to)?;
        Ok(names)
    }

    /// Whether a person has ended the run, or taken it down.
    pub async fn has_been_left(&self) -> anyhow::Result<bool> {
        Ok(!self.run.is_deployed() || trainer_has_left(&self.observe().await?))
    }

    async fn wait_for_store(&self, told: &dyn Told) -> anyhow::Result<DynamoStore> {
        let started = Instant::now();
        let is_ours = self.deployment.store == StorePlace::Companion;
        loop {
            go_on(told)?;
            let store = self.store().await?;
            match store.ensure_table().await {
                Ok(()) => return Ok(store),
                Err(error)
                    if is_ours && error.retryable() && started.elapsed() < STORE_READY_WITHIN =>
                {
                    tokio::time::sleep(POLL_EVERY).await;
                }
                Err(error) => bail!("the store failed: {error}"),
            }
        }
    }

    /// Waits until the broker takes the trainer's connections.
    async fn wait_for_broker(&self, told: &dyn Told) -> anyhow::Result<Broker> {
        let started = Instant::now();
        let is_ours = matches!(self.deployment.broker, BrokerPlace::Companion { .. });
        let mut is_waiting = false;
        loop {
            go_on(told)?;
            let broker = self.wiring_broker().await?;
            let tried = broker.connect("cuttlefish looks", SMALL_FRAMES).await;
            match tried {
                Ok(connection) => {
                    let _ = connection.close(200, "done".into()).await;
                    return Ok(broker);
                }
                Err(_) if is_ours && started.elapsed() < BROKER_READY_WITHIN => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        told.note("waiting for the broker");
                    }
                    tokio::time::sleep(POLL_EVERY).await;
                }
                Err(error) => bail!("failed to {error}"),
            }
        }
    }
}

/// A trainer ends well only when a person asks it to (`host/process.rs`).
fn trainer_has_left(observed: &[Observed]) -> bool {
    let is_trainer = |found: &&Observed| found.role == Some(Role::TRAINER);
    let trainer = observed.iter().find(is_trainer);
    trainer.is_some_and(|trainer| trainer.status.starts_with("Exited (0)"))
}

/// Broker and store, which everybody else needs; and what is in the way.
fn is_first(action: &Action) -> bool {
    match action {
        Action::Create { container, .. } => !container.role.is_actor(),
        Action::Start { role, .. } => !role.is_actor(),
        Action::Remove { name, .. } => name.ends_with(&format!(".{}", desired::PROBE)),
    }
}

/// The trainer, who would only wait for the others.
fn is_last(action: &Action) -> bool {
    match action {
        Action::Create { container, .. } => container.role == Role::TRAINER,
        Action::Start { role, .. } => *role == Role::TRAINER,
        Action::Remove { .. } => false,
    }
}

fn count(actions: &[Action]) -> Changes {
    let mut changes = Changes::default();
    for action in actions {
        match action {
            Action::Create { .. } => changes.created += 1,
            Action::Start { .. } => changes.started += 1,
            Action::Remove { .. } => changes.removed += 1,
        }
    }
    changes
}
