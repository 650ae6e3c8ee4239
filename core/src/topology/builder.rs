//! Topologies that a program builds, in the words of the topology file.

use super::document::Document;
use super::problem::Problems;
use super::spec::{
    Data, Deployment, ImageSource, LayerEntry, NetworkSpec, RepeatSpec, Spec, TrainingSpec,
};
use crate::layers::LayerSpec;
use crate::math::{Loss, Optimizer};

/// A network with its data and its training, built layer on layer from the input side. What it says is checked
/// like a file, by [`Self::document`].
///
/// ```
/// use cuttlefish_core::layers::{NeuronLayer, dense};
/// use cuttlefish_core::math::{Activation, Loss};
/// use cuttlefish_core::topology::Topology;
/// use cuttlefish_core::topology::spec::Data;
///
/// let topology = Topology::new("digits", Data::digits())
///     .layer(dense(32).activation(Activation::Relu))
///     .layer(dense(10).activation(Activation::Softmax))
///     .loss(Loss::SparseCategoricalCrossentropy)
///     .epochs(30);
/// assert!(topology.document(&[]).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Topology(Spec);

impl Topology {
    /// A topology without layers. `name` becomes that of the run: lower-case letters, digits and dashes. The
    /// loss is sparse categorical crossentropy, seed and training are the file's defaults.
    pub fn new(name: impl Into<String>, data: Data) -> Self {
        Self(Spec {
            name: name.into(),
            seed: 0,
            data,
            network: NetworkSpec {
                layers: Vec::new(),
                loss: Loss::SparseCategoricalCrossentropy,
            },
            training: TrainingSpec::default(),
            deployment: Deployment::default(),
            sweep: None,
        })
    }

    /// The topology with the seed of every random draw.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// The topology with one more layer, on those before it.
    pub fn layer(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.0.network.layers.push(LayerEntry::Layer(layer.into()));
        self
    }

    /// The topology with a block of layers that is there `times` times, on those before it. Each repetition has
    /// weights of its own, and adds its number to the names in the block.
    pub fn repeat(
        mut self,
        times: usize,
        layers: impl IntoIterator<Item = impl Into<LayerEntry>>,
    ) -> Self {
        let layers = layers.into_iter().map(Into::into).collect();
        let block = RepeatSpec {
            repeat: times,
            layers,
        };
        self.0.network.layers.push(LayerEntry::Repeat(block));
        self
    }

    /// The topology with the loss that training minimizes.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.0.network.loss = loss;
        self
    }

    /// The topology with this number of passes over the training rows; 0 trains nothing.
    pub fn epochs(mut self, epochs: u32) -> Self {
        self.0.training.epochs = epochs;
        self
    }

    /// The topology with this number of rows a step.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.0.training.batch_size = rows;
        self
    }

    /// The topology with this optimizer.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.0.training.optimizer = optimizer;
        self
    }

    /// The topology with all of its training: schedule, early stopping, shuffling too.
    pub fn training(mut self, training: TrainingSpec) -> Self {
        self.0.training = training;
        self
    }

    /// The topology with these needs of its containers.
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.0.deployment = deployment;
        self
    }

    /// The topology as its file would be read, with overrides (`training.epochs=3`).
    ///
    /// # Errors
    /// Lists every problem.
    pub fn document(&self, overrides: &[String]) -> Result<Document, Problems> {
        self.0.document(overrides)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text of its file, as JSON, which is YAML.
    pub fn text(&self) -> String {
        self.0.text()
    }
}

impl Data {
    /// The built-in handwritten digits.
    pub fn digits() -> Self {
        Self::Digits(ImageSource::default())
    }

    /// MNIST.
    pub fn mnist() -> Self {
        Self::Mnist(ImageSource::default())
    }

    /// Fashion-MNIST.
    pub fn fashion_mnist() -> Self {
        Self::FashionMnist(ImageSource::default())
    }
}

impl Spec {
    /// The topology as its file would be read, with overrides.
    ///
    /// # Errors
    /// Lists every problem.
    pub fn document(&self, overrides: &[String]) -> Result<Document, Problems> {
        super::parse(&self.text(), overrides)
    }

    /// The text of its file, as JSON, which is YAML. A `validation_split` is not in it beside `folds`, which take
    /// its place: a file that has both is refused, and a program cannot leave it out.
    fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        if self.data.split_keys().folds.is_none() {
            return text;
        }
        let is_kept = |line: &&str| !line.trim_start().starts_with("\"validation_split\":");
        text.lines().filter(is_kept).collect::<Vec<_>>().join("\n")
    }
}
