//! Where and how a run is deployed: what its directory keeps of that.

use cuttlefish_core::data::Feed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Error, Record, RunDir};
use crate::deploy::docker::desired::CONTAINERS_PER_BRIDGE;

/// The version of deployments that this program writes.
const VERSION: u32 = 1;

const FILE: &str = "deployment.json";

/// A run in containers. Passwords are not in it: they are in the run's `secrets` directory.
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
    /// How batches get to the first layer.
    pub feed: Feed,
    /// Actors on a bridge, at most.
    #[serde(default = "containers_per_bridge")]
    pub containers_per_bridge: usize,
    /// What the run was started with, as its store has it.
    pub record: Record,
}

/// Where a run's broker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BrokerPlace {
    /// A container of the run.
    Companion {
        /// Its image.
        image: String,
    },
    /// One that was there.
    Given {
        /// Its management API, where the run has a virtual host and users of its own.
        management: Option<String>,
    },
}

/// Where a run's store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StorePlace {
    /// A container of the run.
    Companion,
    /// A DynamoDB that was there; the environment says who we are there.
    Given {
        /// `http://host:port` of an emulator; none for the region's own.
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
            version: VERSION,
            owner,
            image,
            broker,
            store,
            table,
            feed,
            containers_per_bridge: CONTAINERS_PER_BRIDGE,
            record,
        }
    }
}

impl RunDir {
    /// Whether the run is deployed in containers.
    pub fn is_deployed(&self) -> bool {
        self.path.join(FILE).exists()
    }

    /// Reads how the run is deployed.
    pub fn deployment(&self) -> Result<Deployment, Error> {
        self.read_json(FILE, VERSION, |deployment: &Deployment| deployment.version)
    }

    /// What a run in containers was last brought up with, wherever those are.
    pub fn recorded(&self) -> Result<Record, Error> {
        if self.is_on_ecs() {
            Ok(self.ecs_deployment()?.record)
        } else {
            Ok(self.deployment()?.record)
        }
    }

    /// Keeps how the run is deployed, whole or not at all.
    pub fn keep_deployment(&self, deployment: &Deployment) -> Result<(), Error> {
        // As for the record itself.
        deployment.record.to_json()?;
        self.keep_json(FILE, deployment)
    }

    /// Reads one of the run's documents, of this version.
    pub(super) fn read_json<T: DeserializeOwned>(
        &self,
        file: &str,
        version: u32,
        version_of: impl Fn(&T) -> u32,
    ) -> Result<T, Error> {
        let path = self.path.join(file);
        let json = std::fs::read_to_string(&path).map_err(|source| super::io(&path, source))?;
        let broken = |problem: String| Error::Broken {
            run: self.name.clone(),
            problem: format!("its `{file}`{problem}"),
        };
        let document = serde_json::from_str(&json).map_err(|error| broken(format!(": {error}")))?;
        match version_of(&document) {
            found if found == version => Ok(document),
            found => Err(broken(format!(
                " has version {found}, this program reads version {version}"
            ))),
        }
    }

    /// Keeps one of the run's documents, whole or not at all.
    pub(super) fn keep_json(&self, file: &str, document: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_string_pretty(document).unwrap_or_default();
        let path = self.path.join(file);
        let temporary = path.with_extension("part");
        std::fs::write(&temporary, json)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(|source| super::io(&path, source))
    }
}
