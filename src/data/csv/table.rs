//! Text to records: the delimiter, the header, line numbers and limits.

use std::ops::ControlFlow;

use csv::{Reader, ReaderBuilder, StringRecord};
use cuttlefish_core::topology::spec::Decimal;

use super::number::NumberFormat;
use super::{CsvProblem, MAX_CELL, MAX_COLUMNS, MAX_LINE, MAX_ROWS};

/// Delimiters that cells may have between them, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Number of records that decide which of them it is.
const SAMPLE: usize = 20;

/// A table whose header has been read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    text: &'a str,
    delimiter: u8,
    header: Vec<String>,
}

/// One record of the table, with its line.
pub(super) struct Row<'a> {
    /// Line on which the record starts, from 1.
    pub line: u64,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// A cell without the blanks around it. The number of cells is the header's.
    pub fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }
}

impl<'a> Table<'a> {
    /// Finds the delimiter and reads the header. Numbers in it, in this format, are a sign that there is none.
    pub fn open(text: &'a str, numbers: NumberFormat) -> Result<Self, CsvProblem> {
        if text.trim().is_empty() {
            return Err(CsvProblem::Empty);
        }
        check_lines(text)?;
        let delimiter = sniff(text, numbers);
        let mut table = Self {
            text,
            delimiter,
            header: Vec::new(),
        };
        let mut header = Vec::new();
        table.walk(|row| {
            header.extend(row.record.iter().map(|name| name.trim().to_owned()));
            Ok(ControlFlow::Break(()))
        })?;
        if header.is_empty() {
            return Err(CsvProblem::Empty);
        }
        if header.len() > MAX_COLUMNS {
            return Err(CsvProblem::TooManyColumns {
                columns: header.len(),
            });
        }
        let is_number = |name: &String| numbers.parse::<f64>(name).is_some();
        if header.iter().all(is_number) {
            return Err(CsvProblem::NoHeader {
                first: header.swap_remove(0),
            });
        }
        table.header = header;
        Ok(table)
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Goes through the records after the header, and checks each one's number of cells.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(&Row<'_>) -> Result<(), CsvProblem>,
    ) -> Result<(), CsvProblem> {
        let mut records = 0;
        self.walk(|row| {
            let cells = row.record.len();
            if cells != self.header.len() {
                return Err(CsvProblem::Ragged {
                    line: row.line,
                    cells,
                    columns: self.header.len(),
                });
            }
            if records > MAX_ROWS {
                return Err(CsvProblem::TooManyRows);
            }
            if records > 0 {
                visit(row)?;
            }
            records += 1;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Goes through all records, the header too.
    fn walk(
        &self,
        mut visit: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, CsvProblem>,
    ) -> Result<(), CsvProblem> {
        let mut reader = reader(self.text, self.delimiter);
        let mut record = StringRecord::new();
        let mut lines = Lines::new(self.text.as_bytes());
        let mut line = 1;
        let mut start = 0;
        while read(&mut reader, &mut record)? {
            let position = record.position().map_or(0, |position| position.byte());
            (start, line) = lines.advance(position as usize);
            if record.iter().any(|cell| cell.len() > MAX_CELL) {
                return Err(CsvProblem::LongCell { line });
            }
            if visit(&Row {
                line,
                record: &record,
            })?
            .is_break()
            {
                return Ok(());
            }
        }
        // A quoted cell that is never closed swallows the lines after it.
        let last = self.text[start..].trim_end();
        if last.contains(['\n', '\r']) && last.matches('"').count() % 2 == 1 {
            return Err(CsvProblem::OpenQuote { line });
        }
        Ok(())
    }
}

fn reader(text: &str, delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes())
}

fn read(reader: &mut Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, CsvProblem> {
    reader
        .read_record(record)
        .map_err(|error| CsvProblem::Csv(error.to_string()))
}

/// Long lines are refused before the parser makes room for their cells.
fn check_lines(text: &str) -> Result<(), CsvProblem> {
    let mut line = 1;
    let mut length = 0;
    for &byte in text.as_bytes() {
        length += 1;
        if matches!(byte, b'\n' | b'\r') {
            line += u64::from(byte == b'\n');
            length = 0;
        } else if length > MAX_LINE {
            return Err(CsvProblem::LongLine { line });
        }
    }
    Ok(())
}

/// The delimiter with which the first records agree on the number of cells, and have most.
fn sniff(text: &str, numbers: NumberFormat) -> u8 {
    let score = |delimiter: u8| {
        let mut reader = reader(text, delimiter);
        let mut record = StringRecord::new();
        let mut columns = 0;
        let mut agree = true;
        for index in 0..SAMPLE {
            if !matches!(reader.read_record(&mut record), Ok(true)) {
                break;
            }
            if index == 0 {
                columns = record.len();
            }
            agree &= record.len() == columns;
        }
        (agree && columns > 1, columns)
    };
    // A comma in numbers is hardly one between cells as well, if there is another.
    let has_decimal_commas = numbers.decimal() == Decimal::Comma;
    let others = DELIMITERS.iter().filter(|&&d| d != b',');
    let others = others.filter(|&&d| has_decimal_commas && score(d).0);
    let delimiters = match others.clone().next() {
        Some(_) => others.copied().collect(),
        None => DELIMITERS.to_vec(),
    };
    // `max_by_key` takes the last of equals, the likelier come first.
    let best = delimiters.into_iter().rev().max_by_key(|&d| score(d));
    best.unwrap_or(b',')
}

/// Line numbers of growing positions. The parser's own are those of blank lines before a record.
pub(in crate::data) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// Lines of a text, at its beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
        }
    }

    /// Byte and line at which the record starts that the parser places at `position`.
    pub fn advance(&mut self, position: usize) -> (usize, u64) {
        let blank = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let rest = &self.bytes[position.min(self.bytes.len())..];
        let start = position + rest.iter().take_while(|byte| blank(byte)).count();
        let start = start.min(self.bytes.len());
        self.line += count_lines(&self.bytes[self.at.min(start)..start]);
        self.at = start;
        (start, self.line)
    }
}

/// Line ends: `\n`, `\r\n`, and `\r` alone.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    let mut lines = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let lone = byte == b'\r' && bytes.get(i + 1) != Some(&b'\n');
        lines += u64::from(byte == b'\n' || lone);
    }
    lines
}
