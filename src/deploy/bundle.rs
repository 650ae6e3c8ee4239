//! Where the files of a rendered run are, relative to its manifests.

use std::path::{Path, PathBuf};

/// How manifests begin.
pub const FIRST_LINE: &str = "# Made by `cuttlefish render`.";

/// What the neuron image is built from.
pub const IMAGE: &str = "image";
/// The run's record, in [`RECORD_FILE`].
pub const RECORD: &str = "record";
/// See [`RECORD`].
pub const RECORD_FILE: &str = "record.json";
/// Directories of secrets, named after who reads them.
pub const SECRETS: &str = "secrets";
/// The prepared data set.
pub const DATA: &str = "data";
/// What the run's own store writes.
pub const STORE: &str = "store";

/// A directory as manifests name it.
pub fn here(name: &str) -> PathBuf {
    Path::new(".").join(name)
}
