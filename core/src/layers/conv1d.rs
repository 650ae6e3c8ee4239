//! Convolutions over steps, as of a time series: maps of one row.
//!
//! The numbers of a row of the data are steps of one channel, in their order. What a filter makes of them is a
//! channel of what follows.

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
        let kind = |convolution| LayerKind::Conv1d(Conv1d(convolution));
        let flow = |channels, size: Size| Flow::Steps(channels, size.width);
        convolution::add_to(stack, &self.neurons(), convolution, kind, flow)
    }

    /// Convolution of what flows in; `None` where that is unknown.
    fn convolution(&self, stack: &Stack) -> Result<Option<Convolution>, Misfit> {
        let flow = stack.flow;
        let (channels, steps) = match flow {
            Flow::Steps(channels, steps) => (channels, steps),
            Flow::Row(0) | Flow::Unknown => return Ok(None),
            // Outputs of a dense layer have no order, and flattened maps are in another one than Keras's.
            Flow::Row(features) if stack.is_empty() => (1, features),
            _ => {
                return Err(Misfit {
                    key: "",
                    message: format!(
                        "a convolution over steps needs steps, and is given {}",
                        flow.words()
                    ),
                    help: "it goes right on the data or behind another `conv1d`; images become steps by \
                           `{type: flatten}`",
                });
            }
        };
        match self.window(steps) {
            Some(window) => Ok(Some(Convolution { channels, window })),
            None => Err(convolution::too_large(self.kernel_size, flow)),
        }
    }

    /// The kernel over some steps; `None` if it is too large for them.
    fn window(&self, steps: usize) -> Option<Window> {
        let (map, size, strides) = (
            Size::row(steps),
            Size::row(self.kernel_size),
            Size::row(self.strides),
        );
        match self.padding {
            StepPadding::Valid => Window::new(map, size, strides, Padding::Valid),
            StepPadding::Same => Window::new(map, size, strides, Padding::Same),
            StepPadding::Causal => Some(Window {
                map,
                size,
                strides,
                padding: Size {
                    height: 0,
                    width: self.kernel_size - 1,
                },
                positions: Size::row(steps.div_ceil(self.strides)),
            }),
        }
    }
}

/// Kernel of a convolution over steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Conv1d(pub Convolution);

impl Filters for Conv1d {
    fn convolution(&self) -> &Convolution {
        &self.0
    }

    fn filters_shape(&self, units: usize) -> Vec<usize> {
        let Convolution { channels, window } = self.0;
        vec![window.size.width, channels, units]
    }
}
