//! The rules that no schema can state: which parts of a topology go together.
//!
//! These need only the file. Those that need the data are in [`super::fit`] and see nothing else,
//! so that no problem is reported twice.

use std::collections::HashMap;

use super::expand::ExpandedLayers;
use super::graph::Monitor;
use super::overrides::not_a_path;
use super::own_images;
use super::problem::join;
use super::report::Report;
use super::spec::{CsvSource, CsvTask, Data, Spec};
use super::split_keys;
use super::weighted::{Weighted, order, weighted};
use crate::math::{Activation, Loss, Optimizer, Schedule};

/// Most neurons of a network, and so most units.
pub const MAX_NEURONS: usize = 200_000;
/// Least and most memory of a container, in bytes. Docker refuses less.
const MEMORY: std::ops::RangeInclusive<u64> = 6 << 20..=1 << 40;

/// Applies every rule that needs only the file.
pub(super) fn check(spec: &Spec, expanded: &ExpandedLayers, report: &mut Report<'_>) {
    let layers = weighted(expanded);
    order(expanded, report);
    names(&layers, report);
    synapses(&layers, report);
    sizes(&layers, report);
    activations(spec, &layers, report);
    optimizer(&spec.training.optimizer, report);
    schedule(&spec.training.learning_rate_schedule, report);
    data(spec, report);
    own_images::check(&spec.data, report);
    split_keys::check(&spec.data, report);
    memory(spec, expanded, report);
    sweep(spec, report);
}

fn names(layers: &[Weighted<'_>], report: &mut Report<'_>) {
    let mut first_uses: HashMap<String, usize> = HashMap::new();
    for (index, layer) in layers.iter().enumerate() {
        let name = layer.neurons.title(index);
        let message = format!("another layer has the name `{name}` too");
        if let Some(first) = first_uses.insert(name, index) {
            // The name that was written is the one to change, not a default.
            let culprit = if layer.neurons.name.is_some() {
                layer
            } else {
                &layers[first]
            };
            report.add(
                &culprit.path("name"),
                message,
                "names of layers must differ",
            );
        }
    }
    for normalization in layers.iter().filter_map(|l| l.normalization.as_ref()) {
        let Some(name) = normalization.name else {
            continue;
        };
        if first_uses.insert(name.to_owned(), layers.len()).is_some() {
            let path = format!("{}.name", normalization.path);
            let message = format!("another layer has the name `{name}` too");
            report.add(&path, message, "names of layers must differ");
        }
    }
}

/// Names of synapses: those of the layers on both sides, with a dash between them.
fn synapses(layers: &[Weighted<'_>], report: &mut Report<'_>) {
    let titles = layers.iter().enumerate();
    let titles: Vec<String> = titles.map(|(i, layer)| layer.neurons.title(i)).collect();
    let mut pairs: HashMap<String, &[String]> = HashMap::new();
    for (pair, above) in titles.windows(2).zip(&layers[1.min(layers.len())..]) {
        let name = pair.join("-");
        let message = format!("the synapse below it would be called `{name}`");
        if let Some(other) = pairs.insert(name, pair).filter(|other| *other != pair) {
            let help = format!(
                "as the one between `{}` and `{}`: give one of the layers another name",
                other[0], other[1]
            );
            report.add(&above.path("name"), message, &help);
        }
    }
}

fn sizes(layers: &[Weighted<'_>], report: &mut Report<'_>) {
    let neurons: usize = layers.iter().map(|layer| layer.neurons.count).sum();
    if neurons > MAX_NEURONS {
        let message = format!("the network has {neurons} neurons");
        report.add("network.layers", message, &format!("at most {MAX_NEURONS}"));
    }
}

fn activations(spec: &Spec, layers: &[Weighted<'_>], report: &mut Report<'_>) {
    use Loss::{BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy};
    let Some((last, hidden)) = layers.split_last() else {
        return;
    };
    let answers = hidden.iter().map(Weighted::last_activation);
    let normalized = layers.iter().filter(|layer| layer.normalization.is_some());
    let inner = normalized.map(|layer| (layer.neurons.keys.activation, layer.path("activation")));
    for (_, path) in answers
        .chain(inner)
        .filter(|(a, _)| *a == Activation::Softmax)
    {
        let help = "use `relu` or `tanh` in hidden layers";
        report.add(&path, "softmax is for the last layer only", help);
    }
    let loss = spec.network.loss;
    let (activation, path) = last.last_activation();
    let softmax = activation == Activation::Softmax;
    match loss {
        CategoricalCrossentropy | SparseCategoricalCrossentropy if !softmax => {
            let message = format!("{} needs a softmax output layer", keras(loss));
            report.add(
                &path,
                message,
                "use `activation: softmax` here, or another loss",
            );
        }
        BinaryCrossentropy if activation != Activation::Sigmoid => {
            let message = format!("{} needs a sigmoid output layer", keras(loss));
            report.add(
                &path,
                message,
                "use `activation: sigmoid` here, or another loss",
            );
        }
        _ => {}
    }
    if softmax && last.neurons.count == 1 && loss != BinaryCrossentropy {
        let help = "use one neuron a class, or `activation: sigmoid`";
        report.add(
            &last.size_path(),
            "softmax over one neuron is always 1",
            help,
        );
    }
}

fn optimizer(optimizer: &Optimizer, report: &mut Report<'_>) {
    let mut above_zero = vec![("learning_rate", optimizer.learning_rate())];
    let mut below_one = Vec::new();
    match *optimizer {
        Optimizer::Sgd {
            momentum, nesterov, ..
        } => {
            below_one.push(("momentum", momentum));
            if nesterov && momentum == 0.0 {
                let path = "training.optimizer.nesterov";
                report.add(path, "nesterov needs momentum", "add `momentum: 0.9`");
            }
        }
        Optimizer::Adagrad { epsilon, .. } => above_zero.push(("epsilon", epsilon)),
        Optimizer::Rmsprop { rho, epsilon, .. } => {
            above_zero.push(("epsilon", epsilon));
            below_one.push(("rho", rho));
        }
        Optimizer::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => {
            above_zero.push(("epsilon", epsilon));
            below_one.extend([("beta_1", beta_1), ("beta_2", beta_2)]);
        }
    }
    let path = |key| format!("training.optimizer.{key}");
    for (key, value) in above_zero {
        // The type is `f32`: a number that is too small for it has become 0.
        if value.is_nan() || value <= 0.0 {
            let message = format!("must be above 0, found `{value}`");
            let help = if key == "epsilon" { "1e-7" } else { "0.01" };
            report.add(&path(key), message, &format!("{help} for example"));
        }
    }
    for (key, value) in below_one {
        if value.is_nan() || value >= 1.0 {
            let message = format!("must be below 1, found `{value}`");
            report.add(&path(key), message, "0.9 for example");
        }
    }
}

fn schedule(schedule: &Schedule, report: &mut Report<'_>) {
    let (key, value) = match *schedule {
        Schedule::Step { factor, .. } => ("factor", factor),
        Schedule::Exponential { decay_rate, .. } => ("decay_rate", decay_rate),
        Schedule::Constant | Schedule::Cosine { .. } => return,
    };
    if value.is_nan() || value <= 0.0 {
        let path = format!("training.learning_rate_schedule.{key}");
        let message = format!("must be above 0, found `{value}`");
        report.add(&path, message, "0 would end the training at the first drop");
    }
}

fn data(spec: &Spec, report: &mut Report<'_>) {
    let monitor = spec
        .training
        .early_stopping
        .map(|stopping| stopping.monitor);
    let table = match &spec.data {
        Data::Csv(table) => Some(table),
        _ => None,
    };
    let regression = table.is_some_and(|table| table.task == CsvTask::Regression);
    let path = "training.early_stopping.monitor";
    match monitor {
        Some(Monitor::ValidationLoss | Monitor::ValidationAccuracy)
            if spec.data.has_no_validation() =>
        {
            let help = "use `monitor: loss`, or a `validation_split` above 0";
            report.add(path, "there are no validation rows to watch", help);
        }
        Some(Monitor::ValidationAccuracy) if regression => {
            report.add(
                path,
                "a regression has no accuracy",
                "use `monitor: validation_loss`",
            );
        }
        _ => {}
    }
    if let Some(table) = table {
        csv(table, report);
    }
}

fn csv(table: &CsvSource, report: &mut Report<'_>) {
    let CsvSource { target, ignore, .. } = table;
    if table.path.is_empty() {
        report.add("data.path", "the path is empty", "name a CSV file");
    }
    if ignore.contains(target) {
        let message = format!("`{target}` is also in `ignore`");
        report.add("data.target", message, "a column cannot be both");
    }
    for (index, column) in table.categories.iter().enumerate() {
        let path = format!("data.categories[{index}]");
        if column == target {
            let help = "set `task: classification` instead";
            report.add(&path, format!("`{column}` is the target"), help);
        } else if ignore.contains(column) {
            let message = format!("`{column}` is also in `ignore`");
            report.add(&path, message, "a column cannot be both");
        }
    }
    let decimal = table.decimal.character();
    if table.thousands.is_some_and(|t| t.character() == decimal) {
        let message = format!("`{decimal}` is also what `decimal` says");
        let help = if decimal == '.' {
            "add `decimal: \",\"`"
        } else {
            "use another one"
        };
        report.add("data.thousands", message, help);
    }
    dates(table, report);
}

fn dates(table: &CsvSource, report: &mut Report<'_>) {
    let mut seen = Vec::new();
    for (index, date) in table.dates.iter().enumerate() {
        let path = format!("data.dates[{index}]");
        let column = date.column();
        if column == table.target {
            let message = format!("`{column}` is the target");
            let help = "a date cannot be predicted: remove it from one";
            report.add(&path, message, help);
        }
        for (key, others) in [("ignore", &table.ignore), ("categories", &table.categories)] {
            if others.iter().any(|other| other == column) {
                let message = format!("`{column}` is also in `{key}`");
                report.add(&path, message, "a column cannot be both");
            }
        }
        if seen.contains(&column) {
            let message = format!("`{column}` is listed twice");
            report.add(&path, message, "list all of its `parts` at once");
        }
        seen.push(column);
        let parts = date.reading().parts;
        let is_repeated = |&i: &usize| parts[..i].contains(&parts[i]);
        if let Some(i) = (0..parts.len()).find(is_repeated) {
            let path = format!("{path}.parts[{i}]");
            report.add(&path, "this part is listed twice", "remove it");
        }
    }
}

fn memory(spec: &Spec, expanded: &ExpandedLayers, report: &mut Report<'_>) {
    let mut check = |path: &str, bytes: u64, text: &str| {
        if !MEMORY.contains(&bytes) {
            let message = format!("must be between 6MiB and 1024GiB, found `{text}`");
            report.add(path, message, "memory of one container");
        }
    };
    let whole = &spec.deployment.resources;
    check(
        "deployment.resources.memory",
        whole.memory_bytes(),
        &whole.memory,
    );
    for (position, layer) in expanded.layers().iter().enumerate() {
        let resources = layer
            .neurons()
            .and_then(|neurons| neurons.keys.resources.as_ref());
        if let Some(resources) = resources {
            let path = format!("{}.resources.memory", expanded.path(position));
            check(&path, resources.memory_bytes(), &resources.memory);
        }
    }
}

fn sweep(spec: &Spec, report: &mut Report<'_>) {
    let Some(sweep) = &spec.sweep else {
        return;
    };
    for path in sweep.parameters.keys() {
        if let Some(message) = not_a_path(path) {
            let help = "`training.epochs` for example, as for `--set`";
            report.add(&format!("sweep.parameters.{path}"), message, help);
        }
    }
    for problem in sweep.check() {
        let path = format!("sweep.{}", problem.path);
        report.add(&path, problem.message, &problem.help);
    }
}

/// A loss by its name in the file, in backticks.
pub(super) fn keras(loss: Loss) -> String {
    join(&[match loss {
        Loss::MeanSquaredError => "mean_squared_error",
        Loss::BinaryCrossentropy => "binary_crossentropy",
        Loss::CategoricalCrossentropy => "categorical_crossentropy",
        Loss::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
    }])
}
