//! Names of a run's exchanges, queues and actors.
//!
//! People read these names on the broker's dashboard: they sort by run, layer and unit, which is
//! why indices are padded with zeros to the width of the layer's last one.

use super::graph::Graph;
use super::roster::ActorKind;
use crate::layers::Layer;

/// Direct exchange of a run.
pub fn exchange(run: &str) -> String {
    format!("cf.{run}")
}

/// Fan-out exchange of a layer.
pub fn layer_exchange(run: &str, layer: &str) -> String {
    format!("cf.{run}.{layer}")
}

/// Queue of an actor; `queue` is `in`, `out` or `back`.
pub(super) fn queue(run: &str, actor: &str, queue: &str) -> String {
    format!("cf.{run}.{actor}.{queue}")
}

/// Unit number `index` of a layer.
pub(super) fn unit(layer: &Layer, index: usize) -> String {
    let last = layer.unit_ranges().len() - 1;
    let width = last.to_string().len();
    format!("{}.{index:0width$}", layer.name)
}

/// Synapse above layer `below`.
pub(super) fn synapse(graph: &Graph, below: usize) -> String {
    let (lower, upper) = (&graph.layers[below].name, &graph.layers[below + 1].name);
    format!("{}.{lower}-{upper}", ActorKind::Synapse.word())
}
