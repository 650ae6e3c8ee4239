//! Initial weights: a pure function of (seed, layer, neuron), so that any grouping has the same.

use ndarray::Array1;
use ndarray_rand::RandomExt;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::{Distribution, Uniform};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stream::{Purpose, stream};

/// Initial values of a kernel or bias, by their Keras name.
///
/// Glorot & Bengio 2010 (`glorot_*`), He et al. 2015 (`he_*`), LeCun et al. 1998 (`lecun_*`).
/// The `*_normal` ones are cut off at two standard deviations, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Initializer {
    /// 0
    Zeros,
    /// 1
    Ones,
    /// Uniform in +-sqrt(6 / (fan_in + fan_out))
    GlorotUniform,
    /// Truncated normal, variance 2 / (fan_in + fan_out)
    GlorotNormal,
    /// Uniform in +-sqrt(6 / fan_in)
    HeUniform,
    /// Truncated normal, variance 2 / fan_in
    HeNormal,
    /// Uniform in +-sqrt(3 / fan_in)
    LecunUniform,
    /// Truncated normal, variance 1 / fan_in
    LecunNormal,
}

impl Initializer {
    /// Draws the `fan_in` weights of one neuron from its own stream.
    pub fn weights(
        self,
        seed: u64,
        layer: usize,
        neuron: usize,
        fan_in: usize,
        fan_out: usize,
    ) -> Array1<f32> {
        let mut rng = stream(seed, Purpose::Weights, layer, neuron);
        let (fan_in_f, fan_out_f) = (fan_in as f64, fan_out as f64);
        let variance = match self {
            Self::Zeros => return Array1::zeros(fan_in),
            Self::Ones => return Array1::ones(fan_in),
            Self::GlorotUniform | Self::GlorotNormal => 2.0 / (fan_in_f + fan_out_f),
            Self::HeUniform | Self::HeNormal => 2.0 / fan_in_f,
            Self::LecunUniform | Self::LecunNormal => 1.0 / fan_in_f,
        };
        match self {
            Self::GlorotUniform | Self::HeUniform | Self::LecunUniform => {
                let limit = (3.0 * variance).sqrt() as f32;
                let uniform = Uniform::new_inclusive(-limit, limit)
                    .expect("a limit from positive fans is finite");
                Array1::random_using(fan_in, uniform, &mut rng)
            }
            _ => Array1::random_using(fan_in, TruncatedNormal::new(variance), &mut rng),
        }
    }

    /// The start of one neuron's bias.
    pub fn bias(self, seed: u64, layer: usize, neuron: usize, fan_out: usize) -> f32 {
        match self {
            Self::Zeros => 0.0,
            Self::Ones => 1.0,
            _ => {
                let mut rng = stream(seed, Purpose::Bias, layer, neuron);
                let variance = 1.0 / fan_out as f64;
                TruncatedNormal::new(variance).sample(&mut rng)
            }
        }
    }
}

/// A normal distribution cut off at two standard deviations and rescaled to the wanted variance.
///
/// Drawn by Box and Muller's method with the pure-Rust libm: the ziggurat of `rand_distr` falls
/// back on the platform's `exp` and `ln`, whose last bits differ between platforms.
struct TruncatedNormal {
    deviation: f64,
}

impl TruncatedNormal {
    /// Standard deviation of a standard normal cut off at +-2 (Keras divides by the same constant).
    const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

    fn new(variance: f64) -> Self {
        Self {
            deviation: variance.sqrt() / Self::CUT_DEVIATION,
        }
    }
}

impl Distribution<f32> for TruncatedNormal {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f32 {
        loop {
            // 53 random bits each; the first is kept above 0 for the logarithm.
            let u = ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
            let v = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let x = (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v);
            if x.abs() <= 2.0 {
                return (x * self.deviation) as f32;
            }
        }
    }
}
