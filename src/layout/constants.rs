//! Numbers of a network that no tensor has, and that are others in other programs unless somebody says so.

use cuttlefish_core::math::Activation;
use cuttlefish_core::math::activation::NEGATIVE_SLOPE;
use cuttlefish_core::topology::Graph;

/// Number that PyTorch adds to the variance of a batch normalization by default.
pub const TORCH_EPSILON: f32 = 1e-5;
/// Slope of PyTorch's `LeakyReLU` below 0 by default.
pub const TORCH_SLOPE: f32 = 0.01;

/// The numbers of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constants {
    /// Name of each batch normalization, and the number that it adds to the variance, in the order of the layers.
    pub epsilons: Vec<(String, f32)>,
    /// Slope of `leaky_relu` below 0; None where no layer has it.
    pub leaky_relu_slope: Option<f32>,
}

impl Constants {
    /// The numbers of a network.
    pub fn of(graph: &Graph) -> Self {
        let normalizations = graph.layers.iter().filter_map(|l| l.normalization.as_ref());
        let activations = graph.layers.iter().flat_map(|layer| {
            let behind = layer.normalization.as_ref().map(|n| n.activation);
            [Some(layer.activation), behind]
        });
        let mut activations = activations.flatten();
        let is_leaky = activations.any(|activation| activation == Activation::LeakyRelu);
        Self {
            epsilons: normalizations
                .map(|n| (n.name.clone(), n.epsilon))
                .collect(),
            leaky_relu_slope: is_leaky.then_some(NEGATIVE_SLOPE),
        }
    }

    /// Settings that make PyTorch compute the same, a sentence each.
    pub fn torch_notes(&self) -> Vec<String> {
        let others = self
            .epsilons
            .iter()
            .filter(|(_, epsilon)| *epsilon != TORCH_EPSILON);
        let epsilons = others.map(|(name, epsilon)| {
            format!(
                "batch normalization `{name}` adds {epsilon} to the variance, and PyTorch's adds {TORCH_EPSILON:e} by \
                 default (build it with `eps={epsilon}`)"
            )
        });
        let slope = self.leaky_relu_slope.map(|slope| {
            format!(
                "`leaky_relu` has the slope {slope} below 0, and PyTorch's has {TORCH_SLOPE} by default (build it with \
                 `negative_slope={slope}`)"
            )
        });
        epsilons.chain(slope).collect()
    }
}
