//! Convolutions, whatever they slide over: every neuron is a filter. The loops are in [`crate::math::conv`].

use std::fmt::Display;

use ndarray::Array2;

use super::kernel::{Kernel, NeuronStep, NeuronsMut};
use super::{Flow, LayerKind, LayerSpec, Misfit, Misplacement, NeuronKeys, NeuronSpec, Stack};
use crate::math::Inputs;
use crate::math::conv::{Convolution, Size};
use crate::math::kernel::Rows;

/// A kind of convolution. Everything that a [`Kernel`] does follows from its geometry.
pub trait Filters {
    /// Channels and window.
    fn convolution(&self) -> &Convolution;

    /// Shape of the kernel of a layer of `units` filters in Keras, the filters last.
    fn filters_shape(&self, units: usize) -> Vec<usize>;
}

/// Neurons of a layer of filters as the file says them.
pub(super) fn neurons<'a>(
    kind: &'static str,
    name: Option<&'a str>,
    filters: usize,
    keys: &'a NeuronKeys,
) -> NeuronSpec<'a> {
    NeuronSpec {
        kind,
        name,
        count: filters,
        count_key: "filters",
        fan_in_key: "kernel_size",
        fan_in_help: "a smaller kernel, or fewer filters before",
        keys,
    }
}

/// Puts filters on a stack. Their convolution is `None` where it is unknown what they are given; `flow` are
/// their maps, of which there are as many, of this size.
pub(super) fn add_to(
    stack: &mut Stack,
    filters: &NeuronSpec<'_>,
    convolution: Result<Option<Convolution>, Misfit>,
    kind: impl Fn(Convolution) -> LayerKind,
    flow: fn(usize, Size) -> Flow,
) -> Result<(), Misfit> {
    let (convolution, misfit) = match convolution {
        Ok(convolution) => (convolution, Ok(())),
        Err(misfit) => (None, Err(misfit)),
    };
    stack.push(filters, convolution.map(|conv| (kind(conv), conv.fan_in())));
    stack.flow = convolution.map_or(Flow::Unknown, |conv| {
        flow(filters.count, conv.window.positions)
    });
    misfit
}

/// Problem of a kernel that what flows in has no place for.
pub(super) fn too_large(kernel: impl Display, flow: Flow) -> Misfit {
    let flow = flow.words();
    Misfit {
        key: ".kernel_size",
        message: format!("a kernel of {kernel} is larger than what it is given: {flow}"),
        help: "make it smaller, or use `padding: same`",
    }
}

/// Problem of filters with their place: answers are numbers of a whole layer.
pub(super) fn misplacement(after: &[LayerSpec]) -> Option<Misplacement> {
    let is_last = after.iter().all(|layer| layer.neurons().is_none());
    is_last.then_some((
        "the last layer with weights is a convolution",
        "add `{type: flatten}` and a `dense` layer for the answers",
    ))
}

impl<T: Filters> Kernel for T {
    fn inputs(&self, _fan_in: usize) -> usize {
        self.convolution().inputs()
    }

    fn map(&self) -> Option<Size> {
        Some(self.convolution().window.positions)
    }

    fn receptive_field(&self) -> usize {
        self.convolution().window.size.area()
    }

    fn keras_shape(&self, _fan_in: usize, units: usize) -> Vec<usize> {
        self.filters_shape(units)
    }

    fn channels(&self, _below: usize) -> usize {
        self.convolution().channels
    }

    /// The kernel over one channel below that over the one before.
    fn picture(&self) -> Option<(usize, usize)> {
        let Convolution { channels, window } = self.convolution();
        Some((channels * window.size.height, window.size.width))
    }

    fn unpacks_bytes(&self) -> bool {
        true
    }

    fn multiply_add(&self, weights: Rows<'_>, inputs: &Inputs, sums: &mut [f32]) {
        self.convolution()
            .multiply_add(weights, inputs.features(), sums);
    }

    fn update(
        &self,
        fan_in: usize,
        neurons: NeuronsMut<'_>,
        deltas: &Array2<f32>,
        inputs: &Inputs,
        step: &NeuronStep<'_>,
    ) {
        // `[fan_in, filters]`
        let gradients = self
            .convolution()
            .gradients(deltas.view(), inputs.features());
        let (count, width) = (deltas.nrows(), neurons.moments_stride);
        let mut gradient = vec![0.0; fan_in + 1];
        let numbers = neurons.numbers.chunks_exact_mut(neurons.stride);
        for (filter, numbers) in numbers.enumerate() {
            let of_filter = gradients.iter().skip(filter).step_by(count);
            gradient
                .iter_mut()
                .zip(of_filter)
                .for_each(|(to, from)| *to = *from);
            let moments = &mut neurons.moments[filter * width..][..width];
            let deltas = deltas.row(filter);
            let deltas = deltas.as_slice().expect("deltas are contiguous");
            step(numbers, moments, &mut gradient, deltas);
        }
    }

    fn propagate(
        &self,
        _fan_in: usize,
        weights: &[f32],
        stride: usize,
        deltas: &Array2<f32>,
    ) -> Array2<f32> {
        let convolution = self.convolution();
        let rows = deltas.ncols() / convolution.positions();
        convolution.propagate(weights, stride, deltas.view(), rows)
    }
}
