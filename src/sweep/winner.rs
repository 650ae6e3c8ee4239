//! The winner of a sweep: its topology as a file of its own, and its test rows, opened once.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cuttlefish_core::protocol::{EpochRecord, Evaluation};
use cuttlefish_core::sweep::Configuration;
use cuttlefish_core::topology::spec::Spec;

use super::definition::Definition;
use super::progress::{FinishedTrial, Progress, Verdict};
use super::scratch::ScratchStore;
use super::task::{Outcome, TaskId, TaskResult};
use super::trial::{Judge, Trial};
use super::{Error, PreparedSweep, Sweep};
use crate::deploy::local_run::ActorThreads;
use crate::deploy::yaml;

/// The best trial of a sweep.
#[derive(Clone, Debug)]
pub struct Winner {
    /// The trial.
    pub trial: FinishedTrial,
    /// Its first task, of which `topology` is the file.
    pub task: TaskId,
    /// SHA-256 of that task's weights.
    pub weights_sha256: String,
    /// A topology without sweep, which trains to these weights.
    pub topology: Spec,
}

/// Judge of a training that is not judged.
struct NoJudge;

#[async_trait(?Send)]
impl Judge for NoJudge {
    async fn stops(&mut self, _: &EpochRecord) -> Option<f64> {
        None
    }
}

impl Winner {
    /// The winner of a sweep whose progress is known.
    ///
    /// # Errors
    /// When no trial was trained to its end.
    pub fn of(sweep: &str, definition: &Definition, progress: &Progress) -> Result<Self, Error> {
        let best = progress.best().first();
        let none = || Error::NoWinner {
            sweep: sweep.to_owned(),
            why: progress
                .failure
                .as_ref()
                .map_or(String::new(), |failure| format!(" ({failure})")),
        };
        let trial = best.ok_or_else(none)?;
        let Verdict::Completed(completed) = &trial.verdict else {
            return Err(none());
        };
        let (task, weights_sha256) = completed.first.clone();
        let name = winner_name(sweep);
        let topology = definition.spec(task, &trial.values, name);
        Ok(Self {
            trial: trial.clone(),
            task,
            weights_sha256,
            topology: topology.map_err(|problems| Error::Value {
                path: "the winner".to_owned(),
                value: task.name(),
                problems,
            })?,
        })
    }

    /// Trains the winner's first task once more, this time with the test rows at the end.
    ///
    /// # Errors
    /// When its data cannot be read, or the bits are not those of the sweep: then the data set has changed.
    pub async fn test(&self, prepared: &PreparedSweep) -> Result<Option<Evaluation>, Error> {
        let (base_dir, data_dir) = &prepared.directories;
        let loaded = crate::data::load(&self.topology.data, base_dir, data_dir)?;
        let unfit = |problem: String| Error::Worker(problem);
        let document = self.topology.document(&[]);
        let document = document.map_err(|problems| unfit(problems.to_string()))?;
        let trial = Trial::with_test_rows(&document, &Arc::new(loaded.dataset)).map_err(unfit)?;
        let store = Arc::new(ScratchStore::in_memory());
        let threads = ActorThreads::single().map_err(|error| Error::Threads(error.to_string()))?;
        let trained = trial.train(store, threads.into(), &[], &mut NoJudge).await;
        let trained = trained.map_err(|lost| Error::StoreLost(lost.0))?;
        match trained.outcome {
            Outcome::Completed { weights_sha256, .. } if weights_sha256 == self.weights_sha256 => {
                Ok(trained.test)
            }
            _ => Err(Error::OtherWinner),
        }
    }

    /// The text of a topology file that trains to the winner's weights. Its data are found from anywhere.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn file(&self, base_dir: &Path) -> Result<String, Error> {
        let mut topology = self.topology.clone();
        for path in topology.data.paths_mut() {
            *path = base_dir.join(&*path).display().to_string();
        }
        let unwritable = |error: serde_json::Error| Error::Prepare(error.into());
        let mut file = serde_json::to_value(&topology).map_err(unwritable)?;
        if let Some(data) = file["data"].as_object_mut()
            && data.get("folds").is_some_and(|folds| !folds.is_null())
        {
            // Folds take its place: a file that has both is refused.
            data.shift_remove("validation_split");
        }
        yaml::to_string(&file).map_err(unwritable)
    }
}

/// Name of a winner's run.
fn winner_name(sweep: &str) -> String {
    let mut name = sweep.to_owned();
    // A name has at most 40 characters.
    name.truncate(35);
    format!("{}-best", name.trim_end_matches('-'))
}

impl Sweep {
    /// Progress of the sweep, counted from its store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn progress(&self) -> Result<Progress, Error> {
        let definition = &self.definition;
        let sweep = definition.sweep();
        let mut progress = Progress::new(definition.metric, definition.goal, false);
        let mut trial: Vec<(TaskId, TaskResult)> = Vec::new();
        let n_tasks = (sweep.seeds * sweep.folds.unwrap_or(1)) as usize;
        let mut note = |task: TaskId, result: TaskResult| {
            if trial
                .first()
                .is_some_and(|(first, _)| first.trial != task.trial)
            {
                trial.clear();
            }
            trial.push((task, result));
            if trial.len() == n_tasks {
                let values = trial[0].1.values.clone();
                progress.begin(
                    task.trial,
                    Configuration(values),
                    trial.iter().map(|(id, _)| *id),
                );
                for (id, result) in trial.drain(..) {
                    progress.note(id, result);
                }
            }
        };
        self.each_row(|row| note(row.task, row.result)).await?;
        Ok(progress)
    }
}
