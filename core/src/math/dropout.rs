//! Dropout (Srivastava et al. 2014), scaled in training so that evaluation needs no change.

use ndarray_rand::rand::RngCore;

use super::stream::{Purpose, stream};

/// Multiplies the values of one neuron by its mask: 0 with probability `rate`, otherwise
/// 1 / (1 - rate).
///
/// The mask is a pure function of (seed, training step, layer, neuron); it is used on the
/// activations on the way forward and on the errors on the way back.
pub fn mask(seed: u64, step: u64, layer: usize, neuron: usize, rate: f32, values: &mut [f32]) {
    if rate <= 0.0 {
        return;
    }
    let mut rng = stream(seed, Purpose::Dropout, layer, neuron);
    rng.set_stream(step);
    let threshold = (f64::from(rate) * f64::from(u32::MAX)) as u32;
    let scale = 1.0 / (1.0 - rate);
    for value in values {
        *value *= if rng.next_u32() < threshold {
            0.0
        } else {
            scale
        };
    }
}
