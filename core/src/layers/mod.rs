//! Layers: one file a kind, with its keys in the topology file, its place among other layers, its shape, its
//! arithmetic and its weights' order in Keras.
//!
//! [`LayerSpec`] is a layer as a person writes it; a [`Stack`] of them becomes the [`Layer`]s of a network,
//! which have neurons. Pools, normalizations and dropout are stages of the neurons before them.

pub mod batch_normalization;
pub mod conv1d;
pub mod conv2d;
pub mod convolution;
pub mod dense;
pub mod dropout;
pub mod extent;
pub mod flatten;
pub mod kernel;
pub mod layer;
pub mod neuron_keys;
pub mod pooling;
pub mod reshape;
pub mod resources;
pub mod stack;

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use batch_normalization::{Normalization, batch_normalization};
pub use conv1d::{Conv1d, conv1d};
pub use conv2d::{Conv2d, conv2d};
pub use dense::{Dense, dense};
pub use dropout::dropout;
pub use flatten::flatten;
pub use kernel::Kernel;
pub use layer::Layer;
pub use neuron_keys::{NeuronKeys, NeuronLayer, NeuronSpec};
pub use pooling::{average_pooling1d, average_pooling2d, max_pooling1d, max_pooling2d};
pub use reshape::reshape;
pub use resources::{ContainerResources, Resources};
pub use stack::{Flow, Misfit, Stack};

use crate::math::conv::PoolKind;

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Every neuron is connected to all inputs.
    Dense(dense::DenseSpec),
    /// Every neuron is a filter: a kernel that slides over the steps before it and makes steps of one channel.
    #[serde(rename = "conv1d")]
    Conv1d(conv1d::Conv1dSpec),
    /// Every neuron is a filter: a kernel that slides over the maps before it and makes one map.
    #[serde(rename = "conv2d")]
    Conv2d(conv2d::Conv2dSpec),
    /// The largest value of each window of the steps of the filters before it.
    #[serde(rename = "max_pooling1d")]
    MaxPooling1d(pooling::Pooling1dSpec),
    /// The mean of each window of the steps of the filters before it.
    #[serde(rename = "average_pooling1d")]
    AveragePooling1d(pooling::Pooling1dSpec),
    /// The largest value of each window of the maps of the filters before it.
    #[serde(rename = "max_pooling2d")]
    MaxPooling2d(pooling::Pooling2dSpec),
    /// The mean of each window of the maps of the filters before it.
    #[serde(rename = "average_pooling2d")]
    AveragePooling2d(pooling::Pooling2dSpec),
    /// Each neuron before it normalizes its values over the rows of a batch, and a filter over the places
    /// of its map.
    BatchNormalization(batch_normalization::BatchNormalizationSpec),
    /// Maps become numbers in a row, for a dense layer.
    Flatten(flatten::FlattenSpec),
    /// Rows of the data become images, before the first layer with weights.
    Reshape(reshape::ReshapeSpec),
    /// Sets a random share of the activations of the layer before it to 0, in training only.
    Dropout(dropout::DropoutSpec),
}

impl From<dense::DenseSpec> for LayerSpec {
    fn from(dense: dense::DenseSpec) -> Self {
        Self::Dense(dense)
    }
}

impl From<conv1d::Conv1dSpec> for LayerSpec {
    fn from(conv: conv1d::Conv1dSpec) -> Self {
        Self::Conv1d(conv)
    }
}

impl From<conv2d::Conv2dSpec> for LayerSpec {
    fn from(conv: conv2d::Conv2dSpec) -> Self {
        Self::Conv2d(conv)
    }
}

/// Problem with the place of a layer among the others: what is wrong, and what to do.
pub type Misplacement = (&'static str, &'static str);

impl LayerSpec {
    /// Neurons of a layer that has some: one with weights.
    pub fn neurons(&self) -> Option<NeuronSpec<'_>> {
        match self {
            Self::Dense(dense) => Some(dense.neurons()),
            Self::Conv1d(conv) => Some(conv.neurons()),
            Self::Conv2d(conv) => Some(conv.neurons()),
            Self::MaxPooling1d(_)
            | Self::AveragePooling1d(_)
            | Self::MaxPooling2d(_)
            | Self::AveragePooling2d(_)
            | Self::BatchNormalization(_)
            | Self::Flatten(_)
            | Self::Reshape(_)
            | Self::Dropout(_) => None,
        }
    }

    /// Name that the file gives the layer; none for a kind without names.
    pub(crate) fn name_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Dense(dense) => dense.name.as_mut(),
            Self::Conv1d(conv) => conv.name.as_mut(),
            Self::Conv2d(conv) => conv.name.as_mut(),
            Self::BatchNormalization(normalization) => normalization.name.as_mut(),
            Self::MaxPooling1d(_)
            | Self::AveragePooling1d(_)
            | Self::MaxPooling2d(_)
            | Self::AveragePooling2d(_)
            | Self::Flatten(_)
            | Self::Reshape(_)
            | Self::Dropout(_) => None,
        }
    }

    /// True for a pool, of whatever kind.
    fn is_pool(&self) -> bool {
        matches!(
            self,
            Self::MaxPooling1d(_)
                | Self::AveragePooling1d(_)
                | Self::MaxPooling2d(_)
                | Self::AveragePooling2d(_)
        )
    }

    /// Problem of this layer behind `before` and before `after`, as far as it does not depend on shapes.
    pub fn misplacement(&self, before: &[Self], after: &[Self]) -> Option<Misplacement> {
        match self {
            Self::Dense(_) => None,
            Self::Conv1d(_) | Self::Conv2d(_) => convolution::misplacement(after),
            Self::MaxPooling1d(_) | Self::AveragePooling1d(_) => {
                pooling::Pooling1dSpec::misplacement(before)
            }
            Self::MaxPooling2d(_) | Self::AveragePooling2d(_) => {
                pooling::Pooling2dSpec::misplacement(before)
            }
            Self::BatchNormalization(_) => batch_normalization::misplacement(before),
            Self::Flatten(_) => flatten::misplacement(after),
            Self::Reshape(_) => reshape::misplacement(before),
            Self::Dropout(_) => dropout::misplacement(before, after),
        }
    }

    /// Puts this layer on those before it.
    ///
    /// # Errors
    /// Says what does not fit. The stack is usable then too, so that later problems are found as well.
    pub fn add_to(&self, stack: &mut Stack) -> Result<(), Misfit> {
        match self {
            Self::Dense(dense) => dense.add_to(stack),
            Self::Conv1d(conv) => conv.add_to(stack),
            Self::Conv2d(conv) => conv.add_to(stack),
            Self::MaxPooling1d(pool) => pool.add_to(PoolKind::Max, stack),
            Self::AveragePooling1d(pool) => pool.add_to(PoolKind::Average, stack),
            Self::MaxPooling2d(pool) => pool.add_to(PoolKind::Max, stack),
            Self::AveragePooling2d(pool) => pool.add_to(PoolKind::Average, stack),
            Self::BatchNormalization(normalization) => {
                normalization.add_to(stack);
                Ok(())
            }
            Self::Flatten(_) => {
                flatten::add_to(stack);
                Ok(())
            }
            Self::Reshape(reshape) => reshape.add_to(stack),
            Self::Dropout(dropout) => {
                dropout.add_to(stack);
                Ok(())
            }
        }
    }
}

/// Kinds of layers of neurons: what tells one from another once the network is checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LayerKind {
    /// Every neuron is connected to all inputs.
    Dense(Dense),
    /// Every neuron is a filter that slides over steps.
    Conv1d(Conv1d),
    /// Every neuron is a filter that slides over maps.
    Conv2d(Conv2d),
}

impl Deref for LayerKind {
    type Target = dyn Kernel;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Dense(dense) => dense,
            Self::Conv1d(conv) => conv,
            Self::Conv2d(conv) => conv,
        }
    }
}
