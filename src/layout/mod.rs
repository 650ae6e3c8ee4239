//! Layouts: the tensors of a network as other programs name and shape them.
//!
//! One description serves both ways: [`crate::export`] fills the tensors from the states of neurons,
//! [`crate::import`] the states from tensors. Nothing here reads or writes a file.

pub mod constants;
pub mod torch;

use cuttlefish_core::layers::LayerSpec;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::Graph;

/// Names and shapes of tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Those of Keras: `<layer>/kernel` with the neurons last.
    #[default]
    Keras,
    /// Those of a `torch.nn.Sequential` of the same layers: `0.weight` with the neurons first.
    Torch,
}

/// A tensor that a network has in a layout.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorPlace {
    /// Its name.
    pub name: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Index of the layer whose neurons have its numbers.
    pub layer: usize,
    /// The numbers.
    pub contents: Contents,
}

/// Numbers of a tensor, in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// These weights of every neuron, by their indices; the neurons are the last dimension.
    NeuronsLast(Vec<usize>),
    /// These weights of every neuron, by their indices; the neurons are the first dimension.
    NeuronsFirst(Vec<usize>),
    /// The number with this index of every neuron.
    Each(usize),
    /// The same number for every neuron: one that is not learned here, and always there in the layout.
    Constant(f32),
}

impl Layout {
    /// Word of the layout on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::Torch => "torch",
        }
    }

    /// Name of the program that it is of.
    pub fn program(self) -> &'static str {
        match self {
            Self::Keras => "Keras",
            Self::Torch => "PyTorch",
        }
    }

    /// The tensors of a network, layer by layer. `layers` are those of its topology, by which PyTorch numbers
    /// its modules.
    pub fn places(self, graph: &Graph, layers: &[LayerSpec]) -> Vec<TensorPlace> {
        match self {
            Self::Keras => keras(graph),
            Self::Torch => torch::places(graph, layers),
        }
    }
}

/// Kernel, then bias for layers that have one, then what those of a normalization are.
fn keras(graph: &Graph) -> Vec<TensorPlace> {
    let mut places = Vec::with_capacity(2 * graph.layers.len());
    for (index, layer) in graph.layers.iter().enumerate() {
        let order = layer.weights_as_keras(graph.channels_below(index));
        places.push(TensorPlace {
            name: format!("{}/kernel", layer.name),
            shape: layer.keras_shape(),
            layer: index,
            contents: Contents::NeuronsLast(order.collect()),
        });
        for (name, number) in layer.keras_vectors() {
            places.push(TensorPlace {
                name,
                shape: vec![layer.units],
                layer: index,
                contents: Contents::Each(number),
            });
        }
    }
    places
}

impl TensorPlace {
    /// The numbers of the tensor, from the states of the layer's neurons.
    pub fn gather(&self, neurons: &[NeuronState]) -> Vec<f32> {
        match &self.contents {
            Contents::NeuronsLast(order) => {
                let of_weight = |&weight: &usize| neurons.iter().map(move |n| n.weights[weight]);
                order.iter().flat_map(of_weight).collect()
            }
            Contents::NeuronsFirst(order) => {
                let of_neuron = |n: &'_ NeuronState| -> Vec<f32> {
                    order.iter().map(|&weight| n.weights[weight]).collect()
                };
                neurons.iter().flat_map(of_neuron).collect()
            }
            Contents::Each(number) => neurons.iter().map(|n| n.weights[*number]).collect(),
            Contents::Constant(number) => vec![*number; neurons.len()],
        }
    }

    /// Puts the numbers of the tensor into the states of the layer's neurons.
    pub fn scatter(&self, numbers: &[f32], neurons: &mut [NeuronState]) {
        let units = neurons.len();
        for (unit, neuron) in neurons.iter_mut().enumerate() {
            match &self.contents {
                Contents::NeuronsLast(order) => {
                    for (row, &weight) in order.iter().enumerate() {
                        neuron.weights[weight] = numbers[row * units + unit];
                    }
                }
                Contents::NeuronsFirst(order) => {
                    let numbers = &numbers[unit * order.len()..];
                    for (&weight, &number) in order.iter().zip(numbers) {
                        neuron.weights[weight] = number;
                    }
                }
                Contents::Each(number) => neuron.weights[*number] = numbers[unit],
                Contents::Constant(_) => {}
            }
        }
    }
}
