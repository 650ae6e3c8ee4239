//! Outputs, losses, and how a network is trained.

use cuttlefish_core::topology::{DataShape, Grouping, TaskShape};

use super::{IMAGES, check, check_fit};
use crate::{BCE, BINARY, DIGITS, HIDDEN, MSE, REGRESSION, SOFTMAX, SPARSE, VALID, file, graph};

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
