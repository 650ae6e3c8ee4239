//! Status of a run: how far it is, and who works on it.

use std::path::PathBuf;

use cuttlefish_core::data::Part;
use cuttlefish_core::ids::{Generation, Tick};
use cuttlefish_core::protocol::{EpochRecord, Evaluation};

use super::{Error, Run};
use crate::deploy::TargetKind;
use crate::record::SavedRun;

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Every tick of it is done.
    Complete,
    /// Somebody works on it.
    Running,
    /// Nobody does, and it can go on.
    Stopped,
}

impl RunState {
    /// Word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// Status of a run at its last commit.
#[derive(Clone, Debug)]
pub struct RunStatus {
    /// Name of the run.
    pub run: String,
    /// Its target.
    pub target: TargetKind,
    /// Its state.
    pub state: RunState,
    /// Workers on it, in words.
    pub worker: Option<String>,
    /// The last epoch that is finished, with its figures.
    pub last_epoch: Option<EpochRecord>,
    /// Epochs that it is to have, at most.
    pub epochs: u32,
    /// Tick of the commit.
    pub tick: Tick,
    /// The newest generation.
    pub generation: Generation,
    /// Figures of the test rows, once there are any.
    pub test: Option<Evaluation>,
    /// Neurons of its network.
    pub neurons: usize,
    /// Its directory.
    pub directory: PathBuf,
}

impl RunStatus {
    /// The number of finished epochs.
    pub fn epoch(&self) -> u32 {
        self.last_epoch.as_ref().map_or(0, |epoch| epoch.epoch)
    }

    /// The figures that count most, and the part of the data that they are of: those of the test rows, before that
    /// those of the last epoch's validation rows, or of its training rows where none validate.
    pub fn evaluation(&self) -> Option<(Part, &Evaluation)> {
        let of_test = self.test.as_ref().map(|test| (Part::Test, test));
        of_test.or_else(|| {
            let epoch = self.last_epoch.as_ref()?;
            Some(match &epoch.validation {
                Some(validation) => (Part::Validation, validation),
                None => (Part::Train, &epoch.train),
            })
        })
    }
}

impl Run {
    /// Status of the run.
    ///
    /// # Errors
    /// When its store cannot be read.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        let saved = self.saved().await?;
        Ok(self.status_of(&saved).await)
    }

    /// Status of the run as it was `saved`.
    pub async fn status_of(&self, saved: &SavedRun) -> RunStatus {
        let progress = saved.progress();
        let worker = self.target.worker().await;
        let state = match &worker {
            _ if progress.finished => RunState::Complete,
            Some(_) => RunState::Running,
            None => RunState::Stopped,
        };
        RunStatus {
            run: self.name().to_owned(),
            target: self.kind(),
            state,
            worker,
            last_epoch: progress.history.last().cloned(),
            epochs: saved.graph.training.epochs,
            tick: progress.tick,
            generation: saved.generation,
            test: progress.test,
            neurons: saved.graph.layers.iter().map(|layer| layer.units).sum(),
            directory: self.dir.path().to_owned(),
        }
    }
}
