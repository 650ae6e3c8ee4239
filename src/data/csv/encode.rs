//! Typed columns to features, with what was learned from the training rows and nothing else.

use std::path::Path;

use cuttlefish_core::topology::spec::{CsvSource, Missing};

use super::columns::{Column, FeatureColumn, MISSING, is_missing};
use super::date::{self, DateFormat};
use super::number::NumberFormat;
use super::problem::nearest;
use super::table::{Row, Table};
use super::text::decode;
use super::{CellPositions, CsvProblem, MAX_VALUES};
use crate::data::Error;
use crate::data::encoder::{ColumnEncoder, Encoder, Encoding};
use crate::data::file::read_file;

/// Rows of another table, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedTable {
    /// The features of all rows, row-major `[rows, features]`.
    pub values: Vec<f32>,
    /// Positions of the rows among all rows of the file, from 0. Rows that `drop_row` leaves out are not here.
    pub rows: Vec<u64>,
    /// Lines of the file on which these rows start, from 1.
    pub lines: Vec<u64>,
    /// Columns with categories that the training rows did not have, and how many cells of each.
    /// All features of such a cell are 0.
    pub unseen: Vec<(String, u64)>,
}

/// A cell on its way to features.
enum Cell<'a> {
    Missing,
    Number(f64),
    Category(&'a str),
}

/// Learns from the training rows.
pub(super) fn fit(
    columns: &[FeatureColumn],
    train: &[u32],
    options: &CsvSource,
) -> Result<Encoder, CsvProblem> {
    let missing = options.missing;
    let fit = |column: &FeatureColumn| {
        let name = column.name.clone();
        let kind = match &column.values {
            Column::Numbers(numbers) => {
                let values = train.iter().map(|&row| f64::from(numbers[row as usize]));
                fit_numbers(values, missing, column)
            }
            Column::Moments(numbers) => {
                let values = train.iter().map(|&row| numbers[row as usize]);
                fit_numbers(values, missing, column)
            }
            Column::Categories { codes, names, .. } => fit_categories(codes, names, train, missing),
        };
        match kind {
            Some(kind) => Ok(ColumnEncoder { name, kind }),
            None => Err(CsvProblem::NoTrainingValues { column: name }),
        }
    };
    let columns = columns.iter().map(fit).collect::<Result<_, _>>()?;
    Ok(Encoder {
        missing,
        format: options.format(),
        columns,
    })
}

/// Encodes the rows of another table: columns are matched by name, their order is free, and
/// columns that the network does not use, the target among them, are left out.
pub fn encode_table(encoder: &Encoder, path: &Path) -> Result<EncodedTable, Error> {
    let bytes = read_file(path)?;
    encode_bytes(encoder, &bytes).map_err(|problem| Error::Csv {
        path: path.to_owned(),
        problem,
    })
}

/// Like [`encode_table`], for the bytes of a file.
pub fn encode_bytes(encoder: &Encoder, bytes: &[u8]) -> Result<EncodedTable, CsvProblem> {
    let format = NumberFormat::from(encoder.format);
    let text = decode(bytes, encoder.format.encoding)?;
    let table = Table::open(&text, format)?;
    let places = places(encoder, table.header())?;
    let mut output = FeatureEncoder::new(encoder);
    let mut missing = CellPositions::default();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    let mut count = 0;
    table.for_each(|row| {
        count += 1;
        let cells = || encoder.columns.iter().zip(&places);
        let absent = |(_, place): &(_, &usize)| is_missing(row.cell(**place));
        match encoder.missing {
            Missing::Error => {
                let mut last = None;
                for (column, place) in cells().filter(absent) {
                    // A date is one cell of several features, which follow each other.
                    if last.replace(place) != Some(place) {
                        missing.add(row.line, &column.name);
                    }
                }
            }
            Missing::DropRow if cells().any(|cell| absent(&cell)) => return Ok(()),
            _ => {}
        }
        output.check_room(lines.len() + 1)?;
        for (index, (column, &place)) in cells().enumerate() {
            output.push(index, &cell(column, format, row, place)?);
        }
        rows.push(count as u64 - 1);
        lines.push(row.line);
        Ok(())
    })?;
    if missing.count > 0 {
        return Err(CsvProblem::Missing { missing });
    }
    match (count, rows.len()) {
        (0, _) => return Err(CsvProblem::NoRows),
        (_, 0) => return Err(CsvProblem::AllDropped { rows: count }),
        _ => {}
    }
    let (values, unseen) = output.finish();
    Ok(EncodedTable {
        values,
        rows,
        lines,
        unseen,
    })
}

/// Encodes the table that the encoder was fitted on.
pub(super) fn encode_columns(
    encoder: &Encoder,
    columns: &[FeatureColumn],
    rows: usize,
) -> Result<Vec<f32>, CsvProblem> {
    let mut output = FeatureEncoder::new(encoder);
    output.check_room(rows)?;
    output.values.reserve_exact(rows * output.width);
    for row in 0..rows {
        for (index, column) in columns.iter().enumerate() {
            let cell = match &column.values {
                Column::Numbers(numbers) if numbers[row].is_nan() => Cell::Missing,
                Column::Numbers(numbers) => Cell::Number(f64::from(numbers[row])),
                Column::Moments(numbers) if numbers[row].is_nan() => Cell::Missing,
                Column::Moments(numbers) => Cell::Number(numbers[row]),
                Column::Categories { codes, names, .. } => match codes[row] {
                    MISSING => Cell::Missing,
                    code => Cell::Category(&names[code as usize]),
                },
            };
            output.push(index, &cell);
        }
    }
    Ok(output.finish().0)
}

/// Position in the header of each column.
fn places(encoder: &Encoder, header: &[String]) -> Result<Vec<usize>, CsvProblem> {
    let place = |column: &ColumnEncoder| {
        let mut places = (0..header.len()).filter(|&place| header[place] == column.name);
        let first = places.next().ok_or_else(|| CsvProblem::AbsentColumn {
            column: column.name.clone(),
            nearest: nearest(&column.name, header),
        })?;
        match places.next() {
            None => Ok(first),
            Some(second) => Err(CsvProblem::DuplicateColumn {
                column: column.name.clone(),
                first: first + 1,
                second: second + 1,
            }),
        }
    };
    encoder.columns.iter().map(place).collect()
}

fn cell<'r>(
    column: &ColumnEncoder,
    format: NumberFormat,
    row: &'r Row<'_>,
    place: usize,
) -> Result<Cell<'r>, CsvProblem> {
    let text = row.cell(place);
    if is_missing(text) {
        return Ok(Cell::Missing);
    }
    let Encoding::Number { date, .. } = &column.kind else {
        return Ok(Cell::Category(text));
    };
    if let Some(date) = date {
        let dates = DateFormat(date.format.as_deref());
        let moment = dates.read(text).ok_or_else(|| CsvProblem::NotADate {
            line: row.line,
            column: column.name.clone(),
            text: text.to_owned(),
            hint: format!(
                "in the table that the network was trained with, all are, as `{}`",
                dates.words()
            ),
        })?;
        return Ok(Cell::Number(date::number(moment, date.part)));
    }
    match format.parse::<f32>(text) {
        Some(number) if number.is_finite() => Ok(Cell::Number(f64::from(number))),
        Some(_) => Err(CsvProblem::NotFinite {
            line: row.line,
            column: column.name.clone(),
            text: text.to_owned(),
        }),
        None => Err(CsvProblem::NotANumber {
            line: row.line,
            column: column.name.clone(),
            text: text.to_owned(),
            hint: "in the table that the network was trained with, all are",
        }),
    }
}

/// Features, row by row, and what was strange about them.
struct FeatureEncoder<'a> {
    encoder: &'a Encoder,
    width: usize,
    values: Vec<f32>,
    unseen: Vec<u64>,
}

impl<'a> FeatureEncoder<'a> {
    fn new(encoder: &'a Encoder) -> Self {
        Self {
            encoder,
            width: encoder.features(),
            values: Vec::new(),
            unseen: vec![0; encoder.columns.len()],
        }
    }

    fn check_room(&self, rows: usize) -> Result<(), CsvProblem> {
        let features = self.width;
        match rows.checked_mul(features) {
            Some(values) if values <= MAX_VALUES => Ok(()),
            _ => Err(CsvProblem::TooManyValues { rows, features }),
        }
    }

    /// Appends the features of a cell of column `index`.
    fn push(&mut self, index: usize, cell: &Cell<'_>) {
        match &self.encoder.columns[index].kind {
            Encoding::Number {
                mean,
                deviation,
                fill,
                ..
            } => {
                let number = match cell {
                    Cell::Number(number) => *number,
                    _ => fill.unwrap_or(*mean),
                };
                self.values.push(scale(number, *mean, *deviation));
            }
            Encoding::Category { categories, fill } => {
                let position = match cell {
                    Cell::Category(name) => {
                        categories.binary_search_by(|c| c.as_str().cmp(name)).ok()
                    }
                    _ => *fill,
                };
                self.unseen[index] += u64::from(position.is_none());
                let one = |i| if position == Some(i) { 1.0 } else { 0.0 };
                self.values.extend((0..categories.len()).map(one));
            }
        }
    }

    fn finish(self) -> (Vec<f32>, Vec<(String, u64)>) {
        let mut unseen = Vec::new();
        for (column, &cells) in self.encoder.columns.iter().zip(&self.unseen) {
            if cells > 0 {
                let name = column.name.as_str();
                tracing::warn!(column = name, cells, "categories that no training row has");
                unseen.push((name.to_owned(), cells));
            }
        }
        (self.values, unseen)
    }
}

/// A number far outside the training rows must not become infinite.
fn scale(number: f64, mean: f64, deviation: f64) -> f32 {
    if deviation > 0.0 {
        let scaled = (number - mean) / deviation;
        scaled.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    } else {
        0.0
    }
}

/// `None` if no training row has a value.
fn fit_numbers(
    values: impl Iterator<Item = f64> + Clone,
    missing: Missing,
    column: &FeatureColumn,
) -> Option<Encoding> {
    let mut present: Vec<f64> = values.clone().filter(|value| !value.is_nan()).collect();
    if present.is_empty() {
        return None;
    }
    let fill = match missing {
        Missing::Mean => Some(mean(present.iter().copied())),
        Missing::Median => Some(median(&mut present)),
        Missing::Error | Missing::DropRow => None,
    };
    // Fitted after filling in, so that the column that trains has mean 0 and deviation 1.
    let or_fill = |value: f64| {
        if value.is_nan() {
            fill.unwrap_or(value)
        } else {
            value
        }
    };
    let filled = values.map(or_fill);
    let center = mean(filled.clone());
    let squares = filled.map(|value| (value - center).powi(2));
    Some(Encoding::Number {
        mean: center,
        deviation: mean(squares).sqrt(),
        fill,
        date: column.date.clone(),
    })
}

/// The mean of equal values is exactly that value, and a constant column's deviation exactly 0: sums of 24-bit
/// numbers are exact in 53 bits for more rows than a table may have, and those of moments are rounded to what is
/// between them.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let start = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    let (sum, count, min, max) = values.fold(start, |(sum, count, min, max), value| {
        (sum + value, count + 1.0, value.min(min), value.max(max))
    });
    (sum / count).max(min).min(max)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// `None` if no training row has a value.
fn fit_categories(
    codes: &[u32],
    names: &[String],
    train: &[u32],
    missing: Missing,
) -> Option<Encoding> {
    let mut counts = vec![0_u64; names.len()];
    for &row in train {
        if let Some(count) = counts.get_mut(codes[row as usize] as usize) {
            *count += 1;
        }
    }
    let mut present: Vec<(&String, u64)> = names.iter().zip(counts).filter(|c| c.1 > 0).collect();
    present.sort_unstable();
    // The first one of equally frequent ones.
    let most = (0..present.len()).rev().max_by_key(|&i| present[i].1)?;
    Some(Encoding::Category {
        categories: present.into_iter().map(|(name, _)| name.clone()).collect(),
        fill: matches!(missing, Missing::Mean | Missing::Median).then_some(most),
    })
}
