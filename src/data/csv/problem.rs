//! Problems of a table.

use std::fmt;

use cuttlefish_core::data::SplitError;

use crate::data::file::MAX_BYTES;

use super::suspicion::Suspicion;
use super::{MAX_CATEGORIES, MAX_CELL, MAX_CLASSES, MAX_COLUMNS, MAX_LINE, MAX_ROWS, MAX_VALUES};

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellPosition {
    /// Line of the cell's row in the file, from 1.
    pub line: u64,
    /// The name of its column.
    pub column: String,
}

/// The first of some cells, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellPositions {
    /// The first ones.
    pub first: Vec<CellPosition>,
    /// The number of all.
    pub count: u64,
}

/// Problem of a table that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CsvProblem {
    /// No text at all.
    #[error("the file is empty (a header line and one line a row are needed)")]
    Empty,
    /// Rows that cannot be split as asked.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Only the header.
    #[error("there is a header line and no rows (add one line a row)")]
    NoRows,
    /// Not UTF-8.
    #[error(
        "line {line}: not UTF-8 (set `encoding`, to `windows-1252` for example; compressed files must be unpacked)"
    )]
    Encoding {
        /// Line of the first wrong byte.
        line: u64,
    },
    /// Bytes that another encoding begins with.
    #[error("it begins as text in {found} does, and not in {encoding} (set `encoding: {found}`)")]
    Sign {
        /// The encoding that it seems to have.
        found: String,
        /// The encoding that it should have.
        encoding: String,
    },
    /// Not of the encoding that the topology file names.
    #[error("line {line}: not {encoding} (set another `encoding`)")]
    OtherEncoding {
        /// Line of the first wrong byte.
        line: u64,
        /// The encoding.
        encoding: String,
    },
    /// More text than may be in memory.
    #[error("its text is longer than the limit of {MAX_BYTES} bytes (use fewer rows)")]
    LongText,
    /// A line beyond the limit.
    #[error("line {line} is longer than the limit of {MAX_LINE} bytes (is this a CSV file?)")]
    LongLine {
        /// The line.
        line: u64,
    },
    /// A cell beyond the limit.
    #[error(
        "line {line}: a cell is longer than the limit of {MAX_CELL} bytes (is a closing quotation \
         mark missing?)"
    )]
    LongCell {
        /// Line on which its row starts.
        line: u64,
    },
    /// A quotation mark without its partner.
    #[error("line {line}: a quoted cell is not closed before the file ends (add the closing `\"`)")]
    OpenQuote {
        /// Line on which its row starts.
        line: u64,
    },
    /// The parser gave up.
    #[error("{0} (correct the file)")]
    Csv(String),
    /// The first line holds numbers.
    #[error(
        "line 1 looks like a row: it starts with `{first}` and has numbers only (add a header \
         line with the names of the columns)"
    )]
    NoHeader {
        /// The first cell.
        first: String,
    },
    /// A row with more or fewer cells than the header.
    #[error(
        "line {line} has {cells} cells, the header has {columns} (correct the line; a cell with \
         the delimiter in it must be quoted)"
    )]
    Ragged {
        /// The line.
        line: u64,
        /// Number of its cells.
        cells: usize,
        /// Number of the header's cells.
        columns: usize,
    },
    /// Too many columns.
    #[error("{columns} columns, the limit is {MAX_COLUMNS} (use fewer columns)")]
    TooManyColumns {
        /// Number of columns.
        columns: usize,
    },
    /// Too many rows.
    #[error("more than {MAX_ROWS} rows, the limit (use fewer rows)")]
    TooManyRows,
    /// The features of all rows would not fit.
    #[error(
        "{rows} rows of {features} features are more than the limit of {MAX_VALUES} numbers (use \
         fewer rows, or list columns under `ignore`)"
    )]
    TooManyValues {
        /// The rows.
        rows: usize,
        /// The features of one.
        features: usize,
    },
    /// A column without a name.
    #[error(
        "column number {number} has no name (name it in the header, or list `\"\"` under `ignore`)"
    )]
    UnnamedColumn {
        /// Number of the column, from 1.
        number: usize,
    },
    /// Two columns of one name.
    #[error("columns number {first} and {second} are both called `{column}` (rename one)")]
    DuplicateColumn {
        /// The name.
        column: String,
        /// Number of the first, from 1.
        first: usize,
        /// Number of the second.
        second: usize,
    },
    /// A column that the topology file names is not there.
    #[error(
        "there is no column `{column}`, named by `{key}` ({})",
        Nearest(nearest)
    )]
    UnknownColumn {
        /// The name.
        column: String,
        /// The key of the topology file.
        key: &'static str,
        /// The column with the most similar name.
        nearest: Option<String>,
    },
    /// The target is to be left out.
    #[error("column `{column}` is the target and listed under `ignore` (remove it from one)")]
    TargetIgnored {
        /// The target.
        column: String,
    },
    /// The target is listed as a date.
    #[error(
        "column `{column}` is the target and listed under `dates`, and a date cannot be predicted \
         (remove it from one)"
    )]
    TargetIsDate {
        /// The target.
        column: String,
    },
    /// A format by which no date can be read.
    #[error(
        "column `{column}`: no date can be read by the format `{format}`: {problem} (`%d.%m.%Y` for \
         example)"
    )]
    DateFormat {
        /// The column.
        column: String,
        /// Its format.
        format: String,
        /// Fault of it.
        problem: String,
    },
    /// There is nothing to predict the target from.
    #[error("no columns are left beside the target `{target}` (shorten `ignore`)")]
    NoFeatures {
        /// The target.
        target: String,
    },
    /// Missing cells that nobody said what to do about.
    #[error(
        "{missing} (fill them in, list the column under `ignore`, or set `missing` to `mean`, \
         `median` or `drop_row`)"
    )]
    Missing {
        /// The cells' positions.
        missing: CellPositions,
    },
    /// Missing targets, which cannot be made up.
    #[error("{missing}, and it is the target (fill them in, or set `missing` to `drop_row`)")]
    MissingTarget {
        /// The cells' positions.
        missing: CellPositions,
    },
    /// A column without a single value.
    #[error("column `{column}` has no values (list it under `ignore`)")]
    NoValues {
        /// The column.
        column: String,
    },
    /// A column whose values are all outside the training rows.
    #[error("column `{column}` has no values in the training rows (list it under `ignore`)")]
    NoTrainingValues {
        /// The column.
        column: String,
    },
    /// Every row has a missing cell.
    #[error(
        "each of the {rows} rows has a missing cell, so none is left (choose another `missing`)"
    )]
    AllDropped {
        /// Number of rows in the table.
        rows: usize,
    },
    /// Infinite, not a number, or beyond 32 bits.
    #[error(
        "line {line}, column `{column}`: `{text}` is not a finite 32-bit number (correct it, or \
         leave the cell empty)"
    )]
    NotFinite {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        text: String,
    },
    /// Text where numbers are needed.
    #[error("line {line}, column `{column}`: `{text}` is not a number ({hint})")]
    NotANumber {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        text: String,
        /// Advice.
        hint: &'static str,
    },
    /// Something else among dates.
    #[error("line {line}, column `{column}`: `{text}` is not a date ({hint})")]
    NotADate {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        text: String,
        /// Advice.
        hint: String,
    },
    /// A column of text that hardly is one.
    #[error(transparent)]
    Suspicion(#[from] Box<Suspicion>),
    /// A name, a number with a slip of the pen.
    #[error(
        "column `{column}` has {count} different values and is not a number throughout: line \
         {line} has `{text}`; the limit is {MAX_CATEGORIES} (list it under `ignore`, or correct \
         its numbers)"
    )]
    TooManyCategories {
        /// The column.
        column: String,
        /// Number of different values.
        count: usize,
        /// Line of the first value that is not a number.
        line: u64,
        /// The value.
        text: String,
    },
    /// A target that is hardly a class.
    #[error(
        "target `{column}` has {count} different values, the limit for classes is {MAX_CLASSES} \
         (set `task` to `regression` if it is a number)"
    )]
    TooManyClasses {
        /// The column.
        column: String,
        /// Number of different values.
        count: usize,
    },
    /// Nothing to tell apart.
    #[error("target `{column}` has the one class `{class}` in all rows (two are needed)")]
    OneClass {
        /// The column.
        column: String,
        /// The class.
        class: String,
    },
    /// A column of the training table is not in the table to encode.
    #[error(
        "there is no column `{column}`, which the network was trained with ({})",
        Nearest(nearest)
    )]
    AbsentColumn {
        /// The column.
        column: String,
        /// The column with the most similar name.
        nearest: Option<String>,
    },
}

impl fmt::Display for CellPositions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = if self.count == 1 {
            "cell is"
        } else {
            "cells are"
        };
        write!(f, "{} {cells} missing: ", self.count)?;
        for (i, CellPosition { line, column }) in self.first.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}line {line}, column `{column}`")?;
        }
        if self.count > self.first.len() as u64 {
            f.write_str("; ...")?;
        }
        Ok(())
    }
}

impl CellPositions {
    /// Number of positions that are kept.
    const SHOWN: usize = 5;

    /// Counts a place, and keeps it if it is one of the first.
    pub(super) fn add(&mut self, line: u64, column: &str) {
        if self.first.len() < Self::SHOWN {
            self.first.push(CellPosition {
                line,
                column: column.to_owned(),
            });
        }
        self.count += 1;
    }
}

struct Nearest<'a>(&'a Option<String>);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "did you mean `{name}`?"),
            None => f.write_str("names are those of the header line"),
        }
    }
}

/// The name that was probably meant: at most a third of its letters differ.
pub(super) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let distance =
        |other: &String| strsim::levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let best = names.iter().min_by_key(|other| distance(other))?;
    let letters = name.chars().count().max(best.chars().count());
    (distance(best) * 3 <= letters).then(|| best.clone())
}
