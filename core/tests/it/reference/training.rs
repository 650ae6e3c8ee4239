//! The weights after training: the same bits for every grouping, and the reference's numbers.

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::math::{Activation, Optimizer, Regularizer};
use cuttlefish_core::network::Network;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::Graph;

use super::plain::Plain;
use crate::simulator::random::CalmFate;
use crate::simulator::world::{RunEnd, World};
use crate::support::{
    Case, HEADS, classifier, convolutional, convolutions, noise, normalize, sequences, sequential,
};

fn optimizers() -> Vec<Optimizer> {
    let sgd = |momentum, nesterov| Optimizer::Sgd {
        learning_rate: 0.1,
        momentum,
        nesterov,
    };
    vec![
        sgd(0.0, false),
        sgd(0.9, false),
        sgd(0.9, true),
        Optimizer::Adagrad {
            learning_rate: 0.05,
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
        },
        Optimizer::Rmsprop {
            learning_rate: 0.01,
            rho: 0.9,
            epsilon: 1e-7,
        },
        Optimizer::Adam {
            learning_rate: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        },
    ]
}

fn case(graph: Graph) -> Case {
    let dataset = noise(2, graph.inputs, graph.outputs().max(2), [50, 3, 5]);
    Case::new(graph, dataset)
}

/// Evaluation takes the moving averages, which training has moved.
#[test]
fn a_normalized_network_evaluates_as_the_reference() {
    let mut graph = convolutional(7, [7, 6], &convolutions()[3], 4);
    graph.training.batch_size = 17;
    normalize(&mut graph, 0);
    let case = case(graph);
    let RunEnd { weights, progress } = end(&case);
    let mut states = weights.into_iter();
    let layers = case.graph.layers.iter();
    let states: Vec<Vec<NeuronState>> = layers
        .map(|layer| states.by_ref().take(layer.units).collect())
        .collect();
    let network = Network::restore(&case.graph, &states).unwrap();
    let task = &case.dataset.task;
    let ours = network.evaluate(&*case.batches, Part::Test, task).unwrap();
    assert_eq!(
        progress.test.as_ref(),
        Some(&ours),
        "the units say the same"
    );
    let batch = BatchRef {
        part: Part::Test,
        epoch: 1,
        index: 0,
        rows: 5,
    };
    let (x, y) = Plain::batch(&case, batch);
    let theirs = Plain::train(&case).objective(&x, &y, None);
    assert!((ours.loss - theirs).abs() < 1e-5, "{} {theirs}", ours.loss);
}

fn trained(case: &Case) -> Vec<NeuronState> {
    end(case).weights
}

fn end(case: &Case) -> RunEnd {
    World::new(case, CalmFate).run().expect("a calm run ends")
}

/// Largest difference to the reference, relative to the largest weight of the neuron.
fn difference(weights: &[NeuronState], plain: &Plain) -> f64 {
    let reference = plain.weights.iter().flatten();
    let mut worst = 0.0f64;
    for (state, reference) in weights.iter().zip(reference) {
        let largest = reference.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        for (&w, r) in state.weights.iter().zip(reference) {
            worst = worst.max((f64::from(w) - r).abs() / largest);
        }
    }
    worst
}

#[test]
fn every_grouping_has_the_same_bits_and_the_numbers_of_the_reference() {
    for widths in [&[20, 9, 4][..], &[20, 9, 7, 4], &[20, 9, 8, 7, 4]] {
        for optimizer in optimizers() {
            let mut graph = classifier(7, widths);
            graph.training.optimizer = optimizer;
            graph.training.batch_size = 16;
            graph.training.epochs = 3;
            graph.layers[0].dropout = 0.25;
            graph.layers[1].kernel_regularizer = Regularizer { l1: 1e-4, l2: 1e-3 };
            let case = case(graph);
            let whole = trained(&case.grouped(usize::MAX));
            assert_eq!(
                whole,
                trained(&case.grouped(1)),
                "one neuron a unit, {optimizer:?}"
            );
            assert_eq!(
                whole,
                trained(&case.grouped(3)),
                "three neurons a unit, {optimizer:?}"
            );
            let worst = difference(&whole, &Plain::train(&case));
            assert!(worst < 1e-5, "{widths:?}, {optimizer:?}: {worst:e}");
        }
    }
}

#[test]
fn every_activation_and_loss_trains_as_the_reference() {
    for activation in Activation::ALL {
        for (loss, head) in HEADS {
            let mut graph = classifier(5, &[6, 8, 3]);
            (graph.loss, graph.head) = (loss, head);
            graph.layers[0].activation = activation;
            graph.training.batch_size = 8;
            graph.training.optimizer = optimizers()[1];
            let case = case(graph);
            let worst = difference(&trained(&case), &Plain::train(&case));
            assert!(
                worst < 1e-5,
                "{activation:?}, {loss:?}, {head:?}: {worst:e}"
            );
        }
    }
}

#[test]
fn convolutions_have_the_same_bits_in_every_grouping_and_the_numbers_of_the_reference() {
    for (number, convs) in convolutions().iter().enumerate() {
        let mut graph = convolutional(7, [7, 6], convs, 4);
        graph.training.batch_size = 17;
        graph.training.optimizer = optimizers()[number % optimizers().len()];
        graph.layers[0].dropout = 0.25;
        graph.layers[0].kernel_regularizer = Regularizer { l1: 1e-4, l2: 1e-3 };
        let case = case(graph);
        let whole = trained(&case.grouped(usize::MAX));
        for units in [1, 3] {
            assert_eq!(whole, trained(&case.grouped(units)), "number {number}");
        }
        let worst = difference(&whole, &Plain::train(&case));
        assert!(worst < 1e-5, "number {number}: {worst:e}");
    }
}

#[test]
fn convolutions_over_steps_have_the_same_bits_in_every_grouping_and_the_numbers_of_the_reference() {
    for (number, convs) in sequences().iter().enumerate() {
        let mut graph = sequential(7, 12, convs, 4);
        graph.training.batch_size = 17;
        graph.training.optimizer = optimizers()[number];
        graph.layers[0].dropout = 0.25;
        graph.layers[0].kernel_regularizer = Regularizer { l1: 1e-4, l2: 1e-3 };
        if number % 2 == 1 {
            normalize(&mut graph, number);
        }
        let case = case(graph);
        let whole = trained(&case.grouped(usize::MAX));
        for units in [1, 3] {
            assert_eq!(whole, trained(&case.grouped(units)), "number {number}");
        }
        let worst = difference(&whole, &Plain::train(&case));
        assert!(worst < 1e-5, "number {number}: {worst:e}");
    }
}

#[test]
fn normalizations_have_the_same_bits_in_every_grouping_and_the_numbers_of_the_reference() {
    for (number, convs) in convolutions().iter().enumerate() {
        let mut graph = convolutional(7, [7, 6], convs, 4);
        graph.training.batch_size = 17;
        graph.training.optimizer = optimizers()[number % optimizers().len()];
        graph.layers[0].dropout = 0.25;
        graph.layers[0].use_bias = false;
        normalize(&mut graph, number);
        if let Some(normalization) = &mut graph.layers[0].normalization {
            normalization.scale = number != 1;
            normalization.center = number != 2;
        }
        let case = case(graph);
        let whole = trained(&case.grouped(usize::MAX));
        for units in [1, 3] {
            assert_eq!(whole, trained(&case.grouped(units)), "number {number}");
        }
        let worst = difference(&whole, &Plain::train(&case));
        assert!(worst < 1e-5, "number {number}: {worst:e}");
    }
}
