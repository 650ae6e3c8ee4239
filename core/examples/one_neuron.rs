//! What a container of few neurons computes in a tick, and how long it takes: the batch is gathered
//! from MNIST-sized noise, then forward pass, gradient and one step of SGD with momentum.
//!
//! `cargo run --release -p cuttlefish-core --example one_neuron [NEURONS] [panels]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuttlefish_core::data::{BatchRef, BatchSource, Batches, Dataset, Part, Split, Task, Values};
use cuttlefish_core::layers::{Dense, LayerKind};
use cuttlefish_core::math::stream::{Purpose, stream};
use cuttlefish_core::math::{Activation, Initializer, Optimizer, Regularizer, Step};
use cuttlefish_core::neuron::Neurons;
use cuttlefish_core::topology::{ContainerResources, Layer};
use ndarray_rand::rand::RngCore;

const ROWS: usize = 60_000;
const FEATURES: usize = 784;
const BATCH_SIZE: usize = 256;
const EPOCHS: u32 = 4;
const SEED: u64 = 7;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(1, |count| {
        count.parse().expect("the first argument is a number")
    });
    let is_lean = arguments.next().is_none();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.build_global()
        .expect("nothing has used the threads yet");
    let make = if is_lean { Batches::lean } else { Batches::new };
    let batches = make(Arc::new(dataset()), SEED, BATCH_SIZE, true);
    let sgd = Optimizer::Sgd {
        learning_rate: 0.01,
        momentum: 0.9,
        nesterov: false,
    };
    let mut neurons = Neurons::initial(&layer(count), 0, 0..count, SEED, sgd);
    let mut ticks = Vec::new();
    for epoch in 1..=EPOCHS {
        for index in 0..(ROWS / BATCH_SIZE) as u32 {
            let batch = BatchRef {
                part: Part::Train,
                epoch,
                index,
                rows: BATCH_SIZE as u32,
            };
            ticks.push(tick(&batches, batch, &mut neurons, ticks.len() as u64 + 1));
        }
    }
    println!("{count} neurons, {FEATURES} features, {BATCH_SIZE} rows, in microseconds\n");
    println!("          fastest   median");
    for (part, name) in ["gather", "forward", "update"].into_iter().enumerate() {
        print_times(name, ticks.iter().map(|times| times[part]).collect());
    }
    print_times(
        "tick",
        ticks.iter().map(|times| times.iter().sum()).collect(),
    );
}

/// How long it took to gather the batch, to compute the activations, and to update the weights.
fn tick(batches: &Batches, batch: BatchRef, neurons: &mut Neurons, number: u64) -> [Duration; 3] {
    let began = Instant::now();
    let inputs = batches.inputs(batch);
    let gathered = Instant::now();
    let (pass, activations) = neurons.forward(&inputs, true);
    let answered = Instant::now();
    // As errors of a real size would do.
    let errors = activations.mapv(|a| 1e-3 * a);
    let (deltas, _) = neurons.deltas(number, &pass, errors);
    let learning_rate = 0.01;
    let step = Step {
        learning_rate,
        number,
    };
    neurons.update(step, &deltas, &inputs);
    [gathered - began, answered - gathered, answered.elapsed()]
}

fn print_times(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let micros = |time: Duration| 1e6 * time.as_secs_f64();
    let (fastest, median) = (times[0], times[times.len() / 2]);
    println!("{name:<8} {:8.1} {:8.1}", micros(fastest), micros(median));
}

fn dataset() -> Dataset {
    let mut bytes = vec![0; ROWS * FEATURES];
    stream(SEED, Purpose::Split, 0, 0).fill_bytes(&mut bytes);
    Dataset {
        name: "noise".to_owned(),
        features: FEATURES,
        image: None,
        feature_names: Vec::new(),
        values: Values::Bytes {
            bytes: bytes.into(),
            scale: 1.0 / 255.0,
        },
        task: Task::Regression {
            target_name: String::new(),
            targets: vec![0.0; ROWS],
        },
        split: Split::given(ROWS, 0, 0.0),
    }
}

fn layer(units: usize) -> Layer {
    Layer {
        name: "hidden".to_owned(),
        fan_in: FEATURES,
        units,
        kind: LayerKind::Dense(Dense),
        pool: None,
        activation: Activation::Relu,
        use_bias: true,
        kernel_initializer: Initializer::HeNormal,
        bias_initializer: Initializer::Zeros,
        kernel_regularizer: Regularizer::default(),
        normalization: None,
        dropout: 0.0,
        neurons_per_unit: units,
        resources: ContainerResources {
            cpu: 0.1,
            memory: 64 << 20,
        },
    }
}
