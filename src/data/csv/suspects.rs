//! Columns that are text to the program, and numbers or dates to a person: they must not become classes without a
//! word, and the word names the option that is missing, or the cell that is wrong.

use std::collections::HashSet;

use cuttlefish_core::topology::spec::{CsvSource, CsvTask, DateReading};

use super::CsvProblem;
use super::columns::is_missing;
use super::date::DateFormat;
use super::number::NumberFormat;
use super::readings::{Readings, TextCell};
use super::scan::{ColumnScan, is_dropped};
use super::suspicion::Suspicion;
use super::table::Table;

/// One in so many cells may be something else among numbers or dates, which are meant nevertheless.
const CELLS_A_MISFIT: usize = 10;
/// With so few different values, numbers with something else among them may be names.
const FEW_VALUES: usize = 20;

/// Advice for a target that is a date.
const NO_DATE: &str = "choose another target, or set `task: classification`";

/// A column of text, and how else its cells so far can be read.
struct Suspect {
    /// Position among the columns that are used.
    place: usize,
    is_target: bool,
    numbers: Readings<NumberFormat>,
    dates: Readings<DateFormat<'static>>,
    /// The first number with a sign beside it.
    signed: Option<TextCell>,
    /// Different values, up to one more than a few.
    different: HashSet<String>,
}

/// Refuses a table with a column of text whose values are numbers or dates in another format, or nearly all are.
/// Of other columns that are numbers here and there, `text` becomes a cell that is none in any format.
pub(super) fn check(
    table: &Table<'_>,
    used: &[usize],
    columns: &mut [ColumnScan],
    rows: usize,
    options: &CsvSource,
) -> Result<(), CsvProblem> {
    let mut suspects = suspects(columns, options);
    if suspects.is_empty() {
        return Ok(());
    }
    let limit = rows / CELLS_A_MISFIT;
    table.for_each(|row| {
        if !is_dropped(row, used, options) {
            for suspect in &mut suspects {
                suspect.see(row.line, row.cell(used[suspect.place]), limit);
            }
        }
        Ok(())
    })?;
    for suspect in &suspects {
        let Readings {
            fitting, misfits, ..
        } = suspect.numbers;
        if let (Some(misfit), true) = (&suspect.numbers.misfit, fitting > misfits) {
            columns[suspect.place].text = Some(misfit.clone());
        }
    }
    let name = |suspect: &Suspect| columns[suspect.place].name.clone();
    let of_numbers = suspects.iter().filter(|suspect| suspect.has_numbers());
    let numbers: Vec<&[NumberFormat]> = of_numbers.map(|s| &s.numbers.common[..]).collect();
    let in_format = |suspect: &Suspect| {
        let formats = common(&numbers, &suspect.numbers.common);
        let cell = columns[suspect.place].text.clone()?;
        suspect.number_problem(name(suspect), cell, &formats, options.format().into())
    };
    let problem = suspects
        .iter()
        .find_map(in_format)
        .or_else(|| suspects.iter().find_map(|s| s.date_problem(name(s))))
        .or_else(|| suspects.iter().find_map(|s| s.cell_problem(name(s))));
    problem.map_or(Ok(()), |problem| Err(Box::new(problem).into()))
}

/// The columns of text that nobody said are names.
fn suspects(columns: &[ColumnScan], options: &CsvSource) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let is_target = place + 1 == columns.len();
        // Who says that it is a class, means it.
        let is_class = is_target && options.task == CsvTask::Classification;
        if column.text.is_some() && !is_class && !column.is_named && column.dates.is_none() {
            suspects.push(Suspect {
                place,
                is_target,
                numbers: Readings::new(NumberFormat::all(), is_number),
                dates: Readings::new(DateFormat::usual(), |format, cell| {
                    format.read(cell).is_some()
                }),
                signed: None,
                different: HashSet::new(),
            });
        }
    }
    suspects
}

fn is_number(format: NumberFormat, cell: &str) -> bool {
    format.parse::<f32>(cell).is_some_and(f32::is_finite)
}

impl Suspect {
    /// Looks at a cell, unless more than `limit` have been something else already.
    fn see(&mut self, line: u64, cell: &str, limit: usize) {
        if is_missing(cell) {
            return;
        }
        if self.numbers.misfits <= limit {
            let bare = without_signs(cell);
            let fitting = self.numbers.fitting;
            self.numbers.see(line, cell, bare.unwrap_or(cell));
            if bare.is_some() && self.numbers.fitting > fitting {
                self.signed.get_or_insert_with(|| TextCell {
                    line,
                    text: cell.to_owned(),
                });
            }
        }
        if self.dates.misfits <= limit {
            self.dates.see(line, cell, cell);
        }
        if self.different.len() <= FEW_VALUES && !self.different.contains(cell) {
            self.different.insert(cell.to_owned());
        }
    }

    /// True if all cells are numbers of one format, which is not the table's.
    fn has_numbers(&self) -> bool {
        self.numbers.misfits == 0 && self.signed.is_none() && !self.numbers.common.is_empty()
    }

    fn number_problem(
        &self,
        column: String,
        cell: TextCell,
        formats: &[NumberFormat],
        current: NumberFormat,
    ) -> Option<Suspicion> {
        let hint = || self.hint(&format!("set {}", number_hint(formats, current)));
        self.has_numbers().then(|| Suspicion::Numbers {
            cell,
            column,
            hint: hint(),
        })
    }

    fn date_problem(&self, column: String) -> Option<Suspicion> {
        let is_whole = self.dates.misfits == 0 && !self.dates.common.is_empty();
        let cell = self.dates.first.clone().filter(|_| is_whole)?;
        let hint = match self.is_target {
            true => NO_DATE.to_owned(),
            false => self.hint(&listing_hint(&self.dates.common, &column)),
        };
        Some(Suspicion::Dates { cell, column, hint })
    }

    /// The problem of single cells.
    fn cell_problem(&self, column: String) -> Option<Suspicion> {
        if let (Some(cell), 0) = (self.signed.clone(), self.numbers.misfits) {
            let hint = self.hint("remove the sign");
            return Some(Suspicion::Signs { cell, column, hint });
        }
        if self.different.len() <= FEW_VALUES {
            return None;
        }
        let of_numbers = self.of_most(&self.numbers, &column, "numbers");
        of_numbers.or_else(|| self.of_most(&self.dates, &column, "dates"))
    }

    /// The problem of a column nearly all of whose cells can be read.
    fn of_most<F>(
        &self,
        readings: &Readings<F>,
        column: &str,
        what: &'static str,
    ) -> Option<Suspicion> {
        let (fitting, misfits) = (readings.fitting, readings.misfits);
        let cells = fitting + misfits;
        if misfits * CELLS_A_MISFIT > cells {
            return None;
        }
        let column = column.to_owned();
        let is_date = self.is_target && what == "dates";
        let hint = |first: &str| match is_date {
            true => NO_DATE.to_owned(),
            false => self.hint(first),
        };
        match (readings.misfit.clone(), readings.unlike.clone()) {
            (Some(misfit), _) => Some(Suspicion::Misfits {
                column,
                fitting,
                cells,
                what,
                misfit,
                hint: hint("correct it, leave the cell empty and set `missing`"),
            }),
            (None, Some(unlike)) => Some(Suspicion::Unlike {
                column,
                cells,
                what,
                unlike,
                hint: hint("write them alike"),
            }),
            (None, None) => None,
        }
    }

    /// Advice, and how to keep the column as it is.
    fn hint(&self, first: &str) -> String {
        match self.is_target {
            true => format!("{first}, or set `task: classification`"),
            false => format!("{first}, or list the column under `categories` or `ignore`"),
        }
    }
}

/// A cell without a percent or currency sign at either end, or brackets around it; None if it has none.
fn without_signs(cell: &str) -> Option<&str> {
    let is_sign = |c| matches!(c, '%' | '‰' | '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}');
    for [open, close] in [['(', ')'], ['[', ']']] {
        if let Some(inner) = cell.strip_prefix(open).and_then(|c| c.strip_suffix(close)) {
            return Some(inner.trim());
        }
    }
    // `-$5` has its own sign before the other one.
    let behind = cell.trim_start_matches(['-', '+', '\u{2212}']);
    let bare = match behind.strip_prefix(is_sign) {
        Some(rest) => rest.trim_start(),
        None => cell,
    };
    let bare = bare.strip_suffix(is_sign).map_or(bare, str::trim_end);
    (bare.len() < cell.len()).then_some(bare)
}

/// Those of the formats by which all columns of numbers can be read; all of them if there is none.
fn common(numbers: &[&[NumberFormat]], formats: &[NumberFormat]) -> Vec<NumberFormat> {
    let is_common = |format: &&NumberFormat| numbers.iter().all(|other| other.contains(format));
    let common: Vec<NumberFormat> = formats.iter().filter(is_common).copied().collect();
    if common.is_empty() {
        formats.to_vec()
    } else {
        common
    }
}

/// The fewest options that help.
fn number_hint(formats: &[NumberFormat], current: NumberFormat) -> String {
    let changes = |format: &NumberFormat| format.changes(current);
    let fewest = formats.iter().map(changes).min().unwrap_or_default();
    let options: Vec<String> = formats
        .iter()
        .filter(|format| changes(format) == fewest)
        .map(|format| format.options(current).to_string())
        .collect();
    options.join(" or ")
}

/// The option that says that a column has dates.
fn listing_hint(formats: &[DateFormat<'_>], column: &str) -> String {
    let mut hint = format!("set {}", formats[0].listed(column));
    for other in &formats[1..] {
        hint.push_str(&format!(" or `{}`", other.words()));
    }
    hint
}

/// Advice for a cell that is no date of its column's format.
pub(super) fn date_hint(text: &str, dates: &DateReading) -> String {
    let current = DateFormat(dates.format.as_deref());
    let fitting = DateFormat::usual().filter(|format| format.read(text).is_some());
    let formats: Vec<String> = fitting.map(|f| format!("`{}`", f.words())).collect();
    match formats.is_empty() {
        true => format!(
            "correct it, or set the column's `format`, which is `{}`",
            current.words()
        ),
        false => format!(
            "set the column's `format`, which is `{}`, to {}",
            current.words(),
            formats.join(" or ")
        ),
    }
}
