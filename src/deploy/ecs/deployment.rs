//! Document of a run on Amazon ECS: its stack, region and image.

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::DataShape;
use serde::{Deserialize, Serialize};

use super::stack::Stack;
use crate::deploy::DOCUMENT_VERSION;
use crate::record::Record;

/// A run on ECS. No secret is in it: tasks have those from the stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Version of this form.
    pub version: u32,
    /// A random number: what is tagged with it is this run's, and nothing else is.
    pub owner: String,
    /// The neuron image.
    pub image: String,
    /// CloudFormation stack that the run uses.
    pub stack: Stack,
    /// The region.
    pub region: String,
    /// `http://host:port` of an emulated DynamoDB; None for the region's own.
    pub endpoint: Option<String>,
    /// The run's record, as its store has it.
    pub record: Record,
    /// Bytes of the data set; 0 where a program wrote this that did not look at them.
    #[serde(default)]
    pub data_bytes: u64,
    /// True until the store has the weights that the run is to begin with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_weights: bool,
}

impl Deployment {
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
            version: DOCUMENT_VERSION,
            owner,
            image,
            stack,
            region,
            endpoint,
            record,
            data_bytes: DataShape::from(dataset).bytes(),
            awaits_weights: false,
        }
    }
}
