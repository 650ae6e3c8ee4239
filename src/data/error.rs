//! Errors between a topology file's `data` and rows in memory.

use std::io;
use std::path::PathBuf;

use cuttlefish_core::data::SplitError;

use super::examples::ExamplesProblem;
use super::images::ImagesProblem;
use super::npz::NpzProblem;
use super::{csv, fetch, idx};

/// Error of loading a data set. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("read `{}`: {source} (check the path and its permissions)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("read `{}`: it is {kind} (name a regular file)", path.display())]
    NotAFile {
        /// The path that was named.
        path: PathBuf,
        /// The kind of thing that it is.
        kind: &'static str,
    },
    /// The file is larger than what is read into memory.
    #[error("read `{}`: it has {bytes} bytes, the limit is {limit} (use a smaller file)", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Size of the file.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The bytes are not the IDX file that was expected.
    #[error("read `{}`: {problem} (remove the file, and it is fetched again)", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: idx::IdxProblem,
    },
    /// The bytes are no IDX file that can be used.
    #[error("read `{}`: {problem} (give an IDX file, gzipped or not)", path.display())]
    OwnIdx {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: idx::IdxProblem,
    },
    /// The bytes are no file of NumPy's arrays that can be used.
    #[error("read `{}`: {problem}", path.display())]
    Npz {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: NpzProblem,
    },
    /// Arrays that are no rows with right answers.
    #[error("read `{}`: {problem}", path.display())]
    Examples {
        /// The file.
        path: PathBuf,
        /// The problem with one of its arrays.
        problem: ExamplesProblem,
    },
    /// Picture files that cannot be used.
    #[error("read `{}`: {problem}", path.display())]
    Images {
        /// The directory, or the file.
        path: PathBuf,
        /// The problem with it.
        problem: ImagesProblem,
    },
    /// No pictures that a network could answer.
    #[error("read `{}`: {problem} (give an IDX or npz file, a PNG or JPEG file or a directory of some, or a CSV file with a column a pixel)", path.display())]
    Pictures {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: String,
    },
    /// A well-formed file of another data set.
    #[error(
        "read `{}`: it has the shape {found}, `{name}` has {expected} (remove the file, and it is \
         fetched again; or name the directory of `{name}` with `--data-dir`)",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The data set.
        name: &'static str,
        /// The shape it has in that data set.
        expected: String,
        /// The shape it has.
        found: String,
    },
    /// A well-formed file with other content.
    #[error(
        "read `{}`: the SHA-256 of its content is `{found}`, for `{name}` it is `{expected}` \
         (remove the file, and it is fetched again; or name the directory of `{name}` with \
         `--data-dir`)",
        path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The data set.
        name: &'static str,
        /// The digest it has in that data set.
        expected: String,
        /// The digest it has.
        found: String,
    },
    /// A file of a data set whose files have the same names and shapes.
    #[error(
        "read `{}`: it belongs to `{other}`, not to `{name}` (keep the files of each in a \
         directory of its own, `{name}` inside the one that `--data-dir` names)",
        path.display()
    )]
    OtherDataset {
        /// The file.
        path: PathBuf,
        /// The data set that was asked for.
        name: &'static str,
        /// The data set that it belongs to.
        other: &'static str,
    },
    /// A class that the data set does not have.
    #[error(
        "read `{}`: label {row} is {label}, the limit is {limit} (remove the file, and it is \
         fetched again)",
        path.display()
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// Number of the label, from 0.
        row: usize,
        /// Value of the label.
        label: u8,
        /// The largest value.
        limit: usize,
    },
    /// A file is neither on disk nor to be had from a mirror.
    #[error(transparent)]
    Fetch(#[from] Box<fetch::Error>),
    /// The table cannot be used.
    #[error("read `{}`: {problem}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: csv::CsvProblem,
    },
    /// Rows that cannot be split as asked.
    #[error("split the rows: {0}")]
    Split(#[from] SplitError),
    /// A share of the rows out of range.
    #[error("split the rows: `{key}` is {share}, the limits are 0 and 0.9 (use a share between)")]
    Share {
        /// The key of the topology file.
        key: &'static str,
        /// Value of the share.
        share: f64,
    },
}
