//! Preparation of a run: from a topology file, or from what a run was brought up with, to a workload. Changes
//! nothing but the lock of a run that is resumed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::spec::Spec;
use cuttlefish_core::topology::{DataShape, Graph, Grouping};
use ndarray::ArrayD;

use super::topology_file::{Overrides, TopologyFile, TopologySource};
use super::{Error, Run, change};
use crate::config::Config;
use crate::data::{self, LoadedData};
use crate::deploy::local::LocalTarget;
use crate::deploy::{Deployment, TargetKind, Workload};
use crate::import;
use crate::record::Record;
use crate::record::data_sha256;
use crate::run_dir::{self, Lock, RunDir};

/// A run that can be brought up: everything about it is known to fit.
#[derive(Debug)]
pub struct PreparedRun {
    /// The directory that the run has, or will have.
    pub dir: RunDir,
    /// The network, its data and its weights.
    pub workload: Workload,
    /// True if the run replaces another one of its name.
    pub is_replacing: bool,
    /// The target that the run is on; None for one that is new, or replaces another one.
    pub target: Option<TargetKind>,
    /// The lock of a run that is resumed.
    pub(super) lock: Option<Lock>,
    /// Record of a run that is there, as it was when this was prepared.
    pub(super) before: Option<Record>,
}

/// A new run that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RunRequest<'a> {
    /// The topology.
    pub topology: TopologySource<'a>,
    /// Differences from it.
    pub overrides: &'a Overrides,
    /// The target.
    pub target: TargetKind,
    /// True if a run of its name is replaced.
    pub overwrite: bool,
}

impl PreparedRun {
    /// Prepares a run of a topology. A run of its name that is on the same target, in containers, becomes
    /// what the file says, if that leaves its bits as they are.
    ///
    /// # Errors
    /// Lists what is wrong with the topology or its data, or says that there is another run of its name.
    pub async fn from_topology(request: &RunRequest<'_>, config: &Config) -> Result<Self, Error> {
        let file = TopologyFile::read(request.topology, request.overrides)?;
        let spec = file.document.spec();
        let dir = RunDir::new(&config.runs_dir, &spec.name)?;
        let current = existing(&dir).await?;
        let target = current.filter(|_| !request.overwrite);
        if let Some(current) = target
            && (current != request.target || current == TargetKind::Local)
        {
            return Err(exists(&dir, current, request.target));
        }
        let data_dir = absolute(&config.data_dir);
        let usual = usual_grouping(request.target);
        let grouping = request.overrides.grouping(usual);
        let mut workload = read_workload(&file, grouping, file.base_dir(), data_dir, config)?;
        let mut before = None;
        if target.is_some() {
            let run = Run::open_dir(dir.clone()).await?;
            let record = run.target.record().await?;
            check_data(&record.data_sha256, &workload.dataset)?;
            check_change(&run, &record, &workload.record).await?;
            let statistics = record.rows.target_statistics;
            if workload.record.rows.target_statistics != statistics {
                // A run of an earlier version, whose targets are not scaled.
                workload.record.rows.target_statistics = statistics;
                let shape = record.shape_of(&workload.dataset);
                let graph = file.document.graph(&shape, grouping);
                workload.graph = Arc::new(graph.map_err(|problems| file.error(problems))?);
            }
            before = Some(record);
        }
        Ok(Self {
            dir,
            workload,
            is_replacing: request.overwrite && current.is_some(),
            target,
            before,
            lock: None,
        })
    }

    /// Prepares a run to go on from its last commit.
    ///
    /// # Errors
    /// When there is no such run, another process works on it, its data has changed, or what is to be
    /// different would change its bits.
    pub async fn from_run(
        name: &str,
        overrides: &Overrides,
        config: &Config,
    ) -> Result<Self, Error> {
        let dir = RunDir::existing(&config.runs_dir, name)?;
        let lock = dir.lock()?;
        let run = Run::open_dir(dir.clone()).await?;
        let before = run.target.record().await?;
        let problems = |problems| Error::Overrides {
            run: name.to_owned(),
            problems,
        };
        let document = before.document(&overrides.values).map_err(problems)?;
        let mut record = before.clone();
        record.grouping = overrides.grouping(before.grouping);
        record.topology = document.spec().clone();
        check_change(&run, &before, &record).await?;
        let dataset = dataset_of(&before, config)?;
        let graph = document
            .graph(&record.shape_of(&dataset), record.grouping)
            .map_err(problems)?;
        record.to_json()?;
        Ok(Self {
            dir,
            workload: Workload {
                record,
                graph: Arc::new(graph),
                dataset: Arc::new(dataset),
                weights: None,
            },
            is_replacing: false,
            target: Some(run.kind()),
            before: None,
            lock: Some(lock),
        })
    }

    /// Lets the run begin with these weights, named and shaped as [`Run::weights`] gives them.
    ///
    /// # Errors
    /// Names the array that does not fit the network, or says that the run is there already.
    pub fn with_arrays(self, arrays: &BTreeMap<String, ArrayD<f32>>) -> Result<Self, Error> {
        self.with_weights(|graph| {
            import::states_of_arrays(graph, arrays).map_err(|error| Error::Weights {
                problem: format!("failed to {error}"),
            })
        })
    }

    /// Lets the run begin with weights from elsewhere: the state of every neuron, `[layer][neuron]`. A run that
    /// is there already is not given other weights.
    ///
    /// # Errors
    /// When `states` has none for the network, or the run is there.
    pub fn with_weights(
        mut self,
        states: impl FnOnce(&Graph) -> Result<Vec<Vec<NeuronState>>, Error>,
    ) -> Result<Self, Error> {
        if let Some(current) = self.target {
            return Err(exists(&self.dir, current, current));
        }
        self.workload.weights = Some(states(&self.workload.graph)?);
        Ok(self)
    }
}

/// The grouping of neurons into units that a target has, unless somebody says otherwise.
pub fn usual_grouping(target: TargetKind) -> Grouping {
    match target {
        TargetKind::Local => Grouping::WholeLayers,
        TargetKind::Docker | TargetKind::Ecs => Grouping::FromFile,
    }
}

/// Reads the data set of a file, and puts network and data together. `base_dir` and `data_dir` are what the
/// record is to say about them.
pub(super) fn read_workload(
    file: &TopologyFile,
    grouping: Grouping,
    base_dir: PathBuf,
    data_dir: PathBuf,
    config: &Config,
) -> Result<Workload, Error> {
    let spec = file.document.spec();
    let LoadedData { dataset, encoder } =
        data::load(&spec.data, &file.base_dir(), &config.data_dir)?;
    let graph = file
        .document
        .graph(&DataShape::from(&dataset), grouping)
        .map_err(|problems| file.error(problems))?;
    // A file with a sweep is trained as it is written.
    let alone = Spec {
        sweep: None,
        ..spec.clone()
    };
    let record = Record::new(alone, base_dir, data_dir, grouping, &dataset, encoder);
    // A path in it that cannot be written is refused before anything is made.
    record.to_json()?;
    Ok(Workload {
        record,
        graph: Arc::new(graph),
        dataset: Arc::new(dataset),
        weights: None,
    })
}

/// The data set that a run was started with.
///
/// # Errors
/// When it cannot be read, or has changed.
pub(super) fn dataset_of(record: &Record, config: &Config) -> Result<Dataset, Error> {
    let data_dir = config.data_dir_of_run(&record.data_dir);
    let loaded = data::load(&record.topology.data, &record.base_dir, data_dir)?;
    check_data(&record.data_sha256, &loaded.dataset)?;
    Ok(loaded.dataset)
}

fn check_data(expected: &str, dataset: &Dataset) -> Result<(), Error> {
    match data_sha256(dataset) == expected {
        true => Ok(()),
        false => Err(Error::DataChanged(dataset.name.clone())),
    }
}

/// Refuses to make something of a run that would change its bits.
async fn check_change(run: &Run, before: &Record, record: &Record) -> Result<(), Error> {
    if before.topology == record.topology {
        return Ok(());
    }
    let progress = run.saved().await?.progress();
    Ok(change::check(
        &before.topology,
        &record.topology,
        &progress,
    )?)
}

/// The target that the run in a directory is on, if there is one.
pub(super) async fn existing(dir: &RunDir) -> Result<Option<TargetKind>, Error> {
    Ok(match Deployment::read(dir)? {
        Some(Deployment::Local { .. }) if !LocalTarget::is_run(dir).await => None,
        current => current.map(|current| current.kind()),
    })
}

pub(super) fn exists(dir: &RunDir, current: TargetKind, requested: TargetKind) -> Error {
    let place = if current == requested {
        ""
    } else {
        current.place()
    };
    let run = dir.name().to_owned();
    Error::Directory(run_dir::Error::Exists { run, place })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
