//! Split of the rows into training, validation and testing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;
use crate::math::stream::{Purpose, shuffle, stream};

/// Row numbers of the three parts of a data set. No row is in two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows that change the weights.
    pub train: Vec<u32>,
    /// Rows that choose hyperparameters and stop training early.
    pub validation: Vec<u32>,
    /// Rows that are looked at once, at the end.
    pub test: Vec<u32>,
}

/// One fold of several: it validates, the others train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// Number of folds.
    #[schemars(range(min = 2))]
    pub count: u32,
    /// Fold that validates, from 1.
    #[schemars(range(min = 1))]
    pub fold: u32,
}

/// Rules by which the rows of a source become parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitRules {
    /// Rows that test.
    pub test: TestRows,
    /// Rows that validate, of those that do not test.
    pub validation: ValidationRows,
    /// True if parts that are drawn get the same share of every class's rows.
    pub stratify: bool,
}

/// Rows that test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TestRows {
    /// This share of all rows, 0 to 1, drawn at random.
    Drawn(f64),
    /// So many rows at the end of the data set: a test set that the source has.
    Last(usize),
}

/// Rows that validate, of those that do not test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValidationRows {
    /// This share of them, 0 to 1, drawn at random.
    Drawn(f64),
    /// This share of them, 0 to 1, in file order the last ones: of each class, where classes are stratified.
    Last(f64),
    /// One fold of several that are drawn at random.
    Fold(Folds),
}

/// Rows that cannot be split as asked. The text continues "split the rows: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// No fold, or one that there is not.
    #[error("fold {} of {} is asked for (name one between 1 and the count)", folds.fold, folds.count)]
    NoSuchFold {
        /// The fold that was asked for.
        folds: Folds,
    },
    /// Fewer rows than folds.
    #[error("{rows} rows that do not test cannot be cut into {count} folds (use at most {rows})")]
    FewRows {
        /// Rows that do not test.
        rows: usize,
        /// Number of folds.
        count: u32,
    },
    /// A class that some fold would have no row of.
    #[error(
        "class `{class}` has {rows} rows that do not test, and each of {count} folds needs one (use fewer folds, or \
         leave `stratify` out)"
    )]
    FewRowsOfClass {
        /// Name of the class.
        class: String,
        /// Its rows that do not test.
        rows: usize,
        /// Number of folds.
        count: u32,
    },
    /// Numbers instead of classes.
    #[error(
        "`{target}` is a number to predict, and `stratify` divides the rows of classes (leave `stratify` out)"
    )]
    StratifiedNumbers {
        /// Name of the target.
        target: String,
    },
}

impl Split {
    /// Splits rows `0..rows` of a source without a test set of its own, in a fixed random order.
    ///
    /// The order depends on nothing but the number of rows, so every seed of a run is tested on
    /// the same rows. `floor(rows * test_share)` rows become test rows, `floor(rest *
    /// validation_share)` of the rest become validation rows. Every part keeps file order.
    pub fn fixed(rows: usize, test_share: f64, validation_share: f64) -> Self {
        let mut rest = drawn(rows);
        let test = take_share(&mut rest, test_share, None);
        let validation = take_share(&mut rest, validation_share, None);
        Self::in_file_order(rest, validation, test)
    }

    /// Splits a source that comes with a test set: rows `0..train_rows`, then `test_rows` more.
    ///
    /// The last `floor(train_rows * validation_share)` training rows are for validation.
    pub fn with_test_set(train_rows: usize, test_rows: usize, validation_share: f64) -> Self {
        let mut rest = last_first(train_rows);
        let validation = take_share(&mut rest, validation_share, None);
        Self::in_file_order(rest, validation, behind(train_rows, test_rows))
    }

    /// Splits the rows of a task. Whatever is drawn at random is drawn in an order that depends on nothing but the
    /// number of rows (without those of a test set that the source has).
    ///
    /// Shares are of as many rows as [`Self::fixed`] and [`Self::with_test_set`] take; stratified, each class gives
    /// its share of them rounded down, and those that are still missing come from the classes with the largest
    /// remainders. Sizes of folds differ by at most one, and so do, stratified, the rows that they have of a class.
    ///
    /// # Errors
    /// When there are fewer rows than folds, when `stratify` is asked of numbers, and when a class has fewer rows
    /// that do not test than there are folds.
    pub fn by_rules(rules: SplitRules, task: &Task) -> Result<Self, SplitError> {
        let (n_rows, classes) = match task {
            Task::Classification {
                labels,
                class_names,
            } => (
                labels.len(),
                rules.stratify.then_some((labels, class_names)),
            ),
            Task::Regression {
                targets,
                target_name,
            } => {
                if rules.stratify {
                    let target = target_name.clone();
                    return Err(SplitError::StratifiedNumbers { target });
                }
                (targets.len(), None)
            }
        };
        let labels = classes.map(|(labels, _)| labels.as_slice());
        let (mut rest, test) = match rules.test {
            TestRows::Drawn(share) => {
                let mut rest = drawn(n_rows);
                let test = take_share(&mut rest, share, labels);
                (rest, test)
            }
            TestRows::Last(test_rows) => {
                let train_rows = n_rows.saturating_sub(test_rows);
                (drawn(train_rows), behind(train_rows, n_rows - train_rows))
            }
        };
        let validation = match rules.validation {
            ValidationRows::Drawn(share) => take_share(&mut rest, share, labels),
            ValidationRows::Last(share) => {
                rest.sort_unstable_by(|a, b| b.cmp(a));
                take_share(&mut rest, share, labels)
            }
            ValidationRows::Fold(folds) => {
                check_folds(folds, &rest)?;
                if let Some((labels, class_names)) = classes {
                    check_classes(folds, &rest, labels, class_names)?;
                }
                take_fold(&mut rest, folds, labels)
            }
        };
        Ok(Self::in_file_order(rest, validation, test))
    }

    fn in_file_order(mut train: Vec<u32>, mut validation: Vec<u32>, mut test: Vec<u32>) -> Self {
        for part in [&mut train, &mut validation, &mut test] {
            part.sort_unstable();
        }
        Self {
            train,
            validation,
            test,
        }
    }
}

/// Rows `0..rows` in their fixed random order.
fn drawn(rows: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    shuffle(&mut order, &mut stream(0, Purpose::Split, 0, 0));
    order
}

/// Rows `0..rows`, the last one first.
fn last_first(rows: usize) -> Vec<u32> {
    (0..rows as u32).rev().collect()
}

/// The rows of a test set behind the others.
fn behind(train_rows: usize, test_rows: usize) -> Vec<u32> {
    (train_rows as u32..(train_rows + test_rows) as u32).collect()
}

/// Takes the first rows that are a share of all, with labels the first of each class.
fn take_share(rows: &mut Vec<u32>, share: f64, labels: Option<&[u32]>) -> Vec<u32> {
    let n_taken = (rows.len() as f64 * share) as usize;
    let Some(labels) = labels else {
        return rows.drain(..n_taken).collect();
    };
    let mut quotas = quotas(&counts(rows, labels), n_taken);
    let is_taken = |row: &mut u32| {
        let quota = &mut quotas[labels[*row as usize] as usize];
        let is_taken = *quota > 0;
        *quota -= usize::from(is_taken);
        is_taken
    };
    rows.extract_if(.., is_taken).collect()
}

/// Takes a fold: the rows are dealt out in turn, with labels class by class.
fn take_fold(rows: &mut Vec<u32>, folds: Folds, labels: Option<&[u32]>) -> Vec<u32> {
    if let Some(labels) = labels {
        rows.sort_by_key(|&row| labels[row as usize]);
    }
    let (count, fold) = (folds.count as usize, folds.fold as usize - 1);
    let mut position = 0;
    let is_in_fold = |_: &mut u32| {
        position += 1;
        (position - 1) % count == fold
    };
    rows.extract_if(.., is_in_fold).collect()
}

/// Rows of each class, as many classes as the labels name.
fn counts(rows: &[u32], labels: &[u32]) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut counts = vec![0; classes];
    for &row in rows {
        counts[labels[row as usize] as usize] += 1;
    }
    counts
}

/// Rows that each class gives to a part of `n_taken` rows: its share by the method of largest remainders, the first
/// class where they are the same.
fn quotas(counts: &[usize], n_taken: usize) -> Vec<usize> {
    let n_rows = counts.iter().sum::<usize>().max(1) as u64;
    let shares = counts.iter().map(|&count| count as u64 * n_taken as u64);
    let (mut quotas, remainders): (Vec<usize>, Vec<u64>) = shares
        .map(|share| ((share / n_rows) as usize, share % n_rows))
        .unzip();
    let missing = n_taken - quotas.iter().sum::<usize>();
    let mut classes: Vec<usize> = (0..counts.len()).collect();
    classes.sort_by_key(|&class| std::cmp::Reverse(remainders[class]));
    for &class in &classes[..missing] {
        quotas[class] += 1;
    }
    quotas
}

fn check_folds(folds: Folds, rest: &[u32]) -> Result<(), SplitError> {
    let Folds { count, fold } = folds;
    let rows = rest.len();
    if fold == 0 || fold > count {
        return Err(SplitError::NoSuchFold { folds });
    }
    if rows < count as usize {
        return Err(SplitError::FewRows { rows, count });
    }
    Ok(())
}

/// Checks that each class that has rows has one for every fold.
fn check_classes(
    folds: Folds,
    rest: &[u32],
    labels: &[u32],
    class_names: &[String],
) -> Result<(), SplitError> {
    let all = counts(&(0..labels.len() as u32).collect::<Vec<_>>(), labels);
    let of_rest = counts(rest, labels);
    let is_short = |&class: &usize| all[class] > 0 && of_rest[class] < folds.count as usize;
    match (0..all.len()).find(is_short) {
        None => Ok(()),
        Some(class) => Err(SplitError::FewRowsOfClass {
            class: class_names.get(class).cloned().unwrap_or_default(),
            rows: of_rest[class],
            count: folds.count,
        }),
    }
}
