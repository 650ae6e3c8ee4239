//! Convolutions over maps of height and width.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolution::{self, Filters};
use super::extent::Extent;
use super::neuron_keys::of_filters;
use super::{Flow, LayerKind, Misfit, NeuronKeys, NeuronLayer, NeuronSpec, Stack};
use crate::math::conv::{Convolution, Padding, Window};

/// Keys of a convolution over maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = of_filters)]
pub struct Conv2dSpec {
    /// Name of the layer; `conv2d_1`, `conv2d_2`, ... by default.
    #[serde(default)]
    #[schemars(regex(pattern = super::neuron_keys::NAME))]
    pub name: Option<String>,
    /// Number of filters.
    #[schemars(range(min = 1, max = 65536))]
    pub filters: usize,
    /// Height and width of the kernel: one number, or two.
    pub kernel_size: Extent,
    /// Steps of the kernel down and across: one number, or two.
    #[serde(default)]
    pub strides: Extent,
    /// Padding at the edges of the maps.
    #[serde(default)]
    pub padding: Padding,
    /// Keys that every layer of neurons has.
    #[serde(flatten)]
    pub neurons: NeuronKeys,
}

/// A convolution over maps: `filters` kernels of `kernel_size` by `kernel_size`, with strides of 1 and no padding.
pub fn conv2d(filters: usize, kernel_size: usize) -> Conv2dSpec {
    Conv2dSpec {
        name: None,
        filters,
        kernel_size: Extent::square(kernel_size),
        strides: Extent::default(),
        padding: Padding::default(),
        neurons: NeuronKeys::default(),
    }
}

impl NeuronLayer for Conv2dSpec {
    fn keys_mut(&mut self) -> (&mut Option<String>, &mut NeuronKeys) {
        (&mut self.name, &mut self.neurons)
    }
}

impl Conv2dSpec {
    pub(super) fn neurons(&self) -> NeuronSpec<'_> {
        convolution::neurons("conv2d", self.name.as_deref(), self.filters, &self.neurons)
    }

    pub(super) fn add_to(&self, stack: &mut Stack) -> Result<(), Misfit> {
        let convolution = self.convolution(stack.flow);
        let kind = |convolution| LayerKind::Conv2d(Conv2d(convolution));
        convolution::add_to(stack, &self.neurons(), convolution, kind, Flow::Maps)
    }

    /// Convolution of what flows in; `None` where that is unknown.
    fn convolution(&self, flow: Flow) -> Result<Option<Convolution>, Misfit> {
        let (channels, map) = match flow {
            Flow::Image(channels, size) | Flow::Maps(channels, size) => (channels, size),
            Flow::Unknown => return Ok(None),
            _ => {
                return Err(Misfit {
                    key: "",
                    message: format!("a convolution needs maps, and is given {}", flow.words()),
                    help: "it goes before `flatten` and dense layers, and the data has to be images",
                });
            }
        };
        let size = self.kernel_size.size();
        match Window::new(map, size, self.strides.size(), self.padding) {
            Some(window) => Ok(Some(Convolution { channels, window })),
            None => Err(convolution::too_large(size, flow)),
        }
    }
}

/// Kernel of a convolution over maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Conv2d(pub Convolution);

impl Filters for Conv2d {
    fn convolution(&self) -> &Convolution {
        &self.0
    }

    fn filters_shape(&self, units: usize) -> Vec<usize> {
        let Convolution { channels, window } = self.0;
        vec![window.size.height, window.size.width, channels, units]
    }
}
