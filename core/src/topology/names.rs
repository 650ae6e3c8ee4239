//! What the broker calls the queues and exchanges of a run.
//!
//! People read these names on the broker's dashboard: they sort by run, layer and unit, which is
//! why indices are padded with zeros to the width of the layer's last one.

use super::graph::{Graph, Layer};

/// What a queue of a unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// What the unit is told: batches, errors, rewinds.
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
    let units = layer.unit_ranges().len();
    let width = (units - 1).to_string().len();
    let queue = match queue {
        Queue::In => "in",
        Queue::Out => "out",
        Queue::Back => "back",
    };
    format!("cf.{run}.{}.{unit:0width$}.{queue}", layer.name)
}

/// The queue in which the trainer hears of readiness and commits.
pub fn trainer_queue(run: &str) -> String {
    format!("cf.{run}.trainer.in")
}

/// The queue in which the synapse above layer `below` hears of rewinds.
pub fn synapse_queue(graph: &Graph, below: usize) -> String {
    let (lower, upper) = (&graph.layers[below].name, &graph.layers[below + 1].name);
    format!("cf.{}.synapse.{lower}-{upper}.in", graph.name)
}
