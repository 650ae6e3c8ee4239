use std::io::Cursor;

use ::safetensors::{Dtype, SafeTensors};
use cuttlefish_core::data::TargetScale;
use cuttlefish_core::layers::{Dense, LayerKind};
use cuttlefish_core::math::{Activation, Initializer, Loss, Optimizer, Regularizer, Schedule};
use cuttlefish_core::topology::{ContainerResources, Head, Training};
use ndarray::{Array1, Array2, array};
use ndarray_npy::NpzReader;

use super::*;
use crate::layout::constants::Constants;

fn layer(name: &str, fan_in: usize, units: usize, use_bias: bool) -> Layer {
    Layer {
        name: name.to_owned(),
        fan_in,
        units,
        kind: LayerKind::Dense(Dense),
        pool: None,
        activation: Activation::Linear,
        use_bias,
        kernel_initializer: Initializer::Zeros,
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
}

/// Two inputs, three neurons with bias, one without.
fn graph() -> Graph {
    Graph {
        name: "tiny".to_owned(),
        seed: 1,
        inputs: 2,
        channels: 1,
        layers: vec![layer("hidden", 2, 3, true), layer("out", 3, 1, false)],
        loss: Loss::MeanSquaredError,
        head: Head::Identity,
        target_scale: TargetScale::IDENTITY,
        training: Training {
            epochs: 1,
            batch_size: 1,
            shuffle: false,
            augmentation: None,
            optimizer: Optimizer::Sgd {
                learning_rate: 0.1,
                momentum: 0.0,
                nesterov: false,
            },
            schedule: Schedule::Constant,
            warmup_epochs: 0.0,
            early_stopping: None,
        },
    }
}

fn neuron(weights: &[f32]) -> NeuronState {
    NeuronState {
        weights: weights.to_vec(),
        moments: vec![9.0; weights.len()],
    }
}

fn states() -> Vec<Vec<NeuronState>> {
    vec![
        vec![
            neuron(&[1.0, 2.0, 10.0]),
            neuron(&[3.0, 4.0, 20.0]),
            neuron(&[5.0, 6.0, 30.0]),
        ],
        vec![neuron(&[7.0, 8.0, -0.5, 0.0])],
    ]
}

fn metadata() -> Metadata {
    Metadata {
        run: "tiny".to_owned(),
        target: None,
        columns_sha256: None,
        constants: Constants::default(),
        weights_sha256: "00ff".to_owned(),
        layout: Layout::Keras,
    }
}

fn written(format: WeightsFormat) -> Vec<u8> {
    let tensors = tensors(&graph(), &states()).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    match format {
        WeightsFormat::Safetensors => {
            safetensors::write(&mut bytes, &tensors, &metadata()).unwrap()
        }
        WeightsFormat::Npz => npz::write(&mut bytes, &tensors).unwrap(),
    }
    bytes.into_inner()
}

#[test]
fn kernels_have_a_row_an_input_and_no_bias_means_no_tensor() {
    let tensor = |name: &str, shape: &[usize], data: &[f32]| Tensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        data: data.to_vec(),
    };
    assert_eq!(
        tensors(&graph(), &states()).unwrap(),
        [
            tensor("hidden/kernel", &[2, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
            tensor("hidden/bias", &[3], &[10.0, 20.0, 30.0]),
            tensor("out/kernel", &[3, 1], &[7.0, 8.0, -0.5]),
        ]
    );
}

#[test]
fn states_of_another_network_are_refused() {
    let mut fewer = states();
    fewer[0].pop();
    let error = tensors(&graph(), &fewer).unwrap_err().to_string();
    assert!(
        error.starts_with("export layer `hidden`: it has 3 neurons"),
        "{error}"
    );

    let mut shorter = states();
    shorter[1][0].weights.pop();
    let error = tensors(&graph(), &shorter).unwrap_err().to_string();
    assert!(
        error.starts_with("export layer `out`: it has 4 numbers a neuron"),
        "{error}"
    );

    assert!(tensors(&graph(), &states()[..1]).is_err());
}

#[test]
fn safetensors_have_the_documented_bytes() {
    let bytes = written(WeightsFormat::Safetensors);
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(header % 8, 0);
    let text = std::str::from_utf8(&bytes[8..8 + header]).unwrap();
    let kernel = r#""hidden/kernel":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#;
    assert!(text.starts_with('{') && text.contains(kernel), "{text}");
    let mut numbers = Vec::new();
    for number in [
        1f32, 3.0, 5.0, 2.0, 4.0, 6.0, 10.0, 20.0, 30.0, 7.0, 8.0, -0.5,
    ] {
        numbers.extend(number.to_le_bytes());
    }
    assert_eq!(bytes[8 + header..], numbers);
}

#[test]
fn safetensors_are_read_by_their_own_crate() {
    let bytes = written(WeightsFormat::Safetensors);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 3);
    let out = file.tensor("out/kernel").unwrap();
    assert_eq!((out.dtype(), out.shape()), (Dtype::F32, [3, 1].as_slice()));
    assert_eq!(out.data()[..4], 7f32.to_le_bytes());
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata["run"], "tiny");
    assert_eq!(metadata["weights_sha256"], "00ff");
}

#[test]
fn npz_is_read_by_its_own_crate() {
    let mut file = NpzReader::new(Cursor::new(written(WeightsFormat::Npz))).unwrap();
    assert_eq!(
        file.names().unwrap(),
        ["hidden/kernel", "hidden/bias", "out/kernel"]
    );
    let kernel: Array2<f32> = file.by_name("hidden/kernel").unwrap();
    assert_eq!(kernel, array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
    let bias: Array1<f32> = file.by_name("hidden/bias").unwrap();
    assert_eq!(bias, array![10.0, 20.0, 30.0]);
}

#[test]
fn npz_holds_plain_npy_files_in_c_order() {
    let bytes = written(WeightsFormat::Npz);
    let start = bytes.windows(6).position(|w| w == b"\x93NUMPY").unwrap();
    let header = String::from_utf8_lossy(&bytes[start + 10..start + 80]);
    assert!(header.contains("'descr': '<f4'"), "{header}");
    assert!(header.contains("'fortran_order': False"), "{header}");
    assert!(header.contains("'shape': (2, 3)"), "{header}");
    // Stored, not compressed: the numbers are there to be found.
    let row: Vec<u8> = [1f32, 3.0, 5.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    assert!(bytes.windows(12).any(|window| window == row));
}

#[test]
fn the_same_weights_give_the_same_bytes() {
    for format in [WeightsFormat::Safetensors, WeightsFormat::Npz] {
        assert_eq!(written(format), written(format));
    }
}

#[test]
fn a_file_of_either_format_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = tensors(&graph(), &states()).unwrap();
    for (format, name) in [
        (WeightsFormat::Safetensors, "w.safetensors"),
        (WeightsFormat::Npz, "w.npz"),
    ] {
        let path = folder.path().join(name);
        write_file(&path, false, format, &tensors, &metadata()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), written(format));
        assert!(write_file(&path, false, format, &tensors, &metadata()).is_err());
    }
}
