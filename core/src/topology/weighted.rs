//! The layers with weights of a file, and the order of its layers.

use super::report::Report;
use super::spec::{LayerSpec, Spec};
use crate::layers::NeuronSpec;
use crate::math::Activation;

/// A layer with weights, with its position among the layers of the file.
pub(super) struct Weighted<'a> {
    position: usize,
    pub neurons: NeuronSpec<'a>,
    pub normalization: Option<WeightedNormalization<'a>>,
}

/// The batch normalization behind a layer with weights, with its own position.
pub(super) struct WeightedNormalization<'a> {
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
        self.path(self.neurons.count_key)
    }

    /// The activation that the layer answers with, and its path.
    pub fn last_activation(&self) -> (Activation, String) {
        match &self.normalization {
            Some(normalization) => (
                normalization.activation,
                format!("network.layers[{}].activation", normalization.position),
            ),
            None => (self.neurons.keys.activation, self.path("activation")),
        }
    }
}

/// The layers with weights.
pub(super) fn weighted(spec: &Spec) -> Vec<Weighted<'_>> {
    let mut weighted: Vec<Weighted<'_>> = Vec::new();
    for (position, layer) in spec.network.layers.iter().enumerate() {
        if let Some(neurons) = layer.neurons() {
            weighted.push(Weighted {
                position,
                neurons,
                normalization: None,
            });
        }
        if let (LayerSpec::BatchNormalization(spec), Some(below)) = (layer, weighted.last_mut()) {
            below.normalization = Some(WeightedNormalization {
                position,
                name: spec.name.as_deref(),
                activation: spec.activation,
            });
        }
    }
    weighted
}

/// Order of layers: checks what may follow what, as far as that does not depend on shapes.
pub(super) fn order(spec: &Spec, report: &mut Report<'_>) {
    let layers = &spec.network.layers;
    if layers.iter().all(|layer| layer.neurons().is_none()) {
        let help = "add a layer of `type: dense`";
        return report.add("network.layers", "there is no layer with weights", help);
    }
    for (position, layer) in layers.iter().enumerate() {
        let (before, after) = (&layers[..position], &layers[position + 1..]);
        if let Some((message, help)) = layer.misplacement(before, after) {
            report.add(&format!("network.layers[{position}]"), message, help);
        }
    }
}
