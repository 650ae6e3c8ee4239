//! Stack of layers: the walk from the data through the layers of a file, each on those before it.

use super::LayerKind;
use super::layer::Layer;
use super::neuron_keys::NeuronSpec;
use crate::math::conv::Size;

/// Layers of neurons that stand on each other, and the values that the last one hands on.
#[derive(Debug)]
pub struct Stack {
    /// Output of the last layer, or the data.
    pub flow: Flow,
    /// Channels of the data.
    channels: usize,
    layers: Vec<Option<Layer>>,
}

/// Values that one layer hands the next, for one row.
#[derive(Clone, Copy, Debug)]
pub enum Flow {
    /// Numbers in a row.
    Row(usize),
    /// Rows of the data that are images of so many channels, one after the other: a dense layer takes them as
    /// they are.
    Image(usize, Size),
    /// Maps, of which each neuron before makes one.
    Maps(usize, Size),
    /// Channels, of which each neuron before makes one, of as many steps.
    Steps(usize, usize),
    /// Output of a layer that does not fit: no problem is reported twice.
    Unknown,
}

/// Problem of a layer with what it is given.
#[derive(Debug)]
pub struct Misfit {
    /// Key to blame, `.kernel_size` for example; empty for the layer as a whole.
    pub key: &'static str,
    /// Description of the problem.
    pub message: String,
    /// Advice: what would fit.
    pub help: &'static str,
}

impl Stack {
    /// Stack without layers, on rows of `features` numbers, or on images of a height and width, and as many
    /// channels as that makes.
    pub fn new(features: usize, image: Option<(usize, usize)>) -> Self {
        let image = image.map(|(height, width)| Size { height, width });
        let channels = image.map_or(1, |size| features / size.area().max(1));
        Self {
            flow: image.map_or(Flow::Row(features), |size| Flow::Image(channels, size)),
            channels,
            layers: Vec::new(),
        }
    }

    /// Puts a layer of neurons on top, with `fan_in` weights each; `None` for one that does not fit.
    pub fn push(&mut self, neurons: &NeuronSpec<'_>, kind: Option<(LayerKind, usize)>) {
        let index = self.layers.len();
        let layer = kind.map(|(kind, fan_in)| Layer::new(neurons, index, kind, fan_in));
        self.layers.push(layer);
    }

    /// True for data whose rows are images of several channels: their numbers are in another order than in
    /// Keras, flattened too.
    pub fn has_channels(&self) -> bool {
        self.channels > 1
    }

    /// True before the first layer of neurons, which is given the data.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layer of neurons on top, if there is one and it fits.
    pub fn top(&mut self) -> Option<&mut Layer> {
        self.layers.last_mut()?.as_mut()
    }

    /// The layers of neurons; `None` for one that does not fit.
    pub fn into_layers(self) -> Vec<Option<Layer>> {
        self.layers
    }
}

impl Flow {
    /// Number of values.
    pub fn features(self) -> usize {
        match self {
            Self::Row(features) => features,
            Self::Image(channels, size) => channels * size.area(),
            Self::Maps(maps, size) => maps * size.area(),
            Self::Steps(channels, steps) => channels * steps,
            Self::Unknown => 0,
        }
    }

    /// Words for a message.
    pub fn words(self) -> String {
        match self {
            Self::Row(features) => format!("{features} numbers in a row"),
            Self::Image(1, size) => size.to_string(),
            Self::Image(channels, size) => format!("{channels} channels of {size}"),
            Self::Maps(maps, size) => format!("{maps} maps of {size}"),
            Self::Steps(channels, steps) => format!("{channels} channels of {steps} steps"),
            Self::Unknown => String::new(),
        }
    }
}
