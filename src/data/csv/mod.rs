//! A person's own table: CSV with a header line.
//!
//! | module | responsibility |
//! |---|---|
//! | `text` | bytes to text: encodings |
//! | `table` | text to records: delimiter, header, line numbers, limits |
//! | `number`, `date` | cells to numbers |
//! | `scan` | the first pass: what each column is |
//! | `suspects` | columns of text that are numbers or dates to a person; by what their `readings` are, with a `suspicion` |
//! | `columns` | the second pass: records to typed columns: numbers or categories, missing cells |
//! | `target` | the column to predict: classes or numbers |
//! | `preview` | a look at a table before anything is trained on it |
//! | `encode` | typed columns to features, with what was learned from the training rows |
//!
//! The file is read into memory once and its records are gone through twice: first to see what
//! each column is, then to take the values; in between once more where text looks like numbers or
//! dates. Everything after the reading of the file is a pure function of its bytes. Tested in
//! `tests/csv*.rs` and `tests/encode.rs`.

mod columns;
mod date;
mod encode;
mod number;
mod preview;
mod problem;
mod readings;
mod scan;
mod suspects;
mod suspicion;
mod table;
mod target;
mod text;

use std::path::Path;

use cuttlefish_core::data::{Dataset, Split, Values};
use cuttlefish_core::topology::spec::CsvSource;

pub use self::encode::{EncodedTable, encode_bytes, encode_table};
pub use self::preview::{ColumnPreview, TablePreview, preview};
pub use self::problem::{CellPosition, CellPositions, CsvProblem};
pub use self::readings::TextCell;
pub use self::suspicion::Suspicion;
pub(super) use self::table::Lines;
use super::Error;
use super::encoder::Encoder;
use super::file::read_file;

/// The largest number of rows.
pub const MAX_ROWS: usize = 10_000_000;
/// The largest number of columns.
pub const MAX_COLUMNS: usize = 10_000;
/// The longest line.
pub const MAX_LINE: usize = 4 << 20;
/// The longest cell. More is a sign of a quotation mark that nobody closed.
pub const MAX_CELL: usize = 4096;
/// The largest number of different values of a column that is not a number.
pub const MAX_CATEGORIES: usize = 100;
/// The largest number of classes.
pub const MAX_CLASSES: usize = 1000;
/// The largest number of features of all rows together: 1 GiB of them.
pub const MAX_VALUES: usize = 1 << 28;
/// A target of whole numbers with at most so many different values is a class.
pub const AUTO_CLASSES: usize = 20;

/// Reads the file, and parses it.
pub fn load(path: &Path, options: &CsvSource) -> Result<(Dataset, Encoder), Error> {
    let bytes = read_file(path)?;
    parse(bytes, options).map_err(|problem| Error::Csv {
        path: path.to_owned(),
        problem,
    })
}

/// Makes a data set of the bytes of a file, and an encoder that encodes further rows like it.
///
/// Numbers are scaled to mean 0 and deviation 1, categories become one feature each; both as the
/// training rows have them. Regression targets stay as they are: their scaling is part of the network's
/// training, and people never see a scaled one.
pub fn parse(bytes: Vec<u8>, options: &CsvSource) -> Result<(Dataset, Encoder), CsvProblem> {
    let columns = {
        let text = text::decode(&bytes, options.encoding)?;
        let table = table::Table::open(&text, options.format().into())?;
        columns::read(&table, options)?
    };
    // The typed columns have all that is needed; the text is as large as they are.
    drop(bytes);
    let task = target::task(options.target.clone(), columns.target)?;
    let split = Split::by_rules(options.split_rules(), &task)?;
    let encoder = encode::fit(&columns.features, &split.train, options)?;
    let values = encode::encode_columns(&encoder, &columns.features, columns.rows)?;
    let dataset = Dataset {
        name: "csv".to_owned(),
        features: encoder.features(),
        image: None,
        feature_names: encoder.feature_names(),
        values: Values::Floats(values.into()),
        task,
        split,
    };
    Ok((dataset, encoder))
}
