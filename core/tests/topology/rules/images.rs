//! Image data of people's own: its keys, and layers on images with channels.

use cuttlefish_core::data::TargetStatistics;
use cuttlefish_core::topology::spec::{Data, DataFormat};
use cuttlefish_core::topology::{DataShape, Grouping, TaskShape};

use super::{IMAGES, check, check_fit};
use crate::{DIGITS, MSE, SOFTMAX, SPARSE, document, file, graph};

/// 8 x 8 pixels of three channels.
const RGB: DataShape = DataShape {
    features: 192,
    image: Some((8, 8)),
    ..DIGITS
};

/// A file with this data.
fn with_data(data: &str) -> String {
    file(&[SOFTMAX], SPARSE, "").replace("{source: digits}", data)
}

#[test]
fn right_answers_that_are_numbers_are_scaled_as_the_file_says() {
    let statistics = TargetStatistics {
        mean: 100.0,
        deviation: 20.0,
        min: 50.0,
        max: 150.0,
    };
    let shape = DataShape {
        task: TaskShape::Regression {
            targets: Some(statistics),
        },
        ..DIGITS
    };
    for source in ["npz, path: a.npz", "idx, images: a, labels: b"] {
        let scale = |scaling: &str| {
            let source = format!("source: {source}{scaling}");
            let last = "{type: dense, units: 1}";
            let text = file(&[last], MSE, "").replace("source: digits", &source);
            let scale = graph(&text, &shape, Grouping::FromFile).target_scale;
            (scale.offset, scale.scale)
        };
        assert_eq!(scale(""), (100.0, 20.0));
        assert_eq!(scale(", target_scaling: min_max"), (50.0, 100.0));
        assert_eq!(scale(", target_scaling: none"), (0.0, 1.0));
    }
    check_fit(
        &with_data("{source: npz, path: a.npz, target_scaling: min_max}"),
        &DIGITS,
        &[
            "2:50: data.target_scaling: the target is a class, which has no scale (leave it out, or give right answers that are floating-point numbers)",
        ],
    );
}

#[test]
fn sources_of_images_of_ones_own_have_their_keys() {
    for data in [
        "{source: idx, images: a, labels: b}",
        "{source: idx, images: a, labels: b, test_images: c, test_labels: d, class_names: [x, y], validation_split: 0}",
        "{source: npz, path: a.npz}",
        "{source: npz, path: a.npz, x: a, y: b, x_test: c, y_test: d, data_format: channels_first, augmentation: {shift: 1}}",
        "{source: npz, path: a.npz, target_scaling: min_max}",
        "{source: idx, images: a, labels: b, target_scaling: none}",
        "{source: npz, path: a.npz, test_path: b.npz}",
        "{source: images, path: pets, image_size: [32, 24], color_mode: rgb, test_split: 0.1}",
        "{source: images, path: pets, test_path: more}",
    ] {
        let text = with_data(data);
        let spec = document(&text, &[]).spec().clone();
        // As a record keeps it.
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(
            serde_json::from_str::<cuttlefish_core::topology::Spec>(&json).unwrap(),
            spec
        );
    }
    let built = [
        (Data::idx("a", "b"), "{source: idx, images: a, labels: b}"),
        (Data::npz("a"), "{source: npz, path: a}"),
        (Data::images("a"), "{source: images, path: a}"),
    ];
    for (data, text) in built {
        assert_eq!(document(&with_data(text), &[]).spec().data, data);
    }
    let text = with_data("{source: npz, path: a}");
    let spec = document(&text, &[]).spec().clone();
    let Data::Npz(source) = spec.data else {
        panic!("the source is npz");
    };
    assert_eq!(source.data_format, DataFormat::ChannelsLast);
    assert_eq!(
        (source.split.test_share(), source.split.validation_split),
        (0.2, 0.1)
    );
}

#[test]
fn keys_that_do_not_go_together_are_named() {
    check(
        &with_data("{source: idx, images: '', labels: b, test_images: c}"),
        &[
            "2:29: data.images: the text is empty (write a name, or leave the key out)",
            "2:57: data.test_images: `test_images` without `test_labels` (name both, or neither)",
        ],
    );
    check(
        &with_data("{source: npz, path: a, y_test: b}"),
        &["2:38: data.y_test: `y_test` without `x_test` (name both, or neither)"],
    );
    check(
        &with_data("{source: images, path: a, test_path: b, test_split: 0.1}"),
        &["2:59: data.test_split: `test_path` names the rows that test (leave one of the two out)"],
    );
    check(
        &with_data("{source: idx, images: a, labels: b, class_names: [x, y, x]}"),
        &[
            "2:63: data.class_names[2]: another class has the name `x` too (names of classes must differ)",
        ],
    );
    check(
        &with_data("{source: npz, path: a, validation_split: 1.5, data_format: hwc}"),
        &[
            "2:48: data.validation_split: must be between 0 and 0.9, found `1.5` (share of the other rows that validate)",
            "2:66: data.data_format: unknown value `hwc` (valid: `channels_last`, `channels_first`)",
        ],
    );
}

#[test]
fn images_may_have_channels() {
    let conv = "{type: conv2d, filters: 4, kernel_size: 3}";
    let flatten = "{type: flatten}";
    let network = graph(
        &file(&[conv, flatten, SOFTMAX], SPARSE, ""),
        &RGB,
        Grouping::FromFile,
    );
    assert_eq!(network.channels, 3);
    assert_eq!(network.layers[0].keras_shape(), [3, 3, 3, 4]);
    let network = graph(&file(&[SOFTMAX], SPARSE, ""), &RGB, Grouping::FromFile);
    // Keras has the three channels of a pixel side by side, a neuron one after the other.
    let order = network.layers[0].weights_as_keras(network.channels_below(0));
    assert_eq!(order.take(4).collect::<Vec<_>>(), [0, 64, 128, 1]);
    let network = graph(&file(&[SOFTMAX], SPARSE, ""), &IMAGES, Grouping::FromFile);
    let order = network.layers[0].weights_as_keras(network.channels_below(0));
    assert_eq!(order.collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
    let conv1d = "{type: conv1d, filters: 3, kernel_size: 2}";
    let right_on = "(it goes right on the data or behind another `conv1d`)";
    let needs = "a convolution over steps needs steps, and is given";
    check_fit(
        &file(&[conv1d, flatten, SOFTMAX], SPARSE, ""),
        &RGB,
        &[&format!(
            "5:7: network.layers[0]: {needs} 3 channels of 8 x 8 {right_on}"
        )],
    );
    check_fit(
        &file(&[flatten, conv1d, flatten, SOFTMAX], SPARSE, ""),
        &RGB,
        &[&format!(
            "6:7: network.layers[1]: {needs} 192 numbers in a row {right_on}"
        )],
    );
    let reshape = "{type: reshape, target_shape: [8, 24]}";
    let several = "the rows are images of several channels already (leave the layer out)";
    check_fit(
        &file(&[reshape, SOFTMAX], SPARSE, ""),
        &RGB,
        &[&format!("5:7: network.layers[0]: {several}")],
    );
    check_fit(
        &file(&[flatten, reshape, SOFTMAX], SPARSE, ""),
        &RGB,
        &[&format!("6:7: network.layers[1]: {several}")],
    );
}
