//! Problems of columns that are text to the program, and numbers or dates to a person.

use super::readings::TextCell;

/// Problem of a column of text that hardly is one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Suspicion {
    /// Numbers in another format.
    #[error(
        "line {}, column `{column}`: `{}` is a number in another format, and so are all of its column ({hint})",
        cell.line, cell.text
    )]
    Numbers {
        /// The first one that is no number as it is.
        cell: TextCell,
        /// The column.
        column: String,
        /// Advice.
        hint: String,
    },
    /// Dates that nobody said are dates.
    #[error(
        "line {}, column `{column}`: `{}` is a date, and so are all of its column ({hint})",
        cell.line, cell.text
    )]
    Dates {
        /// The first one.
        cell: TextCell,
        /// The column.
        column: String,
        /// Advice.
        hint: String,
    },
    /// Numbers beside which there is a sign.
    #[error(
        "line {}, column `{column}`: `{}` is a number with a sign, and all of its column are numbers ({hint})",
        cell.line, cell.text
    )]
    Signs {
        /// The first one with a sign.
        cell: TextCell,
        /// The column.
        column: String,
        /// Advice.
        hint: String,
    },
    /// Numbers or dates in several formats.
    #[error(
        "column `{column}`: all {cells} are {what}, but not in one format: line {} has `{}`, line {} has `{}` ({hint})",
        unlike.0.line, unlike.0.text, unlike.1.line, unlike.1.text
    )]
    Unlike {
        /// The column.
        column: String,
        /// Number of its cells that are not missing.
        cells: usize,
        /// Kind of values that they are.
        what: &'static str,
        /// Two in different formats.
        unlike: (TextCell, TextCell),
        /// Advice.
        hint: String,
    },
    /// Numbers or dates with a few other cells.
    #[error(
        "column `{column}`: {fitting} of {cells} are {what}; line {} has `{}` ({hint})",
        misfit.line, misfit.text
    )]
    Misfits {
        /// The column.
        column: String,
        /// Number of its cells that are.
        fitting: usize,
        /// Number of its cells that are not missing.
        cells: usize,
        /// Kind of values that most are.
        what: &'static str,
        /// The first one that is not.
        misfit: TextCell,
        /// Advice.
        hint: String,
    },
}
