//! Problems of arrays that no data set can be made of, in words.

use super::MAX_VALUES;
use crate::data::csv::MAX_CLASSES;

/// Problem of an array that no examples can be made of. Goes on after "read `...`: ".
#[derive(Debug, thiserror::Error)]
pub enum ExamplesProblem {
    /// Neither rows nor images.
    #[error(
        "{what} has the shape {dims} (rows have 2 dimensions, images 3, images with channels 4)"
    )]
    Rank {
        /// The array.
        what: String,
        /// Its shape.
        dims: String,
    },
    /// No rows, or rows without numbers.
    #[error("{what} has the shape {dims}, in which there are no values (give it some rows)")]
    Empty {
        /// The array.
        what: String,
        /// Its shape.
        dims: String,
    },
    /// Channels that are in another place than the file says.
    #[error(
        "{what} has the shape {dims}, in which the last dimension is that of the channels (write \
         `data_format: channels_first` if the second one is)"
    )]
    Channels {
        /// The array.
        what: String,
        /// Its shape.
        dims: String,
    },
    /// Whole numbers that are no bytes.
    #[error(
        "{what} has values of type {element} (write it with `.astype(\"uint8\")`, of which 255 becomes 1, \
         or `.astype(\"float32\")`, which stay as they are)"
    )]
    RowType {
        /// The array.
        what: String,
        /// Type of its values.
        element: &'static str,
    },
    /// Numbers that nothing can be computed with.
    #[error(
        "{what} has a number that is not finite in row {row} (leave the row out, or correct it)"
    )]
    NotFinite {
        /// The array.
        what: String,
        /// The row, from 0.
        row: usize,
    },
    /// Another number of answers than one for each row.
    #[error(
        "{what} has the shape {dims}, and there are {rows} rows (one answer for each is needed; classes as \
         numbers, of columns for each class `.argmax(axis=1)`)"
    )]
    Answers {
        /// The array.
        what: String,
        /// Its shape.
        dims: String,
        /// Number of the rows.
        rows: usize,
    },
    /// A class that is none of the numbers of 64 bits with a sign.
    #[error(
        "{what} has a class beyond {} in row {row} (number the classes with `numpy.unique(y, return_inverse=True)[1]`)",
        i64::MAX - 1
    )]
    LargeClass {
        /// The array.
        what: String,
        /// The row, from 0.
        row: usize,
    },
    /// More classes than the limit.
    #[error(
        "{what} has {classes} different whole numbers, the limit of classes is {MAX_CLASSES} (numbers to \
         predict are floating-point: write it with `.astype(\"float32\")`)"
    )]
    Classes {
        /// The array.
        what: String,
        /// Number of the classes.
        classes: usize,
    },
    /// Names of another number of classes.
    #[error(
        "{what} has {classes} classes, the last one {last}, and `class_names` has {names} (name each class, in \
         the order of their numbers)"
    )]
    Names {
        /// The array.
        what: String,
        /// Number of the classes.
        classes: usize,
        /// The largest class.
        last: i64,
        /// Number of the names.
        names: usize,
    },
    /// Names of numbers.
    #[error(
        "{what} has numbers to predict, and `class_names` names classes (leave it out, or write the array with `.astype(\"int64\")`)"
    )]
    NamesOfNumbers {
        /// The array.
        what: String,
    },
    /// A class that only test rows have.
    #[error(
        "{what} has the class {class} in row {row}, which no training row has (leave the row out)"
    )]
    NewClass {
        /// The array.
        what: String,
        /// The class.
        class: i64,
        /// The row, from 0.
        row: usize,
    },
    /// Test rows of another form.
    #[error("{what} is {found}, and the training rows are {expected} (they have to be alike)")]
    Unlike {
        /// The array.
        what: String,
        /// Its form.
        found: String,
        /// Form of the training rows.
        expected: String,
    },
    /// More values than the limit.
    #[error(
        "{rows} rows of {features} values are more than the limit of {MAX_VALUES} values (use fewer rows)"
    )]
    TooMany {
        /// Number of the rows.
        rows: usize,
        /// Values of each.
        features: usize,
    },
}
