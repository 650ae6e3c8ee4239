//! Columns that are text to the program, and numbers or dates to a person: they must not become classes without a
//! word, and the word names the option that is missing.

use cuttlefish_core::topology::spec::{CsvSource, CsvTask, DateReading};

use super::CsvProblem;
use super::columns::is_missing;
use super::date::DateFormat;
use super::number::NumberFormat;
use super::scan::ColumnScan;
use super::table::Table;

/// A column of text, and how else all of its cells so far can be read.
struct Suspect<'a> {
    /// Position among the columns that are used.
    place: usize,
    line: u64,
    text: &'a str,
    numbers: Vec<NumberFormat>,
    dates: Vec<DateFormat<'static>>,
}

/// Refuses a table with a column of text all of whose values are numbers or dates in another format.
pub(super) fn check(
    table: &Table<'_>,
    used: &[usize],
    columns: &[ColumnScan],
    options: &CsvSource,
) -> Result<(), CsvProblem> {
    let mut suspects = suspects(columns, options);
    if suspects.is_empty() {
        return Ok(());
    }
    table.for_each(|row| {
        for suspect in &mut suspects {
            let cell = row.cell(used[suspect.place]);
            if !is_missing(cell) {
                suspect.numbers.retain(|format| is_number(*format, cell));
                suspect.dates.retain(|format| format.read(cell).is_some());
            }
        }
        Ok(())
    })?;
    let name = |suspect: &Suspect<'_>| columns[suspect.place].name.clone();
    if let Some(first) = suspects.iter().find(|s| !s.numbers.is_empty()) {
        let formats = common(&suspects, &first.numbers);
        return Err(CsvProblem::NumbersAsText {
            line: first.line,
            column: name(first),
            text: first.text.to_owned(),
            hint: number_hint(&formats, options.format().into()),
        });
    }
    if let Some(first) = suspects.iter().find(|s| !s.dates.is_empty()) {
        let column = name(first);
        let target = first.place + 1 == columns.len();
        return Err(CsvProblem::DatesAsText {
            line: first.line,
            text: first.text.to_owned(),
            hint: listing_hint(&first.dates, &column, target),
            column,
        });
    }
    Ok(())
}

/// The columns whose first text is a number or a date in some format.
fn suspects<'a>(columns: &'a [ColumnScan], options: &CsvSource) -> Vec<Suspect<'a>> {
    let mut suspects = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let target = place + 1 == columns.len();
        // Who says that it is a class, means it.
        let is_class = target && options.task == CsvTask::Classification;
        let is_meant = is_class || column.is_named || column.dates.is_some();
        let (Some((line, text)), false) = (&column.text, is_meant) else {
            continue;
        };
        let suspect = Suspect {
            place,
            line: *line,
            text,
            numbers: NumberFormat::all()
                .filter(|f| is_number(*f, text))
                .collect(),
            dates: DateFormat::usual()
                .filter(|format| format.read(text).is_some())
                .collect(),
        };
        if !suspect.numbers.is_empty() || !suspect.dates.is_empty() {
            suspects.push(suspect);
        }
    }
    suspects
}

fn is_number(format: NumberFormat, cell: &str) -> bool {
    format.parse::<f32>(cell).is_some_and(f32::is_finite)
}

/// Those of the formats by which all suspected columns of numbers can be read; all of them if there is none.
fn common(suspects: &[Suspect<'_>], formats: &[NumberFormat]) -> Vec<NumberFormat> {
    let is_common = |format: &&NumberFormat| {
        let mut numbers = suspects.iter().filter(|s| !s.numbers.is_empty());
        numbers.all(|suspect| suspect.numbers.contains(format))
    };
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

fn listing_hint(formats: &[DateFormat<'_>], column: &str, is_target: bool) -> String {
    if is_target {
        return "choose another target, or set `task: classification`".to_owned();
    }
    let mut hint = format!("set {}", formats[0].listed(column));
    for other in &formats[1..] {
        hint.push_str(&format!(" or `{}`", other.words()));
    }
    hint.push_str(", or list it under `categories` or `ignore`");
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
