//! A topology file that has been read: first the file by itself, then together with its data.

use serde::{Deserialize, Serialize};

use super::check::{self, Report};
use super::fit::fit;
use super::graph::{self, EarlyStopping, Graph, Head, Layer, Normalization};
use super::layers::weighted;
use super::overrides::apply_override;
use super::problem::{Place, Problem, Problems};
use super::shapes::Given;
use super::spec::{LayerSpec, Spec};
use super::validate::validate;
use super::yaml::{self, Node, Value};
use crate::data::Dataset;
use crate::math::{Activation, Loss};

/// A valid topology, and where each part of it was written.
#[derive(Clone, Debug)]
pub struct Document {
    spec: Spec,
    root: Node,
}

/// What the checks need to know about a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Features of one row.
    pub features: usize,
    /// Height and width, where rows are images.
    pub image: Option<(usize, usize)>,
    /// Bytes of one feature where rows are kept and sent as they are: 1 or 4.
    pub value_bytes: usize,
    /// What is to be learned.
    pub task: TaskShape,
    /// Rows that change the weights.
    pub train_rows: usize,
    /// Rows that are looked at after each epoch.
    pub validation_rows: usize,
    /// Rows that are looked at once, at the end.
    pub test_rows: usize,
}

impl DataShape {
    /// Bytes of the whole data set: of each row its values, its right answer and its number.
    pub fn bytes(&self) -> u64 {
        let rows = self.train_rows + self.validation_rows + self.test_rows;
        rows as u64 * (self.features * self.value_bytes + 8) as u64
    }
}

/// What is to be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskShape {
    /// One of several classes.
    Classification {
        /// How many.
        classes: usize,
    },
    /// One number.
    Regression,
}

/// How neurons are put into units. Without effect on the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// One unit a layer.
    WholeLayers,
    /// As the file says under `deployment` and for each layer.
    FromFile,
    /// So many neurons in each unit, whatever the file says.
    Units(usize),
}

/// Reads the text of a topology file, with overrides like `training.epochs=3`. Reports every
/// problem that can be seen without the data.
pub fn parse(text: &str, overrides: &[String]) -> Result<Document, Problems> {
    let mut problems = Problems::default();
    let Some(mut root) = yaml::parse(text, &mut problems).or_else(|| empty(&problems)) else {
        return Err(problems);
    };
    for text in overrides {
        if let Err(problem) = apply_override(&mut root, text) {
            problems.push(problem);
        }
    }
    let before = problems.count();
    validate(&root, &mut problems);
    if problems.count() > before {
        return Err(problems.sorted());
    }
    match serde_json::from_value::<Spec>(root.to_json()) {
        Ok(spec) => {
            check::check(&spec, &mut Report::new(&root, &mut problems));
            problems.or(Document { spec, root })
        }
        Err(error) => {
            // After refused parts of the tree; otherwise the schema is too lax somewhere.
            if problems.is_empty() {
                problems.push(Problem {
                    place: Place::START,
                    path: String::new(),
                    message: error.to_string(),
                    help: None,
                });
            }
            Err(problems.sorted())
        }
    }
}

/// A text without any value is an empty tree, unless something made it unreadable.
fn empty(problems: &Problems) -> Option<Node> {
    problems.is_empty().then_some(Node {
        place: Place::START,
        value: Value::Null,
    })
}

impl Document {
    /// The topology as written, with the defaults filled in.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The network for a data set. Reports every way in which the two do not fit.
    pub fn graph(&self, shape: &DataShape, grouping: Grouping) -> Result<Graph, Problems> {
        let spec = &self.spec;
        let mut problems = Problems::default();
        let given = fit(spec, shape, &mut Report::new(&self.root, &mut problems));
        let mut layers = layers(spec, &given, grouping);
        let head = head(&mut layers, spec.network.loss);
        let training = &spec.training;
        problems.or(Graph {
            name: spec.name.clone(),
            seed: spec.seed,
            inputs: shape.features,
            layers,
            loss: spec.network.loss,
            head,
            training: graph::Training {
                epochs: training.epochs,
                batch_size: training.batch_size,
                shuffle: training.shuffle,
                augmentation: spec.data.augmentation(),
                optimizer: training.optimizer,
                schedule: training.learning_rate_schedule,
                warmup_epochs: training.warmup_epochs,
                early_stopping: training.early_stopping.map(|stopping| EarlyStopping {
                    monitor: stopping.monitor,
                    patience: stopping.patience,
                    min_delta: stopping.min_delta,
                }),
            },
        })
    }
}

impl From<&Dataset> for DataShape {
    fn from(data: &Dataset) -> Self {
        Self {
            features: data.features,
            image: data.image,
            value_bytes: data.values.value_bytes(),
            task: match data.task.classes() {
                Some(classes) => TaskShape::Classification { classes },
                None => TaskShape::Regression,
            },
            train_rows: data.split.train.len(),
            validation_rows: data.split.validation.len(),
            test_rows: data.split.test.len(),
        }
    }
}

/// The layers with weights. Pooling, normalization and dropout are parts of the neurons before them.
fn layers(spec: &Spec, given: &[Given], grouping: Grouping) -> Vec<Layer> {
    let titles = weighted(spec);
    let mut layers: Vec<Layer> = Vec::new();
    let mut is_pooled = false;
    for layer in &spec.network.layers {
        match layer {
            LayerSpec::Dense {
                units,
                activation,
                use_bias,
                kernel_initializer,
                bias_initializer,
                kernel_regularizer,
                neurons_per_unit,
                resources,
                ..
            }
            | LayerSpec::Conv2d {
                filters: units,
                activation,
                use_bias,
                kernel_initializer,
                bias_initializer,
                kernel_regularizer,
                neurons_per_unit,
                resources,
                ..
            } => {
                let wanted = match grouping {
                    Grouping::WholeLayers => *units,
                    Grouping::FromFile => {
                        neurons_per_unit.unwrap_or(spec.deployment.neurons_per_unit)
                    }
                    Grouping::Units(size) => size,
                };
                let index = layers.len();
                let Given { fan_in, maps } = given[index];
                layers.push(Layer {
                    name: titles[index].title(index),
                    fan_in,
                    units: *units,
                    maps,
                    activation: *activation,
                    use_bias: *use_bias,
                    kernel_initializer: *kernel_initializer,
                    bias_initializer: *bias_initializer,
                    kernel_regularizer: kernel_regularizer.unwrap_or_default(),
                    normalization: None,
                    dropout: 0.0,
                    neurons_per_unit: wanted.clamp(1, *units),
                    resources: resources
                        .as_ref()
                        .unwrap_or(&spec.deployment.resources)
                        .checked(),
                });
                is_pooled = false;
            }
            LayerSpec::BatchNormalization {
                name,
                momentum,
                epsilon,
                center,
                scale,
                activation,
            } => {
                if let Some(below) = layers.last_mut() {
                    below.normalization = Some(Normalization {
                        name: name.clone().unwrap_or_else(|| below.name.clone()),
                        momentum: *momentum,
                        epsilon: *epsilon,
                        center: *center,
                        scale: *scale,
                        activation: *activation,
                        after_pool: is_pooled,
                    });
                }
            }
            LayerSpec::Dropout { rate } => {
                if let Some(below) = layers.last_mut() {
                    below.dropout = *rate;
                }
            }
            LayerSpec::MaxPooling2d { .. } | LayerSpec::AveragePooling2d { .. } => is_pooled = true,
            LayerSpec::Flatten {} => {}
        }
    }
    layers
}

/// What the trainer does with the last layer's sums, which then leaves them as they are.
fn head(layers: &mut [Layer], loss: Loss) -> Head {
    let Some(last) = layers.last_mut() else {
        return Head::Identity;
    };
    let activation = match &mut last.normalization {
        Some(normalization) => &mut normalization.activation,
        None => &mut last.activation,
    };
    let head = match (*activation, loss) {
        (Activation::Softmax, _) => Head::Softmax,
        (Activation::Sigmoid, Loss::BinaryCrossentropy) => Head::Sigmoid,
        _ => return Head::Identity,
    };
    *activation = Activation::Linear;
    head
}
