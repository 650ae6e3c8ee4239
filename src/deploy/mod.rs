//! Targets: the places where the actors of a run live.
//!
//! | module | responsibility |
//! |---|---|
//! | [`local`] | all actors in this process |
//! | [`local_run`] | those actors, and the threads that they share with later ones |
//! | [`docker`] | a container an actor, on a Docker host |
//! | [`ecs`] | tasks of Amazon ECS |
//! | [`inspection`] | an actor asked over HTTP |
//! | `live` | actors of this process, shown to others on this machine |
//! | [`actors`] | the actors of a run, as its target sees them |
//! | [`deployment`] | document of a run's target, in the run's directory |
//! | [`secrets`] | a run's secrets, as files |
//! | [`manifests`] | a run as files for Docker Compose or Kubernetes |
//! | [`compose`] | containers as a file for Docker Compose; pure |
//! | [`kubernetes`] | containers as objects of Kubernetes; pure |
//! | [`bundle`] | places of the files that such manifests name |
//! | [`staging`] | a directory that appears whole or not at all |
//! | [`yaml`] | the YAML of manifests; pure |
//! | [`estimate`] | a workload's expansion and cost on a target |
//! | [`error`] | errors of targets |
//!
//! [`Target`] is the port, and its documentation the contract; `tests/support/target_contract.rs` is the suite
//! that every target passes. Nothing here decides about training: that is the trainer's. A process that
//! brings a run up may end at any moment and be started again: what is there is looked up each time, and
//! brought to what should be. [`open`], [`create`] and [`estimate`](mod@estimate) are
//! where every target is chosen by name.

pub mod actors;
pub mod bundle;
pub mod compose;
pub mod deployment;
pub mod docker;
pub mod ecs;
pub mod error;
pub mod estimate;
pub mod inspection;
pub mod kubernetes;
mod live;
pub mod local;
pub mod local_run;
pub mod manifests;
mod removal;
pub mod secrets;
pub mod staging;
pub mod yaml;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cuttlefish_core::data::Dataset;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::protocol::{Outcome, Verdict};
use cuttlefish_core::topology::{ActorKind, Graph};

use crate::host::{End, RunSnapshot};
use crate::monitor::Monitor;
use crate::record::Record;
use crate::run_dir::{Lock, RunDir};
use crate::store::{DynamoStore, Store};
pub use actors::{ActorState, Actors};
pub use deployment::{DOCUMENT_VERSION, Deployment};
use docker::DockerTarget;
pub use error::Error;
pub use inspection::Inspection;
use local::LocalTarget;

/// A place where the actors of one run live, or will.
///
/// `up` converges and may be repeated, by another process too: what is there and right stays, and a run that
/// is up already is left as it is. When it returns, the run's record is in its store, and the run trains
/// (`docker`, `ecs`) or trains as soon as a [`Session`] is opened (`local`). `down` may be repeated too: what
/// is gone already is no error. The caller of either holds the run's [`Lock`].
///
/// A run that was never brought up has nothing to be looked at: every method but `kind`, `up` and `down` then
/// fails with [`Error::NotUp`], and `down` has nothing to do.
#[async_trait(?Send)]
pub trait Target {
    /// The kind of place.
    fn kind(&self) -> TargetKind;

    /// The record that the run was last brought up with.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn record(&self) -> Result<Record, Error>;

    /// Refuses a workload that `up` could not bring up: changes nothing. With `is_replacing` a run that is there
    /// is removed before.
    ///
    /// # Errors
    /// Says what is missing, or too much.
    async fn check(
        &self,
        workload: &Workload,
        is_replacing: bool,
        monitor: &Monitor,
    ) -> Result<(), Error>;

    /// Brings the run up, or to what `workload` now asks for, and returns what was changed.
    ///
    /// # Errors
    /// Says what failed, or [`Error::Interrupted`]. What was made is left, so that `down` finds it: the
    /// caller knows whether the run was there before.
    async fn up(&mut self, workload: &Workload, monitor: &Monitor) -> Result<Changes, Error>;

    /// Changes that `up` would make, a sentence each; changes nothing.
    ///
    /// # Errors
    /// When what is there cannot be looked at.
    async fn differences(&self, workload: &Workload) -> Result<Vec<String>, Error>;

    /// Begins to follow the training of the run's network.
    ///
    /// # Errors
    /// When the run's actors cannot be started, or not be found.
    async fn session<'a>(&'a self, graph: &Graph) -> Result<Box<dyn Session + 'a>, Error>;

    /// The actors as they are now.
    ///
    /// # Errors
    /// When what is there cannot be looked at.
    async fn actors(&self) -> Result<Actors, Error>;

    /// The actors without a question to any of them: cheap enough for once a second.
    ///
    /// # Errors
    /// When what is there cannot be looked at.
    async fn states(&self) -> Result<Vec<ActorState>, Error>;

    /// The inspection of an actor, by its name, as this process reaches it.
    ///
    /// # Errors
    /// When nobody has that actor now, or it cannot be asked from here.
    async fn inspection(&self, actor: &str) -> Result<Inspection, Error>;

    /// The trainer's figures, with its notes after number `after`, whoever follows the training.
    ///
    /// # Errors
    /// When there is no trainer, or it does not answer.
    async fn snapshot(&self, after: u64) -> Result<RunSnapshot, Error> {
        let trainer = self.inspection(ActorKind::Trainer.word()).await?;
        Ok(trainer.look(after).await?)
    }

    /// Asks the run's trainer to commit and end, whoever follows the training.
    ///
    /// # Errors
    /// When nobody trains it, or the trainer cannot be asked.
    async fn stop(&self) -> Result<(), Error> {
        let record = self.record().await?;
        let graph = record.graph(record.grouping)?;
        self.session(&graph).await?.stop().await
    }

    /// Workers on the run, in words; None if there are none.
    async fn worker(&self) -> Option<String>;

    /// The run's store, as this process reaches it.
    ///
    /// # Errors
    /// When its address cannot be found out.
    async fn store(&self) -> Result<DynamoStore, Error>;

    /// Removes everything that the run has outside its directory.
    ///
    /// # Errors
    /// Names what is left. Then the directory has to stay, so that `down` can be repeated.
    async fn down(&self, lock: &Lock, monitor: &Monitor) -> Result<(), Error>;
}

/// The training of a run as one process follows it.
///
/// Dropping a session leaves a run in containers alone, and ends a local one at its last commit.
#[async_trait(?Send)]
pub trait Session {
    /// The trainer's figures, with its notes after number `after`. Returns after `at_most`, or as soon as
    /// the run is over, or as soon as the target can answer again.
    ///
    /// # Errors
    /// When the run cannot be followed any more.
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<RunSnapshot, Error>;

    /// Repairs since the last call, a sentence each.
    fn repairs(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Asks the trainer to commit and end.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn stop(&mut self) -> Result<(), Error>;

    /// Lets go of the run at once, and returns what becomes of it. Waits for nothing.
    fn abandon(self: Box<Self>) -> Fate;
}

/// State of a run once its session has let go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The run has stopped, and goes on from its last commit when it is resumed.
    Stopped,
    /// The run trains on.
    Running,
    /// Its trainer commits and ends; everything else stays.
    Stopping,
    /// Its trainer was asked to end, and may not have heard it.
    Unconfirmed,
}

/// The kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// This process, with nothing installed.
    Local,
    /// A Docker host, in a container an actor.
    Docker,
    /// Amazon ECS, in a task an actor.
    Ecs,
}

impl TargetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Local, Self::Docker, Self::Ecs];

    /// Its word on the command line and in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
            Self::Ecs => "ecs",
        }
    }

    /// Words that say of a run where it is, to go on a sentence.
    pub fn place(self) -> &'static str {
        match self {
            Self::Local => ", in one process",
            Self::Docker => ", on Docker",
            Self::Ecs => ", on ECS",
        }
    }
}

/// Workload of a target: a network to train, and its data.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The network and its data, as the run's store is to have them.
    pub record: Record,
    /// The network, grouped as the record says.
    pub graph: Arc<Graph>,
    /// The data set.
    pub dataset: Arc<Dataset>,
    /// State of every neuron that a new run begins with, `[layer][neuron]`; None for the one that the
    /// topology and its seed say.
    pub weights: Option<Vec<Vec<NeuronState>>>,
}

impl Workload {
    /// True if the run's store still has to get the weights that it begins with.
    ///
    /// # Errors
    /// When an earlier `up` was ended before it had written them, and this workload has none.
    fn awaits_weights(&self, run: &str, awaited_before: bool) -> Result<bool, Error> {
        if awaited_before && self.weights.is_none() {
            return Err(Error::Unusable(format!(
                "run `{run}` was to begin with weights that were never written (remove it with \
                 `cuttlefish down {run}`, and import them again)"
            )));
        }
        Ok(self.weights.is_some())
    }
}

/// Options of a run that is brought up: where it finds what a target needs.
#[derive(Clone, Debug)]
pub enum Options {
    /// This process, which needs nothing.
    Local,
    /// Broker, store and images.
    Docker(Box<docker::DockerOptions>),
    /// Stack, image and store.
    Ecs(ecs::EcsOptions),
}

impl Options {
    /// The kind of target that they are for.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Local => TargetKind::Local,
            Self::Docker(_) => TargetKind::Docker,
            Self::Ecs(_) => TargetKind::Ecs,
        }
    }
}

/// Changes that `up` has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A sentence a change, where there are few of them.
    pub details: Vec<String>,
    /// Their numbers in words; empty where nothing was changed.
    pub summary: String,
    /// Events that follow without anybody's doing, in words; empty where none does.
    pub next_step: &'static str,
}

/// The target of a run that has been brought up.
///
/// # Errors
/// When the run cannot be read, or its target not be reached at all.
pub async fn open(dir: RunDir) -> Result<Box<dyn Target>, Error> {
    Ok(match Deployment::read(&dir)? {
        None => {
            return Err(Error::NotUp {
                run: dir.name().to_owned(),
            });
        }
        Some(Deployment::Local { .. }) => Box::new(LocalTarget::new(dir)),
        Some(Deployment::Docker(_)) => {
            Box::new(DockerTarget::new(dir, docker::DockerOptions::default()).await?)
        }
        Some(Deployment::Ecs(_)) => ecs::open(dir, ecs::EcsOptions::default()).await?,
    })
}

/// The target of a run that is to be brought up as `options` say.
///
/// # Errors
/// When the target cannot be reached at all.
pub async fn create(dir: RunDir, options: Options) -> Result<Box<dyn Target>, Error> {
    Ok(match options {
        Options::Local => Box::new(LocalTarget::new(dir)),
        Options::Docker(options) => Box::new(DockerTarget::new(dir, *options).await?),
        Options::Ecs(options) => ecs::open(dir, options).await?,
    })
}

/// The end of a run whose trainer has left, as its ledger says.
///
/// # Errors
/// When the store cannot be read, or nothing was committed.
async fn end_in_ledger(store: &DynamoStore) -> Result<End, Error> {
    let ledger = store.read_ledger().await?.and_then(|(_, ledger)| ledger);
    let Some(ledger) = ledger else {
        return Err(Error::NothingCommitted);
    };
    let verdict = if ledger.progress.finished {
        Verdict::Completed
    } else {
        Verdict::Stopped
    };
    Ok(End::Finished(Box::new(Outcome {
        verdict,
        totals: ledger.totals,
        ledger,
    })))
}

#[cfg(test)]
mod tests;
