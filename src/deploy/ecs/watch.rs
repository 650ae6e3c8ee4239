//! Training on ECS, followed by what the trainer writes to the run's store. ECS keeps the tasks alive.

use std::time::Duration;

use async_trait::async_trait;

use super::run::EcsRun;
use crate::deploy::{Error, Fate, Session, end_in_ledger};
use crate::host::RunSnapshot;
use crate::store::DynamoStore;

/// Interval of looks at the store, which the trainer writes once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Training on ECS as one process follows it.
pub(super) struct EcsSession<'a> {
    run: &'a EcsRun,
    store: DynamoStore,
    /// The last figures: shown as long as the store cannot be reached.
    last: RunSnapshot,
    /// True once the trainer has been asked to commit and end.
    is_stopping: bool,
}

impl<'a> EcsSession<'a> {
    pub(super) async fn new(run: &'a EcsRun) -> Result<Self, Error> {
        let store = run.store().await?;
        // A store that cannot be read at all is an error now, and waited for later.
        store.get_snapshot().await?;
        Ok(Self {
            run,
            store,
            last: RunSnapshot::default(),
            is_stopping: false,
        })
    }
}

#[async_trait(?Send)]
impl Session for EcsSession<'_> {
    async fn look(&mut self, after: u64, at_most: Duration) -> Result<RunSnapshot, Error> {
        tokio::time::sleep(at_most.max(LOOK_EVERY)).await;
        if !self.run.is_there() {
            return Err(Error::TakenDown {
                run: self.run.dir.name().to_owned(),
            });
        }
        if self.is_stopping {
            self.run.wait_for_trainer().await?;
            self.last.end = Some(end_in_ledger(&self.store).await?);
            return Ok(self.last.clone());
        }
        match self.store.get_snapshot().await {
            Ok(Some(text)) => match serde_json::from_str(&text) {
                Ok(snapshot) => self.last = snapshot,
                Err(error) => tracing::info!("cannot read the trainer's figures: {error}"),
            },
            Ok(None) => {}
            Err(error) => tracing::info!("cannot look at the run: {error}"),
        }
        self.last.notes.retain(|note| note.number > after);
        Ok(self.last.clone())
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.run.stop_trainer().await?;
        self.is_stopping = true;
        Ok(())
    }

    fn abandon(self: Box<Self>) -> Fate {
        // The second wish to stop may come before ECS has answered the first.
        match self.is_stopping {
            true => Fate::Stopping,
            false => Fate::Unconfirmed,
        }
    }
}
