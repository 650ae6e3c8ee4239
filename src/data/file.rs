//! Files that are read into memory whole.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::Error;

/// The largest file.
pub const MAX_BYTES: u64 = 1 << 30;

/// Reads a regular file of at most [`MAX_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    read_file_up_to(path, MAX_BYTES)
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_file_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    // Looked at before it is opened: opening a pipe waits for somebody to write to it.
    let metadata = fs::metadata(path).map_err(read_error)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
            kind: if metadata.is_dir() {
                "a directory"
            } else {
                "a special file"
            },
        });
    }
    let too_large = |bytes| Error::TooLarge {
        path: path.to_owned(),
        bytes,
        limit,
    };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    let file = File::open(path).map_err(read_error)?;
    // A file can grow while it is read.
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
