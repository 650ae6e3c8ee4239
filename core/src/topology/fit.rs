//! The rules that need the data: whether a network and a data set go together.
//!
//! Sees only what [`super::check`] could not see, so that no problem is reported twice.

use super::check::keras;
use super::data_shape::{DataShape, TaskShape};
use super::expand::ExpandedLayers;
use super::graph::Monitor;
use super::report::Report;
use super::spec::{Data, Spec};
use super::weighted::{Weighted, weighted};
use crate::data::TargetScaling;
use crate::layers::{Layer, Stack};
use crate::math::{Activation, Loss};

/// Most trainable numbers of a network.
pub const MAX_PARAMETERS: u128 = 50_000_000;
/// Most sums of a layer of filters in a tick; four arrays of that length are kept.
pub const MAX_MAP_VALUES: u128 = 1 << 28;
/// Largest state of one neuron, weights and optimizer, in bytes.
pub const MAX_NEURON_BYTES: u128 = 16 << 20;

/// Applies every rule that needs the data. Returns the layers with weights, `None` for one that does not fit.
pub(super) fn fit(
    spec: &Spec,
    expanded: &ExpandedLayers,
    shape: &DataShape,
    report: &mut Report<'_>,
) -> Vec<Option<Layer>> {
    let layers = weighted(expanded);
    if shape.features == 0 {
        report.add(
            "data",
            "the data has no features",
            "it needs at least one column besides the target",
        );
    }
    if shape.train_rows == 0 {
        report.add(
            "data",
            "no rows are left for training",
            "use smaller splits or more data",
        );
    }
    if spec.data.augmentation().is_some() && (shape.image.is_none() || shape.value_bytes != 1) {
        let message = "only images of bytes can be augmented, and the data has none";
        report.add("data.augmentation", message, "leave it out");
    }
    outputs(spec, &layers, shape, report);
    target_scaling(spec, &layers, shape, report);
    let stack = stack(expanded, shape, report);
    parameters(spec, &layers, &stack, report);
    let monitor = spec
        .training
        .early_stopping
        .map(|stopping| stopping.monitor);
    let path = "training.early_stopping.monitor";
    match monitor {
        Some(Monitor::ValidationLoss | Monitor::ValidationAccuracy)
            if shape.validation_rows == 0 =>
        {
            report.add(
                path,
                "there are no validation rows to watch",
                "use `monitor: loss`",
            );
        }
        Some(Monitor::ValidationAccuracy) if matches!(shape.task, TaskShape::Regression { .. }) => {
            report.add(
                path,
                "a regression has no accuracy",
                "use `monitor: validation_loss`",
            );
        }
        _ => {}
    }
    stack
}

/// The layers of the file put on each other, as far as their shapes fit.
fn stack(
    expanded: &ExpandedLayers,
    shape: &DataShape,
    report: &mut Report<'_>,
) -> Vec<Option<Layer>> {
    let mut stack = Stack::new(shape.features, shape.image);
    for (position, layer) in expanded.layers().iter().enumerate() {
        if let Err(misfit) = layer.add_to(&mut stack) {
            let path = format!("{}{}", expanded.path(position), misfit.key);
            report.add(&path, misfit.message, misfit.help);
        }
    }
    stack.into_layers()
}

/// The last layer against what is to be learned.
fn outputs(spec: &Spec, layers: &[Weighted<'_>], shape: &DataShape, report: &mut Report<'_>) {
    let Some(last) = layers.last() else {
        return;
    };
    let loss = spec.network.loss;
    let (activation, activation_path) = last.last_activation();
    let softmax = activation == Activation::Softmax;
    match shape.task {
        TaskShape::Classification { classes } if classes < 2 => {
            let message = "the data has fewer than two classes";
            report.add("data", message, "there is nothing to tell apart");
        }
        TaskShape::Classification { classes } => {
            // One neuron can say how probable the second of two classes is.
            let single = classes == 2 && last.neurons.count == 1 && !softmax;
            if last.neurons.count != classes && !single {
                let message = format!(
                    "the data has {classes} classes, found `{}`",
                    last.neurons.count
                );
                let help = match (classes, softmax) {
                    (2, false) => {
                        "use `units: 2`, or 1 for the probability of the second class".to_owned()
                    }
                    _ => format!("use `units: {classes}`"),
                };
                report.add(&last.path("units"), message, &help);
            }
        }
        TaskShape::Regression { .. } => {
            if loss != Loss::MeanSquaredError {
                let message = format!(
                    "{} is for classes, and the data has a number to predict",
                    keras(loss)
                );
                let help = "use `mean_squared_error` and a linear output layer";
                report.add("network.loss", message, help);
            } else if softmax {
                let message = "softmax is for classes, and the data has a number to predict";
                report.add(&activation_path, message, "use `activation: linear`");
            }
            if last.neurons.count != 1 {
                let message = format!(
                    "a regression has one output, found `{}`",
                    last.neurons.count
                );
                report.add(&last.path("units"), message, "use `units: 1`");
            }
        }
    }
}

/// The scaling of the target against what it is, and against what the last layer can answer.
fn target_scaling(
    spec: &Spec,
    layers: &[Weighted<'_>],
    shape: &DataShape,
    report: &mut Report<'_>,
) {
    let path = "data.target_scaling";
    let activation = layers.last().map(|last| last.last_activation().0);
    match (shape.task, spec.data.target_scaling(), activation) {
        (_, None | Some(TargetScaling::None), _) => {}
        (TaskShape::Classification { .. }, _, _) => {
            let message = "the target is a class, which has no scale";
            let help = match spec.data {
                Data::Csv(_) => "leave it out, or set `task: regression`",
                _ => "leave it out, or give right answers that are floating-point numbers",
            };
            report.add(path, message, help);
        }
        (TaskShape::Regression { .. }, Some(TargetScaling::Standard), Some(activation))
            if !activation.reaches_every_number() =>
        {
            let message = "a standardised target has numbers that the output layer never answers";
            let help = "use `activation: linear` there, or `target_scaling: min_max`";
            report.add(path, message, help);
        }
        (TaskShape::Regression { .. }, _, _) => {}
    }
}

/// Bound on the sums that the filters of a layer compute in a tick.
fn maps(spec: &Spec, keys: &Weighted<'_>, layer: &Layer, report: &mut Report<'_>) {
    let positions = layer.map().map_or(0, |map| map.area()) as u128;
    let values = positions * layer.units as u128 * spec.training.batch_size as u128;
    if values > MAX_MAP_VALUES {
        let message = format!("its maps have {values} places in a batch");
        let help = format!(
            "at most {MAX_MAP_VALUES}: use fewer filters, larger `strides`, or a smaller batch_size"
        );
        report.add(&keys.size_path(), message, &help);
    }
}

fn parameters(
    spec: &Spec,
    keys: &[Weighted<'_>],
    layers: &[Option<Layer>],
    report: &mut Report<'_>,
) {
    let optimizer = &spec.training.optimizer;
    let moments = optimizer.moments() as u128;
    let mut total: u128 = 0;
    for (keys, layer) in keys.iter().zip(layers) {
        let Some(layer) = layer else { continue };
        maps(spec, keys, layer, report);
        let fan_in = layer.fan_in as u128;
        let bytes = fan_in.saturating_add(1).saturating_mul(4 * (1 + moments));
        if bytes > MAX_NEURON_BYTES {
            let message = format!("each neuron has {fan_in} weights and a state of {bytes} bytes");
            let help = keys.neurons.fan_in_help;
            let help = format!("at most {MAX_NEURON_BYTES} bytes: use {help}");
            report.add(&keys.path(keys.neurons.fan_in_key), message, &help);
        }
        let of_layer = fan_in.saturating_add(1).saturating_mul(layer.units as u128);
        total = total.saturating_add(of_layer);
    }
    if total > MAX_PARAMETERS {
        let message = format!("the network has {total} weights and biases");
        report.add(
            "network.layers",
            message,
            &format!("at most {MAX_PARAMETERS}"),
        );
    }
}
