//! Kernel of a layer: how the weights of its neurons meet what lies below, forward and back.

use ndarray::Array2;

use crate::math::Inputs;
use crate::math::conv::Size;
use crate::math::kernel::Rows;

/// Arithmetic and shape of one kind of layer. A neuron has `fan_in` weights.
///
/// Every method works on whole arrays: which kind it is, is asked once a tick. Sums run in the order that
/// [`crate::math`] promises, so that no result depends on which neurons are computed together.
pub trait Kernel {
    /// Features of a row that each neuron is given.
    fn inputs(&self, fan_in: usize) -> usize;

    /// Map of sums that a neuron has for one row; `None` for a neuron that has one sum.
    fn map(&self) -> Option<Size> {
        None
    }

    /// Places of a neuron's map that one weight of it meets a value for: Keras counts them in the fan out.
    fn receptive_field(&self) -> usize {
        1
    }

    /// Shape of the kernel of a layer of `units` neurons in Keras, the neurons last.
    fn keras_shape(&self, fan_in: usize, units: usize) -> Vec<usize>;

    /// Channels of what lies below, which Keras has side by side for each place, and a neuron one after the
    /// other. `below` is how many there are if no kernel says so.
    fn channels(&self, below: usize) -> usize;

    /// Height and width of the picture of a neuron's weights, where they are one.
    fn picture(&self) -> Option<(usize, usize)> {
        None
    }

    /// True if even a few neurons need a batch of bytes as numbers, in both layouts.
    fn unpacks_bytes(&self) -> bool {
        false
    }

    /// Adds weighted sums to `sums`, `[neurons, positions * rows]`, for neurons whose weights are the rows
    /// of `weights`.
    fn multiply_add(&self, weights: Rows<'_>, inputs: &Inputs, sums: &mut [f32]);

    /// One optimizer step of some neurons from dLoss/dz, `[neurons, positions * rows]`: computes the gradient
    /// of each one's weights, and hands it to `step`.
    fn update(
        &self,
        fan_in: usize,
        neurons: NeuronsMut<'_>,
        deltas: &Array2<f32>,
        inputs: &Inputs,
        step: &NeuronStep<'_>,
    );

    /// dLoss/d(output) of the layer below, `[inputs, rows]`, from dLoss/dz of all neurons of the layer,
    /// `[neurons, positions * rows]`. `weights` has one row of `stride` numbers for each of them.
    fn propagate(
        &self,
        fan_in: usize,
        weights: &[f32],
        stride: usize,
        deltas: &Array2<f32>,
    ) -> Array2<f32>;
}

/// Optimizer step of one neuron: its numbers, its moments, the gradient of its weights with room for that
/// of the bias, `[fan_in + 1]`, and its dLoss/dz.
pub type NeuronStep<'a> = dyn Fn(&mut [f32], &mut [f32], &mut [f32], &[f32]) + Sync + 'a;

/// Numbers and moments of some neurons, neuron by neuron.
pub struct NeuronsMut<'a> {
    /// `[neurons, stride]`: weights, bias, and what else a neuron remembers.
    pub numbers: &'a mut [f32],
    /// Numbers of one neuron.
    pub stride: usize,
    /// `[neurons, moments_stride]`
    pub moments: &'a mut [f32],
    /// Moments of one neuron, 0 for an optimizer that needs none.
    pub moments_stride: usize,
}
