//! A run on Amazon ECS: what its directory keeps of that.

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::DataShape;
use serde::{Deserialize, Serialize};

use super::{Error, Record, RunDir};
use crate::deploy::ecs::stack::Stack;

/// The version of deployments on ECS that this program writes.
const VERSION: u32 = 1;

/// The file that says so in a run's directory.
pub const FILE: &str = "ecs.json";

/// Where and how a run is on ECS. No secret is in it: tasks have those from the stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EcsDeployment {
    /// Version of this form.
    pub version: u32,
    /// A random number: what is tagged with it is this run's, and nothing else is.
    pub owner: String,
    /// The neuron image.
    pub image: String,
    /// What carries it.
    pub stack: Stack,
    /// The region.
    pub region: String,
    /// `http://host:port` of an emulated DynamoDB; none for the region's own.
    pub endpoint: Option<String>,
    /// What the run was started with, as its store has it.
    pub record: Record,
    /// Bytes of the data set; 0 where a program wrote this that did not look at them.
    #[serde(default)]
    pub data_bytes: u64,
}

impl EcsDeployment {
    /// A new deployment of this program's version, which trains with that data set.
    pub fn new(
        owner: String,
        image: String,
        stack: Stack,
        region: String,
        endpoint: Option<String>,
        record: Record,
        dataset: &Dataset,
    ) -> Self {
        Self {
            version: VERSION,
            owner,
            image,
            stack,
            region,
            endpoint,
            record,
            data_bytes: DataShape::from(dataset).bytes(),
        }
    }
}

impl RunDir {
    /// Whether the run is on ECS.
    pub fn is_on_ecs(&self) -> bool {
        self.path.join(FILE).exists()
    }

    /// Reads how the run is on ECS.
    ///
    /// # Errors
    /// When the file cannot be read, or is another program's.
    pub fn ecs_deployment(&self) -> Result<EcsDeployment, Error> {
        self.read_json(FILE, VERSION, |deployment: &EcsDeployment| {
            deployment.version
        })
    }

    /// Keeps how the run is on ECS, whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_ecs_deployment(&self, deployment: &EcsDeployment) -> Result<(), Error> {
        // As for the record itself.
        deployment.record.to_json()?;
        self.keep_json(FILE, deployment)
    }
}
