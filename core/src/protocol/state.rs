//! State of a neuron: what the store keeps of it and a rewind restores.

/// Everything that one neuron must remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeuronState {
    /// The weights, then the bias (0 for a neuron without one): `fan_in + 1` numbers. Behind them, if the
    /// neuron is normalized, gamma, beta, moving mean and moving variance.
    pub weights: Vec<f32>,
    /// The optimizer's moments of the weights and bias, one moment after the other:
    /// a multiple of `fan_in + 1` numbers. Behind them, if the neuron is normalized, those of gamma and beta.
    pub moments: Vec<f32>,
}
