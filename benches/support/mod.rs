//! Parts that the benchmarks of training in one process share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use cuttlefish::deploy::local_run::{ActorThreads, LocalTraining};
use cuttlefish::host::End;
use cuttlefish::store::{DEFAULT_TABLE, DynamoStore, embedded};
use cuttlefish_core::data::{BatchSource, Batches, Dataset};
use cuttlefish_core::protocol::Event;
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::Timing;

/// The fastest epoch through the actors, and how many ticks they did.
pub fn actor_epochs(graph: Graph, dataset: Arc<Dataset>) -> anyhow::Result<(Duration, f64)> {
    let directory = tempfile::tempdir()?;
    let batch_size = graph.training.batch_size;
    let source = Batches::new(
        dataset.clone(),
        graph.seed,
        batch_size,
        graph.training.shuffle,
    );
    let batches: Arc<dyn BatchSource> = Arc::new(source);
    actix_rt::System::new().block_on(async move {
        let client = embedded::open(&directory.path().join("store.db"))?;
        let store = DynamoStore::new(client, DEFAULT_TABLE, "bench")?;
        store.ensure_table().await?;
        let graph = Arc::new(graph);
        let training = LocalTraining {
            graph: &graph,
            batches: &batches,
            task: &dataset.task,
            store: Arc::new(store),
            timing: Timing::default(),
            sinks: Vec::new(),
        };
        let run = training.start(ActorThreads::for_network(&graph)?.into());
        let (mut last, mut last_note) = (Duration::ZERO, 0);
        let mut fastest = Duration::MAX;
        loop {
            run.observer().wait(Duration::from_millis(100)).await;
            let snapshot = run.observer().snapshot(last_note);
            for note in snapshot.notes {
                last_note = note.number;
                match note.event {
                    Event::Started { .. } => last = note.at,
                    Event::EpochFinished(_) => {
                        fastest = fastest.min(note.at - last);
                        last = note.at;
                    }
                    _ => {}
                }
            }
            match snapshot.end {
                Some(End::Finished(outcome)) => {
                    let ticks = outcome.ledger.progress.tick.0 as f64;
                    return Ok((fastest, ticks));
                }
                Some(other) => bail!("the run failed: {other:?}"),
                None => {}
            }
        }
    })
}
