//! Metrics: sums over the rows of a part, in tick order, and what they come to.

use serde::{Deserialize, Serialize};

use crate::data::Task;

/// A confusion matrix of more classes is not kept: the ledger must fit in one item of the store.
pub const MAX_CONFUSION_CLASSES: usize = 100;

/// Sums over rows that have been evaluated so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows counted.
    pub rows: u64,
    /// Sum of their losses.
    pub loss: f64,
    /// Sums of the metrics of the task.
    pub task: TaskTally,
}

/// Sums of the metrics that belong to a kind of task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskTally {
    /// Sums of no row yet.
    #[default]
    Empty,
    /// Sums for classes.
    Classification {
        /// Rows whose most probable class was right.
        correct: u64,
        /// `confusion[right * classes + answered]`, empty above [`MAX_CONFUSION_CLASSES`].
        confusion: Vec<u64>,
    },
    /// Sums for numbers.
    Regression {
        /// Sum of (answer - right)^2.
        squared_error: f64,
        /// Sum of |answer - right|.
        absolute_error: f64,
        /// The first right answer. The sums below are of differences to it: of the answers
        /// themselves, they would lose their digits to a large mean.
        origin: Option<f64>,
        /// Sum of the right answers, less the origin each.
        sum: f64,
        /// Sum of the squares of these differences.
        sum_of_squares: f64,
    },
}

/// Means over the rows of a tally.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss of a row.
    pub loss: f64,
    /// Share of rows that were classified rightly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<f64>,
    /// Mean squared error, for regression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mse: Option<f64>,
    /// Mean absolute error, for regression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mae: Option<f64>,
    /// Coefficient of determination, for regression (none where all right answers are the same).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r2: Option<f64>,
    /// `confusion[right][answered]`, for up to [`MAX_CONFUSION_CLASSES`] classes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// Precision and recall of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Share of the rows answered with this class that is of it; `None` if there are no such rows.
    pub precision: Option<f64>,
    /// Share of the rows of this class that was answered with it; `None` if there are no such rows.
    pub recall: Option<f64>,
    /// Rows of this class.
    pub support: u64,
}

impl TaskTally {
    /// Sums of nothing, for numbers.
    pub(crate) fn regression() -> Self {
        Self::Regression {
            squared_error: 0.0,
            absolute_error: 0.0,
            origin: None,
            sum: 0.0,
            sum_of_squares: 0.0,
        }
    }

    /// Adds the answer to a number, both in the unit of the target. Without effect on sums for classes.
    pub(crate) fn count_number(&mut self, answer: f64, right: f64) {
        let Self::Regression {
            squared_error,
            absolute_error,
            origin,
            sum,
            sum_of_squares,
        } = self
        else {
            return;
        };
        let error = answer - right;
        *squared_error += error * error;
        *absolute_error += error.abs();
        let from_origin = right - *origin.get_or_insert(right);
        *sum += from_origin;
        *sum_of_squares += from_origin * from_origin;
    }
}

impl ClassMetrics {
    /// Precision and recall of a class that `support` rows are of and `answered` rows were answered with, `hits` of
    /// them rightly.
    pub(crate) fn new(hits: u64, answered: u64, support: u64) -> Self {
        let share = |of: u64| (of > 0).then(|| hits as f64 / of as f64);
        Self {
            precision: share(answered),
            recall: share(support),
            support,
        }
    }
}

impl Tally {
    /// A tally of nothing, for a kind of task.
    pub fn new(task: &Task) -> Self {
        let task = match task.classes() {
            Some(classes) => TaskTally::Classification {
                correct: 0,
                confusion: if classes <= MAX_CONFUSION_CLASSES {
                    vec![0; classes * classes]
                } else {
                    Vec::new()
                },
            },
            None => TaskTally::regression(),
        };
        Self {
            rows: 0,
            loss: 0.0,
            task,
        }
    }

    /// Means over the rows; `None` when no row was counted.
    pub fn evaluation(&self) -> Option<Evaluation> {
        let mut evaluation = self.figures()?;
        if let TaskTally::Classification { confusion, .. } = &self.task
            && !confusion.is_empty()
        {
            let classes = confusion.len().isqrt();
            evaluation.confusion = Some(confusion.chunks(classes).map(<[u64]>::to_vec).collect());
        }
        Some(evaluation)
    }

    /// Means over the rows without the confusion matrix, for every tick.
    pub fn figures(&self) -> Option<Evaluation> {
        if self.rows == 0 {
            return None;
        }
        let rows = self.rows as f64;
        let mut evaluation = Evaluation {
            loss: self.loss / rows,
            accuracy: None,
            mse: None,
            mae: None,
            r2: None,
            confusion: None,
        };
        match &self.task {
            TaskTally::Empty => {}
            TaskTally::Classification { correct, .. } => {
                evaluation.accuracy = Some(*correct as f64 / rows);
            }
            TaskTally::Regression {
                squared_error,
                absolute_error,
                sum,
                sum_of_squares,
                ..
            } => {
                let spread = sum_of_squares - sum * sum / rows;
                evaluation.mse = Some(squared_error / rows);
                evaluation.mae = Some(absolute_error / rows);
                evaluation.r2 = (spread > 0.0).then(|| 1.0 - squared_error / spread);
            }
        }
        Some(evaluation)
    }
}

/// Precision and recall of every class of a confusion matrix `[right][answered]`.
pub fn class_metrics(confusion: &[Vec<u64>]) -> Vec<ClassMetrics> {
    (0..confusion.len())
        .map(|class| {
            let hits = confusion[class][class];
            let support: u64 = confusion[class].iter().sum();
            let answered: u64 = confusion.iter().map(|row| row[class]).sum();
            ClassMetrics::new(hits, answered, support)
        })
        .collect()
}
