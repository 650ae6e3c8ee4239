//! Convolutions over steps, as of a time series.
//!
//! The numbers of a row of the data are steps of one channel, in their order; where it is an image, its rows are
//! steps and its columns channels. What a filter makes of them is a channel of what follows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolution::{self, Filters};
use super::neuron_keys::of_filters;
use super::{Flow, LayerKind, Misfit, NeuronKeys, NeuronLayer, NeuronSpec, Stack};
use crate::math::conv::{Convolution, Padding, Size, Window};

/// Keys of a convolution over steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = of_filters)]
pub struct Conv1dSpec {
    /// Name of the layer; `conv1d_1`, `conv1d_2`, ... by default.
    #[serde(default)]
    #[schemars(regex(pattern = super::neuron_keys::NAME))]
    pub name: Option<String>,
    /// Number of filters.
    #[schemars(range(min = 1, max = 65536))]
    pub filters: usize,
    /// Steps that the kernel sees at once.
    #[schemars(range(min = 1, max = 1024))]
    pub kernel_size: usize,
    /// Steps that the kernel moves on.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub strides: usize,
    /// Padding at both ends.
    #[serde(default)]
    pub padding: StepPadding,
    /// Keys that every layer of neurons has.
    #[serde(flatten)]
    pub neurons: NeuronKeys,
}

fn one() -> usize {
    1
}

/// Padding of a row of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepPadding {
    /// The kernel stays inside.
    #[default]
    Valid,
    /// The kernel may reach outside at both ends, where there is nothing, so that with strides of 1 there are
    /// as many steps as before.
    Same,
    /// As `same`, but only before the first step: no step is computed from a later one.
    Causal,
}

/// A convolution over steps: `filters` kernels of `kernel_size` steps, with strides of 1 and no padding.
pub fn conv1d(filters: usize, kernel_size: usize) -> Conv1dSpec {
    Conv1dSpec {
        name: None,
        filters,
        kernel_size,
        strides: one(),
        padding: StepPadding::default(),
        neurons: NeuronKeys::default(),
    }
}

impl NeuronLayer for Conv1dSpec {
    fn keys_mut(&mut self) -> (&mut Option<String>, &mut NeuronKeys) {
        (&mut self.name, &mut self.neurons)
    }
}

impl Conv1dSpec {
    pub(super) fn neurons(&self) -> NeuronSpec<'_> {
        convolution::neurons("conv1d", self.name.as_deref(), self.filters, &self.neurons)
    }

    pub(super) fn add_to(&self, stack: &mut Stack) -> Result<(), Misfit> {
        let convolution = self.convolution(stack);
        let kernel_size = self.kernel_size;
        let kind = |convolution| {
            LayerKind::Conv1d(Conv1d {
                convolution,
                kernel_size,
            })
        };
        let flow = |channels, size: Size| Flow::Steps(channels, size.area());
        convolution::add_to(stack, &self.neurons(), convolution, kind, flow)
    }

    /// Convolution of what flows in; `None` where that is unknown.
    fn convolution(&self, stack: &Stack) -> Result<Option<Convolution>, Misfit> {
        let flow = stack.flow;
        let convolution = match flow {
            Flow::Steps(channels, steps) => self.over_channels(channels, steps),
            Flow::Image(1, size) => self.over_rows(size),
            Flow::Row(0) | Flow::Unknown => return Ok(None),
            // Outputs of a dense layer have no order, and flattened maps are in another one than Keras's.
            Flow::Row(features) if stack.is_empty() && !stack.has_channels() => {
                self.over_channels(1, features)
            }
            _ => {
                return Err(Misfit {
                    key: "",
                    message: format!(
                        "a convolution over steps needs steps, and is given {}",
                        flow.words()
                    ),
                    help: "it goes right on the data or behind another `conv1d`",
                });
            }
        };
        let too_large = || convolution::too_large(self.kernel_size, flow);
        convolution.map(Some).ok_or_else(too_large)
    }

    /// Convolution of channels one after the other, each a map of one row; `None` if the kernel is too large.
    fn over_channels(&self, channels: usize, steps: usize) -> Option<Convolution> {
        let (positions, padding) = self.positions(steps)?;
        let window = Window {
            map: Size::row(steps),
            size: Size::row(self.kernel_size),
            strides: Size::row(self.strides),
            padding: Size {
                height: 0,
                width: padding,
            },
            positions: Size::row(positions),
        };
        Some(Convolution { channels, window })
    }

    /// Convolution of steps one after the other, each with its channels side by side: one map, whose rows are the
    /// steps; `None` if the kernel is too large.
    fn over_rows(&self, map: Size) -> Option<Convolution> {
        let (positions, padding) = self.positions(map.height)?;
        let column = |height| Size { height, width: 1 };
        let window = Window {
            map,
            size: Size {
                height: self.kernel_size,
                width: map.width,
            },
            strides: column(self.strides),
            padding: Size {
                height: padding,
                width: 0,
            },
            positions: column(positions),
        };
        Some(Convolution {
            channels: 1,
            window,
        })
    }

    /// Number of positions of the kernel over some steps, and steps of padding before the first of them; `None`
    /// if the kernel is too large for them.
    fn positions(&self, steps: usize) -> Option<(usize, usize)> {
        let sized = |padding| {
            let (kernel, strides) = (Size::row(self.kernel_size), Size::row(self.strides));
            let window = Window::new(Size::row(steps), kernel, strides, padding)?;
            Some((window.positions.width, window.padding.width))
        };
        match self.padding {
            StepPadding::Valid => sized(Padding::Valid),
            StepPadding::Same => sized(Padding::Same),
            StepPadding::Causal => Some((steps.div_ceil(self.strides), self.kernel_size - 1)),
        }
    }
}

/// Kernel of a convolution over steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Conv1d {
    /// Convolution of one map whose rows are steps, or of a map of one row for each channel.
    pub convolution: Convolution,
    /// Steps that the kernel sees at once.
    pub kernel_size: usize,
}

impl Filters for Conv1d {
    fn convolution(&self) -> &Convolution {
        &self.convolution
    }

    fn filters_shape(&self, units: usize) -> Vec<usize> {
        let channels = self.convolution.fan_in() / self.kernel_size;
        vec![self.kernel_size, channels, units]
    }
}
