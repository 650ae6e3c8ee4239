//! Weights from Keras give Keras's answers, and come out again as they were. `tests/keras` has the case
//! and the script that made it.

use std::sync::Arc;

use cuttlefish::{export, import};
use cuttlefish_core::math::{Inputs, Panels, Step};
use cuttlefish_core::network::Network;
use cuttlefish_core::neuron::Neurons;
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping, Head, TaskShape};
use cuttlefish_core::trainer::head::answer;
use ndarray::{Array2, s};
use safetensors::SafeTensors;
use serde::Deserialize;

const WEIGHTS: &[u8] = include_bytes!("../keras/case.safetensors");
/// Weights after two steps.
const TRAINED: &[u8] = include_bytes!("../keras/trained.safetensors");

#[derive(Deserialize)]
struct KerasCase {
    rows: Vec<Vec<f32>>,
    answers: Vec<Vec<f32>>,
    classes: Vec<usize>,
}

fn case() -> KerasCase {
    serde_json::from_str(include_str!("../keras/case.json")).unwrap()
}

fn graph() -> Graph {
    let document = topology::parse(include_str!("../keras/case.yaml"), &[]).unwrap();
    let shape = DataShape {
        features: 64,
        image: Some((8, 8)),
        value_bytes: 4,
        task: TaskShape::Classification { classes: 3 },
        train_rows: 1,
        validation_rows: 1,
        test_rows: 0,
    };
    document.graph(&shape, Grouping::WholeLayers).unwrap()
}

fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

#[test]
fn the_same_weights_give_the_same_answers() {
    let case = case();
    let graph = graph();
    let states = import::states(&graph, WEIGHTS).unwrap();
    let network = Network::restore(&graph, &states).unwrap();
    let rows = matrix(&case.rows);
    let answers = network.predict(&Inputs::new(Panels::pack(rows.t())));
    let difference = &answers.t() - &matrix(&case.answers);
    let worst = difference
        .iter()
        .fold(0.0f32, |worst, d| worst.max(d.abs()));
    assert!(worst < 1e-5, "{worst:e}");
}

/// dLoss/d(sum) of softmax and cross-entropy, `[classes, rows]`.
fn loss_gradient(sums: &Array2<f32>, classes: &[usize]) -> Array2<f32> {
    let mut gradient = sums.clone();
    answer(Head::Softmax, &mut gradient);
    for (mut row, &class) in gradient.columns_mut().into_iter().zip(classes) {
        row[class] -= 1.0;
    }
    gradient / classes.len() as f32
}

#[test]
fn the_same_steps_give_the_same_weights() {
    let case = case();
    let graph = graph();
    let optimizer = graph.training.optimizer;
    let mut layers = Vec::new();
    for (index, states) in import::states(&graph, WEIGHTS).unwrap().iter().enumerate() {
        let layer = &graph.layers[index];
        let mut neurons = Neurons::initial(layer, index, 0..layer.units, graph.seed, optimizer);
        neurons.restore(states).unwrap();
        layers.push(neurons);
    }
    let (rows, classes) = (matrix(&case.rows), &case.classes);
    for (number, batch) in [(1, 0..3), (2, 3..4)] {
        let mut values = Arc::new(rows.slice(s![batch.clone(), ..]).t().to_owned());
        let mut passes = Vec::new();
        for neurons in &layers {
            let inputs = Inputs::new(Panels::pack(values.view()));
            let (pass, outputs) = neurons.forward(&inputs, true);
            passes.push((inputs, pass));
            values = outputs;
        }
        let mut errors = loss_gradient(&values, &classes[batch]);
        let step = Step {
            learning_rate: optimizer.learning_rate(),
            number,
        };
        for (neurons, (inputs, pass)) in layers.iter_mut().zip(&passes).rev() {
            let (deltas, changes) = neurons.deltas(number, pass, errors);
            errors = neurons.propagate(&deltas);
            neurons.update(step, &deltas, inputs);
            neurons.update_normalization(step, &changes);
        }
    }
    let theirs = import::states(&graph, TRAINED).unwrap();
    let pairs = layers.iter().zip(&theirs);
    let states = pairs.flat_map(|(neurons, theirs)| neurons.snapshot().into_iter().zip(theirs));
    let mut worst = 0.0f32;
    for (ours, theirs) in states {
        for (ours, theirs) in ours.weights.iter().zip(&theirs.weights) {
            worst = worst.max((ours - theirs).abs());
        }
    }
    assert!(worst < 1e-5, "{worst:e}");
}

#[test]
fn what_was_imported_is_exported_with_the_same_numbers() {
    let graph = graph();
    let states = import::states(&graph, WEIGHTS).unwrap();
    let tensors = export::tensors(&graph, &states).unwrap();
    let file = SafeTensors::deserialize(WEIGHTS).unwrap();
    assert_eq!(tensors.len(), file.len());
    for tensor in tensors {
        let theirs = file.tensor(&tensor.name).unwrap();
        assert_eq!(theirs.shape(), tensor.shape, "{}", tensor.name);
        let ours: Vec<u8> = tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert!(theirs.data() == ours, "{}", tensor.name);
    }
}

#[test]
fn a_file_that_does_not_fit_is_named_with_what_would() {
    let refusal = |file: &[u8]| import::states(&graph(), file).unwrap_err().to_string();
    assert!(refusal(b"").contains("expected a file in safetensors format"));
    assert!(refusal(&WEIGHTS[..WEIGHTS.len() - 4]).contains("read the tensors"));
    let renamed = |from: &str, to: &str| {
        let mut file = WEIGHTS.to_vec();
        let at = file
            .windows(from.len())
            .position(|part| part == from.as_bytes());
        file[at.unwrap()..][..from.len()].copy_from_slice(to.as_bytes());
        refusal(&file)
    };
    let error = renamed("normal/beta", "norman/beta");
    assert!(
        error.starts_with("find the tensor `normal/beta` of shape [3]"),
        "{error}"
    );
    let error = renamed("[3,2,1,3]", "[3,2,3,1]");
    assert!(
        error.contains("`first/kernel`: it is F32 of shape [3, 2, 3, 1]"),
        "{error}"
    );
    let mut not_finite = WEIGHTS.to_vec();
    let end = not_finite.len();
    not_finite[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(refusal(&not_finite).contains("not finite"));
}
