//! Scaled targets: weights answer with scaled numbers, and how they are scaled follows from the rows that they were
//! trained on, which need not be those of the run.

use std::collections::BTreeMap;

use cuttlefish_core::data::TargetScale;
use cuttlefish_core::math::Activation;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::{Graph, Head};

use super::Error;
use crate::export::ScaledTarget;
use crate::export::metadata::{TARGET, TARGET_OFFSET, TARGET_SCALE, WEIGHTS_SHA256};

/// Makes the last layer answer on the scale of the run's target, where the file says that its own is another.
/// Tells what a person should know about it.
///
/// # Errors
/// When the last layer cannot answer on another scale.
pub(super) fn convert(
    graph: &Graph,
    metadata: &BTreeMap<String, String>,
    states: &mut [Vec<NeuronState>],
) -> Result<Option<String>, Error> {
    let name = metadata.get(TARGET).map_or("target", String::as_str);
    let formula = |scale| {
        let name = name.to_owned();
        ScaledTarget { name, scale }.formula()
    };
    let run = graph.target_scale;
    let Some(file) = scale(metadata)? else {
        let note = || {
            format!(
                "the file does not say on which scale the network answers, and the run takes its answers as `{}` (write \
                 `target_scaling: none` if they are the target itself)",
                formula(run)
            )
        };
        return Ok((!run.is_identity()).then(note));
    };
    if file == run {
        return Ok(None);
    }
    let factor = file.scale / run.scale;
    let shift = (file.offset - run.offset) / run.scale;
    let refused = || Error::Target {
        file: formula(file),
        run: formula(run),
    };
    let (Some(layer), Some(neurons)) = (graph.layers.last(), states.last_mut()) else {
        return Err(refused());
    };
    let is_linear = graph.head == Head::Identity
        && layer.activation == Activation::Linear
        && layer.normalization.is_none()
        && layer.pool.is_none()
        && (layer.use_bias || shift == 0.0);
    if !is_linear {
        return Err(refused());
    }
    for neuron in neurons {
        for weight in &mut neuron.weights {
            *weight = (f64::from(*weight) * factor) as f32;
        }
        let bias = &mut neuron.weights[layer.fan_in];
        *bias = (f64::from(*bias) + shift) as f32;
        if !neuron.weights.iter().all(|weight| weight.is_finite()) {
            return Err(refused());
        }
    }
    Ok(Some(format!(
        "converted layer `{}`, which answered as `{}`, to the scale of the run, `{}`",
        layer.name,
        formula(file),
        formula(run)
    )))
}

/// The scale on which the file's network answers; None if the file does not say.
fn scale(metadata: &BTreeMap<String, String>) -> Result<Option<TargetScale>, Error> {
    let number = |key: &'static str, expected, is_valid: fn(f64) -> bool| {
        let Some(text) = metadata.get(key) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| is_valid(*number));
        let text = text.clone();
        number.map(Some).ok_or(Error::Metadata {
            key,
            text,
            expected,
        })
    };
    let offset = number(TARGET_OFFSET, "a number", f64::is_finite)?;
    let scale = number(TARGET_SCALE, "a number above 0", |scale| {
        scale.is_finite() && scale > 0.0
    })?;
    Ok(match (offset, scale) {
        (Some(offset), Some(scale)) => Some(TargetScale { offset, scale }),
        // Of a target that is not scaled `export` says nothing.
        _ if metadata.contains_key(WEIGHTS_SHA256) => Some(TargetScale::IDENTITY),
        _ => None,
    })
}
