//! Names of the queues and exchanges of a run at the broker.
//!
//! People read these names on the broker's dashboard: they sort by run, layer and unit, which is
//! why indices are padded with zeros to the width of the layer's last one.

use super::graph::Graph;
use crate::ids::Address;
use crate::layers::Layer;

/// Queue of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Inbound messages: batches, errors, rewinds.
    In,
    /// Its activations.
    Out,
    /// Its contributions to the errors of the layer below; the first layer has none.
    Back,
}

/// The direct exchange of a run.
pub fn exchange(run: &str) -> String {
    format!("cf.{run}")
}

/// The fan-out exchange of a layer.
pub fn layer_exchange(run: &str, layer: &str) -> String {
    format!("cf.{run}.{layer}")
}

/// A queue of unit number `unit` of a layer.
pub fn unit_queue(run: &str, layer: &Layer, unit: usize, queue: Queue) -> String {
    let queue = match queue {
        Queue::In => "in",
        Queue::Out => "out",
        Queue::Back => "back",
    };
    format!("cf.{run}.{}.{queue}", unit_part(layer, unit))
}

/// The queue in which the trainer hears of readiness and commits.
pub fn trainer_queue(run: &str) -> String {
    format!("cf.{run}.{TRAINER}.in")
}

/// The queue in which the synapse above layer `below` hears of rewinds.
pub fn synapse_queue(graph: &Graph, below: usize) -> String {
    format!("cf.{}.{}.in", graph.name, synapse_part(graph, below))
}

/// Name of an actor within its run: `hidden.003`, `synapse.hidden-digit`, `trainer`.
/// Its queues, connections and container have it in their names.
pub fn actor(graph: &Graph, address: Address) -> String {
    match address {
        Address::Trainer => TRAINER.to_owned(),
        Address::Synapse(below) => synapse_part(graph, below),
        Address::Unit { layer, index } => unit_part(&graph.layers[layer], index),
        Address::Layer(layer) => graph.layers[layer].name.clone(),
    }
}

/// Every actor of a run: the trainer, the synapses, the units layer by layer.
pub fn actors(graph: &Graph) -> impl Iterator<Item = Address> + '_ {
    let units = (0..graph.layers.len()).flat_map(|layer| {
        let n_units = graph.layers[layer].unit_ranges().len();
        (0..n_units).map(move |index| Address::Unit { layer, index })
    });
    let synapses = (1..graph.layers.len()).map(|above| Address::Synapse(above - 1));
    std::iter::once(Address::Trainer)
        .chain(synapses)
        .chain(units)
}

const TRAINER: &str = "trainer";

fn unit_part(layer: &Layer, unit: usize) -> String {
    let last = layer.unit_ranges().len() - 1;
    let width = last.to_string().len();
    format!("{}.{unit:0width$}", layer.name)
}

fn synapse_part(graph: &Graph, below: usize) -> String {
    let (lower, upper) = (&graph.layers[below].name, &graph.layers[below + 1].name);
    format!("synapse.{lower}-{upper}")
}
