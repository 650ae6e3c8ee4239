//! Keys of every layer of neurons: what its neurons do with their sums, how their weights start, what hosts
//! them.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::resources::Resources;
use crate::math::{Activation, Initializer, Regularizer};

/// Pattern of a layer's name.
pub const NAME: &str = r"^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$";

/// Keys that every layer of neurons has, in the words of a dense one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NeuronKeys {
    /// Function of a neuron's weighted sum.
    #[serde(default)]
    pub activation: Activation,
    /// True if neurons have a bias.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Initial weights.
    #[serde(default = "kernel_initializer")]
    pub kernel_initializer: Initializer,
    /// Initial bias.
    #[serde(default = "bias_initializer")]
    pub bias_initializer: Initializer,
    /// Penalty on the size of the weights.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// Neurons in one container, for this layer.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65536))]
    pub neurons_per_unit: Option<usize>,
    /// Resources of one container of this layer.
    #[serde(default)]
    pub resources: Option<Resources>,
}

impl Default for NeuronKeys {
    fn default() -> Self {
        Self {
            activation: Activation::default(),
            use_bias: yes(),
            kernel_initializer: kernel_initializer(),
            bias_initializer: bias_initializer(),
            kernel_regularizer: None,
            neurons_per_unit: None,
            resources: None,
        }
    }
}

/// Layers of neurons that a program builds, key by key.
pub trait NeuronLayer: Sized {
    /// Name of the layer, if it is given one, and the keys that every layer of neurons has.
    fn keys_mut(&mut self) -> (&mut Option<String>, &mut NeuronKeys);

    /// The layer with this name.
    fn name(mut self, name: impl Into<String>) -> Self {
        *self.keys_mut().0 = Some(name.into());
        self
    }

    /// The layer with this function of a neuron's weighted sum.
    fn activation(mut self, activation: Activation) -> Self {
        self.keys_mut().1.activation = activation;
        self
    }

    /// The layer with or without biases.
    fn use_bias(mut self, use_bias: bool) -> Self {
        self.keys_mut().1.use_bias = use_bias;
        self
    }

    /// The layer with these initial weights.
    fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.keys_mut().1.kernel_initializer = initializer;
        self
    }

    /// The layer with this penalty on the size of its weights.
    fn kernel_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.keys_mut().1.kernel_regularizer = Some(regularizer);
        self
    }
}

/// Neurons of a layer as the file says them, whatever its kind.
#[derive(Clone, Copy, Debug)]
pub struct NeuronSpec<'a> {
    /// Word of the file for the kind: `dense`.
    pub kind: &'static str,
    /// Name, if the file gives one.
    pub name: Option<&'a str>,
    /// Number of neurons.
    pub count: usize,
    /// Key of that number.
    pub count_key: &'static str,
    /// Key to blame for a neuron with too many weights.
    pub fan_in_key: &'static str,
    /// Advice against too many weights, to go on after "use".
    pub fan_in_help: &'static str,
    /// Keys that all kinds have.
    pub keys: &'a NeuronKeys,
}

impl NeuronSpec<'_> {
    /// Name of the layer; `index` counts layers of neurons from 0.
    pub fn title(&self, index: usize) -> String {
        let default = || format!("{}_{}", self.kind, index + 1);
        self.name.map_or_else(default, str::to_owned)
    }
}

/// Says the keys of a schema in the words of a layer whose neurons are filters.
pub(super) fn of_filters(schema: &mut Schema) {
    let words = [
        ("activation", "Function of a filter's weighted sums."),
        ("use_bias", "True if filters have a bias."),
        (
            "neurons_per_unit",
            "Filters in one container, for this layer.",
        ),
    ];
    for (key, words) in words {
        let property = schema.pointer_mut(&format!("/properties/{key}/description"));
        if let Some(description) = property {
            *description = Json::from(words);
        }
    }
}

/// Default of the keys that are on unless the file says otherwise.
pub(super) fn yes() -> bool {
    true
}

fn kernel_initializer() -> Initializer {
    Initializer::GlorotUniform
}

fn bias_initializer() -> Initializer {
    Initializer::Zeros
}
