//! Records to typed columns: numbers, categories, and missing cells.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use cuttlefish_core::topology::spec::{CsvTask, Missing};

use super::problem::nearest;
use super::table::{Row, Table};
use super::{
    AUTO_CLASSES, CellPositions, CsvOptions, CsvProblem, MAX_CATEGORIES, MAX_CLASSES, MAX_VALUES,
};

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
    pub features: Vec<(String, Column)>,
    /// The target, without missing cells.
    pub target: Column,
}

/// The values of a column.
#[derive(Debug)]
pub(super) enum Column {
    /// Finite numbers, NaN where the cell is missing.
    Numbers(Vec<f32>),
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
pub(super) fn read(table: &Table<'_>, options: &CsvOptions<'_>) -> Result<Columns, CsvProblem> {
    let used = choose(table.header(), options)?;
    let scan = Scan::run(table, &used, options)?;
    let columns = used.len() - 1;
    if scan.kept_rows.saturating_mul(columns) > MAX_VALUES {
        return Err(CsvProblem::TooManyValues {
            rows: scan.kept_rows,
            features: columns,
        });
    }
    let mut builders = scan.builders(options)?;
    table.for_each(|row| {
        let drop = options.missing == Missing::DropRow
            && used.iter().any(|&column| is_missing(row.cell(column)));
        if !drop {
            for (builder, &column) in builders.iter_mut().zip(&used) {
                builder.push(row.cell(column));
            }
        }
        Ok(())
    })?;
    let mut finished = Vec::with_capacity(used.len());
    for (builder, column) in builders.into_iter().zip(&scan.columns) {
        finished.push((column.name.clone(), builder.finish(column)?));
    }
    // The target is last, `choose` put it there.
    let (_, target) = finished.pop().ok_or(CsvProblem::Empty)?;
    Ok(Columns {
        rows: scan.kept_rows,
        features: finished,
        target,
    })
}

/// The numbers of the columns that are used: features in the header's order, then the target.
fn choose(header: &[String], options: &CsvOptions<'_>) -> Result<Vec<usize>, CsvProblem> {
    let find = |name: &str, key| match header.iter().position(|column| column == name) {
        Some(column) => Ok(column),
        None => Err(CsvProblem::UnknownColumn {
            column: name.to_owned(),
            key,
            nearest: nearest(name, header),
        }),
    };
    for name in options.ignore {
        find(name, "ignore")?;
    }
    let target = find(options.target, "target")?;
    let ignored = |column: usize| options.ignore.contains(&header[column]);
    if ignored(target) {
        return Err(CsvProblem::TargetIgnored {
            column: options.target.to_owned(),
        });
    }
    let mut used: Vec<usize> = (0..header.len()).filter(|&c| !ignored(c)).collect();
    check_names(header, &used)?;
    used.retain(|&column| column != target);
    if used.is_empty() {
        return Err(CsvProblem::NoFeatures {
            target: options.target.to_owned(),
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

/// Result of the first pass.
struct Scan {
    columns: Vec<ColumnScan>,
    /// Rows that the second pass keeps.
    kept_rows: usize,
}

/// Result of the first pass for one column.
#[derive(Default)]
struct ColumnScan {
    name: String,
    numbers: u64,
    /// The first cell that is not a number, and where it is.
    text: Option<(u64, String)>,
    /// The first cell that is infinite or too large, and where it is.
    not_finite: Option<(u64, String)>,
    /// True if a number has a fraction.
    fractions: bool,
    /// Different numbers, up to one more than a class target may have by itself.
    few: Vec<f64>,
}

impl Scan {
    fn run(
        table: &Table<'_>,
        used: &[usize],
        options: &CsvOptions<'_>,
    ) -> Result<Self, CsvProblem> {
        let new_scan = |&column: &usize| ColumnScan {
            name: table.header()[column].clone(),
            ..ColumnScan::default()
        };
        let mut columns: Vec<_> = used.iter().map(new_scan).collect();
        let (mut rows, mut kept_rows) = (0, 0);
        let (mut missing, mut missing_target) =
            (CellPositions::default(), CellPositions::default());
        table.for_each(|row| {
            let mut complete = true;
            for (i, (scan, &column)) in columns.iter_mut().zip(used).enumerate() {
                let target = i + 1 == used.len();
                if scan.see(row, row.cell(column), target) {
                    continue;
                }
                complete = false;
                missing.add(row.line, &scan.name);
                if target {
                    missing_target.add(row.line, &scan.name);
                }
            }
            rows += 1;
            kept_rows += usize::from(complete || options.missing != Missing::DropRow);
            Ok(())
        })?;
        if rows == 0 {
            return Err(CsvProblem::NoRows);
        }
        match options.missing {
            Missing::Error if missing.count > 0 => return Err(CsvProblem::Missing { missing }),
            Missing::Mean | Missing::Median if missing_target.count > 0 => {
                return Err(CsvProblem::MissingTarget {
                    missing: missing_target,
                });
            }
            _ => {}
        }
        for column in &columns {
            column.check()?;
        }
        if kept_rows == 0 {
            return Err(CsvProblem::AllDropped { rows });
        }
        Ok(Self { columns, kept_rows })
    }

    /// Builders that take the values of each column in the second pass.
    fn builders(&self, options: &CsvOptions<'_>) -> Result<Vec<ColumnBuilder>, CsvProblem> {
        let last = self.columns.len() - 1;
        let mut builders = Vec::with_capacity(self.columns.len());
        for (i, column) in self.columns.iter().enumerate() {
            let as_numbers = match (i == last, options.task) {
                (false, _) => column.text.is_none(),
                (true, CsvTask::Classification) => false,
                (true, CsvTask::Regression) => column.need_numbers()?,
                (true, CsvTask::Auto) => {
                    column.text.is_none() && (column.fractions || column.few.len() > AUTO_CLASSES)
                }
            };
            builders.push(match as_numbers {
                true => ColumnBuilder::Numbers(Vec::with_capacity(self.kept_rows)),
                false => ColumnBuilder::Categories(CategoryBuilder {
                    codes: Vec::with_capacity(self.kept_rows),
                    numeric: column.text.is_none(),
                    limit: if i == last {
                        MAX_CLASSES
                    } else {
                        MAX_CATEGORIES
                    },
                    target: i == last,
                    ..CategoryBuilder::default()
                }),
            });
        }
        Ok(builders)
    }
}

impl ColumnScan {
    /// Looks at a cell, and says whether it has a value.
    fn see(&mut self, row: &Row<'_>, cell: &str, target: bool) -> bool {
        if is_missing(cell) {
            return false;
        }
        match (cell.parse::<f32>(), cell.parse::<f64>()) {
            (Ok(number), Ok(exact)) if number.is_finite() => {
                self.numbers += 1;
                self.fractions |= exact.fract() != 0.0;
                if target && self.few.len() <= AUTO_CLASSES && !self.few.contains(&exact) {
                    self.few.push(exact);
                }
            }
            (Ok(_), _) => {
                self.not_finite
                    .get_or_insert_with(|| (row.line, cell.to_owned()));
            }
            (Err(_), _) => {
                self.text.get_or_insert_with(|| (row.line, cell.to_owned()));
            }
        }
        true
    }

    fn check(&self) -> Result<(), CsvProblem> {
        match (&self.text, &self.not_finite) {
            // Among text, `inf` is a word like others.
            (None, Some((line, text))) => Err(CsvProblem::NotFinite {
                line: *line,
                column: self.name.clone(),
                text: text.clone(),
            }),
            (None, None) if self.numbers == 0 => Err(CsvProblem::NoValues {
                column: self.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn need_numbers(&self) -> Result<bool, CsvProblem> {
        match &self.text {
            None => Ok(true),
            Some((line, text)) => Err(CsvProblem::NotANumber {
                line: *line,
                column: self.name.clone(),
                text: text.clone(),
                hint: "correct it, or set `task` to `classification`",
            }),
        }
    }
}

/// Takes the values of one column.
enum ColumnBuilder {
    Numbers(Vec<f32>),
    Categories(CategoryBuilder),
}

#[derive(Default)]
struct CategoryBuilder {
    codes: Vec<u32>,
    names: Vec<String>,
    index: HashMap<String, u32>,
    numeric: bool,
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
            Self::Numbers(numbers) if is_missing(cell) => numbers.push(f32::NAN),
            Self::Numbers(numbers) => numbers.push(cell.parse().unwrap_or(f32::NAN)),
            Self::Categories(builder) => builder.push(cell),
        }
    }

    fn finish(self, scan: &ColumnScan) -> Result<Column, CsvProblem> {
        let builder = match self {
            Self::Numbers(numbers) => return Ok(Column::Numbers(numbers)),
            Self::Categories(builder) => builder,
        };
        let column = scan.name.clone();
        let count = builder.excess.len();
        if count > 0 && builder.target {
            return Err(CsvProblem::TooManyClasses { column, count });
        }
        if count > 0 {
            let (line, text) = scan.text.clone().unwrap_or_default();
            return Err(CsvProblem::TooManyCategories {
                column,
                count,
                line,
                text,
            });
        }
        Ok(Column::Categories {
            codes: builder.codes,
            names: builder.names,
            numeric: builder.numeric,
        })
    }
}

impl CategoryBuilder {
    fn push(&mut self, cell: &str) {
        if is_missing(cell) {
            self.codes.push(MISSING);
        } else if self.numeric {
            self.push_name(&canonical(cell));
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
fn canonical(cell: &str) -> String {
    match cell.parse::<f64>() {
        // Adding 0 makes -0 and 0 the same.
        Ok(number) => (number + 0.0).to_string(),
        Err(_) => cell.to_owned(),
    }
}
