//! A run as its store has it: the record, the ledger, and the weights that the ledger names.

use cuttlefish_core::ids::{Generation, NeuronRange};
use cuttlefish_core::network::{Network, digest};
use cuttlefish_core::protocol::{Ledger, NeuronState, Progress};
use cuttlefish_core::topology::{Graph, Grouping};

use super::{Error, Record};
use crate::store::{DynamoStore, Store};

/// A run that has been read from its store.
#[derive(Debug)]
pub struct SavedRun {
    /// Record of its start.
    pub record: Record,
    /// The network.
    pub graph: Graph,
    /// The newest generation that was drawn.
    pub generation: Generation,
    /// Ledger of its newest commit; None before the first.
    pub ledger: Option<Ledger>,
    store: DynamoStore,
}

impl SavedRun {
    /// Reads a run from its store, wherever that is.
    pub async fn read_from(run: &str, store: DynamoStore) -> Result<Self, Error> {
        let broken = |problem: String| Error::Broken {
            run: run.to_owned(),
            problem,
        };
        let json = store.get_record().await?;
        let json = json.ok_or_else(|| broken("it has no record".to_owned()))?;
        let record = Record::parse(&json).map_err(broken)?;
        let graph = record
            .graph(Grouping::WholeLayers)
            .map_err(|p| broken(p.to_string()))?;
        let (generation, ledger) = store.read_ledger().await?.unwrap_or_default();
        Ok(Self {
            record,
            graph,
            generation,
            ledger,
            store,
        })
    }

    /// Progress of the run at its newest commit.
    pub fn progress(&self) -> Progress {
        match &self.ledger {
            Some(ledger) => ledger.progress.clone(),
            None => Progress::start(self.graph.training.epochs),
        }
    }

    /// The state of every neuron at the ledger's commit, `[layer][neuron]`; the initial one before
    /// the first commit.
    pub async fn states(&self) -> Result<Vec<Vec<NeuronState>>, Error> {
        let Some(ledger) = &self.ledger else {
            return Ok(Network::initial(&self.graph).snapshot());
        };
        let mut states = Vec::new();
        for (layer, plan) in self.graph.layers.iter().enumerate() {
            let neurons = NeuronRange {
                layer,
                first: 0,
                count: plan.units,
            };
            states.push(self.store.read_commit(neurons, ledger.commit).await?);
        }
        Ok(states)
    }

    /// The digest of the weights.
    pub async fn digest(&self) -> Result<String, Error> {
        Ok(digest(self.states().await?.iter().flatten()))
    }
}
