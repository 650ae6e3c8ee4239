//! Answers of the addresses, compared with what the store holds of the same run.

use std::io::Cursor;

use cuttlefish_core::data::Values;
use cuttlefish_core::ids::Address;
use ndarray::{Array1, Array2};
use ndarray_npy::ReadNpyExt as _;
use serde_json::{Value, json};

use super::http::get;
use super::run::{IMAGE, RUN, dataset};

fn floats(value: &Value) -> Vec<f32> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|n| n.as_f64().unwrap() as f32).collect()
}

/// Weights and bias of a neuron as the store has them.
fn stored(layer: usize, neuron: usize) -> (&'static [f32], f32) {
    let (bias, weights) = RUN.stored[layer][neuron].weights.split_last().unwrap();
    (weights, *bias)
}

#[test]
fn the_hosted_neurons_are_listed() {
    let list = get(RUN.unit(0, 1), "/neurons").json();
    let expected =
        json!({"run": "shapes", "actor": "hidden.1", "layer": "hidden", "neurons": [2, 3]});
    assert_eq!(list, expected);
    assert_eq!(
        get(RUN.unit(0, 2), "/neurons").json()["neurons"],
        json!([4])
    );
    let list = get(RUN.server(Address::Synapse(0)), "/neurons").json();
    let expected =
        json!({"run": "shapes", "actor": "synapse.hidden-shape", "layer": null, "neurons": []});
    assert_eq!(list, expected);
}

#[test]
fn a_neuron_tells_its_state() {
    let state = get(RUN.unit(0, 1), "/neurons/3").json();
    let (weights, bias) = stored(0, 3);
    let ledger = &RUN.outcome.ledger;
    assert_eq!(state["run"], "shapes");
    assert_eq!(state["layer"], "hidden");
    assert_eq!(state["neuron"], 3);
    assert_eq!(state["state"], "running");
    assert_eq!(state["tick"], json!(ledger.commit.tick));
    assert_eq!(state["generation"], 1);
    assert_eq!(state["activation"], "relu");
    assert_eq!(state["fan_in"], 12);
    assert_eq!(state["bias"].as_f64().unwrap() as f32, bias);
    let squares: f64 = weights.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
    let norm = state["weight_norm"].as_f64().unwrap();
    assert!((norm - squares.sqrt()).abs() < 1e-12, "{norm}");
    let min = weights.iter().copied().fold(f32::MAX, f32::min);
    let max = weights.iter().copied().fold(f32::MIN, f32::max);
    assert_eq!(state["weight_min"].as_f64().unwrap() as f32, min);
    assert_eq!(state["weight_max"].as_f64().unwrap() as f32, max);
    assert_eq!(
        state["counters"],
        json!({
            "broker": "connected", "broker_sessions": 2,
            "messages_sent": 11, "bytes_sent": 22,
            "messages_received": 33, "bytes_received": 44,
            "messages_refused": 55,
        })
    );
    // The other units have no broker.
    let other = get(RUN.unit(0, 0), "/neurons/0").json();
    assert_eq!(other["counters"], Value::Null);
    // Numbers of f32 are written with their own digits, not with those of the nearest f64.
    let text = get(RUN.unit(0, 1), "/neurons/3");
    let bias = serde_json::to_string(&bias).unwrap();
    let written = format!("\"bias\":{bias},");
    assert!(
        text.text().contains(&written),
        "no {written} in {}",
        text.text()
    );
}

#[test]
fn a_neuron_tells_what_it_did_with_its_last_batch() {
    let state = get(RUN.unit(0, 1), "/neurons/2").json();
    let batch = &state["last_batch"];
    // Four training ticks an epoch, one of validation; one of the test rows at the end.
    assert_eq!(batch["tick"], 4 * 5 - 1);
    let activations = floats(&batch["activations"]);
    assert_eq!(activations.len(), 8);
    // The weights of the store have been updated since, by one small step.
    let Values::Bytes { bytes, scale } = dataset().values else {
        panic!("the images are bytes");
    };
    let (weights, bias) = stored(0, 2);
    let rows = bytes.chunks(12).skip(24).take(8).map(|image| {
        let products = image
            .iter()
            .zip(weights)
            .map(|(&pixel, w)| f32::from(pixel) * scale * w);
        (products.sum::<f32>() + bias).max(0.0)
    });
    for (activation, computed) in activations.iter().zip(rows) {
        assert!(
            (activation - computed).abs() < 0.2,
            "{activation} is not {computed}"
        );
    }
    let figures = &batch["activation"];
    let mean = activations.iter().copied().map(f64::from).sum::<f64>() / 8.0;
    assert!((figures["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
    let max = activations.iter().copied().fold(0.0, f32::max);
    assert_eq!(figures["max"].as_f64().unwrap() as f32, max);
    let zeros = activations.iter().filter(|&&a| a == 0.0).count() as f64;
    assert_eq!(figures["zeros_ratio"], json!(zeros / 8.0));
    assert!(batch["delta"]["norm"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_neuron_before_the_softmax_tells_its_logits_and_the_trainer_the_probabilities() {
    let state = get(RUN.unit(1, 0), "/neurons/0").json();
    assert_eq!(state["activation"], "softmax");
    assert_eq!(state["probabilities"], "/probabilities of the trainer");
    let batch = &state["last_batch"];
    assert_eq!(floats(&batch["logits"]).len(), 8);
    assert_eq!(batch["activation"], Value::Null);
    let trainer = RUN.server(Address::Trainer);
    let answer = get(trainer, "/probabilities").json();
    assert_eq!(
        (&answer["layer"], &answer["tick"]),
        (&json!("shape"), &batch["tick"])
    );
    let neurons = answer["neurons"].as_array().unwrap();
    let mean = |neuron: &Value| neuron["mean"].as_f64().unwrap();
    assert_eq!(neurons.len(), 3);
    let sum: f64 = neurons.iter().map(mean).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{neurons:?}");
    for neuron in neurons {
        assert!(neuron["min"].as_f64() >= Some(0.0) && neuron["max"].as_f64() <= Some(1.0));
    }
    // A neuron of another layer has no probabilities, nor does a unit know any.
    let hidden = get(RUN.unit(0, 1), "/neurons/2").json();
    assert_eq!(hidden.get("probabilities"), None);
    assert_eq!(
        get(RUN.unit(1, 0), "/probabilities").problem(404),
        "only the trainer knows the run (this is `shape.0`)"
    );
}

#[test]
fn a_neuron_that_is_not_hosted_here_is_not_found() {
    for neuron in ["4", "1", "-1", "2.0", "x", "99999999999999999999", "%2e%2e"] {
        let answer = get(RUN.unit(0, 1), &format!("/neurons/{neuron}"));
        let problem = answer.problem(404);
        assert!(problem.ends_with(
            "is not hosted here (this is unit `hidden.1` with neurons 2 to 3 of layer `hidden`)"
        ));
        let answer = get(RUN.unit(0, 1), &format!("/neurons/{neuron}/weights"));
        answer.problem(404);
    }
    let answer = get(RUN.unit(0, 2), "/neurons/0");
    assert_eq!(
        answer.problem(404),
        "neuron `0` is not hosted here (this is neuron 4 of layer `hidden`)"
    );
    let answer = get(RUN.server(Address::Trainer), "/neurons/0");
    assert_eq!(
        answer.problem(404),
        "neuron `0` is not hosted here (this is `trainer`, which hosts no neurons)"
    );
}

#[test]
fn weights_are_those_of_the_store() {
    for (layer, unit, neuron) in [(0, 0, 0), (0, 1, 3), (1, 0, 1), (1, 1, 2)] {
        let path = format!("/neurons/{neuron}/weights");
        let (weights, bias) = stored(layer, neuron);
        for path in [path.clone(), format!("{path}?format=json")] {
            let answer = get(RUN.unit(layer, unit), &path).json();
            assert_eq!(floats(&answer["weights"]), weights);
            assert_eq!(answer["bias"].as_f64().unwrap() as f32, bias);
        }
    }
}

#[test]
fn weights_are_a_numpy_array_in_the_shape_of_the_images() {
    let answer = get(RUN.unit(0, 1), "/neurons/3/weights?format=npy");
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"shapes-hidden-3.npy\"")
    );
    let array = Array2::<f32>::read_npy(Cursor::new(&answer.body)).unwrap();
    assert_eq!(array.dim(), IMAGE);
    assert_eq!(array.as_slice().unwrap(), stored(0, 3).0);
    // The second layer sees no images.
    let answer = get(RUN.unit(1, 0), "/neurons/1/weights?format=npy");
    let array = Array1::<f32>::read_npy(Cursor::new(&answer.body)).unwrap();
    assert_eq!(array.as_slice().unwrap(), stored(1, 1).0);
}

/// Width, height and RGBA of every pixel.
fn decoded(png: &[u8]) -> (usize, usize, Vec<[u8; 4]>) {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let pixels = pixels.chunks(4).map(|p| p.try_into().unwrap()).collect();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn weights_are_a_picture_in_the_shape_of_the_images() {
    let answer = get(RUN.unit(0, 1), "/neurons/3/weights?format=png");
    assert_eq!(answer.header("content-type"), Some("image/png"));
    let (width, height, pixels) = decoded(&answer.body);
    assert_eq!((width, height), (256, 192));
    let (weights, _) = stored(0, 3);
    let strongest = weights.iter().map(|w| w.abs()).fold(0.0, f32::max);
    for (i, &weight) in weights.iter().enumerate() {
        let (y, x) = (i / IMAGE.1 * 64, i % IMAGE.1 * 64);
        let square = pixels[y * width + x];
        // All of a square is of one colour: its corners are.
        for (y, x) in [(y, x + 63), (y + 63, x), (y + 63, x + 63)] {
            assert_eq!(pixels[y * width + x], square, "weight {i}");
        }
        let [red, _, blue, alpha] = square;
        assert_eq!(alpha, 255);
        match weight {
            w if w > 0.1 * strongest => assert!(red > blue, "{w} is {square:?}"),
            w if w < -0.1 * strongest => assert!(blue > red, "{w} is {square:?}"),
            _ => {}
        }
        if weight.abs() == strongest {
            let extreme = [[96, 28, 8, 255], [23, 37, 108, 255]];
            assert_eq!(square, extreme[usize::from(weight < 0.0)]);
        }
    }
}

#[test]
fn weights_that_see_no_image_are_a_grid_with_nothing_in_the_empty_places() {
    let answer = get(RUN.unit(1, 0), "/neurons/1/weights?format=png");
    let (width, height, pixels) = decoded(&answer.body);
    // Five weights in 2 x 3 squares of 86 pixels.
    assert_eq!((width, height), (258, 172));
    let alpha = |row: usize, column: usize| pixels[(row * 86 + 40) * width + column * 86 + 40][3];
    let alphas = [0, 1, 2, 3, 4, 5].map(|i| alpha(i / 3, i % 3));
    assert_eq!(alphas, [255, 255, 255, 255, 255, 0]);
}

#[test]
fn the_trainer_tells_of_the_run() {
    let trainer = RUN.server(Address::Trainer);
    let all = get(trainer, "/run").json();
    let end = &all["end"]["finished"];
    assert_eq!(end["ledger"]["commit"], json!(RUN.outcome.ledger.commit));
    assert_eq!(all["rows_trained"], 4 * 32);
    let notes = all["notes"].as_array().unwrap();
    assert!(notes.len() > 4, "{notes:?}");
    let after = notes[1]["number"].as_u64().unwrap();
    let newer = get(trainer, &format!("/run?after={after}")).json();
    assert_eq!(newer["notes"].as_array().unwrap()[..], notes[2..]);
    let snapshot: cuttlefish_runtime::host::RunSnapshot =
        serde_json::from_value(all.clone()).unwrap();
    assert_eq!(snapshot.notes.len(), notes.len());
    let answer = get(RUN.unit(1, 0), "/run");
    assert_eq!(
        answer.problem(404),
        "only the trainer knows the run (this is `shape.0`)"
    );
}

#[test]
fn other_addresses_are_not_found() {
    for path in [
        "/x",
        "/neurons/",
        "/neurons/2/bias",
        "//",
        "/..%2f..%2fetc",
        "/*",
    ] {
        let answer = get(RUN.unit(0, 1), path);
        assert_eq!(
            answer.problem(404),
            "there is nothing at this address (try /, /neurons, /metrics or /healthz)"
        );
    }
}

#[test]
fn queries_that_mean_nothing_are_refused() {
    let unit = RUN.unit(0, 1);
    for query in ["format=gif", "format=json&format=npy", "after=x", "from=-1"] {
        let answer = get(unit, &format!("/neurons/2/weights?{query}"));
        let problem = answer.problem(400);
        assert!(problem.starts_with("the query means nothing here"));
    }
}

#[test]
fn health_is_told() {
    for address in [Address::Trainer, Address::Synapse(0)] {
        let answer = get(RUN.server(address), "/healthz");
        assert_eq!((answer.status, answer.text()), (200, "ok\n"));
    }
}
