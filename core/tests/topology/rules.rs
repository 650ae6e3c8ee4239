//! The rules that no schema can state, each seen failing and passing.

use cuttlefish_core::math::Activation;
use cuttlefish_core::topology::{DataShape, Grouping, Head, TaskShape};

use crate::{
    BCE, BINARY, DIGITS, DROPOUT, HIDDEN, MSE, REGRESSION, SOFTMAX, SPARSE, VALID, document, file,
    graph, problems,
};

/// What is wrong with a file by itself, line by line.
fn check(text: &str, expected: &[&str]) {
    let problems = problems(text, &[]);
    let found: Vec<&str> = problems.lines().collect();
    assert_eq!(found, expected, "\n{text}");
}

/// What is wrong with a valid file and its data.
fn check_fit(text: &str, shape: &DataShape, expected: &[&str]) {
    let problems = match document(text, &[]).graph(shape, Grouping::FromFile) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    };
    let found: Vec<&str> = problems.lines().collect();
    assert_eq!(found, expected, "\n{text}");
}

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

const IMAGES: DataShape = DataShape {
    image: Some((8, 8)),
    ..DIGITS
};
const FLATTEN: &str = "{type: flatten}";
const POOL: &str = "{type: max_pooling2d}";

/// A convolution with more keys.
fn conv(keys: &str) -> String {
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

#[test]
fn only_images_of_bytes_can_be_augmented() {
    let text = file(&[HIDDEN, SOFTMAX], SPARSE, "").replace(
        "source: digits",
        "source: digits, augmentation: {shift: 1, elastic: {alpha: 34, sigma: 4}}",
    );
    let bytes = DataShape {
        value_bytes: 1,
        ..IMAGES
    };
    check_fit(&text, &bytes, &[]);
    let training = graph(&text, &bytes, Grouping::FromFile).training;
    assert_eq!(
        training.augmentation.map(|how| (how.shift, how.rotate)),
        Some((1, 0.0))
    );
    let refused = "2:38: data.augmentation: only images of bytes can be augmented, and the data has none (leave it out)";
    for shape in [
        DataShape {
            image: None,
            ..bytes
        },
        DataShape {
            value_bytes: 4,
            ..bytes
        },
    ] {
        check_fit(&text, &shape, &[refused]);
    }
    check(
        &text.replace("sigma: 4", "sigma: 0"),
        &[
            "2:77: data.augmentation.elastic.sigma: must be between 0.1 and 64, found `0` (standard deviation of the Gaussian, in pixels: 4 goes with an alpha of 34)",
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

#[test]
fn outputs_and_losses_go_together() {
    let with = |activation: &str, loss: &str| {
        let last = format!("{{type: dense, units: 10, activation: {activation}}}");
        file(&[HIDDEN, &last], loss, "")
    };
    for loss in [SPARSE, "categorical_crossentropy", MSE] {
        check(&with("softmax", loss), &[]);
    }
    check(&with("sigmoid", BCE), &[]);
    check(&with("tanh", MSE), &[]);
    check(
        &with("relu", SPARSE),
        &[
            "6:44: network.layers[1].activation: `sparse_categorical_crossentropy` needs a softmax output layer (use `activation: softmax` here, or another loss)",
        ],
    );
    check(
        &with("linear", "categorical_crossentropy"),
        &[
            "6:44: network.layers[1].activation: `categorical_crossentropy` needs a softmax output layer (use `activation: softmax` here, or another loss)",
        ],
    );
    check(
        &with("softmax", BCE),
        &[
            "6:44: network.layers[1].activation: `binary_crossentropy` needs a sigmoid output layer (use `activation: sigmoid` here, or another loss)",
        ],
    );
    check(
        &file(&[SOFTMAX, SOFTMAX], SPARSE, ""),
        &[
            "5:44: network.layers[0].activation: softmax is for the last layer only (use `relu` or `tanh` in hidden layers)",
        ],
    );
    check(
        &file(&["{type: dense, units: 1, activation: softmax}"], MSE, ""),
        &[
            "5:28: network.layers[0].units: softmax over one neuron is always 1 (use one neuron a class, or `activation: sigmoid`)",
        ],
    );
}

#[test]
fn numbers_of_optimizers_and_schedules_make_sense() {
    let with = |optimizer: &str| {
        file(
            &[SOFTMAX],
            SPARSE,
            &format!("training:\n  optimizer: {{type: {optimizer}}}\n"),
        )
    };
    for valid in ["sgd", "adagrad", "rmsprop", "adam"] {
        check(&with(valid), &[]);
    }
    check(&with("sgd, nesterov: true, momentum: 0.9"), &[]);
    check(
        &with("sgd, learning_rate: 0, momentum: 1, nesterov: true"),
        &[
            "8:41: training.optimizer.learning_rate: must be above 0, found `0` (0.01 for example)",
            "8:54: training.optimizer.momentum: must be below 1, found `1` (0.9 for example)",
        ],
    );
    check(
        &with("sgd, nesterov: true"),
        &["8:36: training.optimizer.nesterov: nesterov needs momentum (add `momentum: 0.9`)"],
    );
    check(
        &with("sgd, learning_rate: 1e-60"),
        &["8:41: training.optimizer.learning_rate: must be above 0, found `0` (0.01 for example)"],
    );
    check(
        &with("sgd, learning_rate: 1e39"),
        &[
            "8:41: training.optimizer.learning_rate: must be a finite number, found `1000000000000000000000000000000000000000` (step size)",
        ],
    );
    check(
        &with("sgd, learning_rate: .nan"),
        &[
            "8:41: training.optimizer.learning_rate: must be a finite number, found `.nan` (step size)",
        ],
    );
    check(
        &with("adagrad, epsilon: 0"),
        &["8:39: training.optimizer.epsilon: must be above 0, found `0` (1e-7 for example)"],
    );
    check(
        &with("rmsprop, epsilon: 0, rho: 1"),
        &[
            "8:39: training.optimizer.epsilon: must be above 0, found `0` (1e-7 for example)",
            "8:47: training.optimizer.rho: must be below 1, found `1` (0.9 for example)",
        ],
    );
    check(
        &with("adam, epsilon: 0, beta_1: 1, beta_2: 1.0"),
        &[
            "8:36: training.optimizer.epsilon: must be above 0, found `0` (1e-7 for example)",
            "8:47: training.optimizer.beta_1: must be below 1, found `1` (0.9 for example)",
            "8:58: training.optimizer.beta_2: must be below 1, found `1` (0.9 for example)",
        ],
    );
    let with = |schedule: &str| {
        let more = format!("training:\n  learning_rate_schedule: {{type: {schedule}}}\n");
        file(&[SOFTMAX], SPARSE, &more)
    };
    check(&with("cosine"), &[]);
    check(
        &with("step, every_epochs: 1, factor: 0"),
        &[
            "8:65: training.learning_rate_schedule.factor: must be above 0, found `0` (0 would end the training at the first drop)",
        ],
    );
    check(
        &with("exponential, decay_rate: 0"),
        &[
            "8:59: training.learning_rate_schedule.decay_rate: must be above 0, found `0` (0 would end the training at the first drop)",
        ],
    );
}

#[test]
fn early_stopping_needs_something_to_watch() {
    let with = |monitor: &str, split: f64| {
        let more = format!("training: {{early_stopping: {{patience: 1, monitor: {monitor}}}}}\n");
        file(&[SOFTMAX], SPARSE, &more).replace(
            "source: digits",
            &format!("source: digits, validation_split: {split}"),
        )
    };
    let nothing = DataShape {
        validation_rows: 0,
        ..DIGITS
    };
    for monitor in ["validation_loss", "validation_accuracy"] {
        check(
            &with(monitor, 0.0),
            &[
                "7:51: training.early_stopping.monitor: there are no validation rows to watch (use `monitor: loss`, or a `validation_split` above 0)",
            ],
        );
        check_fit(
            &with(monitor, 0.0001),
            &nothing,
            &[
                "7:51: training.early_stopping.monitor: there are no validation rows to watch (use `monitor: loss`)",
            ],
        );
        check_fit(&with(monitor, 0.1), &DIGITS, &[]);
    }
    check_fit(&with("loss", 0.0), &nothing, &[]);
    let regression = with("validation_accuracy", 0.1)
        .replace("10, activation: softmax", "1")
        .replace(SPARSE, MSE);
    check_fit(
        &regression,
        &REGRESSION,
        &[
            "7:51: training.early_stopping.monitor: a regression has no accuracy (use `monitor: validation_loss`)",
        ],
    );
    check(
        &regression.replace(
            "source: digits",
            "source: csv, path: a.csv, target: y, task: regression",
        ),
        &[
            "7:51: training.early_stopping.monitor: a regression has no accuracy (use `monitor: validation_loss`)",
        ],
    );
}

#[test]
fn a_csv_source_is_complete() {
    let with = |keys: &str| VALID.replace("source: digits", &format!("source: csv, {keys}"));
    check(&with("path: a.csv, target: y"), &[]);
    check(
        &with("path: '', target: y, ignore: [x, y]"),
        &[
            "2:27: data.path: the path is empty (name a CSV file)",
            "2:39: data.target: `y` is also in `ignore` (a column cannot be both)",
        ],
    );
}

#[test]
fn sizes_are_bounded() {
    let wide = "{type: dense, units: 65536}";
    check(
        &file(&[wide, wide, wide, wide, SOFTMAX], SPARSE, ""),
        &["5:5: network.layers: the network has 262154 neurons (at most 200000)"],
    );
    let text = file(
        &[
            "{type: dense, units: 8000}",
            "{type: dense, units: 8000}",
            SOFTMAX,
        ],
        SPARSE,
        "",
    );
    check_fit(
        &text,
        &DIGITS,
        &["5:5: network.layers: the network has 64608010 weights and biases (at most 50000000)"],
    );
    let many = |features: usize| DataShape { features, ..DIGITS };
    check_fit(VALID, &many(200_000), &[]);
    check_fit(VALID, &many((16 << 20) / 4 - 1), &[]);
    check_fit(
        VALID,
        &many((16 << 20) / 4),
        &[
            "5:42: network.layers[0].units: each neuron has 4194304 weights and a state of 16777220 bytes (at most 16777216 bytes: use fewer neurons in the layer before)",
        ],
    );
    check_fit(
        VALID,
        &many(usize::MAX),
        &[
            "5:5: network.layers: the network has 147573952589676413018 weights and biases (at most 50000000)",
            "5:42: network.layers[0].units: each neuron has 18446744073709551615 weights and a state of 73786976294838206464 bytes (at most 16777216 bytes: use fewer neurons in the layer before)",
        ],
    );
    check_fit(
        VALID,
        &many(0),
        &["2:7: data: the data has no features (it needs at least one column besides the target)"],
    );
    let none = DataShape {
        train_rows: 0,
        ..DIGITS
    };
    check_fit(
        VALID,
        &none,
        &["2:7: data: no rows are left for training (use smaller splits or more data)"],
    );
    let memory = |text: &str| format!("{VALID}deployment: {{resources: {{memory: {text}}}}}\n");
    check(&memory("6MiB"), &[]);
    check(
        &memory("1KiB"),
        &[
            "8:34: deployment.resources.memory: must be between 6MiB and 1024GiB, found `1KiB` (memory of one container)",
        ],
    );
    check(
        &memory("99999999999999999999999999GiB"),
        &[
            "8:34: deployment.resources.memory: must be between 6MiB and 1024GiB, found `99999999999999999999999999GiB` (memory of one container)",
        ],
    );
    let layer = "{type: dense, units: 10, activation: softmax, resources: {memory: 1MiB}}";
    check(
        &file(&[layer], SPARSE, ""),
        &[
            "5:73: network.layers[0].resources.memory: must be between 6MiB and 1024GiB, found `1MiB` (memory of one container)",
        ],
    );
}

#[test]
fn the_last_layer_fits_the_task() {
    let with = |units: usize, activation: &str, loss: &str| {
        let last = format!("{{type: dense, units: {units}, activation: {activation}}}");
        file(&[HIDDEN, &last], loss, "")
    };
    for (units, activation, loss, shape) in [
        (10, "softmax", SPARSE, &DIGITS),
        (10, "softmax", "categorical_crossentropy", &DIGITS),
        (10, "sigmoid", BCE, &DIGITS),
        (10, "sigmoid", MSE, &DIGITS),
        (2, "softmax", SPARSE, &BINARY),
        (2, "sigmoid", BCE, &BINARY),
        (1, "sigmoid", BCE, &BINARY),
        (1, "tanh", MSE, &BINARY),
        (1, "linear", MSE, &REGRESSION),
        (1, "relu", MSE, &REGRESSION),
    ] {
        check_fit(&with(units, activation, loss), shape, &[]);
    }
    check_fit(
        &with(9, "softmax", SPARSE),
        &DIGITS,
        &["6:28: network.layers[1].units: the data has 10 classes, found `9` (use `units: 10`)"],
    );
    check_fit(
        &with(1, "sigmoid", BCE),
        &DIGITS,
        &["6:28: network.layers[1].units: the data has 10 classes, found `1` (use `units: 10`)"],
    );
    check_fit(
        &with(3, "sigmoid", BCE),
        &BINARY,
        &[
            "6:28: network.layers[1].units: the data has 2 classes, found `3` (use `units: 2`, or 1 for the probability of the second class)",
        ],
    );
    check_fit(
        &with(3, "softmax", SPARSE),
        &BINARY,
        &["6:28: network.layers[1].units: the data has 2 classes, found `3` (use `units: 2`)"],
    );
    check_fit(
        &with(1, "linear", MSE),
        &DIGITS,
        &["6:28: network.layers[1].units: the data has 10 classes, found `1` (use `units: 10`)"],
    );
    check_fit(
        &with(2, "linear", MSE),
        &REGRESSION,
        &["6:28: network.layers[1].units: a regression has one output, found `2` (use `units: 1`)"],
    );
    check_fit(
        &with(2, "softmax", MSE),
        &REGRESSION,
        &[
            "6:28: network.layers[1].units: a regression has one output, found `2` (use `units: 1`)",
            "6:43: network.layers[1].activation: softmax is for classes, and the data has a number to predict (use `activation: linear`)",
        ],
    );
    check_fit(
        &with(2, "softmax", SPARSE),
        &REGRESSION,
        &[
            "6:28: network.layers[1].units: a regression has one output, found `2` (use `units: 1`)",
            "7:9: network.loss: `sparse_categorical_crossentropy` is for classes, and the data has a number to predict (use `mean_squared_error` and a linear output layer)",
        ],
    );
    check_fit(
        &with(1, "sigmoid", BCE),
        &REGRESSION,
        &[
            "7:9: network.loss: `binary_crossentropy` is for classes, and the data has a number to predict (use `mean_squared_error` and a linear output layer)",
        ],
    );
    let single = DataShape {
        task: TaskShape::Classification { classes: 1 },
        ..DIGITS
    };
    check_fit(
        VALID,
        &single,
        &["2:7: data: the data has fewer than two classes (there is nothing to tell apart)"],
    );
}
