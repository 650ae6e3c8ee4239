//! Training in containers, followed through the trainer's inspection; what has ended is started again meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cuttlefish_core::topology::Graph;

use super::desired::{Container, Role, container_name};
use super::run::DockerRun;
use crate::deploy::{Error, Fate, Inspection, Session, end_in_ledger};
use crate::host::{End, RunSnapshot};

/// Interval of looks for containers that have to be started again.
const REVIVE_EVERY: Duration = Duration::from_secs(2);

/// Interval of looks at the trainer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Training in containers as one process follows it.
pub(super) struct DockerSession<'a> {
    run: &'a DockerRun,
    desired: Vec<Container>,
    /// The trainer's inspection, as long as it answers: a trainer that is started anew has another
    /// port.
    trainer: Option<Inspection>,
    /// The last figures: shown as long as the trainer cannot be reached.
    last: RunSnapshot,
    /// Containers that were started again since the last question about repairs.
    started: Vec<String>,
    revived: Instant,
    /// True once the trainer has been asked to commit and end.
    is_stopping: bool,
}

impl<'a> DockerSession<'a> {
    pub(super) fn new(run: &'a DockerRun, graph: &Graph) -> Result<Self, Error> {
        Ok(Self {
            run,
            desired: run.desired(graph)?,
            trainer: None,
            last: RunSnapshot::default(),
            started: Vec::new(),
            revived: Instant::now(),
            is_stopping: false,
        })
    }

    async fn ask(&mut self, after: u64) -> anyhow::Result<RunSnapshot> {
        let trainer = match self.trainer.take() {
            Some(trainer) => trainer,
            None => self.run.inspect(Role::TRAINER.word()).await?,
        };
        let snapshot = trainer.look(after).await?;
        self.trainer = Some(trainer);
        Ok(snapshot)
    }

    /// Starts containers that have ended, unless another process works on the run.
    async fn revive(&mut self) {
        self.revived = Instant::now();
        let Ok(_lock) = self.run.dir.lock() else {
            return;
        };
        if !self.run.is_there() {
            return;
        }
        let started = Mutex::new(std::mem::take(&mut self.started));
        let note = |name: &str| {
            let mut started = started.lock().unwrap_or_else(PoisonError::into_inner);
            started.push(name.to_owned());
        };
        let revived = self.run.revive(&self.desired, &note).await;
        self.started = started.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = revived {
            tracing::warn!("cannot start containers: {error}");
        }
    }

    /// The end of a run whose trainer was asked to commit, once it has left.
    async fn stopped(&self) -> Result<Option<End>, Error> {
        let observed = self.run.observe().await?;
        let mut trainers = observed
            .iter()
            .filter(|one| one.role == Some(Role::TRAINER));
        if trainers.any(|trainer| trainer.is_running()) {
            return Ok(None);
        }
        let store = self.run.store().await?;
        Ok(Some(end_in_ledger(&store).await?))
    }
}

#[async_trait(?Send)]
impl Session for DockerSession<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<RunSnapshot, Error> {
        tokio::time::sleep(at_most.max(LOOK_EVERY)).await;
        if !self.is_stopping && self.revived.elapsed() >= REVIVE_EVERY {
            self.revive().await;
        }
        match self.ask(after).await {
            Ok(snapshot) => self.last = snapshot,
            Err(error) => {
                tracing::info!("cannot look at the trainer: {error:#}");
                self.last.notes.clear();
                if !self.run.is_there() {
                    return Err(Error::TakenDown {
                        run: self.run.dir.name().to_owned(),
                    });
                }
                // Nobody can tell where Docker does not answer.
                if self.is_stopping || matches!(self.run.has_been_left().await, Ok(true)) {
                    self.last.end = self.stopped().await?;
                }
            }
        }
        Ok(self.last.clone())
    }

    fn repairs(&mut self) -> Vec<String> {
        let started = self.started.drain(..);
        started
            .map(|name| format!("started {name} again"))
            .collect()
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.is_stopping = true;
        let name = container_name(self.run.dir.name(), Role::TRAINER.word());
        let signal = self.run.docker.signal(&name, "SIGINT").await;
        if let Err(error) = signal
            // It may have ended by itself, with the same outcome.
            && self.stopped().await?.is_none()
        {
            return Err(error.into());
        }
        Ok(())
    }

    fn abandon(self: Box<Self>) -> Fate {
        Fate::Running
    }
}
