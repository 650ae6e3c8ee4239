//! Scores of answers, as scikit-learn computes them: for networks that are compared with each other, and with a model
//! that knows nothing of the features.
//!
//! Everything is computed in f64. What a part of the data scores while a network trains is a
//! [`Tally`]: sums, of which no order of the rows is left. Some of these scores need all answers at once.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Labels;
use crate::protocol::Tally;
use crate::protocol::metrics::{ClassMetrics, TaskTally};
use crate::trainer::head::answered_class;

/// Scores of a part of a data set: those of its task, of the others `None`.
///
/// All of them are `None` when there are no rows, and when an answer is not a finite number: nothing sensible can be
/// said of the others then, and a mean over them would hide it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scores {
    /// Share of rows that are answered with their class (`accuracy_score`).
    pub accuracy: Option<f64>,
    /// Mean recall of the classes that rows are of (`balanced_accuracy_score`).
    pub balanced_accuracy: Option<f64>,
    /// Mean F1 of the classes that rows are of or answered with (`f1_score` with `average="macro"`).
    pub f1: Option<f64>,
    /// Area under the ROC curve (`roc_auc_score`): of two classes with the probability of the second, of more the mean
    /// over classes, each against the rest. `None` if a class has no row.
    pub auc: Option<f64>,
    /// Mean of -ln p of the right class (`log_loss` of single-precision probabilities, which are kept away from 0 and 1
    /// by 2^-23, and are not made to add up to 1). `None` if an answer is below 0 or above 1.
    pub log_loss: Option<f64>,
    /// Mean squared error, in the square of the target's unit (`mean_squared_error`).
    pub mse: Option<f64>,
    /// Mean absolute error, in the target's unit (`mean_absolute_error`).
    pub mae: Option<f64>,
    /// Coefficient of determination (`r2_score`). `None` if all targets are the same, where scikit-learn says 0, or 1 if
    /// all answers are right.
    pub r2: Option<f64>,
}

/// Scores of answers to rows of classes.
///
/// `labels` are the classes of the rows, each below `classes`. `answers` are `[outputs, rows]`: a probability for each
/// class, or one output, the probability of class 1 of two. The class of a row is the most probable one, the first of
/// equals; of one output class 1 if it is above 0.5.
///
/// # Panics
/// If there are not as many columns as labels, or neither one output nor one for each class.
pub fn classification(labels: &[u32], classes: usize, answers: ArrayView2<'_, f32>) -> Scores {
    let (outputs, rows) = answers.dim();
    assert_eq!(rows, labels.len(), "one column of answers for each label");
    assert!(
        outputs == classes || outputs == 1 && classes == 2,
        "{outputs} outputs are not the probabilities of {classes} classes"
    );
    if rows == 0 || !answers.iter().all(|answer| answer.is_finite()) {
        return Scores::default();
    }
    let counts = ClassCounts::new(labels, classes, answers);
    let hits: u64 = counts.hits.iter().sum();
    Scores {
        accuracy: Some(hits as f64 / rows as f64),
        balanced_accuracy: mean((0..classes).filter_map(|class| counts.metrics(class).recall)),
        f1: mean((0..classes).filter_map(|class| counts.f1(class))),
        auc: auc(labels, &counts.support, answers),
        log_loss: log_loss(labels, answers),
        ..Scores::default()
    }
}

/// Scores of answers to rows of numbers, both in the unit of the target.
///
/// # Panics
/// If there are not as many answers as targets.
pub fn regression(targets: &[f32], answers: &[f32]) -> Scores {
    assert_eq!(targets.len(), answers.len(), "one answer for each target");
    let wide = |numbers: &[f32], row: usize| f64::from(numbers[row]);
    numbers((0..targets.len()).map(|row| (wide(answers, row), wide(targets, row))))
}

/// Scores on validation rows of a model that knows only the training rows' answers, and gives each row the same one.
///
/// Of classes it is the most frequent one, the first of equals, with shares as probabilities: scikit-learn's
/// `DummyClassifier(strategy="prior")`. Of numbers it is the mean: `DummyRegressor()`. `classes` is how many there are;
/// without it, as many as the labels name. All scores are `None` if there are no training rows.
///
/// # Panics
/// If a label is not below `classes`.
pub fn baseline(train: Labels<'_>, validation: Labels<'_>, classes: Option<usize>) -> Scores {
    match (train, validation) {
        (Labels::Classes(train), Labels::Classes(validation)) if !train.is_empty() => {
            let named = train.iter().chain(validation).max();
            let classes = classes.unwrap_or_else(|| named.map_or(0, |&last| last as usize + 1));
            let mut counts = vec![0_u64; classes];
            train.iter().for_each(|&class| counts[class as usize] += 1);
            let share = |&count: &u64| (count as f64 / train.len() as f64) as f32;
            let shares: Array1<f32> = counts.iter().map(share).collect();
            let column = shares.view().insert_axis(Axis(1));
            match column.broadcast((classes, validation.len())) {
                Some(answers) => classification(validation, classes, answers),
                None => Scores::default(),
            }
        }
        (Labels::Values(train), Labels::Values(validation)) => {
            match mean(train.iter().map(|&number| f64::from(number))) {
                Some(mean) => numbers(validation.iter().map(|&right| (mean, f64::from(right)))),
                None => Scores::default(),
            }
        }
        _ => Scores::default(),
    }
}

/// Scores of pairs of an answer and the right one.
fn numbers(pairs: impl Iterator<Item = (f64, f64)>) -> Scores {
    let mut tally = Tally {
        task: TaskTally::regression(),
        ..Tally::default()
    };
    for (answer, right) in pairs {
        tally.task.count_number(answer, right);
        tally.rows += 1;
    }
    match tally.figures() {
        // A sum of squares of single-precision numbers is finite unless one of them is not.
        Some(figures) if figures.mse.is_some_and(f64::is_finite) => Scores {
            mse: figures.mse,
            mae: figures.mae,
            r2: figures.r2,
            ..Scores::default()
        },
        _ => Scores::default(),
    }
}

/// Rows of each class, rows answered with it, and rows that are both.
struct ClassCounts {
    hits: Vec<u64>,
    answered: Vec<u64>,
    support: Vec<u64>,
}

impl ClassCounts {
    fn new(labels: &[u32], classes: usize, answers: ArrayView2<'_, f32>) -> Self {
        let zeros = || vec![0; classes];
        let (mut hits, mut answered, mut support) = (zeros(), zeros(), zeros());
        for (&label, answers) in labels.iter().zip(answers.columns()) {
            let (right, answer) = (label as usize, answered_class(answers.iter().copied()));
            support[right] += 1;
            answered[answer] += 1;
            hits[right] += u64::from(answer == right);
        }
        Self {
            hits,
            answered,
            support,
        }
    }

    fn metrics(&self, class: usize) -> ClassMetrics {
        ClassMetrics::new(self.hits[class], self.answered[class], self.support[class])
    }

    /// 2 PR / (P + R), 0 without hits; `None` for a class that no row is of and none is answered with.
    fn f1(&self, class: usize) -> Option<f64> {
        let rows = self.answered[class] + self.support[class];
        (rows > 0).then(|| 2.0 * self.hits[class] as f64 / rows as f64)
    }
}

fn auc(labels: &[u32], support: &[u64], answers: ArrayView2<'_, f32>) -> Option<f64> {
    if support.len() < 2 || support.contains(&0) {
        return None;
    }
    match support.len() {
        2 => Some(area(labels, 1, answers.row(answers.nrows() - 1))),
        classes => mean((0..classes).map(|class| area(labels, class as u32, answers.row(class)))),
    }
}

/// Area under the ROC curve of one class against the rest: the chance that a row of it has a higher answer than one of
/// the rest, ties counted by half. By the sum of the ranks (Mann and Whitney 1947).
fn area(labels: &[u32], class: u32, answers: ArrayView1<'_, f32>) -> f64 {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_unstable_by(|&a, &b| answers[a].total_cmp(&answers[b]));
    let (mut n_class, mut rank_sum, mut below) = (0.0, 0.0, 0.0);
    for equals in order.chunk_by(|&a, &b| answers[a] == answers[b]) {
        let n_equals = equals.len() as f64;
        let of_class = equals.iter().filter(|&&row| labels[row] == class).count() as f64;
        // The mean of the ranks `below + 1` to `below + n_equals`.
        rank_sum += of_class * (below + (n_equals + 1.0) / 2.0);
        n_class += of_class;
        below += n_equals;
    }
    let n_rest = labels.len() as f64 - n_class;
    (rank_sum - n_class * (n_class + 1.0) / 2.0) / (n_class * n_rest)
}

fn log_loss(labels: &[u32], answers: ArrayView2<'_, f32>) -> Option<f64> {
    if !answers.iter().all(|answer| (0.0..=1.0).contains(answer)) {
        return None;
    }
    let epsilon = f64::from(f32::EPSILON);
    let single = answers.nrows() == 1;
    let losses = labels.iter().enumerate().map(|(row, &label)| {
        let p = match (single, label) {
            (false, class) => f64::from(answers[[class as usize, row]]),
            (true, 0) => 1.0 - f64::from(answers[[0, row]]),
            (true, _) => f64::from(answers[[0, row]]),
        };
        -libm::log(p.clamp(epsilon, 1.0 - epsilon))
    });
    mean(losses)
}

/// The mean; `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
