//! Errors of an export of weights. Texts go on after "failed to".

use std::io;
use std::path::PathBuf;

use ndarray_npy::WriteNpzError;

/// Error of an export of weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The states are not those of the network.
    #[error(
        "export layer `{layer}`: it has {expected} {what}, and the stored state has {found} (is it from another version of the file?)"
    )]
    Shape {
        /// Name of the layer.
        layer: String,
        /// The unit of the two counts.
        what: &'static str,
        /// Number that the network has.
        expected: usize,
        /// Number that was given.
        found: usize,
    },
    /// The file exists, and may not be replaced.
    #[error("write `{}`: it exists (choose another path, or replace it with `--overwrite`)", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Something that a file cannot replace is there.
    #[error("write `{}`: it is not a regular file (choose another path)", path.display())]
    NotAFile {
        /// The path, and something else than a file there.
        path: PathBuf,
    },
    /// Something failed on the way to the file.
    #[error("write `{}`: {problem} (check that the folder exists, may be written to, and has space)", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The failure.
        problem: String,
    },
    /// The bytes could not be written.
    #[error("write the tensors: {0} (check that there is space)")]
    Write(#[from] io::Error),
    /// The archive could not be written.
    #[error("write the tensors: {0} (check that there is space)")]
    Npz(#[from] WriteNpzError),
}
