//! Figures of a neuron: one table, which the metrics and the page both walk. (The JSON is the view itself.)

use cuttlefish_core::view::{NeuronView, OutputFigures, Outputs};

use crate::numbers;

/// A figure of a neuron.
pub struct Figure {
    /// Name of its metric, behind `cuttlefish_`.
    pub name: &'static str,
    /// Name on the page.
    pub label: &'static str,
    /// Meaning, in a sentence.
    pub help: &'static str,
    /// Value; None where this neuron does not have it.
    pub value: fn(&NeuronView) -> Option<f64>,
}

impl Figure {
    /// Its value as people read it; None where this neuron does not have it.
    pub fn text(&self, neuron: &NeuronView) -> Option<String> {
        let value = (self.value)(neuron)?;
        let is_share = self.name.ends_with("_ratio");
        Some(if is_share {
            numbers::percent(value)
        } else {
            numbers::figure(value)
        })
    }
}

/// Figures of a neuron's parameters.
pub const PARAMETERS: [Figure; 8] = [
    Figure {
        name: "weight_norm",
        label: "weight norm",
        help: "Square root of the sum of the squares of a neuron's weights.",
        value: |neuron| Some(neuron.weight_norm),
    },
    Figure {
        name: "weight_min",
        label: "smallest weight",
        help: "Smallest weight of a neuron, without its bias.",
        value: |neuron| Some(f64::from(neuron.weight_min)),
    },
    Figure {
        name: "weight_max",
        label: "largest weight",
        help: "Largest weight of a neuron, without its bias.",
        value: |neuron| Some(f64::from(neuron.weight_max)),
    },
    Figure {
        name: "bias",
        label: "bias",
        help: "Bias of a neuron.",
        value: |neuron| Some(f64::from(neuron.bias)),
    },
    Figure {
        name: "gamma",
        label: "gamma",
        help: "Factor of a neuron's normalized values, where it has batch normalization.",
        value: |neuron| Some(f64::from(neuron.normalizer?.gamma)),
    },
    Figure {
        name: "beta",
        label: "beta",
        help: "Summand of the same values.",
        value: |neuron| Some(f64::from(neuron.normalizer?.beta)),
    },
    Figure {
        name: "moving_mean",
        label: "moving mean",
        help: "Moving average of the means of the training batches of such a neuron.",
        value: |neuron| Some(f64::from(neuron.normalizer?.moving_mean)),
    },
    Figure {
        name: "moving_variance",
        label: "moving variance",
        help: "Moving average of their variances.",
        value: |neuron| Some(f64::from(neuron.normalizer?.moving_variance)),
    },
];

/// Figures of a neuron's last training batch: of its outputs, and of the errors that came back.
pub const LAST_BATCH: [Figure; 9] = [
    Figure {
        name: "activation_mean",
        label: "mean activation",
        help: "Mean activation of a neuron over its last training batch, of a filter before its pool.",
        value: |neuron| Some(activation(neuron)?.mean),
    },
    Figure {
        name: "activation_min",
        label: "smallest activation",
        help: "Smallest of the same activations.",
        value: |neuron| Some(f64::from(activation(neuron)?.min)),
    },
    Figure {
        name: "activation_max",
        label: "largest activation",
        help: "Largest of the same activations.",
        value: |neuron| Some(f64::from(activation(neuron)?.max)),
    },
    Figure {
        name: "activation_zeros_ratio",
        label: "exactly 0",
        help: "Share of the same activations that are 0.",
        value: |neuron| Some(activation(neuron)?.zeros_ratio),
    },
    Figure {
        name: "logit_mean",
        label: "mean logit",
        help: "Mean of the sums that a neuron hands to the trainer, which applies softmax or sigmoid, over its last training batch.",
        value: |neuron| Some(logit(neuron)?.mean),
    },
    Figure {
        name: "logit_min",
        label: "smallest logit",
        help: "Smallest of the same sums.",
        value: |neuron| Some(f64::from(logit(neuron)?.min)),
    },
    Figure {
        name: "logit_max",
        label: "largest logit",
        help: "Largest of the same sums.",
        value: |neuron| Some(f64::from(logit(neuron)?.max)),
    },
    Figure {
        name: "delta_norm",
        label: "dLoss/dz norm",
        help: "Norm of dLoss/dz of a neuron over the rows of its last training batch: of the error, not of the weights' gradient.",
        value: |neuron| Some(neuron.last_batch.as_ref()?.delta.norm),
    },
    Figure {
        name: "delta_mean",
        label: "dLoss/dz mean",
        help: "Mean of the same.",
        value: |neuron| Some(neuron.last_batch.as_ref()?.delta.mean),
    },
];

fn activation(neuron: &NeuronView) -> Option<&OutputFigures> {
    match &neuron.last_batch.as_ref()?.outputs {
        Outputs::Activations { activation, .. } => Some(activation),
        Outputs::Logits { .. } => None,
    }
}

fn logit(neuron: &NeuronView) -> Option<&OutputFigures> {
    match &neuron.last_batch.as_ref()?.outputs {
        Outputs::Logits { logit, .. } => Some(logit),
        Outputs::Activations { .. } => None,
    }
}
