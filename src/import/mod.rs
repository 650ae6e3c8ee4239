//! Weights from other programs: a safetensors or npz file with the tensors that [`crate::export`] writes, named
//! and shaped as in Keras or PyTorch.
//!
//! | module | responsibility |
//! |---|---|
//! | [`file`] | tensors of a file |
//! | `names` | the names that PyTorch's modules have there |
//! | `constants` | numbers that no tensor has |
//! | `target` | from the scale on which weights answer to that of the run |
//! | [`begin`] | a run that begins with weights |
//! | [`error`] | errors of an import |

pub mod begin;
mod constants;
pub mod error;
pub mod file;
mod names;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use cuttlefish_core::layers::{LayerSpec, batch_normalization};
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::Graph;
use ndarray::ArrayD;

pub use begin::begin_with;
pub use error::Error;
pub use file::{FileTensor, Tensors, read};

use crate::data::encoder::Encoder;
use crate::export::metadata::{COLUMNS_SHA256, columns_digest};
use crate::layout::{Contents, Layout, TensorPlace};

/// Last part of the name of PyTorch's count of batches, which no state of a neuron needs.
const TORCH_COUNT: &str = "num_batches_tracked";

/// Options of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Layout of the tensors; None to tell it by their names.
    pub layout: Option<Layout>,
    /// True if tensors that the network has no place for are left out.
    pub ignore_extra: bool,
}

/// Weights that fit a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The state of every neuron, `[layer][neuron]`, with nothing else learned yet.
    pub states: Vec<Vec<NeuronState>>,
    /// What a person should know about how the tensors were taken, a sentence each.
    pub notes: Vec<String>,
}

/// The state of every neuron from tensors. `layers` are those of the network's topology.
///
/// # Errors
/// Names the tensor that is missing, too much, or of another shape or type.
pub fn import(
    graph: &Graph,
    layers: &[LayerSpec],
    tensors: &Tensors,
    options: ImportOptions,
) -> Result<Imported, Error> {
    let mut notes = Vec::new();
    let layout = match options.layout {
        Some(layout) => layout,
        None => names::layout(tensors)?,
    };
    if options.layout.is_none() && layout != Layout::default() {
        notes.push(format!(
            "the tensors are in {}'s layout, by their names (`--layout {}` says so)",
            layout.program(),
            layout.word()
        ));
    }
    let mut places = layout.places(graph, layers);
    if layout == Layout::Torch {
        names::as_in_file(&mut places, graph, layers, tensors);
    }
    notes.extend(constants::notes(graph, layout, &tensors.metadata));
    let mut states = initial(graph);
    for place in &places {
        put(place, tensors, &mut states[place.layer])?;
    }
    let used: BTreeSet<&str> = places.iter().map(|place| place.name.as_str()).collect();
    let extra = tensors.by_name.keys().map(String::as_str);
    let extra = extra.filter(|name| !used.contains(name));
    let extra = extra.filter(|name| layout != Layout::Torch || !name.ends_with(TORCH_COUNT));
    match (name_list(extra), options.ignore_extra) {
        (extra, _) if extra.is_empty() => {}
        (extra, false) => return Err(Error::Extra(extra)),
        (extra, true) => notes.push(format!("left out {extra}: the network has no such tensors")),
    }
    notes.extend(conversion_notes(tensors, &used));
    notes.extend(target::convert(graph, &tensors.metadata, &mut states)?);
    Ok(Imported { states, notes })
}

/// What a person should know about the columns of a run's table, if the file says that its network was trained on
/// columns that became other features.
pub fn table_note(encoder: Option<&Encoder>, tensors: &Tensors) -> Option<String> {
    let of_file = tensors.metadata.get(COLUMNS_SHA256)?;
    let is_same = encoder.is_some_and(|encoder| columns_digest(encoder) == *of_file);
    let note = "the network was trained on a table whose columns have other means, deviations or categories, and will \
                predict otherwise (name the same table, with the same split, to have the same predictions)";
    (!is_same).then(|| note.to_owned())
}

/// The state of every neuron, `[layer][neuron]`, with the weights of a file in Keras's layout and nothing else
/// learned yet.
///
/// # Errors
/// Names the tensor that is missing, too much, or of another shape or type.
pub fn states(graph: &Graph, file: &[u8]) -> Result<Vec<Vec<NeuronState>>, Error> {
    let options = ImportOptions {
        layout: Some(Layout::Keras),
        ignore_extra: false,
    };
    Ok(import(graph, &[], &read(file)?, options)?.states)
}

/// The state of every neuron, `[layer][neuron]`, with the weights of arrays that are named and shaped as in
/// Keras, and nothing else learned yet.
///
/// # Errors
/// Names the array that is missing, too much, or of another shape.
pub fn states_of_arrays(
    graph: &Graph,
    arrays: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Vec<Vec<NeuronState>>, Error> {
    let tensor = |array: &ArrayD<f32>| FileTensor {
        dtype: "F32".to_owned(),
        shape: array.shape().to_vec(),
        numbers: Some(array.iter().copied().collect()),
    };
    let tensors = arrays
        .iter()
        .map(|(name, array)| (name.clone(), tensor(array)));
    let options = ImportOptions {
        layout: Some(Layout::Keras),
        ignore_extra: false,
    };
    let tensors = Tensors {
        by_name: tensors.collect(),
        metadata: BTreeMap::new(),
    };
    Ok(import(graph, &[], &tensors, options)?.states)
}

/// Neurons that know nothing: all weights 0, and the moments of the optimizer as at the start.
fn initial(graph: &Graph) -> Vec<Vec<NeuronState>> {
    let optimizer = graph.training.optimizer;
    let of_layer = |layer: &cuttlefish_core::topology::Layer| {
        let mut weights = vec![0.0; layer.fan_in + 1];
        if layer.normalization.is_some() {
            // Gamma is not in the file where none is learned.
            weights.extend(batch_normalization::INITIAL);
        }
        let moments = optimizer.moments() * layer.optimized_numbers();
        let neuron = NeuronState {
            weights,
            moments: vec![optimizer.initial_moment(); moments],
        };
        vec![neuron; layer.units]
    };
    graph.layers.iter().map(of_layer).collect()
}

/// Puts the tensor of a place into the neurons of its layer.
fn put(place: &TensorPlace, tensors: &Tensors, neurons: &mut [NeuronState]) -> Result<(), Error> {
    let name = || place.name.clone();
    let Some(tensor) = tensors.by_name.get(&place.name) else {
        return Err(Error::Missing {
            name: name(),
            shape: place.shape.clone(),
            found: match name_list(tensors.by_name.keys().map(String::as_str)) {
                names if names.is_empty() => "none".to_owned(),
                names => names,
            },
        });
    };
    let numbers = tensor.numbers.as_deref();
    let numbers = numbers.filter(|_| tensor.shape == place.shape);
    let numbers = numbers.ok_or_else(|| Error::Shape {
        name: name(),
        found_dtype: tensor.dtype.clone(),
        found: tensor.shape.clone(),
        expected: place.shape.clone(),
    })?;
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(Error::NotFinite { name: name() });
    }
    if let Contents::Constant(expected) = place.contents
        && numbers.iter().any(|&number| number != expected)
    {
        return Err(Error::NotLearned {
            name: name(),
            expected,
            key: if expected == 0.0 { "center" } else { "scale" },
        });
    }
    place.scatter(numbers, neurons);
    Ok(())
}

/// Types that the numbers of used tensors were converted from.
fn conversion_notes(tensors: &Tensors, used: &BTreeSet<&str>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, tensor) in &tensors.by_name {
        if tensor.is_converted() && used.contains(name.as_str()) {
            *counts.entry(&tensor.dtype).or_default() += 1;
        }
    }
    let note = |(dtype, count): (&str, usize)| {
        let tensors = if count == 1 { "tensor" } else { "tensors" };
        format!("converted {count} {tensors} of {dtype} to F32")
    };
    counts.into_iter().map(note).collect()
}

/// Names in their order, joined.
fn name_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    names.join(", ")
}
