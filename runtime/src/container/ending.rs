//! The end of a run in the log, for those who have nothing but that.

use cuttlefish_core::protocol::Verdict;
use tracing::{error, info, warn};

use crate::host::End;
use crate::record::SavedRun;
use crate::store::DynamoStore;

/// Says in the log how `run` has ended. The digest is that of what the store has: only the units have
/// weights.
pub async fn tell(end: &End, run: &str, store: DynamoStore) {
    let outcome = match end {
        End::Finished(outcome) => outcome,
        End::Failed(fault) => return error!(run, %fault, "the run has failed"),
        End::StoreFailed(problem) => return error!(run, problem, "the store has failed"),
    };
    let progress = &outcome.ledger.progress;
    let tick = progress.tick.0;
    if outcome.verdict == Verdict::Stopped {
        return info!(run, tick, "stopped; goes on when it is started again");
    }
    let saved = SavedRun::read_from(run, store).await;
    let digest = match saved {
        Ok(saved) => saved.digest().await,
        Err(error) => Err(error),
    };
    match digest {
        Ok(weights_sha256) => {
            let test = progress.test.as_ref();
            let (loss, accuracy) = (test.map(|t| t.loss), test.and_then(|t| t.accuracy));
            let rewinds = outcome.totals.rewinds;
            info!(
                run,
                tick, rewinds, loss, accuracy, weights_sha256, "training has ended"
            );
        }
        Err(error) => {
            warn!(run, tick, %error, "training has ended, but its weights cannot be read")
        }
    }
}
