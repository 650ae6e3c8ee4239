//! Graphs of valid files.

use cuttlefish_core::data::TargetScale;
use cuttlefish_core::layers::{Dense, LayerKind};
use cuttlefish_core::math::{Activation, Initializer, Loss, Optimizer, Regularizer, Schedule};
use cuttlefish_core::topology::{
    ContainerResources, DataShape, EarlyStopping, Graph, Grouping, Head, Layer, Monitor, Training,
};

use crate::{
    BCE, BINARY, DIGITS, DROPOUT, HIDDEN, MSE, REGRESSION, SOFTMAX, SPARSE, VALID, document, file,
    graph,
};

const RESOURCES: ContainerResources = ContainerResources {
    cpu: 0.1,
    memory: 64 << 20,
};

#[test]
fn the_defaults_are_those_of_the_specification() {
    assert_eq!(
        graph(VALID, &DIGITS, Grouping::FromFile),
        Graph {
            name: "test".to_owned(),
            seed: 0,
            inputs: 64,
            channels: 1,
            layers: vec![
                Layer {
                    name: "hidden".to_owned(),
                    fan_in: 64,
                    units: 8,
                    kind: LayerKind::Dense(Dense),
                    pool: None,
                    activation: Activation::Relu,
                    use_bias: true,
                    kernel_initializer: Initializer::GlorotUniform,
                    bias_initializer: Initializer::Zeros,
                    kernel_regularizer: Regularizer::default(),
                    normalization: None,
                    dropout: 0.0,
                    neurons_per_unit: 1,
                    resources: RESOURCES,
                },
                Layer {
                    name: "out".to_owned(),
                    fan_in: 8,
                    units: 10,
                    kind: LayerKind::Dense(Dense),
                    pool: None,
                    activation: Activation::Linear,
                    use_bias: true,
                    kernel_initializer: Initializer::GlorotUniform,
                    bias_initializer: Initializer::Zeros,
                    kernel_regularizer: Regularizer::default(),
                    normalization: None,
                    dropout: 0.0,
                    neurons_per_unit: 1,
                    resources: RESOURCES,
                },
            ],
            loss: Loss::SparseCategoricalCrossentropy,
            target_scale: TargetScale::IDENTITY,
            head: Head::Softmax,
            training: Training {
                epochs: 10,
                batch_size: 32,
                shuffle: true,
                augmentation: None,
                optimizer: Optimizer::Sgd {
                    learning_rate: 0.01,
                    momentum: 0.0,
                    nesterov: false,
                },
                schedule: Schedule::Constant,
                warmup_epochs: 0.0,
                early_stopping: None,
            },
        }
    );
    let spec = document(VALID, &[]);
    let resources = &spec.spec().deployment.resources;
    assert_eq!((resources.cpu, resources.memory_bytes()), (0.1, 64 << 20));
}

#[test]
fn a_layer_has_its_own_resources_or_those_of_the_deployment() {
    let own = "{type: dense, units: 8, resources: {cpu: 0.5, memory: 96MiB}}";
    let more = "deployment: {resources: {cpu: 0.2, memory: 48MiB}}\n";
    let text = file(&[own, DROPOUT, SOFTMAX], SPARSE, more);
    let layers = graph(&text, &DIGITS, Grouping::FromFile).layers;
    let resources = |cpu, mib: u64| ContainerResources {
        cpu,
        memory: mib << 20,
    };
    assert_eq!(layers[0].resources, resources(0.5, 96));
    assert_eq!(layers[1].resources, resources(0.2, 48));
}

#[test]
fn what_is_written_arrives_in_the_graph() {
    let layer = "{type: dense, name: a, units: 8, activation: tanh, use_bias: false, \
                 kernel_initializer: ones, bias_initializer: he_uniform, \
                 kernel_regularizer: {l2: 0.5}, neurons_per_unit: 3}";
    let more = "seed: 18446744073709551615\n\
        training: {epochs: 0, batch_size: 7, shuffle: false, warmup_epochs: 2, \
        optimizer: {type: adam, beta_1: 0}, learning_rate_schedule: {type: cosine, alpha: 1}, \
        early_stopping: {monitor: loss, patience: 3, min_delta: 0.1}}\n";
    let graph = graph(
        &file(&[layer, DROPOUT, SOFTMAX], SPARSE, more),
        &DIGITS,
        Grouping::FromFile,
    );
    assert_eq!(graph.seed, u64::MAX);
    let first = &graph.layers[0];
    assert_eq!(
        (first.activation, first.use_bias),
        (Activation::Tanh, false)
    );
    assert_eq!(first.kernel_initializer, Initializer::Ones);
    assert_eq!(first.bias_initializer, Initializer::HeUniform);
    assert_eq!(first.kernel_regularizer, Regularizer { l1: 0.0, l2: 0.5 });
    assert_eq!((first.dropout, first.neurons_per_unit), (0.5, 3));
    let training = &graph.training;
    assert_eq!(
        (training.epochs, training.batch_size, training.shuffle),
        (0, 7, false)
    );
    assert_eq!(training.warmup_epochs, 2.0);
    assert_eq!(training.schedule, Schedule::Cosine { alpha: 1.0 });
    let stopping = EarlyStopping {
        monitor: Monitor::Loss,
        patience: 3,
        min_delta: 0.1,
    };
    assert_eq!(training.early_stopping, Some(stopping));
}

#[test]
fn the_head_takes_over_what_the_neurons_of_the_last_layer_cannot_do() {
    let with = |activation: &str, loss: &str, shape: &DataShape| {
        let last = format!("{{type: dense, units: 1, activation: {activation}}}");
        let graph = graph(
            &file(&[HIDDEN, &last], loss, ""),
            shape,
            Grouping::WholeLayers,
        );
        (graph.head, graph.layers[1].activation)
    };
    assert_eq!(
        with("sigmoid", BCE, &BINARY),
        (Head::Sigmoid, Activation::Linear)
    );
    assert_eq!(
        with("sigmoid", MSE, &BINARY),
        (Head::Identity, Activation::Sigmoid)
    );
    assert_eq!(
        with("linear", MSE, &REGRESSION),
        (Head::Identity, Activation::Linear)
    );
    let softmax = graph(&file(&[SOFTMAX], MSE, ""), &DIGITS, Grouping::WholeLayers);
    assert_eq!(
        (softmax.head, softmax.layers[0].activation),
        (Head::Softmax, Activation::Linear)
    );
}

#[test]
fn neurons_are_grouped_as_asked_and_never_beyond_their_layer() {
    let text = file(
        &["{type: dense, units: 8, neurons_per_unit: 3}", SOFTMAX],
        SPARSE,
        "deployment: {neurons_per_unit: 40}\n",
    );
    let sizes = |grouping| -> Vec<usize> {
        let layers = graph(&text, &DIGITS, grouping).layers;
        layers.iter().map(|layer| layer.neurons_per_unit).collect()
    };
    assert_eq!(sizes(Grouping::FromFile), [3, 10]);
    assert_eq!(sizes(Grouping::WholeLayers), [8, 10]);
    assert_eq!(sizes(Grouping::Units(9)), [8, 9]);
    assert_eq!(sizes(Grouping::Units(0)), [1, 1]);
}
