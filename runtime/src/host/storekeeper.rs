//! Does what machines ask of the store, beside their work and with a bound.

use std::sync::Arc;
use std::time::Duration;

use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{StoreReply, StoreRequest};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::warn;

use super::{End, Observer};
use crate::store::{Error, Store, WriteReply};

/// Requests under way at once; each may put several neurons at once.
const MAX_IN_FLIGHT: usize = 16;

/// Tries of a request that may succeed later.
const MAX_TRIES: u32 = 8;

/// Pause after the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Something to do first, and whether it could be done.
type Prepare = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Executes store requests on the runtime that it is given.
#[derive(Clone)]
pub struct Storekeeper {
    store: Arc<dyn Store>,
    runtime: Handle,
    permits: Arc<Semaphore>,
    observer: Arc<Observer>,
    before_generation: Option<Prepare>,
}

impl Storekeeper {
    /// A storekeeper for one run.
    pub fn new(store: Arc<dyn Store>, runtime: Handle, observer: Arc<Observer>) -> Self {
        Self {
            store,
            runtime,
            permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            observer,
            before_generation: None,
        }
    }

    /// Lets every new generation wait for `prepare`: nobody is told of it before, and there is none if
    /// that fails.
    pub fn preparing_generations(
        mut self,
        prepare: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static,
    ) -> Self {
        self.before_generation = Some(Arc::new(prepare));
        self
    }

    /// Does what `request` asks and gives the answer to `reply`. Returns at once. A store that
    /// cannot be reached for good ends the run.
    pub fn perform(
        &self,
        from: Address,
        request: StoreRequest,
        reply: Arc<dyn Fn(StoreReply) + Send + Sync>,
    ) {
        let this = self.clone();
        self.runtime.spawn(async move {
            // The semaphore is never closed.
            let _permit = this.permits.acquire().await;
            if matches!(request, StoreRequest::BeginGeneration)
                && let Some(prepare) = &this.before_generation
                && !prepare().await
            {
                return;
            }
            let mut pause = FIRST_PAUSE;
            for attempt in 1.. {
                let result = this.attempt(&request).await;
                if result.is_err() {
                    this.observer.store_failed();
                }
                match result {
                    Ok(answer) => {
                        if is_written(&answer) {
                            this.observer.wrote_commit();
                        }
                        return reply(answer);
                    }
                    Err(error) if error.retryable() && attempt < MAX_TRIES => {
                        warn!(%from, %error, attempt, "store did not answer, trying again");
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    Err(error) => {
                        return this
                            .observer
                            .end(End::StoreFailed(format!("{from}: {error}")));
                    }
                }
            }
        });
    }

    async fn attempt(&self, request: &StoreRequest) -> Result<StoreReply, Error> {
        match request {
            StoreRequest::BeginGeneration => {
                let (generation, ledger) = self.store.begin_generation().await?;
                Ok(StoreReply::Generation {
                    generation,
                    ledger: ledger.map(Box::new),
                })
            }
            StoreRequest::WriteLedger { generation, ledger } => {
                let written = self.store.write_ledger(*generation, ledger).await?;
                Ok(StoreReply::Ledger {
                    generation: *generation,
                    commit: ledger.commit,
                    refused_by: match written {
                        WriteReply::Accepted => None,
                        WriteReply::Refused { newest } => Some(newest),
                    },
                })
            }
            StoreRequest::ReadCommit {
                generation,
                neurons,
                commit,
            } => {
                let states = match self.store.read_commit(*neurons, *commit).await {
                    Ok(states) => Ok(states),
                    // The trainer decides whether this is the end or only an old question.
                    Err(
                        error @ (Error::Missing { .. }
                        | Error::OtherCommit { .. }
                        | Error::Corrupt { .. }),
                    ) => Err(error.to_string()),
                    Err(error) => return Err(error),
                };
                Ok(StoreReply::Commit {
                    generation: *generation,
                    states,
                })
            }
            StoreRequest::WriteCommit {
                generation,
                neurons,
                commit,
                states,
            } => {
                let written = self
                    .store
                    .write_commit(*generation, *neurons, *commit, states)
                    .await?;
                Ok(StoreReply::Committed {
                    generation: *generation,
                    commit: *commit,
                    accepted: written == WriteReply::Accepted,
                })
            }
        }
    }
}

/// True when a commit is in the store now, as far as the one who asked writes it.
fn is_written(reply: &StoreReply) -> bool {
    match reply {
        StoreReply::Committed { accepted, .. } => *accepted,
        StoreReply::Ledger { refused_by, .. } => refused_by.is_none(),
        StoreReply::Generation { .. } | StoreReply::Commit { .. } => false,
    }
}
