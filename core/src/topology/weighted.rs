//! The layers with weights of a file, and the order of its layers.

use super::expand::ExpandedLayers;
use super::report::Report;
use super::spec::LayerSpec;
use crate::layers::NeuronSpec;
use crate::math::Activation;

/// A layer with weights, with its path in the file.
pub(super) struct Weighted<'a> {
    path: &'a str,
    pub neurons: NeuronSpec<'a>,
    pub normalization: Option<WeightedNormalization<'a>>,
}

/// The batch normalization behind a layer with weights, with its own path.
pub(super) struct WeightedNormalization<'a> {
    pub path: &'a str,
    pub name: Option<&'a str>,
    activation: Activation,
}

impl Weighted<'_> {
    /// The path of a key of this layer.
    pub fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The path of the number of neurons.
    pub fn size_path(&self) -> String {
        self.path(self.neurons.count_key)
    }

    /// The activation that the layer answers with, and its path.
    pub fn last_activation(&self) -> (Activation, String) {
        match &self.normalization {
            Some(normalization) => (
                normalization.activation,
                format!("{}.activation", normalization.path),
            ),
            None => (self.neurons.keys.activation, self.path("activation")),
        }
    }
}

/// The layers with weights.
pub(super) fn weighted(layers: &ExpandedLayers) -> Vec<Weighted<'_>> {
    let mut weighted: Vec<Weighted<'_>> = Vec::new();
    for (position, layer) in layers.layers().iter().enumerate() {
        let path = layers.path(position);
        if let Some(neurons) = layer.neurons() {
            weighted.push(Weighted {
                path,
                neurons,
                normalization: None,
            });
        }
        if let (LayerSpec::BatchNormalization(spec), Some(below)) = (layer, weighted.last_mut()) {
            below.normalization = Some(WeightedNormalization {
                path,
                name: spec.name.as_deref(),
                activation: spec.activation,
            });
        }
    }
    weighted
}

/// Order of layers: checks what may follow what, as far as that does not depend on shapes.
pub(super) fn order(expanded: &ExpandedLayers, report: &mut Report<'_>) {
    let layers = expanded.layers();
    if layers.iter().all(|layer| layer.neurons().is_none()) {
        let help = "add a layer of `type: dense`";
        return report.add("network.layers", "there is no layer with weights", help);
    }
    for (position, layer) in layers.iter().enumerate() {
        let (before, after) = (&layers[..position], &layers[position + 1..]);
        if let Some((message, help)) = layer.misplacement(before, after) {
            report.add(expanded.path(position), message, help);
        }
    }
}
