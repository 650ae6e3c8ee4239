//! The reference's gradients against finite differences, for every activation and loss.

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::math::{Activation, Regularizer};
use cuttlefish_core::topology::Graph;

use super::plain::Plain;
use crate::support::{
    Case, HEADS, classifier, convolutional, convolutions, noise, normalize, sequences, sequential,
};

/// Largest difference between the gradient and (f(w + h) - f(w - h)) / 2h, relative to the
/// largest component.
fn worst_difference(graph: Graph) -> f64 {
    let classes = graph.outputs().max(2);
    let dataset = noise(5, graph.inputs, classes, [6, 0, 0]);
    let case = Case::new(graph, dataset);
    let mut plain = Plain::new(&case.graph);
    let batch = BatchRef {
        part: Part::Train,
        epoch: 1,
        index: 0,
        rows: 5,
    };
    let (x, y) = Plain::batch(&case, batch);
    let gradient = plain.gradient(&x, &y, Some(1));
    let largest = gradient
        .iter()
        .flatten()
        .flatten()
        .fold(0.0f64, |m, g| m.max(g.abs()));
    let h = 1e-6;
    let mut worst = 0.0f64;
    for l in 0..gradient.len() {
        for n in 0..gradient[l].len() {
            let layer = &case.graph.layers[l];
            for i in (0..layer.optimized_numbers()).filter(|&i| layer.use_bias || i != layer.fan_in)
            {
                let w = plain.weights[l][n][i];
                plain.weights[l][n][i] = w + h;
                let above = plain.objective(&x, &y, Some(1));
                plain.weights[l][n][i] = w - h;
                let below = plain.objective(&x, &y, Some(1));
                plain.weights[l][n][i] = w;
                let difference = (above - below) / (2.0 * h) - gradient[l][n][i];
                worst = worst.max(difference.abs() / largest);
            }
        }
    }
    worst
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for activation in Activation::ALL {
        for (loss, head) in HEADS {
            let mut graph = classifier(11, &[4, 6, 5, 3]);
            (graph.loss, graph.head) = (loss, head);
            graph.training.batch_size = 5;
            for layer in &mut graph.layers[..2] {
                layer.activation = activation;
                layer.kernel_regularizer = Regularizer { l1: 0.01, l2: 0.02 };
            }
            graph.layers[0].dropout = 0.3;
            let worst = worst_difference(graph);
            assert!(
                worst < 1e-7,
                "{activation:?}, {loss:?}, {head:?}: {worst:e}"
            );
        }
    }
}

#[test]
fn gradients_of_convolutions_are_those_of_finite_differences() {
    for (number, convs) in convolutions().iter().enumerate() {
        let mut graph = convolutional(11, [7, 6], convs, 3);
        graph.training.batch_size = 5;
        graph.layers[0].kernel_regularizer = Regularizer { l1: 0.01, l2: 0.02 };
        graph.layers[0].dropout = 0.3;
        let worst = worst_difference(graph);
        assert!(worst < 1e-7, "number {number}: {worst:e}");
    }
}

#[test]
fn gradients_of_convolutions_over_steps_are_those_of_finite_differences() {
    for (number, convs) in sequences().iter().enumerate() {
        let mut graph = sequential(11, 12, convs, 3);
        graph.training.batch_size = 5;
        graph.layers[0].kernel_regularizer = Regularizer { l1: 0.01, l2: 0.02 };
        graph.layers[0].dropout = 0.3;
        let worst = worst_difference(graph);
        assert!(worst < 1e-7, "number {number}: {worst:e}");
    }
}

#[test]
fn gradients_of_normalizations_are_those_of_finite_differences() {
    let convolutions = convolutions();
    // Number 2 has a pool: normalized before it, and behind it.
    for (number, turn) in [(0, 0), (1, 1), (2, 2), (2, 3), (4, 4)] {
        let mut graph = convolutional(11, [7, 6], &convolutions[number], 3);
        graph.training.batch_size = 5;
        graph.layers[0].dropout = 0.3;
        normalize(&mut graph, turn);
        let worst = worst_difference(graph);
        assert!(worst < 1e-6, "number {number}, {turn}: {worst:e}");
    }
}
