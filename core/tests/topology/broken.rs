//! Broken files and the exact words about them.

use cuttlefish_core::topology::parse;

fn check(text: &str, expected: &str) {
    let rendered = match parse(text, &[]) {
        Ok(_) => String::new(),
        Err(problems) => problems.render("foo.yaml", text),
    };
    assert_eq!(rendered, expected, "\n--- rendered\n{rendered}---");
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_with_their_lines() {
    check(
        "\
name: My Run
sed: 7
data: {source: mnits}
network:
  layers:
    - {type: dense, unit: 128, activation: rleu}
    - {type: dens, units: 10}
    - {units: 10}
    - {type: dense, units: 0, use_bias: yes, frobnicate: 1}
    - dense
training:
  epochs: three
  batch_size: \"32\"
  optimizer: {type: sgd, learning_rate: -0.1, momentum: 2}
  learning_rate_schedule: {type: step, every_epochs: 2.5}
deployment:
  resources: {cpu: 0.1, memory: 64MB}
",
        "\
foo.yaml:1:7: name: expected at most 40 lower-case letters, digits and dashes, without a dash at either end, found `My Run`
    1 | name: My Run
      |       ^
foo.yaml:2:1: sed: unknown key `sed` (did you mean `seed`?)
    2 | sed: 7
      | ^
foo.yaml:3:16: data.source: unknown source `mnits` (did you mean `mnist`?)
    3 | data: {source: mnits}
      |                ^
foo.yaml:5:3: network: missing key `loss` (loss that training minimizes: `mean_squared_error`, `binary_crossentropy`, `categorical_crossentropy`, `sparse_categorical_crossentropy`)
    5 |   layers:
      |   ^
foo.yaml:6:21: network.layers[0].unit: unknown key `unit` (did you mean `units`?)
    6 |     - {type: dense, unit: 128, activation: rleu}
      |                     ^
foo.yaml:6:44: network.layers[0].activation: unknown value `rleu` (did you mean `relu`?)
    6 |     - {type: dense, unit: 128, activation: rleu}
      |                                            ^
foo.yaml:7:14: network.layers[1].type: unknown type `dens` (did you mean `dense`?)
    7 |     - {type: dens, units: 10}
      |              ^
foo.yaml:8:7: network.layers[2]: missing key `type` (one of `dense`, `conv1d`, `conv2d`, `max_pooling1d`, `average_pooling1d`, `max_pooling2d`, `average_pooling2d`, `batch_normalization`, `flatten`, `reshape`, `dropout`)
    8 |     - {units: 10}
      |       ^
foo.yaml:9:28: network.layers[3].units: must be between 1 and 65536, found `0` (number of neurons)
    9 |     - {type: dense, units: 0, use_bias: yes, frobnicate: 1}
      |                            ^
foo.yaml:9:41: network.layers[3].use_bias: expected `true` or `false`, found the text `yes` (write `true`)
    9 |     - {type: dense, units: 0, use_bias: yes, frobnicate: 1}
      |                                         ^
foo.yaml:9:46: network.layers[3].frobnicate: unknown key `frobnicate` (valid: `activation`, `bias_initializer`, `kernel_initializer`, `kernel_regularizer`, `name`, `neurons_per_unit`, `resources`, `type`, `units`, `use_bias`)
    9 |     - {type: dense, units: 0, use_bias: yes, frobnicate: 1}
      |                                              ^
foo.yaml:10:7: network.layers[4]: expected a mapping, found the text `dense` (write `{type: dense}`)
   10 |     - dense
      |       ^
foo.yaml:12:11: training.epochs: expected a whole number, found the text `three` (passes over the training rows; 0 writes the initial weights)
   12 |   epochs: three
      |           ^
foo.yaml:13:15: training.batch_size: expected a whole number, found the text `32` (write it without quotes)
   13 |   batch_size: \"32\"
      |               ^
foo.yaml:14:41: training.optimizer.learning_rate: must be at least 0, found `-0.1` (step size)
   14 |   optimizer: {type: sgd, learning_rate: -0.1, momentum: 2}
      |                                         ^
foo.yaml:14:57: training.optimizer.momentum: must be between 0 and 1, found `2` (share of the last step that is kept)
   14 |   optimizer: {type: sgd, learning_rate: -0.1, momentum: 2}
      |                                                         ^
foo.yaml:15:27: training.learning_rate_schedule: missing key `factor` (factor of each drop)
   15 |   learning_rate_schedule: {type: step, every_epochs: 2.5}
      |                           ^
foo.yaml:15:54: training.learning_rate_schedule.every_epochs: expected a whole number, found `2.5` (epochs between two drops)
   15 |   learning_rate_schedule: {type: step, every_epochs: 2.5}
      |                                                      ^
foo.yaml:17:33: deployment.resources.memory: expected a whole number with `KiB`, `MiB` or `GiB`, found `64MB`
   17 |   resources: {cpu: 0.1, memory: 64MB}
      |                                 ^
",
    );
}

#[test]
fn files_that_are_no_topology_at_all_are_refused_with_a_reason() {
    check(
        "",
        "\
foo.yaml:1:1: the file is empty (it needs at least `name`, `data` and `network`)
",
    );
    check(
        "# only a comment\n",
        "\
foo.yaml:1:1: the file is empty (it needs at least `name`, `data` and `network`)
    1 | # only a comment
      | ^
",
    );
    check("just text\n", "\
foo.yaml:1:1: expected a mapping, found the text `just text` (a network, how it is trained, on what data, and what its containers need)
    1 | just text
      | ^
");
    check("- a\n- list\n", "\
foo.yaml:1:1: expected a mapping, found a list (a network, how it is trained, on what data, and what its containers need)
    1 | - a
      | ^
");
    check(
        "name: [unclosed\n",
        "\
foo.yaml:1:7: not valid YAML: unclosed bracket '['
    1 | name: [unclosed
      |       ^
",
    );
    check(
        "name: a\n  data: b\n",
        "\
foo.yaml:2:7: not valid YAML: mapping values are not allowed in this context
    2 |   data: b
      |       ^
",
    );
    check("name: a\n---\nname: b\n", "\
foo.yaml:1:1: missing key `data` (data set that the network learns from: `digits`, `mnist`, `fashion-mnist`, `csv`, `idx`, `npz`, `images`)
    1 | name: a
      | ^
foo.yaml:1:1: missing key `network` (layers and loss)
    1 | name: a
      | ^
foo.yaml:2:1: a second document (a topology is one YAML document)
    2 | ---
      | ^
");
    check("name: a\nname: b\n", "\
foo.yaml:1:1: missing key `data` (data set that the network learns from: `digits`, `mnist`, `fashion-mnist`, `csv`, `idx`, `npz`, `images`)
    1 | name: a
      | ^
foo.yaml:1:1: missing key `network` (layers and loss)
    1 | name: a
      | ^
foo.yaml:2:1: the key `name` is here twice (remove one of the two)
    2 | name: b
      | ^
");
    check("name: &x a\ndata: *x\nnetwork: !!map {}\n", "\
foo.yaml:1:10: anchors are not supported (remove the `&name`)
    1 | name: &x a
      |          ^
foo.yaml:2:7: aliases are not supported (repeat the value)
    2 | data: *x
      |       ^
foo.yaml:3:16: tags are not supported (remove the `!tag`)
    3 | network: !!map {}
      |                ^
foo.yaml:3:16: network: missing key `layers` (the layers, input side first)
    3 | network: !!map {}
      |                ^
foo.yaml:3:16: network: missing key `loss` (loss that training minimizes: `mean_squared_error`, `binary_crossentropy`, `categorical_crossentropy`, `sparse_categorical_crossentropy`)
    3 | network: !!map {}
      |                ^
");
    check("name: *nowhere\n", "\
foo.yaml:1:1: missing key `data` (data set that the network learns from: `digits`, `mnist`, `fashion-mnist`, `csv`, `idx`, `npz`, `images`)
    1 | name: *nowhere
      | ^
foo.yaml:1:1: missing key `network` (layers and loss)
    1 | name: *nowhere
      | ^
foo.yaml:1:7: aliases are not supported (repeat the value)
    1 | name: *nowhere
      |       ^
");
    check("? [a, b]\n: c\n", "\
foo.yaml:1:1: missing key `name` (name of the run: lower-case letters, digits and dashes)
    1 | ? [a, b]
      | ^
foo.yaml:1:1: missing key `data` (data set that the network learns from: `digits`, `mnist`, `fashion-mnist`, `csv`, `idx`, `npz`, `images`)
    1 | ? [a, b]
      | ^
foo.yaml:1:1: missing key `network` (layers and loss)
    1 | ? [a, b]
      | ^
foo.yaml:1:3: a key must be text (keys are single words)
    1 | ? [a, b]
      |   ^
");
    check(
        "name: 2024\ndata: {source: csv}\nnetwork: {layers: [], loss: mse}\n",
        "\
foo.yaml:1:7: name: expected text, found `2024` (put it in quotes)
    1 | name: 2024
      |       ^
foo.yaml:2:7: data: missing key `path` (the file, relative to the topology file)
    2 | data: {source: csv}
      |       ^
foo.yaml:2:7: data: missing key `target` (name of the column to predict)
    2 | data: {source: csv}
      |       ^
foo.yaml:3:19: network.layers: expected at least 1 in this list, found 0
    3 | network: {layers: [], loss: mse}
      |                   ^
foo.yaml:3:29: network.loss: unknown value `mse` (did you mean `mean_squared_error`?)
    3 | network: {layers: [], loss: mse}
      |                             ^
",
    );
    check(
        "name: ~\ndata:\nnetwork: {layers: {type: dense}, loss: 3}\n",
        "\
foo.yaml:1:7: name: expected text, found nothing (name of the run: lower-case letters, digits and dashes)
    1 | name: ~
      |       ^
foo.yaml:2:5: data: expected a mapping, found nothing (data set that the network learns from)
    2 | data:
      |     ^
foo.yaml:3:19: network.layers: expected a list, found a mapping (the layers, input side first)
    3 | network: {layers: {type: dense}, loss: 3}
      |                   ^
foo.yaml:3:40: network.loss: expected one of `mean_squared_error`, `binary_crossentropy`, `categorical_crossentropy`, `sparse_categorical_crossentropy`, found `3` (loss that training minimizes)
    3 | network: {layers: {type: dense}, loss: 3}
      |                                        ^
",
    );
    check("seed: 18446744073709551616\nname: a-\n", "\
foo.yaml:1:1: missing key `data` (data set that the network learns from: `digits`, `mnist`, `fashion-mnist`, `csv`, `idx`, `npz`, `images`)
    1 | seed: 18446744073709551616
      | ^
foo.yaml:1:1: missing key `network` (layers and loss)
    1 | seed: 18446744073709551616
      | ^
foo.yaml:1:7: seed: must be at most 18446744073709551615, found `18446744073709551616` (seed of every random draw: initial weights, order of rows, dropout)
    1 | seed: 18446744073709551616
      |       ^
foo.yaml:2:7: name: expected at most 40 lower-case letters, digits and dashes, without a dash at either end, found `a-`
    2 | name: a-
      |       ^
");
    check(
        "seed: -1\nname: a\ndata: digits\nnetwork: 3\ntraining: {optimizer: {typ: adam}, warmup_epochs: .inf, shuffle: nope, early_stopping: {}}\n",
        "\
foo.yaml:1:7: seed: must be at least 0, found `-1` (seed of every random draw: initial weights, order of rows, dropout)
    1 | seed: -1
      |       ^
foo.yaml:3:7: data: expected a mapping, found the text `digits` (write `{source: digits}`)
    3 | data: digits
      |       ^
foo.yaml:4:10: network: expected a mapping, found `3` (layers and loss)
    4 | network: 3
      |          ^
foo.yaml:5:24: training.optimizer.typ: unknown key `typ` (did you mean `type`?)
    5 | training: {optimizer: {typ: adam}, warmup_epochs: .inf, shuffle: nope, early_stopping: {}}
      |                        ^
foo.yaml:5:51: training.warmup_epochs: must be a finite number, found `.inf` (epochs in which the learning rate rises to its full value)
    5 | training: {optimizer: {typ: adam}, warmup_epochs: .inf, shuffle: nope, early_stopping: {}}
      |                                                   ^
foo.yaml:5:66: training.shuffle: expected `true` or `false`, found the text `nope` (true if each epoch takes the rows in an order of its own)
    5 | training: {optimizer: {typ: adam}, warmup_epochs: .inf, shuffle: nope, early_stopping: {}}
      |                                                                  ^
foo.yaml:5:88: training.early_stopping: missing key `patience` (epochs without improvement after which training ends)
    5 | training: {optimizer: {typ: adam}, warmup_epochs: .inf, shuffle: nope, early_stopping: {}}
      |                                                                                        ^
",
    );
}
