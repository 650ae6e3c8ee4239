//! PyTorch's layout: the state of a `torch.nn.Sequential` of the same layers.
//!
//! Modules are numbered from 0 in the order of the topology's layers: each layer is one, and an activation
//! that is not linear is one behind its layer; pools, dropout, `Flatten` and `reshape` (`Unflatten`) count
//! too. The neurons are the first dimension of a weight, the channels of what lies below the second. Behind
//! `Flatten` PyTorch has the places of a channel side by side, as a neuron here has, where Keras has the
//! channels of a place so.

use cuttlefish_core::layers::{Layer, LayerSpec};
use cuttlefish_core::math::Activation;
use cuttlefish_core::topology::Graph;

use super::{Contents, TensorPlace};

/// Numbers of the modules that a layer with weights becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerModules {
    /// Number of the module with its weights.
    pub weights: usize,
    /// Number of its batch normalization, if it has one.
    pub normalization: Option<usize>,
}

/// Numbers of the modules of each layer with weights.
pub fn modules(layers: &[LayerSpec]) -> Vec<LayerModules> {
    let mut modules: Vec<LayerModules> = Vec::new();
    let mut next = 0;
    for layer in layers {
        let activation = match (layer.neurons(), layer) {
            (Some(neurons), _) => {
                modules.push(LayerModules {
                    weights: next,
                    normalization: None,
                });
                neurons.keys.activation
            }
            (None, LayerSpec::BatchNormalization(normalization)) => {
                if let Some(below) = modules.last_mut() {
                    below.normalization = Some(next);
                }
                normalization.activation
            }
            (None, _) => Activation::Linear,
        };
        next += 1 + usize::from(activation != Activation::Linear);
    }
    modules
}

/// The tensors of a network, layer by layer: weight and bias, then those of a batch normalization, which has
/// both weight and bias if it has one.
pub(super) fn places(graph: &Graph, layers: &[LayerSpec]) -> Vec<TensorPlace> {
    let mut places = Vec::with_capacity(2 * graph.layers.len());
    for (index, (layer, modules)) in graph.layers.iter().zip(modules(layers)).enumerate() {
        let module = modules.weights;
        let shape = shape(layer);
        let order = order(layer, &shape, graph.channels_below(index));
        places.push(TensorPlace {
            name: format!("{module}.weight"),
            shape,
            layer: index,
            contents: Contents::NeuronsFirst(order),
        });
        let mut each = |name: String, contents| {
            places.push(TensorPlace {
                name,
                shape: vec![layer.units],
                layer: index,
                contents,
            });
        };
        if layer.use_bias {
            each(format!("{module}.bias"), Contents::Each(layer.fan_in));
        }
        let (Some(normalization), Some(module)) = (&layer.normalization, modules.normalization)
        else {
            continue;
        };
        // Gamma, beta, moving mean and moving variance follow the bias.
        let number = |place| Contents::Each(layer.fan_in + 1 + place);
        let learned = |is_learned, place, otherwise| match is_learned {
            true => number(place),
            false => Contents::Constant(otherwise),
        };
        if normalization.scale || normalization.center {
            each(
                format!("{module}.weight"),
                learned(normalization.scale, 0, 1.0),
            );
            each(
                format!("{module}.bias"),
                learned(normalization.center, 1, 0.0),
            );
        }
        each(format!("{module}.running_mean"), number(2));
        each(format!("{module}.running_var"), number(3));
    }
    places
}

/// Shape of a layer's weight: Keras's with the neurons and then the channels first.
fn shape(layer: &Layer) -> Vec<usize> {
    let mut shape = layer.keras_shape();
    shape.rotate_right(2);
    shape.swap(0, 1);
    shape
}

/// Indices of a neuron's weights, channel by channel.
fn order(layer: &Layer, shape: &[usize], below: usize) -> Vec<usize> {
    let [_, channels, places @ ..] = shape else {
        return (0..layer.fan_in).collect();
    };
    let places: usize = places.iter().product();
    if shape.len() == 2 {
        // A dense layer's inputs are channel by channel already.
        return (0..layer.fan_in).collect();
    }
    let keras: Vec<usize> = layer.weights_as_keras(below).collect();
    let of_channel = |channel: usize| (0..places).map(move |place| place * channels + channel);
    let order = (0..*channels).flat_map(of_channel);
    order.map(|at| keras[at]).collect()
}
