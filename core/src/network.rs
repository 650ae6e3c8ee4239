//! A whole network in one place: to predict and evaluate with, and the digest of its weights.

use std::sync::Arc;

use ndarray::Array2;
use sha2::{Digest, Sha256};

use crate::data::{BatchRef, BatchSource, Part, Task};
use crate::digest::hexadecimal;
use crate::math::{Inputs, Panels};
use crate::neuron::Neurons;
use crate::protocol::{Evaluation, NeuronState, Tally};
use crate::topology::Graph;
use crate::trainer::head::{answer, loss_and_gradient};

/// All layers of a network with their weights.
pub struct Network<'a> {
    graph: &'a Graph,
    layers: Vec<Neurons>,
}

impl<'a> Network<'a> {
    /// A network with its initial weights.
    pub fn initial(graph: &'a Graph) -> Self {
        let layers = graph.layers.iter().enumerate().map(|(l, layer)| {
            let optimizer = graph.training.optimizer;
            Neurons::initial(layer, l, 0..layer.units, graph.seed, optimizer)
        });
        Self {
            graph,
            layers: layers.collect(),
        }
    }

    /// A network with the weights of a commit, `states[layer][neuron]`.
    ///
    /// # Errors
    /// Says what does not fit the graph.
    pub fn restore(graph: &'a Graph, states: &[Vec<NeuronState>]) -> Result<Self, String> {
        let mut network = Self::initial(graph);
        for ((layer, neurons), states) in graph.layers.iter().zip(&mut network.layers).zip(states) {
            neurons
                .restore(states)
                .map_err(|problem| format!("layer `{}`: {problem}", layer.name))?;
        }
        Ok(network)
    }

    /// The state of every neuron, `[layer][neuron]`.
    pub fn snapshot(&self) -> Vec<Vec<NeuronState>> {
        self.layers.iter().map(Neurons::snapshot).collect()
    }

    /// Outputs of the last layer before the head, `[outputs, rows]`.
    fn outputs(&self, inputs: &Inputs) -> Array2<f32> {
        let (_, mut values) = self.layers[0].forward(inputs, false);
        for layer in &self.layers[1..] {
            (_, values) = layer.forward(&Inputs::new(Panels::pack(values.view())), false);
        }
        Arc::unwrap_or_clone(values)
    }

    /// Answers of the network, `[outputs, rows]`: probabilities under softmax and sigmoid, numbers in the unit of
    /// the target.
    pub fn predict(&self, inputs: &Inputs) -> Array2<f32> {
        let mut outputs = self.outputs(inputs);
        self.answer(&mut outputs);
        outputs
    }

    /// Makes answers of the last layer's outputs.
    fn answer(&self, outputs: &mut Array2<f32>) {
        answer(self.graph.head, outputs);
        let scale = self.graph.target_scale;
        outputs.map_inplace(|output| *output = scale.in_units(*output) as f32);
    }

    /// What each layer says of the rows, `[outputs, rows]`: of a filter its map as the next layer sees it. The last
    /// one says the answers, as [`Self::predict`] does.
    pub fn responses(&self, inputs: &Inputs) -> Vec<Array2<f32>> {
        let mut responses: Vec<Array2<f32>> = Vec::new();
        for layer in &self.layers {
            let (_, values) = match responses.last() {
                None => layer.forward(inputs, false),
                Some(below) => layer.forward(&Inputs::new(Panels::pack(below.view())), false),
            };
            responses.push(Arc::unwrap_or_clone(values));
        }
        if let Some(outputs) = responses.last_mut() {
            self.answer(outputs);
        }
        responses
    }

    /// Loss and metrics over a part of the data set; `None` when the part is empty.
    pub fn evaluate(
        &self,
        batches: &dyn BatchSource,
        part: Part,
        task: &Task,
    ) -> Option<Evaluation> {
        let batch_size = self.graph.training.batch_size;
        let rows = batches.rows(part);
        let mut tally = Tally::new(task);
        for index in 0..rows.div_ceil(batch_size) {
            let batch = BatchRef {
                part,
                epoch: 1,
                index: index as u32,
                rows: batch_size.min(rows - index * batch_size) as u32,
            };
            let outputs = self.outputs(&batches.inputs(batch));
            let Graph {
                loss,
                head,
                target_scale,
                ..
            } = *self.graph;
            let targets = batches.targets(batch);
            loss_and_gradient(loss, head, target_scale, &outputs, &targets, &mut tally);
        }
        tally.evaluation()
    }
}

/// SHA-256 in hexadecimal over every neuron's weights, then its bias (0 for a neuron without
/// one), and if it is normalized gamma, beta, moving mean and moving variance, as little-endian f32, in
/// layer and neuron order.
pub fn digest<'a>(states: impl IntoIterator<Item = &'a NeuronState>) -> String {
    let mut sha = Sha256::new();
    for weight in states.into_iter().flat_map(|state| &state.weights) {
        sha.update(weight.to_le_bytes());
    }
    hexadecimal(&sha.finalize())
}
