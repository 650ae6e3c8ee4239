//! Document of a run on a Docker host: the places of its broker, store and images.

use cuttlefish_core::data::Feed;
use serde::{Deserialize, Serialize};

use super::desired::CONTAINERS_PER_BRIDGE;
use crate::deploy::DOCUMENT_VERSION;
use crate::record::Record;

/// A run on a Docker host. Passwords are not in it: they are in the run's `secrets` directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Version of this form.
    pub version: u32,
    /// A random number: what is labelled with it is this run's, and nothing else is.
    pub owner: String,
    /// The neuron image.
    pub image: String,
    /// The broker.
    pub broker: BrokerPlace,
    /// The store.
    pub store: StorePlace,
    /// The table of the store.
    pub table: String,
    /// Feed of the first layer: rows by reference, or sent by the trainer.
    pub feed: Feed,
    /// Actors on a bridge, at most.
    #[serde(default = "containers_per_bridge")]
    pub containers_per_bridge: usize,
    /// The run's record, as its store has it.
    pub record: Record,
    /// True until the store has the weights that the run is to begin with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_weights: bool,
}

/// Place of a run's broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BrokerPlace {
    /// A container of the run.
    Companion {
        /// Its image.
        image: String,
    },
    /// A broker that was there.
    Given {
        /// Its management API, where the run has a virtual host and users of its own.
        management: Option<String>,
    },
}

/// Place of a run's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StorePlace {
    /// A container of the run.
    Companion,
    /// A DynamoDB that was there; the environment says who we are there.
    Given {
        /// `http://host:port` of an emulator; None for the region's own.
        endpoint: Option<String>,
        /// The region.
        region: String,
    },
}

fn containers_per_bridge() -> usize {
    CONTAINERS_PER_BRIDGE
}

impl Deployment {
    /// A new deployment of this program's version.
    pub fn new(
        owner: String,
        image: String,
        broker: BrokerPlace,
        store: StorePlace,
        table: String,
        feed: Feed,
        record: Record,
    ) -> Self {
        Self {
            version: DOCUMENT_VERSION,
            owner,
            image,
            broker,
            store,
            table,
            feed,
            containers_per_bridge: CONTAINERS_PER_BRIDGE,
            record,
            awaits_weights: false,
        }
    }
}
