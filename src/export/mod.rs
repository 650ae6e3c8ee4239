//! Weights for other programs: tensors as Keras has them, as safetensors or as NumPy's npz.
//!
//! Equal weights always give equal bytes. Nothing here reads weights back, or knows where they come
//! from.

pub mod error;
pub mod file;
pub mod npz;
pub mod safetensors;

use std::path::Path;

use cuttlefish_core::data::TargetScale;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::{Graph, Layer};

pub use error::Error;

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// `<layer>/kernel` or `<layer>/bias`; of a normalization, `<its name>/gamma` and so on.
    pub name: String,
    /// Length of each dimension: `[fan_in, units]` for a kernel, `[height, width, channels, filters]`
    /// for that of a convolution, `[units]` for a bias.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension varying fastest.
    pub data: Vec<f32>,
}

/// Metadata of a file, where the format has a place for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Name of the run.
    pub run: String,
    /// The run's digest, in hexadecimal.
    pub weights_sha256: String,
    /// Scaled target that the network answers with; None where its answers are in the target's unit, or classes.
    pub target: Option<ScaledTarget>,
}

/// A target whose scaled values a network answers with.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledTarget {
    /// Name of the target.
    pub name: String,
    /// Its scaling.
    pub scale: TargetScale,
}

impl ScaledTarget {
    /// The formula from what the last layer answers to the target.
    pub fn formula(&self) -> String {
        let TargetScale { offset, scale } = self.scale;
        format!("{} = {offset} + {scale} * output", self.name)
    }
}

/// A format of files of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsFormat {
    /// Hugging Face's safetensors.
    Safetensors,
    /// NumPy's archive of arrays.
    Npz,
}

/// The tensors of a network from the `states` of its neurons, layer by layer: kernel, then bias
/// for layers that have one, then what those of a normalization are.
pub fn tensors(graph: &Graph, states: &[Vec<NeuronState>]) -> Result<Vec<Tensor>, Error> {
    if states.len() != graph.layers.len() {
        return Err(Error::Shape {
            layer: graph.name.clone(),
            what: "layers",
            expected: graph.layers.len(),
            found: states.len(),
        });
    }
    let mut tensors = Vec::with_capacity(2 * states.len());
    for (index, (layer, neurons)) in graph.layers.iter().zip(states).enumerate() {
        check(layer, neurons)?;
        let below = index.checked_sub(1).map(|below| &graph.layers[below]);
        tensors.push(Tensor {
            name: format!("{}/kernel", layer.name),
            shape: layer.keras_shape(),
            // A neuron holds its own weights; Keras has those of one input side by side.
            data: layer
                .weights_as_keras(below)
                .flat_map(|weight| neurons.iter().map(move |neuron| neuron.weights[weight]))
                .collect(),
        });
        for (name, place) in layer.keras_vectors() {
            tensors.push(Tensor {
                name,
                shape: vec![layer.units],
                data: neurons.iter().map(|n| n.weights[place]).collect(),
            });
        }
    }
    Ok(tensors)
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
