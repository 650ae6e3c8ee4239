//! Split of the rows into training, validation and testing.

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

impl Split {
    /// Splits rows `0..rows` of a source without a test set of its own, in a fixed random order.
    ///
    /// The order depends on nothing but the number of rows, so every seed of a run is tested on
    /// the same rows. `floor(rows * test_share)` rows become test rows, `floor(rest *
    /// validation_share)` of the rest become validation rows. Every part keeps file order.
    pub fn fixed(rows: usize, test_share: f64, validation_share: f64) -> Self {
        let mut order: Vec<u32> = (0..rows as u32).collect();
        shuffle(&mut order, &mut stream(0, Purpose::Split, 0, 0));
        let mut rest = order.split_off((rows as f64 * test_share) as usize);
        let mut train = rest.split_off((rest.len() as f64 * validation_share) as usize);
        let (mut validation, mut test) = (rest, order);
        for part in [&mut train, &mut validation, &mut test] {
            part.sort_unstable();
        }
        Self {
            train,
            validation,
            test,
        }
    }

    /// Splits a source that comes with a test set: rows `0..train_rows`, then `test_rows` more.
    ///
    /// The last `floor(train_rows * validation_share)` training rows are for validation.
    pub fn with_test_set(train_rows: usize, test_rows: usize, validation_share: f64) -> Self {
        let validation_rows = (train_rows as f64 * validation_share) as usize;
        let validation_start = (train_rows - validation_rows) as u32;
        let test_start = train_rows as u32;
        Self {
            train: (0..validation_start).collect(),
            validation: (validation_start..test_start).collect(),
            test: (test_start..test_start + test_rows as u32).collect(),
        }
    }
}
