//! The layers with weights of a file, and which layer may follow which.

use super::check::Report;
use super::spec::{LayerSpec, Spec};
use crate::math::Activation;

/// A layer with weights, with its position among the layers of the file.
pub(super) struct Weighted<'a> {
    position: usize,
    /// What it is called unless it has a name, before its number.
    kind: &'static str,
    pub name: Option<&'a str>,
    /// Whether it is dense: neurons, not filters.
    pub is_dense: bool,
    /// Neurons or filters.
    pub units: usize,
    /// What its neurons do with their sums.
    pub activation: Activation,
    pub normalization: Option<Normalization<'a>>,
}

/// The batch normalization behind a layer with weights, with its own position.
pub(super) struct Normalization<'a> {
    pub position: usize,
    pub name: Option<&'a str>,
    activation: Activation,
}

impl Weighted<'_> {
    /// The path of a key of this layer.
    pub fn path(&self, key: &str) -> String {
        format!("network.layers[{}].{key}", self.position)
    }

    /// The path of the number of neurons.
    pub fn size_path(&self) -> String {
        self.path(if self.is_dense { "units" } else { "filters" })
    }

    /// The activation that the layer answers with, and its path.
    pub fn last_activation(&self) -> (Activation, String) {
        match &self.normalization {
            Some(normalization) => (
                normalization.activation,
                format!("network.layers[{}].activation", normalization.position),
            ),
            None => (self.activation, self.path("activation")),
        }
    }

    /// What it is called; `index` counts layers with weights from 0.
    pub fn title(&self, index: usize) -> String {
        let default = || format!("{}_{}", self.kind, index + 1);
        self.name.map_or_else(default, str::to_owned)
    }
}

/// The layers with weights.
pub(super) fn weighted(spec: &Spec) -> Vec<Weighted<'_>> {
    let mut weighted: Vec<Weighted<'_>> = Vec::new();
    for (position, layer) in spec.network.layers.iter().enumerate() {
        let is_dense = matches!(layer, LayerSpec::Dense { .. });
        match layer {
            LayerSpec::Dense {
                name,
                units,
                activation,
                ..
            }
            | LayerSpec::Conv2d {
                name,
                filters: units,
                activation,
                ..
            } => weighted.push(Weighted {
                position,
                kind: if is_dense { "dense" } else { "conv2d" },
                name: name.as_deref(),
                is_dense,
                units: *units,
                activation: *activation,
                normalization: None,
            }),
            LayerSpec::BatchNormalization {
                name, activation, ..
            } => {
                if let Some(below) = weighted.last_mut() {
                    below.normalization = Some(Normalization {
                        position,
                        name: name.as_deref(),
                        activation: *activation,
                    });
                }
            }
            LayerSpec::MaxPooling2d { .. }
            | LayerSpec::AveragePooling2d { .. }
            | LayerSpec::Flatten {}
            | LayerSpec::Dropout { .. } => {}
        }
    }
    weighted
}

/// Which layer may follow which, as far as that does not depend on shapes.
pub(super) fn order(spec: &Spec, report: &mut Report<'_>) {
    let layers = &spec.network.layers;
    let has_weights =
        |layer: &LayerSpec| matches!(layer, LayerSpec::Dense { .. } | LayerSpec::Conv2d { .. });
    let first = layers.iter().position(has_weights);
    let last = layers.iter().rposition(has_weights);
    let (Some(first), Some(last)) = (first, last) else {
        let help = "add a layer of `type: dense`";
        return report.add("network.layers", "there is no layer with weights", help);
    };
    let is_dropout = |layer| matches!(layer, Some(&LayerSpec::Dropout { .. }));
    for (position, layer) in layers.iter().enumerate() {
        let path = format!("network.layers[{position}]");
        match layer {
            LayerSpec::Dropout { .. } if position < first => {
                let help = "it acts on the neurons before it, and inputs are not neurons";
                report.add(&path, "dropout before the first layer with weights", help);
            }
            LayerSpec::Dropout { .. } if position > last => {
                let help = "it would set answers of the network to 0";
                report.add(&path, "dropout after the last layer with weights", help);
            }
            LayerSpec::Dropout { .. } if is_dropout(last_but_flatten(&layers[..position])) => {
                let help = "give the first one a higher `rate` instead";
                report.add(&path, "dropout right after another dropout", help);
            }
            LayerSpec::MaxPooling2d { .. } | LayerSpec::AveragePooling2d { .. }
                if !is_filter(before_normalization(&layers[..position])) =>
            {
                let help = "filters pool their own maps: put it right behind a `conv2d` layer";
                report.add(&path, "pooling that does not follow a convolution", help);
            }
            LayerSpec::BatchNormalization { .. } => {
                if let Some((message, help)) = misplaced_normalization(&layers[..position]) {
                    report.add(&path, message, help);
                }
            }
            LayerSpec::Flatten {} if position > last => {
                let help = "the last layer's answers are numbers in a row already";
                report.add(&path, "flatten after the last layer with weights", help);
            }
            LayerSpec::Conv2d { .. } if position == last => {
                let help = "add `{type: flatten}` and a `dense` layer for the answers";
                report.add(&path, "the last layer with weights is a convolution", help);
            }
            _ => {}
        }
    }
}

fn is_filter(layer: Option<&LayerSpec>) -> bool {
    matches!(layer, Some(LayerSpec::Conv2d { .. }))
}

/// The last layer, or what it normalizes.
fn before_normalization(layers: &[LayerSpec]) -> Option<&LayerSpec> {
    match layers {
        [.., normalized, LayerSpec::BatchNormalization { .. }] => Some(normalized),
        _ => layers.last(),
    }
}

/// Why a batch normalization cannot follow these layers, and what to do: it is a part of the neurons before
/// it, as their pool is.
fn misplaced_normalization(before: &[LayerSpec]) -> Option<(&'static str, &'static str)> {
    use LayerSpec::{
        AveragePooling2d, BatchNormalization, Conv2d, Dense, Dropout, Flatten, MaxPooling2d,
    };
    match before {
        [] => Some((
            "batch normalization before the first layer with weights",
            "neurons normalize what they say themselves, and inputs are not neurons",
        )),
        [.., Dropout { .. }] => Some((
            "batch normalization behind dropout",
            "put it before the dropout, which is the last thing that a neuron does",
        )),
        [.., Flatten {}] => Some((
            "batch normalization behind flatten",
            "put it before: each filter normalizes its map, not each place of it",
        )),
        [.., BatchNormalization { .. }]
        | [
            ..,
            BatchNormalization { .. },
            MaxPooling2d { .. } | AveragePooling2d { .. },
        ] => Some((
            "a second batch normalization of the same neurons",
            "leave one of them out",
        )),
        [
            ..,
            Dense { .. } | Conv2d { .. } | MaxPooling2d { .. } | AveragePooling2d { .. },
        ] => None,
    }
}

/// The last layer that does something: `flatten` changes no value.
fn last_but_flatten(layers: &[LayerSpec]) -> Option<&LayerSpec> {
    let does_something = |layer: &&LayerSpec| !matches!(layer, LayerSpec::Flatten {});
    layers.iter().rfind(does_something)
}
