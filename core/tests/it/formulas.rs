//! Numbers that a person can check by hand: schedules, initial weights, dropout, metrics, splits,
//! traffic.

use std::collections::BTreeMap;

use cuttlefish_core::data::{Feed, Split, TargetScale, Targets, Task};
use cuttlefish_core::ids::Tick;
use cuttlefish_core::math::{Initializer, Loss, Schedule, dropout};
use cuttlefish_core::protocol::metrics::{TaskTally, class_metrics};
use cuttlefish_core::protocol::{Envelope, Message, Progress, Tally, codec};
use cuttlefish_core::topology::traffic::TrafficKind;
use cuttlefish_core::topology::{DataShape, EarlyStopping, Head, Monitor, Plan};
use cuttlefish_core::trainer::head::loss_and_gradient;

use crate::simulator::random::CalmFate;
use crate::simulator::world::{Fate, World};
use crate::support::{Case, byte_noise, classifier, noise};

/// Rates at some steps, with 10 steps an epoch and 4 epochs.
fn rates<const N: usize>(schedule: Schedule, warmup: f32, steps: [u64; N]) -> [f32; N] {
    steps.map(|step| schedule.learning_rate(0.8, step, 10, 4, warmup))
}

fn close(actual: &[f32], expected: &[f32]) {
    for (f, w) in actual.iter().zip(expected) {
        assert!((f - w).abs() < 1e-6, "{actual:?} instead of {expected:?}");
    }
}

#[test]
fn schedules_give_the_rates_of_their_formulas() {
    close(&rates(Schedule::Constant, 0.0, [1, 40]), &[0.8, 0.8]);
    let step = Schedule::Step {
        every_epochs: 2,
        factor: 0.5,
    };
    // The rate drops with the first step of the third epoch.
    close(
        &rates(step, 0.0, [1, 20, 21, 40, 41]),
        &[0.8, 0.8, 0.4, 0.4, 0.2],
    );
    let exponential = Schedule::Exponential {
        decay_rate: 0.25,
        decay_epochs: 1,
    };
    close(
        &rates(exponential, 0.0, [1, 6, 11, 21]),
        &[0.8, 0.4, 0.2, 0.05],
    );
    let cosine = Schedule::Cosine { alpha: 0.5 };
    // Half a cosine over 40 steps, from 1 to alpha.
    close(&rates(cosine, 0.0, [1, 21, 41, 99]), &[0.8, 0.6, 0.4, 0.4]);
    // 1.5 epochs of warm-up are 15 steps.
    close(
        &rates(Schedule::Constant, 1.5, [3, 15, 16]),
        &[0.16, 0.8, 0.8],
    );
}

#[test]
fn initial_weights_have_the_spread_of_their_names() {
    let (fan_in, fan_out) = (200, 50);
    let both = (fan_in + fan_out) as f32;
    let cases = [
        (Initializer::GlorotUniform, 2.0 / both, true),
        (Initializer::GlorotNormal, 2.0 / both, false),
        (Initializer::HeUniform, 2.0 / fan_in as f32, true),
        (Initializer::HeNormal, 2.0 / fan_in as f32, false),
        (Initializer::LecunUniform, 1.0 / fan_in as f32, true),
        (Initializer::LecunNormal, 1.0 / fan_in as f32, false),
    ];
    for (initializer, variance, is_uniform) in cases {
        let weights: Vec<f32> = (0..500)
            .flat_map(|neuron| initializer.weights(1, 0, neuron, fan_in, fan_out))
            .collect();
        let n = weights.len() as f32;
        let mean = weights.iter().sum::<f32>() / n;
        let sample_variance = weights.iter().map(|w| (w - mean) * (w - mean)).sum::<f32>() / n;
        assert!(
            mean.abs() < 0.01 * variance.sqrt(),
            "{initializer:?}: mean {mean}"
        );
        assert!(
            (sample_variance / variance - 1.0).abs() < 0.02,
            "{initializer:?}: {sample_variance}, not {variance}"
        );
        // Uniform ends at sqrt(3 variance), the normal is cut at two deviations of the uncut one.
        let end = if is_uniform {
            (3.0 * variance).sqrt()
        } else {
            2.0 * variance.sqrt() / 0.879_625_7
        };
        let largest = weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        assert!(
            largest <= end * 1.000_01 && largest > 0.98 * end,
            "{initializer:?}: {largest}"
        );
    }
    assert!(
        Initializer::Zeros
            .weights(1, 0, 0, 9, 9)
            .iter()
            .all(|&w| w == 0.0)
    );
    assert!(
        Initializer::Ones
            .weights(1, 0, 0, 9, 9)
            .iter()
            .all(|&w| w == 1.0)
    );
    let of = |seed, layer, neuron| Initializer::HeNormal.weights(seed, layer, neuron, 20, 5);
    assert_eq!(of(1, 2, 3), of(1, 2, 3));
    for other in [of(2, 2, 3), of(1, 3, 3), of(1, 2, 4)] {
        assert_ne!(of(1, 2, 3), other, "each neuron has a stream of its own");
    }
}

#[test]
fn dropout_keeps_its_share_and_its_mean() {
    let masked = |step| {
        let mut values = vec![1.0f32; 100_000];
        dropout::mask(1, step, 0, 0, 0.3, &mut values);
        values
    };
    let values = masked(1);
    let dropped = values.iter().filter(|&&v| v == 0.0).count() as f32 / 1e5;
    assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
    assert!(values.iter().all(|&v| v == 0.0 || v == 1.0 / 0.7));
    assert_ne!(masked(1), masked(2), "each step has a mask of its own");
    let mut untouched = [1.5f32];
    dropout::mask(1, 1, 0, 0, 0.0, &mut untouched);
    assert_eq!(untouched, [1.5]);
}

#[test]
fn metrics_are_those_of_their_definitions() {
    let confusion = vec![vec![3, 1, 0], vec![0, 2, 0], vec![0, 0, 0]];
    let classes = class_metrics(&confusion);
    assert_eq!(
        (classes[0].precision, classes[0].recall, classes[0].support),
        (Some(1.0), Some(0.75), 4)
    );
    assert_eq!(
        (classes[1].precision, classes[1].recall),
        (Some(2.0 / 3.0), Some(1.0))
    );
    assert_eq!(
        (classes[2].precision, classes[2].recall, classes[2].support),
        (None, None, 0)
    );

    // Right answers 1, 2, 6 and answers 2, 2, 4.
    let tally = Tally {
        rows: 3,
        loss: 5.0,
        task: TaskTally::Regression {
            squared_error: 1.0 + 0.0 + 4.0,
            absolute_error: 1.0 + 0.0 + 2.0,
            // Less the first one: 0, 1, 5.
            origin: Some(1.0),
            sum: 6.0,
            sum_of_squares: 0.0 + 1.0 + 25.0,
        },
    };
    let evaluation = tally.evaluation().unwrap();
    assert_eq!(
        (evaluation.mse, evaluation.mae),
        (Some(5.0 / 3.0), Some(1.0))
    );
    assert!((evaluation.r2.unwrap() - (1.0 - 5.0 / 14.0)).abs() < 1e-12);
    let task = Task::Regression {
        target_name: String::new(),
        targets: Vec::new(),
    };
    assert_eq!(Tally::new(&task).evaluation(), None);
}

#[test]
fn a_constant_target_has_no_r2_and_a_distant_one_keeps_its_digits() {
    let task = Task::Regression {
        target_name: String::new(),
        targets: Vec::new(),
    };
    let r2 = |right: &[f32], answers: &[f32]| {
        let mut tally = Tally::new(&task);
        let outputs = ndarray::Array2::from_shape_vec((1, right.len()), answers.to_vec()).unwrap();
        let targets = Targets::Values(right.to_vec());
        let loss = Loss::MeanSquaredError;
        let scale = TargetScale::IDENTITY;
        loss_and_gradient(loss, Head::Identity, scale, &outputs, &targets, &mut tally);
        tally.evaluation().unwrap().r2
    };
    // Sums of squares of some of these round up and of others down: none may leave a spread.
    for right in [0.1, 0.7, 7.7, 33.3, 123.456, 9_876.543, 1e6 + 0.1] {
        for rows in [3, 100, 3000] {
            assert_eq!(
                r2(&vec![right; rows], &vec![right + 1.0; rows]),
                None,
                "{right}"
            );
        }
    }
    let distant: Vec<f32> = (0..100).map(|i| 1e6 + i as f32).collect();
    let shifted: Vec<f32> = distant.iter().map(|y| y + 1.0).collect();
    // The variance of 0..100 is 833.25.
    let score = r2(&distant, &shifted).unwrap();
    assert!((score - (1.0 - 1.0 / 833.25)).abs() < 1e-9, "{score}");
}

#[test]
fn splits_have_every_row_once() {
    for split in [
        Split::fixed(1000, 0.2, 0.1),
        Split::with_test_set(800, 200, 0.1),
    ] {
        let parts = [&split.train, &split.validation, &split.test];
        assert_eq!(parts.map(Vec::len), [720, 80, 200]);
        let mut all: Vec<u32> = parts.into_iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<u32>>());
    }
    let fixed = Split::fixed(1000, 0.2, 0.1);
    assert!(
        fixed.validation.windows(2).any(|w| w[1] - w[0] > 1),
        "spread over the file"
    );
    assert_eq!(fixed, Split::fixed(1000, 0.2, 0.1));
}

/// Counts the deliveries of the second tick and their bytes, by the word for their kind. What begins
/// the first one is a message of its own.
#[derive(Default)]
struct CountingFate(BTreeMap<&'static str, (u64, u64)>);

impl Fate for CountingFate {
    fn pick(&mut self, _n: usize) -> usize {
        0
    }

    fn kills(&mut self, _effect: u64) -> bool {
        false
    }

    fn copies(&mut self, _n: u64, envelope: &Envelope) -> usize {
        let (tick, kind) = match &envelope.message {
            Message::Forward { header, .. } => (header.tick, TrafficKind::Forward),
            Message::Activation { header, .. } => (header.tick, TrafficKind::Activation),
            Message::Backward { tick, .. } => (*tick, TrafficKind::Backward),
            Message::Contribution { tick, .. } => (*tick, TrafficKind::Contribution),
            Message::Propagated { tick, .. } => (*tick, TrafficKind::Propagated),
            _ => return 1,
        };
        if tick == Tick(2) {
            let (deliveries, bytes) = self.0.entry(kind.word()).or_default();
            *deliveries += 1;
            *bytes += codec::encoded_len(envelope) as u64;
        }
        1
    }
}

#[test]
fn a_plan_counts_the_bytes_that_the_codec_writes() {
    for noise in [noise, byte_noise] {
        let graph = classifier(1, &[7, 5, 4, 3]);
        let case = Case::new(graph, noise(1, 7, 3, [6, 0, 0])).lean();
        for (neurons, feed) in [1, 2, 5]
            .into_iter()
            .flat_map(|neurons| [Feed::Reference, Feed::Broadcast].map(|feed| (neurons, feed)))
        {
            let case = case.grouped(neurons).fed(feed);
            let mut world = World::new(&case, CountingFate::default());
            world.run().expect("a calm run ends");
            let shape = DataShape::from(&*case.dataset);
            let plan = Plan::new(&case.graph, &shape, true, feed);
            let mut planned = BTreeMap::new();
            for of in &plan.traffic {
                let (deliveries, bytes) = planned.entry(of.kind.word()).or_insert((0, 0));
                *deliveries += of.deliveries;
                *bytes += of.wire_bytes;
            }
            assert_eq!(world.fate.0, planned, "{neurons} neurons a unit, {feed:?}");
        }
    }
}

#[test]
fn early_stopping_ends_after_its_patience() {
    let mut graph = classifier(1, &[3, 4, 2]);
    graph.training.epochs = 100;
    let stopping = |min_delta| EarlyStopping {
        monitor: Monitor::ValidationLoss,
        patience: 3,
        min_delta,
    };
    let end = |graph| {
        let case = Case::new(graph, noise(1, 3, 2, [20, 10, 5]));
        World::new(&case, CalmFate)
            .run()
            .expect("a calm run ends")
            .progress
    };
    graph.training.early_stopping = Some(stopping(0.0));
    let progress: Progress = end(graph.clone());
    assert!(progress.stopped_early && progress.finished && progress.test.is_some());
    let losses: Vec<f64> = progress
        .history
        .iter()
        .map(|epoch| epoch.validation.as_ref().unwrap().loss)
        .collect();
    let best = (0..losses.len())
        .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
        .unwrap();
    assert_eq!(losses.len() - 1 - best, 3, "{losses:?}");
    // No improvement is large enough for this one: the first epoch, and then its patience.
    graph.training.early_stopping = Some(stopping(1e9));
    assert_eq!(end(graph).history.len(), 4);
}
