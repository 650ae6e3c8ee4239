//! A look at a table before anything is trained on it: its columns, and its first rows.

use std::collections::HashSet;

use cuttlefish_core::topology::spec::CsvSource;

use super::columns::is_missing;
use super::number::NumberFormat;
use super::table::Table;
use super::{CsvProblem, text};

/// Different values of a column are counted up to here.
const MAX_DISTINCT: usize = 1000;

/// A table.
#[derive(Clone, Debug)]
pub struct TablePreview {
    /// Its columns, in the header's order.
    pub columns: Vec<ColumnPreview>,
    /// The first rows, as they are written.
    pub rows: Vec<Vec<String>>,
    /// Number of rows.
    pub n_rows: usize,
}

/// A column of a table.
#[derive(Clone, Debug, Default)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// Missing cells.
    pub missing: usize,
    /// Cells that are numbers.
    pub numbers: usize,
    /// Different values, counted up to 1,000.
    pub distinct: usize,
    /// The smallest number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// Mean of the numbers.
    pub mean: Option<f64>,
}

/// Looks at the bytes of a file, which is written as `options` say; of its rows `first` are shown.
///
/// # Errors
/// When it is no table.
pub fn preview(
    bytes: &[u8],
    options: &CsvSource,
    first: usize,
) -> Result<TablePreview, CsvProblem> {
    let text = text::decode(bytes, options.encoding)?;
    let format = NumberFormat::from(options.format());
    let table = Table::open(&text, format)?;
    let named = |name: &String| ColumnPreview {
        name: name.clone(),
        ..ColumnPreview::default()
    };
    let mut columns: Vec<ColumnPreview> = table.header().iter().map(named).collect();
    let mut values: Vec<HashSet<String>> = vec![HashSet::new(); columns.len()];
    let (mut rows, mut n_rows) = (Vec::new(), 0);
    table.for_each(|row| {
        n_rows += 1;
        let cells: Vec<&str> = (0..columns.len()).map(|column| row.cell(column)).collect();
        for ((column, values), cell) in columns.iter_mut().zip(&mut values).zip(&cells) {
            column.see(cell, format);
            if values.len() < MAX_DISTINCT && !is_missing(cell) && !values.contains(*cell) {
                values.insert((*cell).to_owned());
            }
        }
        if rows.len() < first {
            rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
        }
        Ok(())
    })?;
    for (column, values) in columns.iter_mut().zip(&values) {
        column.distinct = values.len();
        column.mean = column.mean.map(|sum| sum / column.numbers as f64);
    }
    Ok(TablePreview {
        columns,
        rows,
        n_rows,
    })
}

impl ColumnPreview {
    /// Takes a cell. The mean is the sum as long as there are more.
    fn see(&mut self, cell: &str, format: NumberFormat) {
        if is_missing(cell) {
            self.missing += 1;
        } else if let Some(number) = format
            .parse::<f64>(cell)
            .filter(|number| number.is_finite())
        {
            self.numbers += 1;
            self.min = Some(self.min.map_or(number, |min| min.min(number)));
            self.max = Some(self.max.map_or(number, |max| max.max(number)));
            self.mean = Some(self.mean.unwrap_or(0.0) + number);
        }
    }
}
