//! Blocks of layers that are repeated.

use cuttlefish_core::layers::{LayerSpec, NeuronLayer, batch_normalization, dense};
use cuttlefish_core::math::Activation;
use cuttlefish_core::topology::spec::{Data, LayerEntry, Spec};
use cuttlefish_core::topology::{DataShape, Grouping, MAX_LAYERS, Topology};

use crate::{DIGITS, HIDDEN, SOFTMAX, SPARSE, document, file, graph, problems};

/// A block, in one line.
fn block(times: impl std::fmt::Display, layers: &[&str]) -> String {
    format!("{{repeat: {times}, layers: [{}]}}", layers.join(", "))
}

fn names(text: &str) -> Vec<String> {
    let graph = graph(text, &DIGITS, Grouping::WholeLayers);
    graph.layers.into_iter().map(|layer| layer.name).collect()
}

fn check(layers: &[&str], expected: &[&str]) {
    assert_eq!(
        problems(&file(layers, SPARSE, ""), &[]),
        expected.join("\n")
    );
}

#[test]
fn a_block_stands_for_its_layers_as_often_as_it_says() {
    let repeated = file(&[&block(700, &[HIDDEN]), SOFTMAX], SPARSE, "");
    let written = file(&[&[HIDDEN; 700][..], &[SOFTMAX]].concat(), SPARSE, "");
    for grouping in [Grouping::WholeLayers, Grouping::Units(1)] {
        let [repeated, written] = [&repeated, &written].map(|text| graph(text, &DIGITS, grouping));
        assert_eq!(repeated, written);
        assert_eq!(repeated.layers.len(), 701);
        assert_eq!(repeated.layers[699].name, "dense_700");
    }
}

#[test]
fn names_in_a_block_get_the_numbers_of_its_repetitions() {
    let named = |name: &str| format!("{{type: dense, name: {name}, units: 8}}");
    let (a, b) = (named("a"), named("b"));
    let inner = block(2, &[&b, HIDDEN]);
    let text = file(
        &[&named("a-0"), &block(2, &[&a, &inner]), SOFTMAX],
        SPARSE,
        "",
    );
    let expected = [
        "a-0", "a-1", "b-1-1", "dense_4", "b-1-2", "dense_6", "a-2", "b-2-1", "dense_9", "b-2-2",
        "dense_11", "dense_12",
    ];
    assert_eq!(names(&text), expected);
    let once = file(&[&block(1, &[&a]), SOFTMAX], SPARSE, "");
    assert_eq!(names(&once), ["a-1", "dense_2"]);
}

#[test]
fn stages_in_a_block_are_of_the_neurons_before_them_in_each_repetition() {
    let normalization = "{type: batch_normalization, name: norm, activation: relu}";
    let block = block(
        3,
        &[
            "{type: dense, units: 8}",
            normalization,
            "{type: dropout, rate: 0.5}",
        ],
    );
    let text = file(&[&block, SOFTMAX], SPARSE, "");
    let graph = graph(&text, &DIGITS, Grouping::WholeLayers);
    let stages = graph.layers[..3].iter().map(|layer| {
        let normalization = layer.normalization.as_ref().expect("it is normalized");
        (normalization.name.as_str(), layer.dropout)
    });
    let expected = [("norm-1", 0.5), ("norm-2", 0.5), ("norm-3", 0.5)];
    assert_eq!(stages.collect::<Vec<_>>(), expected);
}

#[test]
fn a_problem_in_a_block_is_told_once_at_its_place() {
    let inner = "{type: dense, units: 8, activation: softmax}";
    check(
        &[&block(3, &[HIDDEN, inner]), SOFTMAX],
        &[
            "5:107: network.layers[0].layers[1].activation: softmax is for the last layer only (use `relu` or `tanh` in hidden layers)",
        ],
    );
    check(
        &[&block(3, &["{type: dense, units: eight}"]), SOFTMAX],
        &[
            "5:49: network.layers[0].layers[0].units: expected a whole number, found the text `eight` (number of neurons)",
        ],
    );
    check(
        &[&block(2, &["{type: dropout, rate: 0.5}"]), SOFTMAX],
        &[
            "5:28: network.layers[0].layers[0]: dropout before the first layer with weights (it acts on the neurons before it, and inputs are not neurons)",
        ],
    );
    // Only with the data: the maps become too small in the third repetition.
    let shape = DataShape {
        image: Some((8, 8)),
        ..DIGITS
    };
    let convolution = "{type: conv2d, filters: 2, kernel_size: 3}";
    let text = file(
        &[&block(9, &[convolution]), "{type: flatten}", SOFTMAX],
        SPARSE,
        "",
    );
    let refused = document(&text, &[]).graph(&shape, Grouping::WholeLayers);
    assert_eq!(
        refused.expect_err("2 x 2 are left").to_string(),
        "5:68: network.layers[0].layers[0].kernel_size: a kernel of 3 x 3 is larger than what it is given: 2 maps of 2 x 2 (make it smaller, or use `padding: same`)"
    );
}

#[test]
fn slips_of_a_block_are_told_in_its_own_words() {
    let about = "number of times that the block is there, one on the other";
    check(
        &["{repeat: 3}", SOFTMAX],
        &["5:7: network.layers[0]: missing key `layers` (layers of the block, input side first)"],
    );
    check(
        &[&format!("{{layers: [{HIDDEN}]}}"), SOFTMAX],
        &[&format!(
            "5:7: network.layers[0]: missing key `repeat` ({about})"
        )],
    );
    check(
        &[&format!("{{repeats: 2, layers: [{HIDDEN}]}}"), SOFTMAX],
        &["5:8: network.layers[0].repeats: unknown key `repeats` (did you mean `repeat`?)"],
    );
    check(
        &[&block(0, &[HIDDEN]), SOFTMAX],
        &[&format!(
            "5:16: network.layers[0].repeat: must be between 1 and 4096, found `0` ({about})"
        )],
    );
    check(
        &[&block("often", &[HIDDEN]), SOFTMAX],
        &[&format!(
            "5:16: network.layers[0].repeat: expected a whole number, found the text `often` ({about})"
        )],
    );
    check(
        &["{repeat: 3, layers: []}", SOFTMAX],
        &["5:27: network.layers[0].layers: expected at least 1 in this list, found 0"],
    );
    check(
        &["{type: dense, units: 8, repeat: 3}", SOFTMAX],
        &[
            "5:31: network.layers[0].repeat: unknown key `repeat` (put the layer into a block: `{repeat: 3, layers: [...]}`)",
        ],
    );
    check(
        &[&block(2, &["{units: 8}"]), SOFTMAX],
        &[
            "5:28: network.layers[0].layers[0]: missing key `type` (one of `dense`, `conv1d`, `conv2d`, `max_pooling1d`, `average_pooling1d`, `max_pooling2d`, `average_pooling2d`, `batch_normalization`, `flatten`, `reshape`, `dropout`)",
        ],
    );
}

#[test]
fn there_are_as_many_layers_as_the_limit_says_and_no_more() {
    let deep = |times: usize| file(&[&block(times, &[HIDDEN]), SOFTMAX], SPARSE, "");
    assert_eq!(names(&deep(MAX_LAYERS - 1)).len(), MAX_LAYERS);
    assert_eq!(
        problems(&deep(MAX_LAYERS), &[]),
        "5:5: network.layers: the network has 4097 layers (at most 4096)"
    );
    // Nobody waits for what is not built; other problems are found all the same.
    let mut nested = block(4096, &["{type: dense, units: 8, activation: softmax}"]);
    for _ in 0..6 {
        nested = block(4096, &[&nested]);
    }
    let problems = problems(&file(&[&nested, SOFTMAX], SPARSE, ""), &[]);
    let endless = format!("the network has {} layers (at most 4096)", usize::MAX);
    assert!(problems.contains(&endless), "{problems}");
    assert!(
        problems.contains("softmax is for the last layer only"),
        "{problems}"
    );
    assert_eq!(problems.lines().count(), 2, "{problems}");
}

#[test]
fn a_name_that_becomes_too_long_by_its_number_is_refused() {
    let layer = |length: usize| format!("{{type: dense, name: {}, units: 8}}", "a".repeat(length));
    let text = |length: usize| file(&[&block(100, &[&layer(length)]), SOFTMAX], SPARSE, "");
    assert_eq!(problems(&text(36), &[]), "");
    let name = "a".repeat(37);
    assert_eq!(
        problems(&text(37), &[]),
        format!(
            "5:50: network.layers[0].layers[0].name: with the number of its repetition the name is `{name}-100` (at most 40 characters: make it shorter)"
        )
    );
}

#[test]
fn names_of_layers_and_of_synapses_differ_whatever_is_repeated() {
    let named = |name: &str| format!("{{type: dense, name: {name}, units: 8}}");
    check(
        &[&named("a-2"), &block(3, &[&named("a")]), SOFTMAX],
        &[
            "6:48: network.layers[1].layers[0].name: another layer has the name `a-2` too (names of layers must differ)",
        ],
    );
    check(
        &[
            &named("a"),
            &named("b-c"),
            &named("a-b"),
            &named("c"),
            SOFTMAX,
        ],
        &[
            "8:27: network.layers[3].name: the synapse below it would be called `a-b-c` (as the one between `a` and `b-c`: give one of the layers another name)",
        ],
    );
}

#[test]
fn an_override_changes_a_block_and_the_layers_in_it() {
    let text = file(
        &[&block(2, &["{type: dense, name: deep, units: 8}"]), SOFTMAX],
        SPARSE,
        "",
    );
    let units = |sets: &[&str]| {
        let graph = document(&text, sets).graph(&DIGITS, Grouping::WholeLayers);
        let layers = graph.expect("nothing is wrong").layers.into_iter();
        layers.map(|layer| layer.units).collect::<Vec<_>>()
    };
    assert_eq!(units(&["network.layers[0].repeat=3"]), [8, 8, 8, 10]);
    assert_eq!(units(&["network.layers[0].layers[0].units=5"]), [5, 5, 10]);
    assert_eq!(units(&["network.layers[deep].units=4"]), [4, 4, 10]);
    for (set, expected) in [
        (
            "network.layers[deep-2].units=4",
            "network.layers: there is no item with the name `deep-2` (every repetition of a layer is changed alike, with `[deep]`)",
        ),
        (
            "network.layers[deep-x].units=4",
            "network.layers: there is no item with the name `deep-x`",
        ),
        (
            "network.layers[0].layers[1].units=4",
            "network.layers[0].layers: there is no item 1 (the list has one item, number 0)",
        ),
        (
            "network.layers[deep].activation=softmax",
            "network.layers[0].layers[0].activation: softmax is for the last layer only (use `relu` or `tanh` in hidden layers)",
        ),
    ] {
        assert_eq!(problems(&text, &[set]), format!("--set {set}: {expected}"));
    }
}

#[test]
fn a_block_is_recorded_as_it_is_written() {
    let text = file(&[&block(700, &[HIDDEN]), SOFTMAX], SPARSE, "");
    let document = document(&text, &[]);
    let json = serde_json::to_string(document.spec()).expect("plain data");
    assert!(json.len() < 2_000, "{} bytes", json.len());
    let read: Spec = serde_json::from_str(&json).expect("what was written");
    assert_eq!(&read, document.spec());
    let again = read.document(&[]).expect("nothing is wrong");
    assert_eq!(again.layers(), document.layers());
    assert_eq!(again.layers().len(), 701);
}

#[test]
fn a_program_repeats_layers_too() {
    let hidden = dense(8).name("deep");
    let normalized: [LayerSpec; 2] = [hidden.into(), batch_normalization()];
    let topology = Topology::new("test", Data::digits())
        .repeat(3, normalized)
        .layer(dense(10).activation(Activation::Softmax));
    let document = topology.document(&[]).expect("nothing is wrong");
    assert_eq!(document.layers().len(), 7);
    assert!(matches!(
        document.spec().network.layers[0],
        LayerEntry::Repeat(_)
    ));
    let graph = document
        .graph(&DIGITS, Grouping::WholeLayers)
        .expect("nothing is wrong");
    assert_eq!(graph.layers[2].name, "deep-3");
}
