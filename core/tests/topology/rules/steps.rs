//! Layers over steps: their shapes, and what a row of the data is to them.

use cuttlefish_core::topology::Grouping;

use super::layers::{FLATTEN, POOL, conv};
use super::{IMAGES, check, check_fit};
use crate::{DIGITS, DROPOUT, HIDDEN, SOFTMAX, SPARSE, file, graph};

/// A convolution over steps with more keys.
fn conv1d(keys: &str) -> String {
    format!("{{type: conv1d, filters: 3{keys}}}")
}

#[test]
fn numbers_in_a_row_are_steps_of_one_channel() {
    let layers = [
        &conv1d(", kernel_size: 5, padding: causal, strides: 3"),
        "{type: max_pooling1d}",
        &conv1d(", kernel_size: 4, padding: same, name: second"),
        "{type: average_pooling1d, pool_size: 4, strides: 3}",
        DROPOUT,
        FLATTEN,
        SOFTMAX,
    ];
    let layers = graph(&file(&layers, SPARSE, ""), &DIGITS, Grouping::FromFile).layers;
    let names: Vec<&str> = layers.iter().map(|layer| &*layer.name).collect();
    assert_eq!(names, ["conv1d_1", "second", "dense_3"]);
    let numbers = layers.iter().map(|layer| {
        let (inputs, positions) = (layer.inputs(), layer.positions());
        (
            layer.keras_shape(),
            inputs,
            positions,
            layer.outputs(),
            layer.fan_out(),
        )
    });
    let expected = [
        (vec![5, 1, 3], 64, 22, 11, 15),
        (vec![4, 3, 3], 33, 11, 3, 12),
        (vec![9, 10], 9, 1, 1, 10),
    ];
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
    // Images are steps of one channel once they are flat, and before that their rows are steps.
    let flat = [FLATTEN, &conv1d(", kernel_size: 2"), FLATTEN, SOFTMAX];
    let flat = graph(&file(&flat, SPARSE, ""), &IMAGES, Grouping::FromFile);
    assert_eq!(flat.layers[0].positions(), 63);
    let reshape = "{type: reshape, target_shape: [16, 4]}";
    let conv = conv1d(", kernel_size: 3, strides: 2");
    for (before, shape, channels, positions) in [("", &IMAGES, 8, 3), (reshape, &DIGITS, 4, 7)] {
        let layers = [
            before,
            &conv,
            "{type: max_pooling1d}",
            &conv1d(", kernel_size: 1"),
            FLATTEN,
            SOFTMAX,
        ];
        let layers: Vec<&str> = layers
            .into_iter()
            .filter(|layer| !layer.is_empty())
            .collect();
        let layers = graph(&file(&layers, SPARSE, ""), shape, Grouping::FromFile).layers;
        assert_eq!(layers[0].keras_shape(), [3, channels, 3]);
        assert_eq!(
            (layers[0].positions(), layers[0].fan_out()),
            (positions, 9 * channels)
        );
        let above: Vec<usize> = layers[1].weights_as_keras(layers[0].units).collect();
        assert_eq!(above, [0, 1, 2]);
        assert_eq!(layers[1].positions(), positions / 2);
    }
}

#[test]
fn a_convolution_over_steps_needs_steps() {
    let conv1d = conv1d(", kernel_size: 65");
    let help = "(it goes right on the data or behind another `conv1d`)";
    let check_needs_steps = |layers: &[&str], shape, path: &str, flow: &str| {
        let expected =
            format!("{path}: a convolution over steps needs steps, and is given {flow} {help}");
        check_fit(&file(layers, SPARSE, ""), shape, &[&expected]);
    };
    let behind = [&*conv1d, FLATTEN, SOFTMAX];
    let dense = [HIDDEN, &conv1d, FLATTEN, SOFTMAX];
    check_needs_steps(
        &dense,
        &DIGITS,
        "6:7: network.layers[1]",
        "8 numbers in a row",
    );
    let maps = conv(", kernel_size: 2");
    let maps = [&*maps, &conv1d, FLATTEN, SOFTMAX];
    check_needs_steps(&maps, &IMAGES, "6:7: network.layers[1]", "3 maps of 7 x 7");
    check_fit(
        &file(&behind, SPARSE, ""),
        &DIGITS,
        &[
            "5:47: network.layers[0].kernel_size: a kernel of 65 is larger than what it is given: 64 numbers in a row (make it smaller, or use `padding: same`)",
        ],
    );
}

#[test]
fn steps_and_maps_do_not_mix() {
    let (steps, maps) = (conv1d(", kernel_size: 2"), conv(", kernel_size: 2"));
    check_fit(
        &file(&[&steps, &maps, FLATTEN, SOFTMAX], SPARSE, ""),
        &DIGITS,
        &[
            "6:7: network.layers[1]: a convolution needs maps, and is given 3 channels of 63 steps (it goes before `flatten` and dense layers, and the data has to be images)",
        ],
    );
    check_fit(
        &file(&[&steps, SOFTMAX], SPARSE, ""),
        &DIGITS,
        &[
            "6:7: network.layers[1]: a dense layer needs numbers in a row, and is given 3 channels of 63 steps (put `{type: flatten}` before it)",
        ],
    );
    let pool = "{type: max_pooling1d, pool_size: 64}";
    check_fit(
        &file(&[&steps, pool, FLATTEN, SOFTMAX], SPARSE, ""),
        &DIGITS,
        &[
            "6:40: network.layers[1].pool_size: a window of 64 is larger than the 63 steps (make it smaller, or leave the layer out)",
        ],
    );
    check(
        &file(&[&steps, POOL, FLATTEN, SOFTMAX], SPARSE, ""),
        &[
            "6:7: network.layers[1]: pooling that does not follow a convolution (filters pool their own maps: put it right behind a `conv2d` layer)",
        ],
    );
    check(
        &file(&[&maps, pool, FLATTEN, SOFTMAX], SPARSE, ""),
        &[
            "6:7: network.layers[1]: pooling that does not follow a convolution (filters pool their own steps: put it right behind a `conv1d` layer)",
        ],
    );
    let causal = "{type: max_pooling1d, padding: causal}";
    check(
        &file(&[&steps, causal, FLATTEN, SOFTMAX], SPARSE, ""),
        &["6:38: network.layers[1].padding: unknown value `causal` (valid: `valid`, `same`)"],
    );
}

#[test]
fn a_row_is_reshaped_before_the_first_layer_with_weights_and_keeps_its_numbers() {
    let square = "{type: reshape, target_shape: [8, 8]}";
    let filters = conv(", kernel_size: 2");
    let layers = [square, &filters, FLATTEN, SOFTMAX];
    let layers = graph(&file(&layers, SPARSE, ""), &DIGITS, Grouping::FromFile).layers;
    assert_eq!(layers[0].positions(), 49);
    check(
        &file(&[HIDDEN, square, SOFTMAX], SPARSE, ""),
        &[
            "6:7: network.layers[1]: reshape behind a layer with weights (put it first: it says what a row of the data is)",
        ],
    );
    check(
        &file(
            &[square, "{type: batch_normalization}", SOFTMAX],
            SPARSE,
            "",
        ),
        &[
            "6:7: network.layers[1]: batch normalization before the first layer with weights (neurons normalize what they say themselves, and inputs are not neurons)",
        ],
    );
    check_fit(
        &file(
            &[
                "{type: reshape, target_shape: [9, 7]}",
                &filters,
                FLATTEN,
                SOFTMAX,
            ],
            SPARSE,
            "",
        ),
        &DIGITS,
        &[
            "5:37: network.layers[0].target_shape: a row of 64 numbers is not 9 x 7 (the product of both is the number of features)",
        ],
    );
}
