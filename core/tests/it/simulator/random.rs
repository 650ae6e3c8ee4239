//! Random networks under random faults, each from a seed.

use cuttlefish_core::data::augmentation::Elastic;
use cuttlefish_core::data::{Augmentation, Feed};
use cuttlefish_core::math::conv::{Padding, PoolKind};
use cuttlefish_core::math::{Optimizer, Regularizer};
use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::topology::{EarlyStopping, Graph, Monitor};
use ndarray_rand::rand::rngs::SmallRng;
use ndarray_rand::rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::world::{Fate, RunCounts, RunEnd, StoreFate, World};
use crate::support::{
    Case, Conv, byte_noise, classifier, conv1d, convolutional, noise, normalize, sequential,
};

/// Seeds of the big run.
const SEEDS: u64 = 10_000;

/// Effects after which the faults stop, so that even a run that is killed all the time ends.
const TROUBLED_EFFECTS: u64 = 500;

/// Things go wrong at random, until they stop.
struct RandomFate {
    rng: SmallRng,
    effects: u64,
    /// Effects after which it stops.
    until: u64,
    kill: f64,
    lose: f64,
    repeat: f64,
    zombie: f64,
    break_store: f64,
    slow_store: f64,
    impatient: f64,
    stop: f64,
}

impl RandomFate {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        Self {
            effects: 0,
            until: TROUBLED_EFFECTS,
            kill: rng.random_range(0.02..0.2),
            lose: rng.random_range(0.0..0.03),
            repeat: rng.random_range(0.0..0.2),
            zombie: rng.random_range(0.0..0.5),
            break_store: rng.random_range(0.0..0.1),
            slow_store: rng.random_range(0.0..0.98),
            impatient: rng.random_range(0.0..0.01),
            stop: rng.random_range(0.0..0.01),
            rng,
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.effects < self.until && self.rng.random_bool(probability)
    }
}

impl Fate for RandomFate {
    fn pick(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    fn kills(&mut self, effect: u64) -> bool {
        self.effects = effect;
        self.happens(self.kill)
    }

    fn copies(&mut self, _n: u64, _envelope: &Envelope) -> usize {
        if self.happens(self.lose) {
            0
        } else if self.happens(self.repeat) {
            2
        } else {
            1
        }
    }

    fn store(&mut self, _n: u64) -> StoreFate {
        if !self.happens(self.break_store) {
            StoreFate::Done
        } else if self.rng.random_bool(0.5) {
            StoreFate::Unanswered
        } else {
            StoreFate::Lost
        }
    }

    fn delays_request(&mut self) -> bool {
        self.happens(self.slow_store)
    }

    fn passes_deadline(&mut self) -> bool {
        self.happens(self.impatient)
    }

    fn stops(&mut self) -> bool {
        self.happens(self.stop)
    }

    fn loses_inbox(&mut self) -> bool {
        self.happens(0.5)
    }

    fn leaves_zombie(&mut self) -> bool {
        self.happens(self.zombie)
    }

    fn feeds_zombie(&mut self) -> bool {
        self.happens(0.5)
    }
}

/// Nothing goes wrong, first come, first served.
pub struct CalmFate;

impl Fate for CalmFate {
    fn pick(&mut self, _n: usize) -> usize {
        0
    }

    fn kills(&mut self, _effect: u64) -> bool {
        false
    }
}

/// A random network of 1 to 3 layers with everything that training knows.
fn random_case(seed: u64) -> Case {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
    let layers = rng.random_range(1..=3);
    let widths: Vec<usize> = (0..=layers).map(|_| rng.random_range(1..=5)).collect();
    let mut widths = widths;
    widths[layers] = rng.random_range(2..=4);
    let mut graph = if rng.random_bool(0.3) {
        random_convolutions(seed, &mut rng, widths[layers])
    } else if rng.random_bool(0.15) {
        random_sequences(seed, &mut rng, widths[layers])
    } else {
        classifier(seed, &widths)
    };
    if rng.random_bool(0.3) {
        normalize(&mut graph, rng.random_range(0..20));
    }
    for layer in &mut graph.layers {
        if rng.random_bool(0.2) {
            layer.normalization = None;
        }
        layer.neurons_per_unit = rng.random_range(1..=layer.units);
        layer.use_bias = rng.random_bool(0.8);
        if rng.random_bool(0.3) {
            layer.kernel_regularizer = Regularizer {
                l1: 0.001,
                l2: 0.01,
            };
        }
    }
    if graph.layers.len() > 1 && rng.random_bool(0.5) {
        graph.layers[0].dropout = 0.4;
    }
    let training = &mut graph.training;
    training.epochs = rng.random_range(0..=3);
    training.batch_size = rng.random_range(1..=4);
    training.optimizer = match rng.random_range(0..4) {
        0 => training.optimizer,
        1 => Optimizer::Adagrad {
            learning_rate: 0.1,
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
        },
        2 => Optimizer::Rmsprop {
            learning_rate: 0.01,
            rho: 0.9,
            epsilon: 1e-7,
        },
        _ => Optimizer::Adam {
            learning_rate: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        },
    };
    let rows = [
        rng.random_range(1..=10),
        rng.random_range(0..=3),
        rng.random_range(0..=3),
    ];
    if rng.random_bool(0.3) && rows[1] > 0 {
        training.early_stopping = Some(EarlyStopping {
            monitor: Monitor::ValidationLoss,
            patience: 1,
            min_delta: 0.0,
        });
    }
    let noise = if rng.random_bool(0.5) {
        noise
    } else {
        byte_noise
    };
    let mut dataset = noise(seed, graph.inputs, widths[layers], rows);
    if rng.random_bool(0.3) {
        dataset.image = Some((1, graph.inputs));
        graph.training.augmentation = Some(Augmentation {
            shift: rng.random_range(0..=2),
            rotate: 30.0,
            elastic: rng.random_bool(0.5).then_some(Elastic {
                alpha: 2.0,
                sigma: 1.0,
            }),
        });
    }
    let mut case = Case::new(graph, dataset);
    if rng.random_bool(0.5) {
        case = case.lean();
    }
    if rng.random_bool(0.5) {
        case = case.fed(Feed::Broadcast);
    }
    case
}

/// One or two convolutions of any geometry that fits a small image, with or without pools.
fn random_convolutions(seed: u64, rng: &mut SmallRng, classes: usize) -> Graph {
    let image = [rng.random_range(3..=5), rng.random_range(3..=5)];
    let convs: Vec<Conv> = (0..rng.random_range(1..=2))
        .map(|_| {
            let mut pair = |most: usize| [rng.random_range(1..=most), rng.random_range(1..=most)];
            // With `same` whatever is larger than the map fits as well.
            let (kernel, strides, pool, pool_strides) = (pair(3), pair(2), pair(3), pair(2));
            let kind = match rng.random_bool(0.5) {
                true => PoolKind::Max,
                false => PoolKind::Average,
            };
            let pool = (kind, pool, pool_strides, Padding::Same);
            Conv {
                strides,
                padding: Padding::Same,
                pool: rng.random_bool(0.5).then_some(pool),
                ..Conv::new(rng.random_range(1..=3), kernel)
            }
        })
        .collect();
    convolutional(seed, image, &convs, classes)
}

/// One or two convolutions over a few steps, with or without pools.
fn random_sequences(seed: u64, rng: &mut SmallRng, classes: usize) -> Graph {
    let [steps, channels] = [rng.random_range(2..=8), rng.random_range(1..=2)];
    let mut layers = vec![format!(
        "{{type: reshape, target_shape: [{steps}, {channels}]}}"
    )];
    if channels == 1 && rng.random_bool(0.5) {
        layers.clear();
    }
    for _ in 0..rng.random_range(1..=2) {
        let padding = ["same", "causal"][rng.random_range(0..2)];
        let mut up_to = |most: usize| rng.random_range(1..=most);
        layers.push(conv1d(&format!(
            "filters: {}, kernel_size: {}, strides: {}, padding: {padding}",
            up_to(3),
            up_to(3),
            up_to(2),
        )));
        let (size, kind) = (up_to(3), ["max", "average"][up_to(2) - 1]);
        if rng.random_bool(0.5) {
            let pool = format!("{{type: {kind}_pooling1d, pool_size: {size}, padding: same}}");
            layers.push(pool);
        }
    }
    sequential(seed, steps * channels, &layers, classes)
}

/// End of a case's network in whole layers, which read panels by themselves, with nothing going
/// wrong.
fn undisturbed(case: &Case) -> RunEnd {
    let (graph, dataset) = (case.graph.as_ref(), case.dataset.as_ref());
    let whole = Case::new(graph.clone(), dataset.clone()).grouped(usize::MAX);
    World::new(&whole, CalmFate)
        .run()
        .expect("an undisturbed run ends")
}

fn disturbed(case: &Case, seed: u64, breakage: Breakage) -> (Result<RunEnd, String>, RunCounts) {
    let mut fate = RandomFate::new(seed);
    if breakage == Breakage::Fence {
        // The fence matters when a write lands long after the timeline that sent it.
        (fate.kill, fate.lose, fate.break_store, fate.slow_store) = (0.03, 0.0, 0.0, 0.97);
    }
    let mut world = World::new(case, fate);
    world.store.without_fence = breakage == Breakage::Fence;
    world.in_arrival_order = breakage == Breakage::Order;
    let end = world.run();
    (end, world.statistics)
}

/// A rule that is broken on purpose, to see that the simulator can see.
#[derive(Clone, Copy, PartialEq)]
enum Breakage {
    None,
    Fence,
    Order,
}

#[test]
fn whatever_goes_wrong_the_bits_are_those_of_an_undisturbed_run() {
    let started = std::time::Instant::now();
    let [effects, kills, restarts] = (0..SEEDS)
        .into_par_iter()
        .map(|seed| {
            let case = random_case(seed);
            let (end, statistics) = disturbed(&case, seed, Breakage::None);
            match end {
                Ok(end) => assert!(
                    end == undisturbed(&case),
                    "seed {seed}: the run ended with other bits"
                ),
                Err(problem) => panic!("seed {seed}: {problem}"),
            }
            [statistics.effects, statistics.kills, statistics.restarts]
        })
        .reduce(|| [0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    println!(
        "{SEEDS} seeds, {effects} effects, {kills} kills (one per {:.1}), {restarts} stops, {:.1} s",
        effects as f64 / kills as f64,
        started.elapsed().as_secs_f64()
    );
    assert!(kills * 20 >= effects, "at least one kill per 20 effects");
    assert!(restarts > SEEDS / 10, "runs are stopped and started again");
}

/// Layers of a deep network: two neurons each.
const DEEP: usize = 150;

#[test]
fn a_network_of_many_layers_ends_with_the_bits_of_an_undisturbed_run() {
    let mut graph = classifier(7, &[2; DEEP + 1]);
    graph.training.epochs = 1;
    let case = Case::new(graph, noise(7, 2, 2, [4, 2, 2]));
    let expected = undisturbed(&case);
    let kills: u64 = (0..4)
        .into_par_iter()
        .map(|seed| {
            let mut fate = RandomFate::new(seed);
            // A tick has more than 1,000 effects here, and everybody boots again after each kill.
            (fate.kill, fate.until) = (0.0005, 20_000);
            let mut world = World::new(&case, fate);
            let end = world.run();
            assert!(
                end.as_ref() == Ok(&expected),
                "seed {seed}: {:?}",
                end.err()
            );
            world.statistics.kills
        })
        .sum();
    assert!(kills > 4, "somebody is killed: {kills}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..50 {
        let case = random_case(seed);
        let (one, first) = disturbed(&case, seed, Breakage::None);
        let (two, second) = disturbed(&case, seed, Breakage::None);
        assert_eq!(one, two);
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}

/// Number of the `seeds` runs that go wrong with a rule broken.
fn failures(seeds: u64, breakage: Breakage) -> usize {
    (0..seeds)
        .into_par_iter()
        .filter(|&seed| {
            let case = random_case(seed);
            disturbed(&case, seed, breakage).0 != Ok(undisturbed(&case))
        })
        .count()
}

#[test]
fn a_store_without_the_fence_is_caught() {
    let failures = failures(2_000, Breakage::Fence);
    println!("without the fence: {failures} of 2000 seeds go wrong");
    assert!(failures > 0);
}

#[test]
fn sums_in_arrival_order_are_caught() {
    let failures = failures(500, Breakage::Order);
    println!("in arrival order: {failures} of 500 seeds go wrong");
    assert!(failures > 100);
}
