//! A neuron's state as its own container shows it over HTTP.

use std::path::PathBuf;

use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Graph, Roster};
use serde_json::Value;

use super::run::DockerRun;

/// A neuron's state, and how to ask for it again.
#[derive(Clone, Debug)]
pub struct LiveNeuron {
    /// The answer of its container.
    pub document: Value,
    /// The address that gave it.
    pub url: String,
    /// File with the token that this address asks for.
    pub token_file: PathBuf,
}

impl DockerRun {
    /// The state of a neuron of a layer now, and the name of its container. The inner result is an error
    /// where the container does not answer.
    pub async fn live_neuron(
        &self,
        graph: &Graph,
        layer: usize,
        index: usize,
    ) -> (String, Result<LiveNeuron, String>) {
        let unit = index / graph.layers[layer].neurons_per_unit;
        let actor = Roster::new(graph)
            .actor(Address::Unit { layer, index: unit })
            .name;
        let neuron = self.ask_neuron(&actor, index).await;
        (actor, neuron.map_err(|problem| problem.to_string()))
    }

    async fn ask_neuron(
        &self,
        actor: &str,
        index: usize,
    ) -> Result<LiveNeuron, Box<dyn std::error::Error>> {
        let path = format!("/neurons/{index}");
        let inspection = self.inspect(actor).await?;
        let document: Value = inspection.get(&path).await?;
        let token = self.secrets.dir().join("token");
        Ok(LiveNeuron {
            document,
            url: format!("{}{path}", inspection.base()),
            token_file: std::path::absolute(&token).unwrap_or(token),
        })
    }
}
