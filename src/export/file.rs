//! Files that are there completely or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use super::Error;

/// Leftovers of killed processes with our process id that are stepped over.
const MAX_LEFTOVERS: u32 = 100;

/// Writes a file through `content`: under a temporary name in the same folder, then synchronised,
/// then renamed. When anything fails, nothing has changed.
pub fn write(
    path: &Path,
    overwrite: bool,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let unwritable = |error: io::Error| Error::Unwritable {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    check_target(path, overwrite)?;
    let (temporary, file) = Temporary::create(path).map_err(unwritable)?;
    let mut file = BufWriter::new(file);
    content(&mut file).map_err(|error| match error {
        Error::Write(source) => unwritable(source),
        Error::Npz(source) => unwritable(io::Error::other(source)),
        error => error,
    })?;
    let file = file
        .into_inner()
        .map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)?;
    drop(file);
    temporary.publish(path, overwrite)?;
    sync_folder(path).map_err(unwritable)
}

/// Refuses early a path that would only fail at the end, and never replaces a device or a folder.
fn check_target(path: &Path, overwrite: bool) -> Result<(), Error> {
    let path = path.to_owned();
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => Err(Error::NotAFile { path }),
        Ok(_) if !overwrite => Err(Error::Exists { path }),
        // A path that cannot be looked at fails below, with a reason.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A file that is removed unless it is published.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn create(target: &Path) -> io::Result<(Self, File)> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path names no file"))?;
        let mut attempt = 0;
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let path = target.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self { path }, file)),
                Err(error)
                    if error.kind() == ErrorKind::AlreadyExists && attempt < MAX_LEFTOVERS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn publish(self, target: &Path, overwrite: bool) -> Result<(), Error> {
        let exists = || Error::Exists {
            path: target.to_owned(),
        };
        if !overwrite {
            // Unlike a rename, a link never replaces what somebody wrote in the meantime.
            match fs::hard_link(&self.path, target) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists()),
                // Some file systems have no links.
                Err(_) if fs::symlink_metadata(target).is_ok() => return Err(exists()),
                Err(_) => {}
            }
        }
        fs::rename(&self.path, target).map_err(|error| Error::Unwritable {
            path: target.to_owned(),
            problem: error.to_string(),
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove, and that is fine.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the new name survive a power cut. Folders cannot be opened on Windows.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn put(path: &Path, overwrite: bool, text: &str) -> Result<(), Error> {
        write(path, overwrite, |file| Ok(file.write_all(text.as_bytes())?))
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let entries = fs::read_dir(folder).unwrap().map(name);
        entries.map(|n| n.into_string().unwrap()).collect()
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.npz");
        put(&path, false, "one").unwrap();
        let error = put(&path, false, "two").unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        put(&path, true, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(folder.path()), ["w.npz"]);
    }

    #[test]
    fn a_file_that_appears_while_we_write_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.npz");
        let result = write(&path, false, |_| Ok(fs::write(&path, "theirs")?));
        assert!(matches!(result, Err(Error::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(names(folder.path()), ["w.npz"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.npz");
        put(&path, false, "one").unwrap();
        let result = write(&path, true, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no space").into())
        });
        let text = result.unwrap_err().to_string();
        assert!(
            text.contains("w.npz") && text.contains("no space"),
            "{text}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["w.npz"]);
    }

    #[test]
    fn what_is_no_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let error = put(folder.path(), true, "x").unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
        let error = put(&folder.path().join("no/such/folder"), true, "x").unwrap_err();
        assert!(matches!(error, Error::Unwritable { .. }), "{error}");
        assert!(names(folder.path()).is_empty());
    }
}
