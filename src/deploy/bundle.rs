//! Paths of the files of a rendered run, relative to its manifests.

use std::path::{Path, PathBuf};

/// First line of manifests, which tells a rendered file from a person's.
pub const FIRST_LINE: &str = "# Made by `cuttlefish render`.";

/// Directory that the neuron image is built from.
pub const IMAGE: &str = "image";
/// The run's record, in [`RECORD_FILE`].
pub const RECORD: &str = "record";
/// See [`RECORD`].
pub const RECORD_FILE: &str = "record.json";
/// Directories of secrets, named after who reads them.
pub const SECRETS: &str = "secrets";
/// The prepared data set.
pub const DATA: &str = "data";
/// Directory of the run's own store.
pub const STORE: &str = "store";

/// A directory as manifests name it.
pub fn here(name: &str) -> PathBuf {
    Path::new(".").join(name)
}
