//! A run that begins with weights from elsewhere.

use cuttlefish_core::ids::{CommitPoint, NeuronRange, Tick};
use cuttlefish_core::protocol::{Ledger, NeuronState, Progress, Totals};
use cuttlefish_core::topology::Graph;

use super::Error;
use crate::store::{Store, WriteReply};

/// Writes weights as the first commit of a run that nobody has begun, so that it goes on from there.
pub async fn begin_with(
    store: &dyn Store,
    graph: &Graph,
    states: &[Vec<NeuronState>],
) -> Result<(), Error> {
    let accepted = |written| match written {
        WriteReply::Accepted => Ok(()),
        WriteReply::Refused { .. } => Err(Error::Refused),
    };
    let (generation, _) = store.begin_generation().await?;
    let commit = CommitPoint {
        number: 1,
        tick: Tick(0),
    };
    for (layer, states) in states.iter().enumerate() {
        let neurons = NeuronRange {
            layer,
            first: 0,
            count: states.len(),
        };
        accepted(
            store
                .write_commit(generation, neurons, commit, states)
                .await?,
        )?;
    }
    let ledger = Ledger {
        commit,
        progress: Progress::start(graph.training.epochs),
        totals: Totals::default(),
    };
    accepted(store.write_ledger(generation, &ledger).await?)
}
