//! Small networks and data sets for tests.

use std::sync::Arc;

use cuttlefish_core::data::{
    BatchRef, BatchSource, Batches, Dataset, Feed, Part, Split, TargetScale, Targets, Task, Values,
};
use cuttlefish_core::layers::{ContainerResources, Conv2d, Dense, LayerKind};
use cuttlefish_core::math::conv::{Convolution, Padding, Pool, PoolKind, Size, Window};
use cuttlefish_core::math::stream::{Purpose, stream};
use cuttlefish_core::math::{
    Activation, Initializer, Inputs, Loss, Optimizer, Regularizer, Schedule,
};
use cuttlefish_core::topology::{
    DataShape, Graph, Grouping, Head, Layer, Normalization, TaskShape, Training, parse,
};
use ndarray_rand::rand::Rng;

/// A network with its data, ready for the machines.
#[derive(Clone)]
pub struct Case {
    pub graph: Arc<Graph>,
    pub dataset: Arc<Dataset>,
    pub batches: Arc<Batches>,
    pub feed: Feed,
}

impl Case {
    /// With batches in panels, which the first layer reads by itself.
    pub fn new(graph: Graph, dataset: Dataset) -> Self {
        let dataset = Arc::new(dataset);
        let training = &graph.training;
        let (batch_size, shuffle) = (training.batch_size, training.shuffle);
        let batches = Batches::new(dataset.clone(), graph.seed, batch_size, shuffle);
        Self {
            batches: Arc::new(batches.augmented(training.augmentation)),
            graph: Arc::new(graph),
            dataset,
            feed: Feed::Reference,
        }
    }

    /// This network, for processes that host few neurons each.
    pub fn lean(&self) -> Self {
        let training = &self.graph.training;
        let (batch_size, shuffle) = (training.batch_size, training.shuffle);
        let batches = Batches::lean(self.dataset.clone(), self.graph.seed, batch_size, shuffle);
        Self {
            batches: Arc::new(batches.augmented(training.augmentation)),
            ..self.clone()
        }
    }

    /// This network, fed in another way.
    pub fn fed(&self, feed: Feed) -> Self {
        Self {
            feed,
            ..self.clone()
        }
    }

    /// Batches of the units: none where the trainer sends the values.
    pub fn batches_of_units(&self) -> Arc<dyn BatchSource> {
        match self.feed {
            Feed::Reference => self.batches.clone(),
            Feed::Broadcast => Arc::new(NoData),
        }
    }

    /// This network, cut into units of another size.
    pub fn grouped(&self, neurons_per_unit: usize) -> Self {
        let mut graph = (*self.graph).clone();
        for layer in &mut graph.layers {
            layer.neurons_per_unit = neurons_per_unit.min(layer.units);
        }
        Self {
            graph: Arc::new(graph),
            ..self.clone()
        }
    }
}

/// Source of batches without any, for units to which the trainer sends the values.
struct NoData;

impl BatchSource for NoData {
    fn rows(&self, _part: Part) -> usize {
        panic!("this unit has no data set");
    }

    fn inputs(&self, batch: BatchRef) -> Arc<Inputs> {
        panic!("this unit has no data set to read {batch:?} from");
    }

    fn targets(&self, _batch: BatchRef) -> Targets {
        panic!("this unit has no data set");
    }
}

/// A classifier with softmax, `widths[0]` features and `widths.last()` classes.
pub fn classifier(seed: u64, widths: &[usize]) -> Graph {
    let layers = (1..widths.len()).map(|l| {
        let is_output = l + 1 == widths.len();
        Layer {
            name: format!("dense_{l}"),
            fan_in: widths[l - 1],
            units: widths[l],
            kind: LayerKind::Dense(Dense),
            pool: None,
            activation: if is_output {
                Activation::Linear
            } else {
                Activation::Tanh
            },
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_regularizer: Regularizer::default(),
            normalization: None,
            dropout: 0.0,
            neurons_per_unit: 1,
            resources: ContainerResources {
                cpu: 0.1,
                memory: 64 << 20,
            },
        }
    });
    Graph {
        name: "test".to_owned(),
        seed,
        inputs: widths[0],
        channels: 1,
        layers: layers.collect(),
        loss: Loss::SparseCategoricalCrossentropy,
        head: Head::Softmax,
        target_scale: TargetScale::IDENTITY,
        training: Training {
            epochs: 2,
            batch_size: 2,
            shuffle: true,
            augmentation: None,
            optimizer: Optimizer::Sgd {
                learning_rate: 0.3,
                momentum: 0.9,
                nesterov: false,
            },
            schedule: Schedule::Constant,
            warmup_epochs: 0.0,
            early_stopping: None,
        },
    }
}

/// Random rows with random classes: nothing can be learned, but every bit matters.
pub fn noise(
    seed: u64,
    features: usize,
    classes: usize,
    [train, validation, test]: [usize; 3],
) -> Dataset {
    let mut rng = stream(seed, Purpose::Split, 1, 0);
    let rows = train + validation + test;
    let range = |from: usize, count: usize| (from as u32..(from + count) as u32).collect();
    Dataset {
        name: "noise".to_owned(),
        features,
        image: None,
        feature_names: Vec::new(),
        values: Values::Floats(
            (0..rows * features)
                .map(|_| rng.random_range(-1.0f32..1.0))
                .collect::<Vec<f32>>()
                .into(),
        ),
        task: Task::Classification {
            class_names: (0..classes).map(|c| c.to_string()).collect(),
            labels: (0..rows)
                .map(|_| rng.random_range(0..classes as u32))
                .collect(),
        },
        split: Split {
            train: range(0, train),
            validation: range(train, validation),
            test: range(train + validation, test),
        },
    }
}

/// Noise as [`noise`], of bytes.
pub fn byte_noise(seed: u64, features: usize, classes: usize, rows: [usize; 3]) -> Dataset {
    let mut bytes = vec![0; rows.iter().sum::<usize>() * features];
    stream(seed, Purpose::Split, 1, 1).fill(&mut bytes[..]);
    Dataset {
        values: Values::Bytes {
            bytes: bytes.into(),
            scale: 1.0 / 255.0,
        },
        ..noise(seed, features, classes, rows)
    }
}

/// Every loss with the heads that it goes with.
pub const HEADS: [(Loss, Head); 5] = [
    (Loss::MeanSquaredError, Head::Identity),
    (Loss::MeanSquaredError, Head::Softmax),
    (Loss::BinaryCrossentropy, Head::Sigmoid),
    (Loss::CategoricalCrossentropy, Head::Softmax),
    (Loss::SparseCategoricalCrossentropy, Head::Softmax),
];

/// A convolution of the tests: filters, kernel, strides, padding, and the pool with its window.
pub struct Conv {
    pub filters: usize,
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub pool: Option<(PoolKind, [usize; 2], [usize; 2], Padding)>,
}

impl Conv {
    /// A kernel without a pool that stays inside.
    pub fn new(filters: usize, kernel: [usize; 2]) -> Self {
        Self {
            filters,
            kernel,
            strides: [1, 1],
            padding: Padding::Valid,
            pool: None,
        }
    }
}

fn size([height, width]: [usize; 2]) -> Size {
    Size { height, width }
}

/// Convolutions over images of one channel, and a dense layer of `classes` neurons.
pub fn convolutional(seed: u64, image: [usize; 2], convs: &[Conv], classes: usize) -> Graph {
    let mut graph = classifier(seed, &[image[0] * image[1], classes]);
    let (mut channels, mut map) = (1, size(image));
    let mut layers = Vec::new();
    for (index, conv) in convs.iter().enumerate() {
        let (kernel, strides) = (size(conv.kernel), size(conv.strides));
        let window = Window::new(map, kernel, strides, conv.padding).expect("a kernel that fits");
        let pool = conv.pool.map(|(kind, pool, strides, padding)| Pool {
            kind,
            window: Window::new(window.positions, size(pool), size(strides), padding)
                .expect("a window that fits"),
        });
        let convolution = Convolution { channels, window };
        layers.push(Layer {
            name: format!("conv2d_{index}"),
            fan_in: convolution.fan_in(),
            units: conv.filters,
            kind: LayerKind::Conv2d(Conv2d(convolution)),
            pool,
            activation: Activation::Tanh,
            ..graph.layers[0].clone()
        });
        let output = pool.map_or(window, |pool| pool.window).positions;
        (channels, map) = (conv.filters, output);
    }
    graph.layers[0].fan_in = channels * map.area();
    graph.layers.splice(0..0, layers);
    graph
}

/// Convolutions over images of at least 7 x 6 with every kind of edge, step and pool.
pub fn convolutions() -> Vec<Vec<Conv>> {
    let pool = |kind, size, strides, padding| Some((kind, size, strides, padding));
    let (max, average) = (PoolKind::Max, PoolKind::Average);
    let (valid, same) = (Padding::Valid, Padding::Same);
    let conv = Conv::new;
    vec![
        vec![conv(3, [3, 2])],
        vec![Conv {
            strides: [2, 3],
            padding: same,
            ..conv(2, [3, 4])
        }],
        vec![Conv {
            padding: same,
            pool: pool(max, [2, 2], [2, 2], valid),
            ..conv(4, [3, 3])
        }],
        vec![
            Conv {
                pool: pool(average, [3, 2], [2, 1], same),
                ..conv(9, [2, 2])
            },
            Conv {
                padding: same,
                pool: pool(max, [3, 3], [1, 1], valid),
                ..conv(17, [3, 3])
            },
        ],
        vec![
            conv(3, [1, 1]),
            Conv {
                strides: [2, 2],
                ..conv(2, [3, 3])
            },
            Conv {
                padding: same,
                ..conv(2, [2, 2])
            },
        ],
    ]
}

/// A convolution over steps, with its keys.
pub fn conv1d(keys: &str) -> String {
    format!("{{type: conv1d, activation: tanh, {keys}}}")
}

/// Layers of the file over rows of `steps` numbers, and a dense layer of `classes` neurons.
pub fn sequential(seed: u64, steps: usize, layers: &[String], classes: usize) -> Graph {
    let output = format!("{{type: dense, units: {classes}, activation: softmax}}");
    let layers = [layers, &["{type: flatten}".to_owned(), output]].concat();
    let text = format!(
        "name: test\ndata: {{source: digits}}\n\
         network: {{loss: sparse_categorical_crossentropy, layers: [{}]}}\n",
        layers.join(", ")
    );
    let shape = DataShape {
        features: steps,
        image: None,
        value_bytes: 4,
        task: TaskShape::Classification { classes },
        train_rows: 1,
        validation_rows: 0,
        test_rows: 0,
    };
    let document = parse(&text, &[]).expect("a file without a problem");
    let graph = document.graph(&shape, Grouping::Units(1));
    Graph {
        training: classifier(seed, &[1, classes]).training,
        seed,
        ..graph.expect("layers that fit")
    }
}

/// Convolutions over 12 numbers with every kind of end, stride and pool.
pub fn sequences() -> Vec<Vec<String>> {
    let pool = |text: &str| text.to_owned();
    vec![
        vec![conv1d("filters: 3, kernel_size: 4")],
        vec![
            "{type: reshape, target_shape: [6, 2]}".to_owned(),
            conv1d("filters: 3, kernel_size: 3, strides: 2, padding: causal"),
            conv1d("filters: 2, kernel_size: 2"),
        ],
        vec![conv1d(
            "filters: 2, kernel_size: 5, strides: 3, padding: same",
        )],
        vec![conv1d(
            "filters: 4, kernel_size: 3, strides: 2, padding: causal",
        )],
        vec![
            conv1d("filters: 9, kernel_size: 4, padding: causal"),
            pool("{type: max_pooling1d}"),
            conv1d("filters: 3, kernel_size: 2, padding: same"),
            pool("{type: average_pooling1d, pool_size: 3, strides: 1, padding: same}"),
            conv1d("filters: 2, kernel_size: 2, padding: causal, strides: 2"),
        ],
    ]
}

/// Normalizes every layer, in ways that go around with `number` and the layer: before the pool and behind it,
/// with and without an activation, learning both numbers.
pub fn normalize(graph: &mut Graph, number: usize) {
    let layers = graph.layers.len();
    for (index, layer) in graph.layers.iter_mut().enumerate() {
        let turn = number + index;
        let is_pooled = layer.pool.is_some();
        let activation = Activation::ALL[turn % Activation::ALL.len()];
        layer.normalization = Some(Normalization {
            name: layer.name.clone(),
            momentum: 0.9,
            epsilon: 1e-3,
            center: true,
            scale: true,
            activation: match index + 1 == layers {
                true => Activation::Linear,
                false => activation,
            },
            after_pool: is_pooled && turn.is_multiple_of(2),
        });
    }
}
