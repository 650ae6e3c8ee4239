//! A run, from its file to its end: the use cases, for whoever calls.
//!
//! | module | responsibility |
//! |---|---|
//! | [`topology_file`] | topologies of files and programs, with overrides |
//! | [`prepare`] | a workload, from a file or from a run |
//! | [`change`] | changes that leave a run's bits as they are; pure |
//! | [`train`] | bringing up, training, attaching, taking down |
//! | [`follow`] | training followed to its end, as events |
//! | [`outcome`] | a training's result, and its curves |
//! | [`predict`], [`evaluate`] | answers of a run's network, and their metrics |
//! | [`weights`] | weights as a file, as arrays, as a digest |
//! | [`plan`] | expansion of a file on a target, and the changes there |
//! | [`render`] | a run as manifests |
//! | [`error`] | errors of the use cases |
//!
//! Callers are the command line and other programs; both see the same values, [`Error`]s and events
//! ([`crate::monitor`]). Nothing here prints, listens to a signal or knows an exit code; where a run lives is
//! behind [`Target`].

pub mod change;
pub mod error;
pub mod evaluate;
pub mod follow;
pub mod outcome;
pub mod plan;
mod plan_text;
pub mod predict;
pub mod prepare;
pub mod render;
pub mod sample;
pub mod status;
pub mod topology_file;
pub mod train;
pub mod weights;

use cuttlefish_core::layers::LayerSpec;
use cuttlefish_core::topology::{Graph, Problems};

use crate::config::Config;
use crate::deploy::{self, Target, TargetKind};
use crate::record::{Record, SavedRun};
use crate::run_dir::{self, Lock, RunDir};
pub use error::Error;
pub use outcome::TrainingResult;
pub use prepare::{PreparedRun, RunRequest};
pub use topology_file::{Overrides, TopologySource};
pub use train::bring_up;

/// A run that exists: its directory, and the target that it is on.
pub struct Run {
    pub(crate) dir: RunDir,
    pub(crate) target: Box<dyn Target>,
    /// Held as long as this process has the run's actors.
    lock: Option<Lock>,
}

impl Run {
    /// The run of this name.
    ///
    /// # Errors
    /// When there is none, or its target cannot be reached at all.
    pub async fn open(config: &Config, name: &str) -> Result<Self, Error> {
        Self::open_dir(RunDir::existing(&config.runs_dir, name)?).await
    }

    /// The run in a directory.
    ///
    /// # Errors
    /// When there is none, or its target cannot be reached at all.
    pub async fn open_dir(dir: RunDir) -> Result<Self, Error> {
        let target = deploy::open(dir.clone()).await?;
        Ok(Self {
            dir,
            target,
            lock: None,
        })
    }

    /// The names of all runs.
    ///
    /// # Errors
    /// When the directory of runs cannot be read.
    pub fn names(config: &Config) -> Result<Vec<String>, Error> {
        let runs = RunDir::list(&config.runs_dir)?;
        Ok(runs.iter().map(|run| run.name().to_owned()).collect())
    }

    /// Name of the run.
    pub fn name(&self) -> &str {
        self.dir.name()
    }

    /// Directory of the run.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// The target that it is on.
    pub fn target(&self) -> &dyn Target {
        &*self.target
    }

    /// The kind of its target.
    pub fn kind(&self) -> TargetKind {
        self.target.kind()
    }

    /// The run as its store has it now.
    ///
    /// # Errors
    /// When the store cannot be read, or has no run.
    pub async fn saved(&self) -> Result<SavedRun, Error> {
        Ok(SavedRun::read_from(self.name(), self.target.store().await?).await?)
    }
}

/// The network of a record, as the run was last brought up.
///
/// # Errors
/// When this program cannot read the record.
pub fn recorded_graph(run: &str, record: &Record) -> Result<Graph, Error> {
    let graph = record.graph(record.grouping);
    graph.map_err(|problems| unreadable(run, &problems))
}

/// The layers of a record one by one, those without weights too.
///
/// # Errors
/// When this program cannot read the record.
pub fn recorded_layers(run: &str, record: &Record) -> Result<Vec<LayerSpec>, Error> {
    let document = record.document(&[]);
    let document = document.map_err(|problems| unreadable(run, &problems))?;
    Ok(document.layers().to_vec())
}

fn unreadable(run: &str, problems: &Problems) -> Error {
    Error::Directory(run_dir::Error::Broken {
        run: run.to_owned(),
        problem: format!("its record: {problems}"),
    })
}
