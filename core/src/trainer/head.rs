//! The loss: from the last layer's outputs to dLoss/d(output), and the metrics on the way.

use ndarray::{Array2, ArrayView1};

use crate::data::{TargetScale, Targets};
use crate::math::Loss;
use crate::math::activation::sigmoid;
use crate::protocol::metrics::{Tally, TaskTally};
use crate::topology::Head;

/// Answers of the network, `[outputs, rows]`, from the last layer's outputs, in place.
pub fn answer(head: Head, outputs: &mut Array2<f32>) {
    match head {
        Head::Identity => {}
        Head::Sigmoid => outputs.map_inplace(|z| *z = sigmoid(*z)),
        Head::Softmax => {
            for mut column in outputs.columns_mut() {
                let max = column.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                column.map_inplace(|z| *z = libm::expf(*z - max));
                let sum = column.iter().fold(0.0, |sum, p| sum + p);
                column.map_inplace(|p| *p /= sum);
            }
        }
    }
}

/// Adds the rows of a batch to `tally`, and returns dLoss/d(output) `[outputs, rows]`, where the
/// outputs are what the last layer sent: logits under [`Head::Softmax`] and [`Head::Sigmoid`].
///
/// The gradient is that of the loss of what is learned, the mean over the rows of the batch; what is tallied is in
/// the unit of the target, which `scale` leads to.
pub fn loss_and_gradient(
    loss: Loss,
    head: Head,
    scale: TargetScale,
    outputs: &Array2<f32>,
    targets: &Targets,
    tally: &mut Tally,
) -> Array2<f32> {
    let mut gradient = outputs.clone();
    answer(head, &mut gradient);
    let (n_outputs, rows) = outputs.dim();
    let per_row = 1.0 / rows.max(1) as f32;
    let loss_factor = scale.loss_factor(loss);
    for row in 0..rows {
        let mut answers = gradient.column_mut(row);
        count(tally, targets, row, answers.view(), scale);
        let right = |output: usize| target(targets, row, output, n_outputs, scale);
        let mut row_loss = 0.0f64;
        match (loss, head) {
            (Loss::MeanSquaredError, _) => {
                let slope_scale = 2.0 / n_outputs as f32 * per_row;
                let mut along = 0.0f32;
                for output in 0..n_outputs {
                    let difference = answers[output] - right(output);
                    row_loss += f64::from(difference * difference) / n_outputs as f64;
                    along += answers[output] * (slope_scale * difference);
                }
                for output in 0..n_outputs {
                    let p = answers[output];
                    let slope = slope_scale * (p - right(output));
                    answers[output] = match head {
                        Head::Identity => slope,
                        Head::Sigmoid => slope * (p * (1.0 - p)),
                        // The Jacobian of softmax: p_i (g_i - sum_j p_j g_j).
                        Head::Softmax => p * (slope - along),
                    };
                }
            }
            // The checks of the topology allow it with the sigmoid head only.
            (Loss::BinaryCrossentropy, _) => {
                let slope_scale = per_row / n_outputs as f32;
                for output in 0..n_outputs {
                    let (z, y) = (outputs[[output, row]], right(output));
                    // -(y ln p + (1 - y) ln(1 - p)) for p = sigmoid(z), without overflow.
                    let softplus = libm::log1pf(libm::expf(-z.abs())) + z.max(0.0);
                    row_loss += f64::from(softplus - y * z) / n_outputs as f64;
                    answers[output] = slope_scale * (answers[output] - y);
                }
            }
            (Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy, _) => {
                for output in 0..n_outputs {
                    let (p, y) = (answers[output], right(output));
                    if y > 0.0 {
                        row_loss -= f64::from(y * log_softmax(outputs, row, output));
                    }
                    answers[output] = per_row * (p - y);
                }
            }
        }
        tally.loss += row_loss * loss_factor;
        tally.rows += 1;
    }
    gradient
}

/// ln(exp(z_i) / sum_j exp(z_j)), without overflow.
fn log_softmax(outputs: &Array2<f32>, row: usize, output: usize) -> f32 {
    let column = outputs.column(row);
    let max = column.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum = column.iter().fold(0.0, |sum, z| sum + libm::expf(z - max));
    column[output] - max - libm::logf(sum)
}

/// Target of output `output` as it is learned: one-hot for classes (the class itself for a single output).
fn target(
    targets: &Targets,
    row: usize,
    output: usize,
    n_outputs: usize,
    scale: TargetScale,
) -> f32 {
    match targets {
        Targets::Classes(classes) if n_outputs == 1 => classes[row] as f32,
        Targets::Classes(classes) => f32::from(u8::from(classes[row] as usize == output)),
        Targets::Values(values) => scale.learned(values[row]),
    }
}

/// The class that a row is answered with: the most probable one, the first of equals.
pub fn answered_class(answers: impl ExactSizeIterator<Item = f32>) -> usize {
    if answers.len() == 1 {
        return usize::from(answers.into_iter().any(|p| p > 0.5));
    }
    let mut best = (0, f32::NEG_INFINITY);
    for (class, p) in answers.enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    best.0
}

fn count(
    tally: &mut Tally,
    targets: &Targets,
    row: usize,
    answers: ArrayView1<'_, f32>,
    scale: TargetScale,
) {
    match (&mut tally.task, targets) {
        (TaskTally::Classification { correct, confusion }, Targets::Classes(classes)) => {
            let right = classes[row] as usize;
            let answered = answered_class(answers.iter().copied());
            *correct += u64::from(answered == right);
            let n_classes = confusion.len().isqrt();
            if n_classes > 0 {
                confusion[right * n_classes + answered] += 1;
            }
        }
        (task @ TaskTally::Regression { .. }, Targets::Values(values)) => {
            task.count_number(scale.in_units(answers[0]), f64::from(values[row]));
        }
        _ => {}
    }
}
