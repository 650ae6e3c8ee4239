//! Sweeps: many topologies over one data set, as tasks for workers.
//!
//! | module | responsibility |
//! |---|---|
//! | [`definition`] | a sweep as its store has it |
//! | [`task`] | one training of a trial, and its result |
//! | [`server`] | proposes trials, publishes tasks, counts results |
//! | [`progress`] | trials and their ranking; pure |
//! | [`worker`] | claims tasks, trains them, stores results |
//! | [`trial`] | one task trained by the actors of this process |
//! | [`scratch`] | a trial's store: memory, and behind it the sweep's |
//! | [`judge`] | early stopping by the rungs of the store |
//! | [`data`] | data sets, prepared once and fetched once a worker |
//! | [`here`] | server and workers in this process |
//! | [`shared`] | server and workers over a broker, and a store that all reach |
//! | [`winner`] | the best trial, trained once more with the test rows |
//! | [`table`] | results as rows |
//! | [`error`] | errors of sweeps |
//!
//! A **trial** is a configuration: values of the sweep's parameters. It has a **task** for each seed and fold, which
//! is one training. Tasks go to workers over a port with two backends ([`crate::transport::tasks`]); the store is
//! the truth about them. Which trials there are is decided in `cuttlefish_core::sweep`.

pub mod data;
pub mod definition;
pub mod error;
pub mod here;
pub mod judge;
pub mod progress;
pub mod scratch;
pub mod server;
pub mod shared;
pub mod table;
pub mod task;
pub mod trial;
pub mod winner;
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use cuttlefish_core::data::{Dataset, Task as LearningTask};
use cuttlefish_core::score::Scores;
use cuttlefish_core::sweep::{Metric, Search, SweepSpec, trials};
use cuttlefish_core::topology::{DataShape, Grouping};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::record::data_sha256;
use crate::report::numbers::thousands;
use crate::run::topology_file::TopologyFile;
use crate::run::{Overrides, TopologySource};
use crate::run_dir::RunDir;
use crate::store::{DynamoStore, Store, connect_from_environment_to};
use definition::Definition;
pub use error::Error;
use progress::Progress;
use server::Found;
use task::TaskId;

/// Directory of sweeps, in that of runs.
const DIRECTORY: &str = ".sweeps";
/// Version of the document in a sweep's directory.
const DOCUMENT_VERSION: u32 = 1;
/// Trials that early stopping compares at most: a rung is an item of the store.
const MAX_STOPPING: u32 = 4000;

/// A sweep that can begin: everything about it is known to fit.
pub struct PreparedSweep {
    /// The name.
    pub name: String,
    /// The sweep.
    pub definition: Definition,
    /// Trials that there will be at most.
    pub n_trials: u32,
    /// Scores of a model that knows no features, on the validation rows.
    pub baseline: Scores,
    /// Training and validation rows.
    rows_per_epoch: usize,
    /// Directories of the topology file, and of data sets by name.
    directories: (PathBuf, PathBuf),
}

/// Where a sweep's tasks and results are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// In this process and its directory.
    Here,
    /// At a broker, and in a table that workers anywhere reach.
    Shared {
        /// Address of the store; `None` for the DynamoDB of the region.
        store: Option<String>,
        /// The table.
        table: String,
    },
}

/// The document in a sweep's directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepDocument {
    version: u32,
    place: Place,
}

/// A sweep that exists.
pub struct Sweep {
    /// Its directory.
    pub dir: RunDir,
    /// Its store.
    pub store: DynamoStore,
    /// The sweep.
    pub definition: Arc<Definition>,
}

impl PreparedSweep {
    /// Reads a topology file with a sweep, and its data.
    ///
    /// # Errors
    /// Lists what is wrong with the file, its sweep or its data.
    pub fn new(
        source: TopologySource<'_>,
        overrides: &Overrides,
        config: &Config,
    ) -> Result<Self, Error> {
        let file = TopologyFile::read(source, overrides)?;
        let spec = file.document.spec();
        let Some(sweep) = &spec.sweep else {
            let file = file.path().display().to_string();
            return Err(Error::NoSweep { file });
        };
        let directories = (file.base_dir(), config.data_dir.clone());
        let loaded = crate::data::load(&spec.data, &directories.0, &directories.1)?;
        let dataset = loaded.dataset;
        let shape = DataShape::from(&dataset);
        // What is wrong without the sweep is wrong with it.
        let graph = file.document.graph(&shape, Grouping::WholeLayers);
        graph.map_err(|problems| file.error(problems))?;
        let metric = metric(sweep, &dataset)?;
        let n_trials = trials(sweep);
        if sweep.early_stopping.is_some() && n_trials > MAX_STOPPING {
            return Err(Error::TooManyForStopping {
                tasks: n_trials,
                most: MAX_STOPPING,
            });
        }
        let goal = sweep.goal.unwrap_or(metric.goal());
        let text = (file.base_dir(), file.text(), overrides.values.as_slice());
        let sha256 = data_sha256(&dataset);
        let definition = Definition::new(text, spec.clone(), sha256, (metric, goal));
        check_values(&definition)?;
        let baseline = match sweep.folds {
            None if dataset.split.validation.is_empty() => return Err(Error::NoValidation),
            None => trial::baseline(&dataset),
            Some(_) => first_fold_baseline(&definition, &directories)?,
        };
        Ok(Self {
            name: spec.name.clone(),
            definition,
            n_trials,
            baseline,
            rows_per_epoch: dataset.split.train.len() + dataset.split.validation.len(),
            directories,
        })
    }

    /// Trainings of the sweep at most.
    pub fn n_tasks(&self) -> u64 {
        let sweep = self.definition.sweep();
        u64::from(self.n_trials) * u64::from(sweep.seeds) * u64::from(sweep.folds.unwrap_or(1))
    }

    /// Epochs of the sweep at most, where no parameter changes their number.
    pub fn n_epochs(&self) -> u64 {
        self.n_tasks() * u64::from(self.definition.topology.training.epochs)
    }

    /// Rows that go through networks, training and validation ones, where no parameter changes their number.
    pub fn n_rows(&self) -> u64 {
        self.n_epochs() * self.rows_per_epoch as u64
    }

    /// The sweep's size in words, for plans.
    pub fn plan_text(&self) -> String {
        let sweep = self.definition.sweep();
        let folds = sweep
            .folds
            .map_or(String::new(), |folds| format!(" x {folds} folds"));
        let stopping = match sweep.early_stopping {
            Some(_) => ", fewer where trials are stopped early",
            None => "",
        };
        format!(
            "sweep: {} trials x {} seeds{folds} = {} trainings, {} epochs at most{stopping}; {} rows through \
             networks\n",
            thousands(u64::from(self.n_trials)),
            sweep.seeds,
            thousands(self.n_tasks()),
            thousands(self.n_epochs()),
            thousands(self.n_rows()),
        )
    }

    /// Progress of the sweep before its first trial.
    pub fn progress(&self) -> Progress {
        let definition = &self.definition;
        let is_learning = matches!(definition.sweep().search, Search::Tpe { .. });
        Progress::new(definition.metric, definition.goal, is_learning)
    }

    /// Makes the sweep, or finds the same one: then its key, and what is done, are kept.
    ///
    /// # Errors
    /// When there is another one of this name and it is not to be replaced.
    pub async fn open(&mut self, store: &DynamoStore, is_replacing: bool) -> Result<Found, Error> {
        store.ensure_table().await?;
        let stored = Definition::read(store, &self.name).await;
        match stored {
            Ok(Some(stored)) if stored.is_same_as(&self.definition) && !is_replacing => {
                if stored.data_sha256 != self.definition.data_sha256 {
                    let sweep = self.name.clone();
                    return Err(Error::DataChanged { sweep });
                }
                self.definition = stored;
                return Found::read(store).await;
            }
            Ok(None) => {}
            Ok(Some(_)) | Err(Error::Broken { .. }) if is_replacing => {
                store.remove_run().await?;
                store.remove_runs_below().await?;
            }
            Ok(Some(_)) => {
                let sweep = self.name.clone();
                return Err(Error::Exists { sweep });
            }
            Err(error) => return Err(error),
        }
        store.put_record(&self.definition.to_json()).await?;
        Ok(Found::default())
    }

    /// The directory of the sweep, with the place that it is at written in it.
    ///
    /// # Errors
    /// When it cannot be made, or another process serves the sweep.
    pub fn directory(&self, config: &Config) -> Result<RunDir, Error> {
        Ok(RunDir::new(&config.runs_dir.join(DIRECTORY), &self.name)?)
    }
}

/// Writes the place of a sweep into its directory.
///
/// # Errors
/// When it cannot be written.
pub fn keep_place(dir: &RunDir, place: &Place) -> Result<(), Error> {
    Ok(dir.keep_document(&SweepDocument {
        version: DOCUMENT_VERSION,
        place: place.clone(),
    })?)
}

impl Sweep {
    /// The names of all sweeps that this machine knows.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub fn names(config: &Config) -> Result<Vec<String>, Error> {
        let sweeps = RunDir::list(&config.runs_dir.join(DIRECTORY))?;
        Ok(sweeps.iter().map(|sweep| sweep.name().to_owned()).collect())
    }

    /// The sweep of this name.
    ///
    /// # Errors
    /// When there is none, or its store cannot be read.
    pub async fn open(config: &Config, name: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown {
            sweep: name.to_owned(),
        };
        let dir = RunDir::new(&config.runs_dir.join(DIRECTORY), name)?;
        let document: Option<SweepDocument> = dir.document()?;
        let document = document.ok_or_else(unknown)?;
        let store = match document.place {
            Place::Here if !dir.has_store() => return Err(unknown()),
            Place::Here => dir.existing_store()?,
            Place::Shared { store, table } => {
                let client = connect_from_environment_to(store.as_deref()).await;
                DynamoStore::new(client, &table, name)?
            }
        };
        let definition = Definition::read(&store, name).await?.ok_or_else(unknown)?;
        Ok(Self {
            dir,
            store,
            definition: Arc::new(definition),
        })
    }
}

/// The metric of a sweep.
fn metric(sweep: &SweepSpec, dataset: &Dataset) -> Result<Metric, Error> {
    let (usual, task, known, is_known): (_, _, _, fn(Metric) -> bool) = match dataset.task {
        LearningTask::Classification { .. } => (
            Metric::Accuracy,
            "classes",
            "loss, accuracy, balanced_accuracy, f1, auc, log_loss",
            |metric| !matches!(metric, Metric::Mse | Metric::Mae | Metric::R2),
        ),
        LearningTask::Regression { .. } => {
            (Metric::Mse, "a number", "loss, mse, mae, r2", |metric| {
                matches!(
                    metric,
                    Metric::Loss | Metric::Mse | Metric::Mae | Metric::R2
                )
            })
        }
    };
    match sweep.metric {
        None => Ok(usual),
        Some(metric) if is_known(metric) => Ok(metric),
        Some(metric) => Err(Error::Metric {
            metric: metric.word().to_owned(),
            task,
            known,
        }),
    }
}

/// Refuses a parameter of which no value can be: most likely its path is misspelt.
fn check_values(definition: &Definition) -> Result<(), Error> {
    let first = TaskId {
        trial: 0,
        seed: 0,
        fold: 1,
    };
    for (path, space) in &definition.sweep().parameters {
        let mut refusal = None;
        for value in space.examples() {
            match definition.document(first, &[(path.clone(), value.clone())]) {
                Ok(_) => {
                    refusal = None;
                    break;
                }
                Err(problems) => refusal = refusal.or(Some((value, problems))),
            }
        }
        if let Some((value, problems)) = refusal {
            return Err(Error::Value {
                path: path.clone(),
                value: value.to_string(),
                problems,
            });
        }
    }
    Ok(())
}

fn first_fold_baseline(
    definition: &Definition,
    (base_dir, data_dir): &(PathBuf, PathBuf),
) -> Result<Scores, Error> {
    let first = TaskId {
        trial: 0,
        seed: 0,
        fold: 1,
    };
    let document = definition.document(first, &[]);
    let document = document.map_err(|problems| Error::Value {
        path: "data.folds".to_owned(),
        value: "1".to_owned(),
        problems,
    })?;
    let loaded = crate::data::load(&document.spec().data, base_dir, data_dir)?;
    Ok(trial::baseline(&loaded.dataset))
}
