//! Layers: their names, shapes, and what may follow what.

use cuttlefish_core::math::Activation;
use cuttlefish_core::topology::{Grouping, Head};

use super::{IMAGES, check, check_fit};
use crate::{DIGITS, DROPOUT, HIDDEN, SOFTMAX, SPARSE, file, graph};

#[test]
fn layers_without_names_are_numbered_and_names_differ() {
    let text = file(&[HIDDEN, DROPOUT, HIDDEN, SOFTMAX], SPARSE, "");
    let names: Vec<String> = graph(&text, &DIGITS, Grouping::WholeLayers)
        .layers
        .into_iter()
        .map(|layer| layer.name)
        .collect();
    assert_eq!(names, ["dense_1", "dense_2", "dense_3"]);
    let named = |name: &str| format!("{{type: dense, name: {name}, units: 2}}");
    check(
        &file(&[&named("a"), &named("a"), SOFTMAX], SPARSE, ""),
        &[
            "6:27: network.layers[1].name: another layer has the name `a` too (names of layers must differ)",
        ],
    );
    check(
        &file(&[&named("dense_2"), HIDDEN, SOFTMAX], SPARSE, ""),
        &[
            "5:27: network.layers[0].name: another layer has the name `dense_2` too (names of layers must differ)",
        ],
    );
}

#[test]
fn dropout_belongs_to_the_layer_before_it() {
    check(&file(&[HIDDEN, DROPOUT, SOFTMAX], SPARSE, ""), &[]);
    check(
        &file(
            &[DROPOUT, HIDDEN, DROPOUT, DROPOUT, SOFTMAX, DROPOUT],
            SPARSE,
            "",
        ),
        &[
            "5:7: network.layers[0]: dropout before the first layer with weights (it acts on the neurons before it, and inputs are not neurons)",
            "8:7: network.layers[3]: dropout right after another dropout (give the first one a higher `rate` instead)",
            "10:7: network.layers[5]: dropout after the last layer with weights (it would set answers of the network to 0)",
        ],
    );
    check(
        &file(&[HIDDEN, DROPOUT, FLATTEN, DROPOUT, SOFTMAX], SPARSE, ""),
        &[
            "8:7: network.layers[3]: dropout right after another dropout (give the first one a higher `rate` instead)",
        ],
    );
    check(
        &file(&[DROPOUT], SPARSE, ""),
        &["5:5: network.layers: there is no layer with weights (add a layer of `type: dense`)"],
    );
}

pub(super) const FLATTEN: &str = "{type: flatten}";
pub(super) const POOL: &str = "{type: max_pooling2d}";

/// A convolution with more keys.
pub(super) fn conv(keys: &str) -> String {
    format!("{{type: conv2d, filters: 3{keys}}}")
}

#[test]
fn shapes_are_worked_out_layer_by_layer() {
    let (same, valid) = (
        conv(", kernel_size: [3, 2], padding: same, strides: [1, 2]"),
        conv(", kernel_size: 2"),
    );
    let pool = "{type: average_pooling2d, pool_size: [3, 2], strides: 1, padding: same}";
    let text = file(
        &[&same, pool, DROPOUT, &valid, POOL, FLATTEN, HIDDEN, SOFTMAX],
        SPARSE,
        "",
    );
    let layers = graph(&text, &IMAGES, Grouping::FromFile).layers;
    let names: Vec<&str> = layers.iter().map(|layer| &*layer.name).collect();
    assert_eq!(names, ["conv2d_1", "conv2d_2", "dense_3", "dense_4"]);
    let numbers = layers.iter().map(|layer| {
        let (inputs, positions) = (layer.inputs(), layer.positions());
        (
            layer.fan_in,
            inputs,
            positions,
            layer.outputs(),
            layer.fan_out(),
        )
    });
    let expected = [
        (6, 64, 32, 32, 18),
        (12, 96, 21, 3, 12),
        (9, 9, 1, 1, 8),
        (8, 8, 1, 1, 10),
    ];
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
    assert_eq!(layers[0].dropout, 0.5);
    // Rows that are images are flat to a dense layer, with or without the word for it.
    for layers in [&[HIDDEN, SOFTMAX][..], &[FLATTEN, HIDDEN, SOFTMAX]] {
        let graph = graph(&file(layers, SPARSE, ""), &IMAGES, Grouping::FromFile);
        assert_eq!(graph.layers[0].fan_in, 64);
    }
}

#[test]
fn layers_that_cannot_follow_each_other_are_named() {
    let conv = conv(", kernel_size: 2");
    check(
        &file(
            &[POOL, &conv, DROPOUT, POOL, FLATTEN, SOFTMAX, FLATTEN],
            SPARSE,
            "",
        ),
        &[
            "5:7: network.layers[0]: pooling that does not follow a convolution (filters pool their own maps: put it right behind a `conv2d` layer)",
            "8:7: network.layers[3]: pooling that does not follow a convolution (filters pool their own maps: put it right behind a `conv2d` layer)",
            "11:7: network.layers[6]: flatten after the last layer with weights (the last layer's answers are numbers in a row already)",
        ],
    );
    let softmax = "{type: conv2d, filters: 10, kernel_size: 2, activation: softmax}";
    check(
        &file(&[softmax], SPARSE, ""),
        &[
            "5:7: network.layers[0]: the last layer with weights is a convolution (add `{type: flatten}` and a `dense` layer for the answers)",
        ],
    );
}

const NORMAL: &str = "{type: batch_normalization}";

#[test]
fn a_normalization_is_a_part_of_the_layer_before_it() {
    let conv = conv(", kernel_size: 2, name: maps");
    let named = "{type: batch_normalization, name: normal, scale: false, activation: relu}";
    let layers = [
        &conv, named, POOL, FLATTEN, HIDDEN, NORMAL, DROPOUT, SOFTMAX,
    ];
    let graph = graph(&file(&layers, SPARSE, ""), &IMAGES, Grouping::FromFile);
    let [maps, hidden, answers] = &graph.layers[..] else {
        panic!("three layers")
    };
    let of_maps = maps.normalization.as_ref().unwrap();
    assert_eq!(
        (of_maps.name.as_str(), of_maps.after_pool),
        ("normal", false)
    );
    assert_eq!((of_maps.momentum, of_maps.epsilon), (0.99, 1e-3));
    assert_eq!(maps.numbers() - maps.fan_in, 5);
    let of_hidden = hidden.normalization.as_ref().unwrap();
    assert_eq!(of_hidden.name, "dense_2");
    assert_eq!(hidden.dropout, 0.5);
    assert_eq!(answers.normalization, None);
    // As Keras counts them: one number of each filter and two of each neuron, and two of either.
    assert_eq!(maps.parameters(), 3 * (4 + 1 + 1));
    assert_eq!(hidden.parameters(), 8 * (27 + 1 + 2));
    assert_eq!(
        graph
            .layers
            .iter()
            .map(|l| l.non_trainable_parameters())
            .sum::<usize>(),
        22
    );
    let words: Vec<String> = (0..3).map(|layer| graph.activation_words(layer)).collect();
    assert_eq!(
        words,
        [
            "batch_normalization, relu",
            "relu, batch_normalization",
            "softmax"
        ]
    );
}

#[test]
fn a_normalization_comes_before_the_pool_or_behind_it_as_the_file_says() {
    let conv = conv(", kernel_size: 2");
    for (order, after_pool) in [([NORMAL, POOL], false), ([POOL, NORMAL], true)] {
        let text = file(&[&conv, order[0], order[1], FLATTEN, SOFTMAX], SPARSE, "");
        let graph = graph(&text, &IMAGES, Grouping::FromFile);
        let normalization = graph.layers[0].normalization.as_ref();
        assert_eq!(normalization.map(|n| n.after_pool), Some(after_pool));
        assert_eq!(graph.layers[1].fan_in, 27);
    }
}

#[test]
fn the_last_layer_may_be_normalized_before_its_softmax() {
    let linear = "{type: dense, units: 10}";
    let softmax = "{type: batch_normalization, activation: softmax}";
    let graph = graph(
        &file(&[linear, softmax], SPARSE, ""),
        &DIGITS,
        Grouping::FromFile,
    );
    assert_eq!(graph.head, Head::Softmax);
    let normalization = graph.layers[0].normalization.as_ref().unwrap();
    assert_eq!(normalization.activation, Activation::Linear);
    assert_eq!(graph.activation_words(0), "batch_normalization, softmax");
    check(
        &file(&[SOFTMAX, NORMAL], SPARSE, ""),
        &[
            "5:44: network.layers[0].activation: softmax is for the last layer only (use `relu` or `tanh` in hidden layers)",
            "6:7: network.layers[1].activation: `sparse_categorical_crossentropy` needs a softmax output layer (use `activation: softmax` here, or another loss)",
        ],
    );
}

#[test]
fn a_normalization_that_nothing_could_own_is_named() {
    let conv = conv(", kernel_size: 2");
    let layers = [
        NORMAL, &conv, NORMAL, POOL, NORMAL, FLATTEN, NORMAL, HIDDEN, NORMAL, NORMAL, DROPOUT,
        NORMAL, SOFTMAX,
    ];
    check(
        &file(&layers, SPARSE, ""),
        &[
            "5:7: network.layers[0]: batch normalization before the first layer with weights (neurons normalize what they say themselves, and inputs are not neurons)",
            "9:7: network.layers[4]: a second batch normalization of the same neurons (leave one of them out)",
            "11:7: network.layers[6]: batch normalization behind flatten (put it before: each filter normalizes its map, not each place of it)",
            "14:7: network.layers[9]: a second batch normalization of the same neurons (leave one of them out)",
            "16:7: network.layers[11]: batch normalization behind dropout (put it before the dropout, which is the last thing that a neuron does)",
        ],
    );
    let named = "{type: batch_normalization, name: dense_2}";
    check(
        &file(&[HIDDEN, named, SOFTMAX], SPARSE, ""),
        &[
            "6:41: network.layers[1].name: another layer has the name `dense_2` too (names of layers must differ)",
        ],
    );
}

#[test]
fn shapes_that_do_not_fit_are_named_with_both_of_them() {
    let small = conv(", kernel_size: 2");
    check_fit(
        &file(&[&small, SOFTMAX], SPARSE, ""),
        &IMAGES,
        &[
            "6:7: network.layers[1]: a dense layer needs numbers in a row, and is given 3 maps of 7 x 7 (put `{type: flatten}` before it)",
        ],
    );
    check_fit(
        &file(&[HIDDEN, &small, FLATTEN, SOFTMAX], SPARSE, ""),
        &IMAGES,
        &[
            "6:7: network.layers[1]: a convolution needs maps, and is given 8 numbers in a row (it goes before `flatten` and dense layers, and the data has to be images)",
        ],
    );
    check_fit(
        &file(&[&small, FLATTEN, SOFTMAX], SPARSE, ""),
        &DIGITS,
        &[
            "5:7: network.layers[0]: a convolution needs maps, and is given 64 numbers in a row (it goes before `flatten` and dense layers, and the data has to be images)",
        ],
    );
    let large = conv(", kernel_size: [2, 9]");
    let pool = "{type: max_pooling2d, pool_size: 8}";
    check_fit(
        &file(&[&large, FLATTEN, SOFTMAX], SPARSE, ""),
        &IMAGES,
        &[
            "5:47: network.layers[0].kernel_size: a kernel of 2 x 9 is larger than what it is given: 8 x 8 (make it smaller, or use `padding: same`)",
        ],
    );
    check_fit(
        &file(&[&small, pool, &small, FLATTEN, SOFTMAX], SPARSE, ""),
        &IMAGES,
        &[
            "6:40: network.layers[1].pool_size: a window of 8 x 8 is larger than the maps, which are 7 x 7 (make it smaller, or leave the layer out)",
        ],
    );
}

#[test]
fn heights_and_widths_are_one_number_or_two() {
    let with = |size: &str| {
        file(
            &[&conv(&format!(", kernel_size: {size}")), FLATTEN, SOFTMAX],
            SPARSE,
            "",
        )
    };
    check(&with("3"), &[]);
    check(&with("[3, 1]"), &[]);
    for (size, problem) in [
        (
            "0",
            "must be between 1 and 1024, found `0` (height and width of the kernel: one number, or two)",
        ),
        ("[3]", "expected at least 2 in this list, found 1"),
        ("[3, 2, 1]", "expected at most 2 in this list, found 3"),
    ] {
        let expected = format!("5:47: network.layers[0].kernel_size: {problem}");
        check(&with(size), &[&expected]);
    }
}
