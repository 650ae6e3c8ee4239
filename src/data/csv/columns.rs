//! Records to typed columns: numbers, categories, and missing cells.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use cuttlefish_core::topology::spec::{CsvSource, DateReading};

use super::date::{self, DateFormat};
use super::number::NumberFormat;
use super::problem::nearest;
use super::readings::TextCell;
use super::scan::{ColumnScan, Scan, is_dropped};
use super::table::Table;
use super::{CsvProblem, MAX_CATEGORIES, MAX_CLASSES, MAX_VALUES};
use crate::data::encoder::DateFeature;

/// Stands for a missing cell among codes; among numbers it is NaN.
pub(super) const MISSING: u32 = u32::MAX;
/// Different values of a hopeless column are counted up to here, for the error's text.
const MAX_COUNTED: usize = 1_000_000;

/// All columns that are used, with the rows that are kept.
#[derive(Debug)]
pub(super) struct Columns {
    /// Number of rows that are kept.
    pub rows: usize,
    /// Columns that the target is predicted from, in the header's order.
    pub features: Vec<FeatureColumn>,
    /// The target, without missing cells.
    pub target: Column,
}

/// A column that the target is predicted from, or one part of its dates.
#[derive(Debug)]
pub(super) struct FeatureColumn {
    /// Name of the column.
    pub name: String,
    /// The part of its dates; None for a column that has none.
    pub date: Option<DateFeature>,
    /// The values.
    pub values: Column,
}

/// The values of a column.
#[derive(Debug)]
pub(super) enum Column {
    /// Finite numbers, NaN where the cell is missing.
    Numbers(Vec<f32>),
    /// The same for a part of dates: 32 bits are days and not their minutes.
    Moments(Vec<f64>),
    /// Indices into the names, [`MISSING`] where the cell is missing.
    Categories {
        /// One for each row.
        codes: Vec<u32>,
        /// The names, in the order in which they were met.
        names: Vec<String>,
        /// True if all names are numbers.
        numeric: bool,
    },
}

/// The cells that count as missing.
pub(super) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "?")
        || cell.eq_ignore_ascii_case("nan")
        || cell.eq_ignore_ascii_case("null")
}

/// Goes through the table twice: what the columns are, then what is in them.
pub(super) fn read(table: &Table<'_>, options: &CsvSource) -> Result<Columns, CsvProblem> {
    let used = choose(table.header(), options)?;
    let scan = Scan::run(table, &used, options)?;
    let parts = |column: &ColumnScan| column.dates.as_ref().map_or(1, |dates| dates.parts.len());
    let columns = scan.columns.iter().map(parts).sum::<usize>() - 1;
    if scan.kept_rows.saturating_mul(columns) > MAX_VALUES {
        return Err(CsvProblem::TooManyValues {
            rows: scan.kept_rows,
            features: columns,
        });
    }
    let mut builders = builders(&scan, options)?;
    table.for_each(|row| {
        if !is_dropped(row, &used, options) {
            for (builder, &column) in builders.iter_mut().zip(&used) {
                builder.push(row.cell(column));
            }
        }
        Ok(())
    })?;
    let mut finished = Vec::with_capacity(columns + 1);
    for (builder, column) in builders.into_iter().zip(&scan.columns) {
        builder.finish(column, &mut finished)?;
    }
    // The target is last, `choose` put it there.
    let target = finished.pop().ok_or(CsvProblem::Empty)?;
    Ok(Columns {
        rows: scan.kept_rows,
        features: finished,
        target: target.values,
    })
}

/// The numbers of the columns that are used: features in the header's order, then the target.
fn choose(header: &[String], options: &CsvSource) -> Result<Vec<usize>, CsvProblem> {
    let find = |name: &str, key| match header.iter().position(|column| column == name) {
        Some(column) => Ok(column),
        None => Err(CsvProblem::UnknownColumn {
            column: name.to_owned(),
            key,
            nearest: nearest(name, header),
        }),
    };
    for name in &options.ignore {
        find(name, "ignore")?;
    }
    for name in &options.categories {
        find(name, "categories")?;
    }
    for dates in options.dates.iter().map(|dates| dates.reading()) {
        find(&dates.column, "dates")?;
        check_dates(&dates, options)?;
    }
    let target = find(&options.target, "target")?;
    let ignored = |column: usize| options.ignore.contains(&header[column]);
    if ignored(target) {
        return Err(CsvProblem::TargetIgnored {
            column: options.target.clone(),
        });
    }
    let mut used: Vec<usize> = (0..header.len()).filter(|&c| !ignored(c)).collect();
    check_names(header, &used)?;
    used.retain(|&column| column != target);
    if used.is_empty() {
        return Err(CsvProblem::NoFeatures {
            target: options.target.clone(),
        });
    }
    used.push(target);
    Ok(used)
}

/// Columns that are used have names, each its own.
fn check_names(header: &[String], used: &[usize]) -> Result<(), CsvProblem> {
    let mut columns = HashMap::new();
    for &column in used {
        let name = header[column].as_str();
        if name.is_empty() {
            return Err(CsvProblem::UnnamedColumn { number: column + 1 });
        }
        if let Some(first) = columns.insert(name, column) {
            return Err(CsvProblem::DuplicateColumn {
                column: name.to_owned(),
                first: first + 1,
                second: column + 1,
            });
        }
    }
    Ok(())
}

/// A column of dates has a format that can be read, and is not the target.
fn check_dates(dates: &DateReading, options: &CsvSource) -> Result<(), CsvProblem> {
    if dates.column == options.target {
        return Err(CsvProblem::TargetIsDate {
            column: dates.column.clone(),
        });
    }
    let format = dates.format.as_deref();
    DateFormat(format)
        .check()
        .map_err(|problem| CsvProblem::DateFormat {
            column: dates.column.clone(),
            format: format.unwrap_or_default().to_owned(),
            problem,
        })
}

/// Builders that take the values of each column in the second pass.
fn builders(scan: &Scan, options: &CsvSource) -> Result<Vec<ColumnBuilder>, CsvProblem> {
    let last = scan.columns.len() - 1;
    let format = NumberFormat::from(options.format());
    let builder = |(i, column): (usize, &ColumnScan)| {
        if let Some(dates) = &column.dates {
            let room = || Vec::with_capacity(scan.kept_rows);
            let parts = dates.parts.iter().map(|_| room()).collect();
            return Ok(ColumnBuilder::Dates(dates.clone(), parts));
        }
        if column.is_numeric(i == last, options.task)? {
            let room = Vec::with_capacity(scan.kept_rows);
            return Ok(ColumnBuilder::Numbers(format, room));
        }
        Ok(ColumnBuilder::Categories(CategoryBuilder {
            codes: Vec::with_capacity(scan.kept_rows),
            numeric: column.text.is_none().then_some(format),
            limit: if i == last {
                MAX_CLASSES
            } else {
                MAX_CATEGORIES
            },
            target: i == last,
            ..CategoryBuilder::default()
        }))
    };
    scan.columns.iter().enumerate().map(builder).collect()
}

/// Takes the values of one column.
enum ColumnBuilder {
    Numbers(NumberFormat, Vec<f32>),
    /// Numbers of each part.
    Dates(DateReading, Vec<Vec<f64>>),
    Categories(CategoryBuilder),
}

#[derive(Default)]
struct CategoryBuilder {
    codes: Vec<u32>,
    names: Vec<String>,
    index: HashMap<String, u32>,
    /// Format of the numbers, if all are numbers.
    numeric: Option<NumberFormat>,
    target: bool,
    limit: usize,
    /// Hashes of all values, once there are more than the limit.
    excess: HashSet<u64>,
    hasher: RandomState,
}

impl ColumnBuilder {
    fn push(&mut self, cell: &str) {
        match self {
            // The first pass has seen that cells with a value are numbers.
            Self::Numbers(_, numbers) if is_missing(cell) => numbers.push(f32::NAN),
            Self::Numbers(format, numbers) => numbers.push(format.parse(cell).unwrap_or(f32::NAN)),
            Self::Dates(dates, numbers) => {
                let moment = match is_missing(cell) {
                    true => None,
                    false => DateFormat(dates.format.as_deref()).read(cell),
                };
                for (part, numbers) in dates.parts.iter().zip(numbers) {
                    numbers.push(moment.map_or(f64::NAN, |moment| date::number(moment, *part)));
                }
            }
            Self::Categories(builder) => builder.push(cell),
        }
    }

    /// Adds the column, or all parts of its dates.
    fn finish(
        self,
        scan: &ColumnScan,
        finished: &mut Vec<FeatureColumn>,
    ) -> Result<(), CsvProblem> {
        let mut add = |values, date| {
            let name = scan.name.clone();
            finished.push(FeatureColumn { name, date, values });
        };
        match self {
            Self::Numbers(_, numbers) => add(Column::Numbers(numbers), None),
            Self::Dates(DateReading { format, parts, .. }, numbers) => {
                for (part, numbers) in parts.into_iter().zip(numbers) {
                    let format = format.clone();
                    let date = DateFeature { format, part };
                    add(Column::Moments(numbers), Some(date));
                }
            }
            Self::Categories(builder) => add(builder.finish(scan)?, None),
        }
        Ok(())
    }
}

impl CategoryBuilder {
    fn finish(self, scan: &ColumnScan) -> Result<Column, CsvProblem> {
        let column = scan.name.clone();
        let count = self.excess.len();
        if count > 0 && self.target {
            return Err(CsvProblem::TooManyClasses { column, count });
        }
        if count > 0 {
            let TextCell { line, text } = scan.text.clone().unwrap_or_default();
            return Err(CsvProblem::TooManyCategories {
                column,
                count,
                line,
                text,
            });
        }
        Ok(Column::Categories {
            codes: self.codes,
            names: self.names,
            numeric: self.numeric.is_some(),
        })
    }

    fn push(&mut self, cell: &str) {
        if is_missing(cell) {
            self.codes.push(MISSING);
        } else if let Some(format) = self.numeric {
            self.push_name(&canonical(cell, format));
        } else {
            self.push_name(cell);
        }
    }

    fn push_name(&mut self, name: &str) {
        if let Some(&code) = self.index.get(name) {
            self.codes.push(code);
        } else if self.names.len() < self.limit {
            let code = self.names.len() as u32;
            self.index.insert(name.to_owned(), code);
            self.names.push(name.to_owned());
            self.codes.push(code);
        } else {
            if self.excess.is_empty() {
                self.excess = self.names.iter().map(|n| self.hasher.hash_one(n)).collect();
            }
            if self.excess.len() < MAX_COUNTED {
                self.excess.insert(self.hasher.hash_one(name));
            }
        }
    }
}

/// One name for one number: `1`, `1.0` and `+1` are the same class.
fn canonical(cell: &str, format: NumberFormat) -> String {
    match format.parse::<f64>(cell) {
        // Adding 0 makes -0 and 0 the same.
        Some(number) => (number + 0.0).to_string(),
        None => cell.to_owned(),
    }
}
