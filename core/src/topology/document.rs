//! A topology file that has been read: first the file by itself, then together with its data.

use serde::{Deserialize, Serialize};

use super::check;
use super::data_shape::{DataShape, TaskShape};
use super::expand::ExpandedLayers;
use super::fit::fit;
use super::graph::{self, EarlyStopping, Graph, Head};
use super::overrides::apply_override;
use super::problem::{Place, Problem, Problems};
use super::report::Report;
use super::spec::Spec;
use super::validate::validate;
use super::weighted::{Weighted, weighted};
use super::yaml::{self, Node, Value};
use crate::data::{TargetScale, TargetScaling};
use crate::layers::{Layer, LayerSpec};
use crate::math::{Activation, Loss};

/// A valid topology, and where each part of it was written.
#[derive(Clone, Debug)]
pub struct Document {
    spec: Spec,
    layers: ExpandedLayers,
    root: Node,
}

/// Grouping of neurons into units. Without effect on the weights.
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
            let mut report = Report::new(&root, &mut problems);
            let layers = ExpandedLayers::new(&spec.network.layers, &mut report);
            check::check(&spec, &layers, &mut report);
            problems.or(Document { spec, layers, root })
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

    /// The layers one by one, input side first: those of a repeated block as often as it is there, with their
    /// own names.
    pub fn layers(&self) -> &[LayerSpec] {
        self.layers.layers()
    }

    /// The network for a data set. Reports every way in which the two do not fit.
    pub fn graph(&self, shape: &DataShape, grouping: Grouping) -> Result<Graph, Problems> {
        let spec = &self.spec;
        let mut problems = Problems::default();
        let mut report = Report::new(&self.root, &mut problems);
        let layers = fit(spec, &self.layers, shape, &mut report);
        let mut layers = grouped(spec, layers, weighted(&self.layers), grouping);
        let target_scale = target_scale(spec, &self.layers, shape);
        let head = head(&mut layers, spec.network.loss);
        let training = &spec.training;
        problems.or(Graph {
            name: spec.name.clone(),
            seed: spec.seed,
            inputs: shape.features,
            channels: shape.channels(),
            layers,
            loss: spec.network.loss,
            head,
            target_scale,
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

/// The layers that fit, with their neurons put into units that have their resources.
fn grouped(
    spec: &Spec,
    layers: Vec<Option<Layer>>,
    keys: Vec<Weighted<'_>>,
    grouping: Grouping,
) -> Vec<Layer> {
    let grouped = |(layer, keys): (Option<Layer>, Weighted<'_>)| {
        let layer = layer?;
        let keys = keys.neurons.keys;
        let neurons_per_unit = match grouping {
            Grouping::WholeLayers => layer.units,
            Grouping::FromFile => keys
                .neurons_per_unit
                .unwrap_or(spec.deployment.neurons_per_unit),
            Grouping::Units(size) => size,
        };
        Some(Layer {
            neurons_per_unit: neurons_per_unit.clamp(1, layer.units),
            resources: keys
                .resources
                .as_ref()
                .unwrap_or(&spec.deployment.resources)
                .into(),
            ..layer
        })
    };
    layers.into_iter().zip(keys).filter_map(grouped).collect()
}

/// Scaling of the target: what the file asks for, or what is usual for its output layer.
fn target_scale(spec: &Spec, layers: &ExpandedLayers, shape: &DataShape) -> TargetScale {
    let layers = weighted(layers);
    match (shape.task, layers.last()) {
        (
            TaskShape::Regression {
                targets: Some(targets),
            },
            Some(last),
        ) => {
            let usual = TargetScaling::usual(last.last_activation().0);
            spec.data.target_scaling().unwrap_or(usual).fit(&targets)
        }
        _ => TargetScale::IDENTITY,
    }
}

/// Head that the trainer applies to the last layer's sums, which the layer then leaves as they are.
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
