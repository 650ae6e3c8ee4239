//! The summary at the end of a run: figures, confusion matrix, precision and recall.

use cuttlefish_core::data::Task;
use cuttlefish_core::protocol::metrics::{MAX_CONFUSION_CLASSES, class_metrics};
use cuttlefish_core::protocol::{Evaluation, Progress};

use super::numbers::{figure, percent, thousands};
use super::table::align;

/// A confusion matrix of more classes is wider than a terminal: only its worst pairs are shown.
const MAX_MATRIX_CLASSES: usize = 20;

/// Pairs of classes taken for each other that are shown then.
const MAX_CONFUSED_PAIRS: usize = 15;

/// Columns of the matrix are headed with the classes' names up to this length, then with indices.
const MAX_HEADING: usize = 6;

/// A longer class name is cut.
const MAX_NAME: usize = 24;

/// Results of a run, as text of several lines with a line break at the end.
///
/// Confusion matrix and figures per class are those of the test rows, or of the last validation
/// where there are no test rows.
pub fn summary(progress: &Progress, task: &Task) -> String {
    let last = progress.history.last();
    let parts = [
        ("training", last.map(|epoch| &epoch.train)),
        (
            "validation",
            last.and_then(|epoch| epoch.validation.as_ref()),
        ),
        ("test", progress.test.as_ref()),
    ];
    let mut blocks = vec![headline(progress)];
    blocks.extend(figures(&parts, task));
    let looked_at = parts[1..]
        .iter()
        .rev()
        .find_map(|(part, evaluation)| evaluation.map(|evaluation| (*part, evaluation)));
    if let Some((part, evaluation)) = looked_at {
        blocks.extend(details(part, evaluation, task));
    }
    blocks.join("\n")
}

/// Results of one part of the data, in the form of [`summary`].
pub fn evaluation(part: &str, evaluation: &Evaluation, task: &Task) -> String {
    let mut blocks = Vec::from_iter(figures(&[(part, Some(evaluation))], task));
    blocks.extend(details(part, evaluation, task));
    blocks.join("\n")
}

/// The figures of the parts that there are.
fn figures(parts: &[(&str, Option<&Evaluation>)], task: &Task) -> Option<String> {
    let is_any = parts.iter().any(|(_, evaluation)| evaluation.is_some());
    is_any.then(|| match task {
        Task::Classification { .. } => classification_figures(parts),
        Task::Regression { .. } => regression_figures(parts),
    })
}

/// Confusion matrix, and figures of each class.
fn details(part: &str, evaluation: &Evaluation, task: &Task) -> Vec<String> {
    let Task::Classification { class_names, .. } = task else {
        return Vec::new();
    };
    match &evaluation.confusion {
        Some(confusion) => classes(part, class_names, confusion),
        None if class_names.len() > MAX_CONFUSION_CLASSES => vec![format!(
            "no confusion matrix: {} classes, and one is kept for up to {MAX_CONFUSION_CLASSES}\n",
            thousands(class_names.len() as u64)
        )],
        None => Vec::new(),
    }
}

/// Epochs and steps of training, with a word if it stopped early or is not finished.
fn headline(progress: &Progress) -> String {
    let epochs = progress.history.last().map_or(0, |epoch| epoch.epoch);
    let plural = if epochs == 1 { "" } else { "s" };
    let end = match (progress.finished, progress.stopped_early) {
        (_, true) => ", stopped early",
        (true, false) => "",
        (false, false) => ", not finished",
    };
    format!(
        "{} epoch{plural}, {} steps{end}\n",
        thousands(epochs.into()),
        thousands(progress.step)
    )
}

/// Each part's loss and accuracy.
fn classification_figures(parts: &[(&str, Option<&Evaluation>)]) -> String {
    let mut rows = vec![row(["", "loss", "accuracy"])];
    for (part, evaluation) in parts {
        if let Some(evaluation) = evaluation {
            let accuracy = or_dash(evaluation.accuracy, percent);
            rows.push(row([part, &figure(evaluation.loss), &accuracy]));
        }
    }
    align(&rows, 1)
}

/// Each part's errors.
fn regression_figures(parts: &[(&str, Option<&Evaluation>)]) -> String {
    let mut rows = vec![row(["", "loss", "MSE", "RMSE", "MAE", "R2"])];
    for (part, evaluation) in parts {
        if let Some(evaluation) = evaluation {
            rows.push(row([
                part,
                &figure(evaluation.loss),
                &or_dash(evaluation.mse, figure),
                &or_dash(evaluation.mse.map(f64::sqrt), figure),
                &or_dash(evaluation.mae, figure),
                &or_dash(evaluation.r2, figure),
            ]));
        }
    }
    align(&rows, 1)
}

/// The confusion matrix and what it says about each class.
fn classes(part: &str, class_names: &[String], confusion: &[Vec<u64>]) -> Vec<String> {
    let names: Vec<String> = (0..confusion.len())
        .map(|class| {
            class_names
                .get(class)
                .map_or(String::new(), |n| short_name(n))
        })
        .collect();
    let mut blocks = Vec::new();
    if confusion.len() <= MAX_MATRIX_CLASSES {
        blocks.push(format!(
            "confusion of the {part} rows (down: right class, across: answer)\n"
        ));
        blocks.push(matrix(&names, confusion));
    } else {
        blocks.extend(confused_pairs(part, &names, confusion));
    }
    blocks.push(per_class(&names, confusion));
    blocks
}

/// The whole matrix. Zeros are dots: what matters are the others.
fn matrix(names: &[String], confusion: &[Vec<u64>]) -> String {
    let indexed = names.iter().any(|name| name.chars().count() > MAX_HEADING);
    let mut heading = vec![String::new()];
    if indexed {
        heading.push(String::new());
        heading.extend((0..names.len()).map(|class| class.to_string()));
    } else {
        heading.extend_from_slice(names);
    }
    let mut rows = vec![heading];
    for (class, answers) in confusion.iter().enumerate() {
        let mut cells = vec![names[class].clone()];
        if indexed {
            cells.push(class.to_string());
        }
        cells.extend(answers.iter().map(|count| match count {
            0 => ".".to_owned(),
            _ => thousands(*count),
        }));
        rows.push(cells);
    }
    align(&rows, 1)
}

/// The pairs of classes that were confused most often; nothing if none was.
fn confused_pairs(part: &str, names: &[String], confusion: &[Vec<u64>]) -> Vec<String> {
    let mut pairs = Vec::new();
    for (right, answers) in confusion.iter().enumerate() {
        for (answer, &count) in answers.iter().enumerate() {
            if right != answer && count > 0 {
                pairs.push((count, right, answer));
            }
        }
    }
    if pairs.is_empty() {
        return vec![format!("all of the {part} rows were answered rightly\n")];
    }
    pairs.sort_by_key(|&(count, right, answer)| (std::cmp::Reverse(count), right, answer));
    let mut rows = vec![row(["right class", "answer", "rows", "of the class"])];
    for (count, right, answer) in pairs.into_iter().take(MAX_CONFUSED_PAIRS) {
        let support: u64 = confusion[right].iter().sum();
        rows.push(row([
            &names[right],
            &names[answer],
            &thousands(count),
            &percent(count as f64 / support as f64),
        ]));
    }
    vec![
        format!("classes of the {part} rows that were confused most\n"),
        align(&rows, 2),
    ]
}

/// Precision, recall and number of rows of each class.
fn per_class(names: &[String], confusion: &[Vec<u64>]) -> String {
    let mut rows = vec![row(["class", "precision", "recall", "support"])];
    for (name, metrics) in names.iter().zip(class_metrics(confusion)) {
        rows.push(row([
            name,
            &or_dash(metrics.precision, percent),
            &or_dash(metrics.recall, percent),
            &thousands(metrics.support),
        ]));
    }
    align(&rows, 1)
}

/// A class name from someone's file, made safe to print: no control characters, not too long.
fn short_name(name: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    if name.chars().count() <= MAX_NAME {
        return name.chars().map(clean).collect();
    }
    let mut cut: String = name.chars().take(MAX_NAME - 3).map(clean).collect();
    cut.push_str("...");
    cut
}

/// A figure that may not exist.
fn or_dash(value: Option<f64>, show: fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// Cells of a table.
fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
