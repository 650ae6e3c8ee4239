//! Random streams: each (seed, purpose, layer, neuron) has its own, so that draws never depend on
//! who draws first.

use ndarray_rand::rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Purpose of a stream; two purposes never share a draw.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Initial bias.
    Bias = 2,
    /// Dropout masks; the stream number is the training step.
    Dropout = 3,
    /// The order of the training rows; `layer` is unused and `neuron` is the epoch.
    Shuffle = 4,
    /// The fixed split of a source into training and test rows.
    Split = 5,
    /// Augmentation of a training image; `layer` is the epoch and `neuron` is the row.
    Augmentation = 6,
    /// Configurations of a sweep; `layer` is unused and `neuron` is the trial.
    Sweep = 7,
}

/// The random stream of `purpose` for one neuron of one layer.
pub fn stream(seed: u64, purpose: Purpose, layer: usize, neuron: usize) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(layer as u64).to_le_bytes());
    key[24..].copy_from_slice(&(neuron as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Puts `values` in a random order (Fisher and Yates, after Durstenfeld 1964).
///
/// Written out because the bits of a run depend on it: a library is free to shuffle differently
/// in its next version.
pub fn shuffle<T>(values: &mut [T], rng: &mut ChaCha8Rng) {
    use ndarray_rand::rand::RngCore;
    for i in (1..values.len()).rev() {
        let j = (u64::from(rng.next_u32()) * (i as u64 + 1)) >> 32;
        values.swap(i, j as usize);
    }
}
