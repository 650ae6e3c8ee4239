//! A convolution over steps as Keras describes it: channels last, a kernel `[steps, channels, filters]`, and
//! zeros at the ends. Written from that description, in f64, with nothing of the library's geometry.

use cuttlefish_core::layers::Layer;
use cuttlefish_core::math::stream::{Purpose, stream};
use cuttlefish_core::math::{Inputs, Panels};
use cuttlefish_core::neuron::Neurons;
use ndarray::Array2;
use ndarray_rand::rand::Rng;

use crate::support::{conv1d, sequential};

/// `[steps][channels]`
type Sequence = Vec<Vec<f64>>;

/// A kernel and its bias in the layout of Keras.
struct Kernel {
    /// `[steps][channels][filters]`
    weights: Vec<Vec<Vec<f64>>>,
    bias: Vec<f64>,
}

impl Kernel {
    /// The numbers of a layer's neurons, through the order in which they are exported.
    fn of(layer: &Layer, below: Option<&Layer>, neurons: &Neurons) -> Self {
        let [steps, channels, filters] = layer.keras_shape()[..] else {
            panic!("a kernel of three dimensions");
        };
        let mut weights = vec![vec![vec![0.0; filters]; channels]; steps];
        let order: Vec<usize> = layer
            .weights_as_keras(below.map_or(1, |below| below.units))
            .collect();
        assert_eq!(order.len(), steps * channels);
        let mut bias = Vec::new();
        for (filter, (numbers, neuron_bias)) in neurons.each().enumerate() {
            for (place, &weight) in order.iter().enumerate() {
                weights[place / channels][place % channels][filter] = f64::from(numbers[weight]);
            }
            bias.push(f64::from(neuron_bias));
        }
        Self { weights, bias }
    }

    /// tanh of the sums of a convolution: of `pad` zeros before the first step, and of `n` steps.
    fn apply(&self, x: &Sequence, stride: usize, pad: usize, n: usize) -> Sequence {
        let sum = |step: usize, filter: usize| {
            let mut sum = self.bias[filter];
            for (k, kernel) in self.weights.iter().enumerate() {
                let Some(at) = (step * stride + k).checked_sub(pad) else {
                    continue;
                };
                for (channel, weights) in kernel.iter().enumerate() {
                    sum += x.get(at).map_or(0.0, |x| x[channel]) * weights[filter];
                }
            }
            libm::tanh(sum)
        };
        let filters = self.bias.len();
        (0..n)
            .map(|step| (0..filters).map(|filter| sum(step, filter)).collect())
            .collect()
    }
}

/// Zeros before the first step, and how many steps there are afterwards, after the documentation of Keras.
fn ends(padding: &str, steps: usize, kernel: usize, stride: usize) -> (usize, usize) {
    match padding {
        "valid" => (0, (steps - kernel) / stride + 1),
        "same" => {
            let n = steps.div_ceil(stride);
            let zeros = ((n - 1) * stride + kernel).saturating_sub(steps);
            (zeros / 2, n)
        }
        "causal" => (kernel - 1, (steps - 1) / stride + 1),
        _ => panic!("`{padding}`"),
    }
}

#[test]
fn two_convolutions_over_steps_say_what_keras_says() {
    let paddings = ["valid", "same", "causal"];
    for (first, second) in paddings.iter().flat_map(|a| paddings.map(|b| (*a, b))) {
        for (steps, channels, kernel, stride) in
            [(13, 1, 4, 1), (13, 3, 3, 2), (12, 2, 5, 3), (9, 1, 1, 2)]
        {
            let keys = format!("kernel_size: {kernel}, strides: {stride}, padding: {first}");
            let convs = [
                format!("{{type: reshape, target_shape: [{steps}, {channels}]}}"),
                conv1d(&format!("filters: 3, bias_initializer: ones, {keys}")),
                conv1d(&format!("filters: 5, kernel_size: 2, padding: {second}")),
            ];
            let graph = sequential(3, steps * channels, &convs, 2);
            let [one, two, _] = &graph.layers[..] else {
                panic!("three layers");
            };
            let neurons = |layer: &Layer, index: usize| {
                Neurons::initial(layer, index, 0..layer.units, 3, graph.training.optimizer)
            };
            let of = [neurons(one, 0), neurons(two, 1)];
            let mut rng = stream(5, Purpose::Split, 0, 0);
            let x = Array2::from_shape_simple_fn((steps * channels, 1), || {
                rng.random_range(-1.0f32..1.0)
            });
            let (_, hidden) = of[0].forward(&Inputs::new(Panels::pack(x.view())), false);
            let (_, sums) = of[1].forward(&Inputs::new(Panels::pack(hidden.view())), false);

            let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let x: Sequence = x.chunks(channels).map(<[f64]>::to_vec).collect();
            let (pad, n) = ends(first, steps, kernel, stride);
            let hidden = Kernel::of(one, None, &of[0]).apply(&x, stride, pad, n);
            let (pad, n) = ends(second, n, 2, 1);
            let expected = Kernel::of(two, Some(one), &of[1]).apply(&hidden, 1, pad, n);

            let places = (0..5).flat_map(|filter| (0..n).map(move |step| (step, filter)));
            assert_eq!(sums.dim(), (5 * n, 1), "{convs:?}");
            for ((step, filter), &sum) in places.zip(sums.iter()) {
                let difference = (f64::from(sum) - expected[step][filter]).abs();
                assert!(difference < 1e-6, "{convs:?}, step {step}, filter {filter}");
            }
        }
    }
}
