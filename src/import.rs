//! Weights from other programs: a safetensors file with the tensors that [`crate::export`] writes, named
//! and shaped as in Keras.

use std::collections::BTreeMap;

use cuttlefish_core::ids::{CommitPoint, NeuronRange, Tick};
use cuttlefish_core::layers::batch_normalization;
use cuttlefish_core::protocol::{Ledger, NeuronState, Progress, Totals};
use cuttlefish_core::topology::{Graph, Layer};
use ndarray::ArrayD;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::store::{self, Store, Written};

/// Why a file's weights are not those of a network. Texts go on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another kind of file, or a part of one.
    #[error("read the tensors: {0} (expected a file in safetensors format)")]
    File(#[from] SafeTensorError),
    /// A tensor that the network needs.
    #[error("find the tensor `{name}` of shape {shape:?}; the file has {found}")]
    Missing {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The names that there are.
        found: String,
    },
    /// Tensors that the network has no place for.
    #[error("place {0}: the network has no such tensors")]
    Extra(String),
    /// A tensor of another shape or type.
    #[error(
        "use the tensor `{name}`: it is {found_dtype:?} of shape {found:?}, and the network needs \
         F32 of shape {wanted:?}"
    )]
    Shape {
        /// Its name.
        name: String,
        /// What it holds.
        found_dtype: Dtype,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it should have.
        wanted: Vec<usize>,
    },
    /// Numbers that nothing can be computed with.
    #[error("use the tensor `{name}`: it has numbers that are not finite")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The store.
    #[error("write the weights: {0}")]
    Store(#[from] store::Error),
    /// Somebody else writes to the run.
    #[error("write the weights: another process works on the run")]
    Refused,
}

/// The state of every neuron, `[layer][neuron]`, with the weights of a safetensors file and nothing else
/// learned yet.
///
/// # Errors
/// Names the tensor that is missing, too much, or of another shape or type.
pub fn states(graph: &Graph, file: &[u8]) -> Result<Vec<Vec<NeuronState>>, Error> {
    let tensors = SafeTensors::deserialize(file)?;
    states_of(graph, &tensors.names(), |name, shape| {
        numbers(&tensors, name, shape)
    })
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
    let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
    states_of(graph, &names, |name, wanted| {
        let found = arrays.get(name).ok_or_else(|| Error::Missing {
            name: name.to_owned(),
            shape: wanted.clone(),
            found: listed_or_none(names.iter().copied()),
        })?;
        if found.shape() != wanted {
            return Err(Error::Shape {
                name: name.to_owned(),
                found_dtype: Dtype::F32,
                found: found.shape().to_vec(),
                wanted,
            });
        }
        finite(name, found.iter().copied().collect())
    })
}

/// The same from whatever has tensors of these names: `tensor` gives the numbers of one, which has to have this
/// shape.
fn states_of(
    graph: &Graph,
    found: &[&str],
    tensor: impl Fn(&str, Vec<usize>) -> Result<Vec<f32>, Error>,
) -> Result<Vec<Vec<NeuronState>>, Error> {
    let mut names: Vec<String> = Vec::new();
    let mut numbers = |name: String, shape: Vec<usize>| {
        let numbers = tensor(&name, shape);
        names.push(name);
        numbers
    };
    let optimizer = graph.training.optimizer;
    let mut states = Vec::new();
    for (index, layer) in graph.layers.iter().enumerate() {
        let Layer { name, units, .. } = layer;
        let kernel = numbers(format!("{name}/kernel"), layer.keras_shape())?;
        let mut vectors = Vec::new();
        for (name, place) in layer.keras_vectors() {
            vectors.push((place, numbers(name, vec![*units])?));
        }
        let below = index.checked_sub(1).map(|below| &graph.layers[below]);
        let places: Vec<usize> = layer.weights_as_keras(below).collect();
        let moments = optimizer.moments() * layer.optimized_numbers();
        let of_neuron = |neuron: usize| {
            let mut weights = vec![0.0; layer.fan_in + 1];
            if layer.normalization.is_some() {
                // Where no gamma is learned, the file has none.
                weights.extend(batch_normalization::INITIAL);
            }
            for (row, &place) in places.iter().enumerate() {
                weights[place] = kernel[row * units + neuron];
            }
            for (place, numbers) in &vectors {
                weights[*place] = numbers[neuron];
            }
            NeuronState {
                weights,
                moments: vec![optimizer.initial_moment(); moments],
            }
        };
        states.push((0..*units).map(of_neuron).collect());
    }
    let extra = found.iter().copied();
    let extra = extra.filter(|name| !names.iter().any(|known| known == name));
    match listed(extra) {
        extra if extra.is_empty() => Ok(states),
        extra => Err(Error::Extra(extra)),
    }
}

fn numbers(tensors: &SafeTensors<'_>, name: &str, wanted: Vec<usize>) -> Result<Vec<f32>, Error> {
    let name = name.to_owned();
    let tensor: TensorView<'_> = match tensors.tensor(&name) {
        Ok(tensor) => tensor,
        Err(_) => {
            return Err(Error::Missing {
                name,
                shape: wanted,
                found: listed_or_none(tensors.names()),
            });
        }
    };
    if tensor.dtype() != Dtype::F32 || tensor.shape() != wanted {
        return Err(Error::Shape {
            name,
            found_dtype: tensor.dtype(),
            found: tensor.shape().to_vec(),
            wanted,
        });
    }
    let bytes = tensor.data().chunks_exact(4);
    let numbers: Vec<f32> = bytes
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    finite(&name, numbers)
}

fn finite(name: &str, numbers: Vec<f32>) -> Result<Vec<f32>, Error> {
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(numbers),
        false => Err(Error::NotFinite {
            name: name.to_owned(),
        }),
    }
}

fn listed_or_none<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    match listed(names) {
        found if found.is_empty() => "none".to_owned(),
        found => found,
    }
}

/// Some names in their order.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Makes weights the first commit of a run that nobody has begun, so that it goes on from there.
pub async fn begin_with(
    store: &dyn Store,
    graph: &Graph,
    states: &[Vec<NeuronState>],
) -> Result<(), Error> {
    let accepted = |written| match written {
        Written::Accepted => Ok(()),
        Written::Refused { .. } => Err(Error::Refused),
    };
    let (generation, _) = store.begin_generation().await?;
    let commit = CommitPoint {
        number: 1,
        tick: Tick(0),
    };
    for (layer, states) in states.iter().enumerate() {
        let neurons = NeuronRange {
            layer,
            first: 0,
            count: states.len(),
        };
        accepted(
            store
                .write_commit(generation, neurons, commit, states)
                .await?,
        )?;
    }
    let ledger = Ledger {
        commit,
        progress: Progress::start(graph.training.epochs),
        totals: Totals::default(),
    };
    accepted(store.write_ledger(generation, &ledger).await?)
}
