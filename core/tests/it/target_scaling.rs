//! Targets that are numbers: the network learns them scaled, and people get their units.

use std::sync::Arc;

use cuttlefish_core::data::{
    BatchRef, BatchSource, Dataset, Part, TargetScale, TargetScaling, TargetStatistics, Task,
};
use cuttlefish_core::math::{Activation, Loss, Optimizer};
use cuttlefish_core::network::{Network, digest};
use cuttlefish_core::protocol::Evaluation;
use cuttlefish_core::topology::Head;

use crate::simulator::random::CalmFate;
use crate::simulator::world::{RunEnd, World};
use crate::support::{Case, classifier, noise};

/// House prices: 3 features, and a target that follows from two of them.
fn houses() -> Dataset {
    let dataset = noise(5, 3, 2, [24, 6, 6]);
    let cuttlefish_core::data::Values::Floats(values) = &dataset.values else {
        panic!("noise is of numbers");
    };
    let price = |row: &[f32]| 180_000.0 + 70_000.0 * row[0] - 30_000.0 * row[2];
    let targets = values.chunks(3).map(price).collect();
    let target_name = "price".to_owned();
    let task = Task::Regression {
        target_name,
        targets,
    };
    Dataset { task, ..dataset }
}

fn targets(dataset: &Dataset) -> &[f32] {
    match &dataset.task {
        Task::Regression { targets, .. } => targets,
        Task::Classification { .. } => panic!("expected numbers"),
    }
}

fn case(dataset: Dataset, target_scale: TargetScale) -> Case {
    let mut graph = classifier(3, &[3, 4, 1]);
    (graph.loss, graph.head) = (Loss::MeanSquaredError, Head::Identity);
    graph.training.epochs = 20;
    graph.training.optimizer = Optimizer::Sgd {
        learning_rate: 0.05,
        momentum: 0.0,
        nesterov: false,
    };
    graph.target_scale = target_scale;
    Case::new(graph, dataset)
}

fn train(case: &Case) -> RunEnd {
    World::new(case, CalmFate).run().expect("a calm run ends")
}

fn standard(dataset: &Dataset) -> TargetScale {
    let statistics = TargetStatistics::of(targets(dataset), &dataset.split.train);
    TargetScaling::Standard.fit(&statistics.expect("there are rows"))
}

#[test]
fn a_scaling_is_fitted_on_the_training_rows() {
    let targets = [1.0, 5.0, 3.0, 1e30, -1e30];
    let statistics = TargetStatistics::of(&targets, &[0, 1, 2]).unwrap();
    let deviation = (8.0f64 / 3.0).sqrt();
    assert_eq!(
        statistics,
        TargetStatistics {
            mean: 3.0,
            deviation,
            min: 1.0,
            max: 5.0
        }
    );
    assert_eq!(TargetStatistics::of(&targets, &[]), None);
    let scale = TargetScaling::Standard.fit(&statistics);
    assert_eq!((scale.offset, scale.scale), (3.0, deviation));
    let scale = TargetScaling::MinMax.fit(&statistics);
    assert_eq!([1.0, 5.0, 2.0].map(|y| scale.learned(y)), [0.0, 1.0, 0.25]);
    assert_eq!([0.0, 1.0, 0.25].map(|y| scale.in_units(y)), [1.0, 5.0, 2.0]);
    assert!(TargetScaling::None.fit(&statistics).is_identity());
    // Nothing to divide by.
    let same = TargetStatistics::of(&[7.0; 5], &[0, 1, 2]).unwrap();
    for scaling in [TargetScaling::Standard, TargetScaling::MinMax] {
        assert_eq!(scaling.fit(&same).learned(7.5), 0.5);
    }
}

#[test]
fn every_activation_of_an_output_layer_has_a_scaling_that_it_can_answer() {
    for activation in Activation::ALL {
        let mut answers = [-1e3, 1e3];
        activation.apply(&mut answers);
        let is_bounded = answers[0] > -10.0 || answers[1] < 10.0;
        let scaling = TargetScaling::usual(activation);
        // The sums of softmax are passed on by the layer itself.
        let is_min_max = is_bounded || activation == Activation::Softmax;
        assert_eq!(
            scaling == TargetScaling::MinMax,
            is_min_max,
            "{activation:?}"
        );
    }
}

#[test]
fn a_scaled_target_gives_the_bits_of_one_that_was_scaled_before() {
    let dataset = houses();
    let scale = standard(&dataset);
    let mut scaled = dataset.clone();
    scaled.task = Task::Regression {
        target_name: String::new(),
        targets: targets(&dataset)
            .iter()
            .map(|&y| scale.learned(y))
            .collect(),
    };
    let inside = train(&case(dataset, scale));
    let before = train(&case(scaled, TargetScale::IDENTITY));
    assert_eq!(digest(&inside.weights), digest(&before.weights));
    // And people see the target's unit.
    let square = scale.scale * scale.scale;
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-5, "{a} instead of {b}");
    let check = |inside: &Evaluation, before: &Evaluation| {
        close(inside.loss, before.loss * square);
        close(inside.loss, inside.mse.unwrap());
        close(inside.mse.unwrap(), before.mse.unwrap() * square);
        close(inside.mae.unwrap(), before.mae.unwrap() * scale.scale);
        close(inside.r2.unwrap(), before.r2.unwrap());
    };
    for (inside, before) in inside.progress.history.iter().zip(&before.progress.history) {
        check(&inside.train, &before.train);
    }
    let tests = [inside, before].map(|end| end.progress.test.expect("there are test rows"));
    check(&tests[0], &tests[1]);
}

#[test]
fn large_targets_are_learned_and_answered_in_their_unit_by_any_grouping() {
    let dataset = houses();
    let unscaled = case(dataset.clone(), TargetScale::IDENTITY);
    let learned = |end: &RunEnd| end.progress.test.as_ref().and_then(|test| test.r2) > Some(0.8);
    let as_they_are = World::new(&unscaled, CalmFate).run();
    assert!(
        !as_they_are.is_ok_and(|end| learned(&end)),
        "nothing to show"
    );
    let case = case(dataset.clone(), standard(&dataset));
    let end = train(&case);
    assert!(learned(&end), "{:?}", end.progress.test);
    for neurons in [2, 4] {
        assert!(
            train(&case.grouped(neurons)) == end,
            "{neurons} neurons a unit"
        );
    }
    let (first, last) = end.weights.split_at(4);
    let network = Network::restore(&case.graph, &[first.to_vec(), last.to_vec()]).unwrap();
    let batches: Arc<dyn BatchSource> = case.batches.clone();
    let test = BatchRef {
        part: Part::Test,
        epoch: 1,
        index: 0,
        rows: 2,
    };
    let answers = network.predict(&batches.inputs(test));
    let right = dataset.split.test[..2]
        .iter()
        .map(|&row| targets(&dataset)[row as usize]);
    for (answer, right) in answers.iter().zip(right) {
        assert!(
            (answer - right).abs() < 60_000.0,
            "{answer} instead of {right}"
        );
    }
    let evaluated = network.evaluate(&*batches, Part::Test, &dataset.task);
    assert_eq!(evaluated, end.progress.test);
}
