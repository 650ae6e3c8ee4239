//! The first pass: what each column is, how many rows are kept, and which cells stand in the way.

use cuttlefish_core::topology::spec::{CsvSource, CsvTask, DateReading, Missing};

use super::columns::is_missing;
use super::date::DateFormat;
use super::number::NumberFormat;
use super::readings::TextCell;
use super::suspects;
use super::table::{Row, Table};
use super::{AUTO_CLASSES, CellPositions, CsvProblem};

/// Result of the first pass.
pub(super) struct Scan {
    /// Columns that are used, the target last.
    pub columns: Vec<ColumnScan>,
    /// Rows that the second pass keeps.
    pub kept_rows: usize,
}

/// Result of the first pass for one column.
#[derive(Default)]
pub(super) struct ColumnScan {
    /// Name of the column.
    pub name: String,
    /// Format and parts, where the topology file says that the column has dates.
    pub dates: Option<DateReading>,
    /// The first cell that is not a number, or not a date where it should be one.
    pub text: Option<TextCell>,
    /// True if the topology file says that its cells are names.
    pub is_named: bool,
    format: NumberFormat,
    /// True if there is a value, in a row that is kept or not.
    has_values: bool,
    /// The first cell that is infinite or too large.
    not_finite: Option<TextCell>,
    /// True if a number has a fraction.
    fractions: bool,
    /// Different numbers, up to one more than a class target may have by itself.
    few: Vec<f64>,
}

impl Scan {
    /// Goes through the table. `used` are the numbers of the columns that are used, the target last.
    pub fn run(table: &Table<'_>, used: &[usize], options: &CsvSource) -> Result<Self, CsvProblem> {
        let new_scan = |&column: &usize| ColumnScan::new(&table.header()[column], options);
        let mut columns: Vec<_> = used.iter().map(new_scan).collect();
        let (mut rows, mut kept_rows) = (0, 0);
        let (mut missing, mut missing_target) =
            (CellPositions::default(), CellPositions::default());
        table.for_each(|row| {
            let is_kept = !is_dropped(row, used, options);
            for (i, (scan, &column)) in columns.iter_mut().zip(used).enumerate() {
                let target = i + 1 == used.len();
                let cell = row.cell(column);
                if is_missing(cell) {
                    missing.add(row.line, &scan.name);
                    if target {
                        missing_target.add(row.line, &scan.name);
                    }
                    continue;
                }
                scan.has_values = true;
                // What a column is follows from the rows that are learned from.
                if is_kept {
                    scan.see(row, cell, target);
                }
            }
            rows += 1;
            kept_rows += usize::from(is_kept);
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
        suspects::check(table, used, &mut columns, kept_rows, options)?;
        Ok(Self { columns, kept_rows })
    }
}

/// True for a row that is left out because a cell of it is missing.
pub(super) fn is_dropped(row: &Row<'_>, used: &[usize], options: &CsvSource) -> bool {
    options.missing == Missing::DropRow && used.iter().any(|&column| is_missing(row.cell(column)))
}

fn text_cell(row: &Row<'_>, cell: &str) -> TextCell {
    TextCell {
        line: row.line,
        text: cell.to_owned(),
    }
}

impl ColumnScan {
    fn new(name: &str, options: &CsvSource) -> Self {
        let mut dates = options.dates.iter();
        let dates = dates.find(|dates| dates.column() == name);
        Self {
            name: name.to_owned(),
            dates: dates.map(|dates| dates.reading()),
            is_named: options.categories.iter().any(|named| named == name),
            format: options.format().into(),
            ..Self::default()
        }
    }

    /// Looks at a cell with a value.
    fn see(&mut self, row: &Row<'_>, cell: &str, target: bool) {
        if let Some(dates) = &self.dates {
            if DateFormat(dates.format.as_deref()).read(cell).is_none() {
                self.note_text(row, cell);
            }
            return;
        }
        if self.is_named {
            self.note_text(row, cell);
            return;
        }
        match (
            self.format.parse::<f32>(cell),
            self.format.parse::<f64>(cell),
        ) {
            (Some(number), Some(exact)) if number.is_finite() => {
                self.fractions |= exact.fract() != 0.0;
                if target && self.few.len() <= AUTO_CLASSES && !self.few.contains(&exact) {
                    self.few.push(exact);
                }
            }
            (Some(_), _) => {
                self.not_finite.get_or_insert_with(|| text_cell(row, cell));
            }
            (None, _) => self.note_text(row, cell),
        }
    }

    fn note_text(&mut self, row: &Row<'_>, cell: &str) {
        self.text.get_or_insert_with(|| text_cell(row, cell));
    }

    fn check(&self) -> Result<(), CsvProblem> {
        match (&self.text, &self.not_finite, &self.dates) {
            (Some(TextCell { line, text }), _, Some(dates)) => Err(CsvProblem::NotADate {
                line: *line,
                column: self.name.clone(),
                text: text.clone(),
                hint: suspects::date_hint(text, dates),
            }),
            // Among text, `inf` is a word like others.
            (None, Some(TextCell { line, text }), _) => Err(CsvProblem::NotFinite {
                line: *line,
                column: self.name.clone(),
                text: text.clone(),
            }),
            (None, None, _) if !self.has_values => Err(CsvProblem::NoValues {
                column: self.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// True if the values are taken as numbers, false if they are names.
    pub fn is_numeric(&self, target: bool, task: CsvTask) -> Result<bool, CsvProblem> {
        match (target, task) {
            (false, _) => Ok(self.text.is_none()),
            (true, CsvTask::Classification) => Ok(false),
            (true, CsvTask::Regression) => self.need_numbers(),
            (true, CsvTask::Auto) => {
                Ok(self.text.is_none() && (self.fractions || self.few.len() > AUTO_CLASSES))
            }
        }
    }

    fn need_numbers(&self) -> Result<bool, CsvProblem> {
        match &self.text {
            None => Ok(true),
            Some(TextCell { line, text }) => Err(CsvProblem::NotANumber {
                line: *line,
                column: self.name.clone(),
                text: text.clone(),
                hint: "correct it, or set `task` to `classification`",
            }),
        }
    }
}
