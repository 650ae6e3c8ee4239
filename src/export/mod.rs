//! Weights for other programs: tensors as Keras or PyTorch has them, as safetensors or as NumPy's npz.
//!
//! Equal weights always give equal bytes. Nothing here reads weights back, or knows where they come
//! from.

pub mod error;
pub mod file;
pub mod metadata;
pub mod npz;
pub mod safetensors;

use std::path::Path;

use cuttlefish_core::layers::LayerSpec;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::{Graph, Layer};

pub use error::Error;
pub use metadata::{Metadata, ScaledTarget};

use crate::layout::Layout;

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// `<layer>/kernel` or `<layer>/bias`; of a normalization, `<its name>/gamma` and so on. In PyTorch's
    /// layout `<module>.weight`.
    pub name: String,
    /// Length of each dimension: `[fan_in, units]` for a kernel, `[height, width, channels, filters]`
    /// for that of a convolution, `[units]` for a bias.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension varying fastest.
    pub data: Vec<f32>,
}

/// A format of files of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsFormat {
    /// Hugging Face's safetensors.
    Safetensors,
    /// NumPy's archive of arrays.
    Npz,
}

/// The tensors of a network in Keras's layout from the `states` of its neurons, layer by layer: kernel, then
/// bias for layers that have one, then what those of a normalization are.
///
/// # Errors
/// When the states are those of another network.
pub fn tensors(graph: &Graph, states: &[Vec<NeuronState>]) -> Result<Vec<Tensor>, Error> {
    tensors_in(Layout::Keras, graph, &[], states)
}

/// The tensors of a network in a layout. `layers` are those of its topology, by which PyTorch numbers its
/// modules.
///
/// # Errors
/// When the states are those of another network.
pub fn tensors_in(
    layout: Layout,
    graph: &Graph,
    layers: &[LayerSpec],
    states: &[Vec<NeuronState>],
) -> Result<Vec<Tensor>, Error> {
    if states.len() != graph.layers.len() {
        return Err(Error::Shape {
            layer: graph.name.clone(),
            what: "layers",
            expected: graph.layers.len(),
            found: states.len(),
        });
    }
    for (layer, neurons) in graph.layers.iter().zip(states) {
        check(layer, neurons)?;
    }
    let places = layout.places(graph, layers).into_iter();
    let tensors = places.map(|place| Tensor {
        data: place.gather(&states[place.layer]),
        name: place.name,
        shape: place.shape,
    });
    Ok(tensors.collect())
}

/// Writes tensors to a file that is there completely or not at all. An existing file is replaced
/// only if `overwrite`.
pub fn write_file(
    path: &Path,
    overwrite: bool,
    format: WeightsFormat,
    tensors: &[Tensor],
    metadata: &Metadata,
) -> Result<(), Error> {
    file::write(path, overwrite, |file| match format {
        WeightsFormat::Safetensors => safetensors::write(file, tensors, metadata),
        WeightsFormat::Npz => npz::write(file, tensors),
    })
}

/// Refuses neurons that are not those of a layer.
fn check(layer: &Layer, neurons: &[NeuronState]) -> Result<(), Error> {
    let error = |what, expected, found| Error::Shape {
        layer: layer.name.clone(),
        what,
        expected,
        found,
    };
    if neurons.len() != layer.units {
        return Err(error("neurons", layer.units, neurons.len()));
    }
    let expected = layer.numbers();
    match neurons.iter().find(|n| n.weights.len() != expected) {
        Some(neuron) => Err(error("numbers a neuron", expected, neuron.weights.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
