//! A directory that appears whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Error, secrets};

/// A directory on its way to its place: removed again unless it gets there.
pub struct Staging {
    path: PathBuf,
    place: PathBuf,
}

/// Checks that a directory may take the place `place`: nothing is there, or nothing is in it, or with
/// `overwrite` an earlier one. That is known by its `names`, and by a file that is `marked`: its name, and
/// the line that it begins with.
///
/// # Errors
/// Says what is there instead, and what to do.
pub fn check_place(
    place: &Path,
    overwrite: bool,
    names: &[&str],
    marked: (&str, &str),
) -> Result<(), Error> {
    let display = place.display();
    let entries = match fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Error::Unusable(format!(
                "failed to use `{display}` as a directory: {error} (name another one with `--into DIR`)"
            )));
        }
        Ok(entries) => entries,
    };
    let mut file_names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file("read", place))?;
        file_names.push(entry.file_name().to_string_lossy().into_owned());
    }
    file_names.sort();
    if file_names.is_empty() {
        return Ok(());
    }
    let is_foreign = |name: &&String| {
        let is_marked = || {
            let text = fs::read_to_string(place.join(marked.0)).unwrap_or_default();
            text.starts_with(marked.1)
        };
        !names.contains(&name.as_str()) || *name == marked.0 && !is_marked()
    };
    if let Some(foreign) = file_names.iter().find(is_foreign) {
        return Err(Error::Unusable(format!(
            "failed to write to `{display}`: `{foreign}` in it was not rendered (name another directory \
             with `--into DIR`)"
        )));
    }
    if !overwrite {
        return Err(Error::Unusable(format!(
            "failed to write to `{display}`: a run was rendered there (replace it, and the weights in its \
             store, with `--overwrite`, or name another directory with `--into DIR`)"
        )));
    }
    Ok(())
}

impl Staging {
    /// A new directory beside `place`, for what shall be there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn beside(place: &Path) -> Result<Self, Error> {
        let path = hidden(place, "part")?;
        let made = fs::create_dir_all(&path);
        made.map_err(Error::file("make", &path))?;
        Ok(Self {
            path,
            place: place.to_owned(),
        })
    }

    /// Path of the directory, until it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it where it belongs, in place of what is there.
    ///
    /// # Errors
    /// When it cannot be; what was there before is there then.
    pub fn keep(self) -> Result<(), Error> {
        let failed = || Error::file("write to", &self.place);
        let old = hidden(&self.place, "old")?;
        let is_replaced = match fs::rename(&self.place, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error).map_err(failed()),
        };
        if let Err(error) = fs::rename(&self.path, &self.place) {
            if is_replaced {
                let _ = fs::rename(&old, &self.place);
            }
            return Err(error).map_err(failed());
        }
        if is_replaced {
            fs::remove_dir_all(&old).map_err(Error::file("remove", &old))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Gone when it was kept.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A hidden name beside `place`, on the same file system, that nobody else has.
fn hidden(place: &Path, what: &str) -> Result<PathBuf, Error> {
    let name = place.file_name();
    let name = name.ok_or_else(|| {
        Error::Unusable(format!(
            "failed to use `{}` as a directory: it ends with no name (name another one with `--into DIR`)",
            place.display()
        ))
    })?;
    let number = secrets::random()?;
    let name = format!(".{}.{what}-{}", name.to_string_lossy(), &number[..8]);
    Ok(place.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["file.yml", "data"];
    const MARKED: (&str, &str) = ("file.yml", "# Made by us");

    fn entries(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_kept_leaves_nothing_and_what_is_kept_replaces_everything() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("place");
        let staging = Staging::beside(&place).unwrap();
        fs::write(staging.path().join("new"), "").unwrap();
        drop(staging);
        assert_eq!(entries(home.path()), [""; 0]);
        for name in ["first", "second"] {
            let staging = Staging::beside(&place).unwrap();
            fs::write(staging.path().join(name), "").unwrap();
            staging.keep().unwrap();
            assert_eq!(entries(home.path()), ["place"]);
            assert_eq!(entries(&place), [name]);
        }
    }

    #[test]
    fn only_what_was_rendered_is_replaced_and_only_if_that_is_wanted() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("place");
        let check = |overwrite| {
            let checked = check_place(&place, overwrite, &NAMES, MARKED);
            checked.err().map_or(String::new(), |e| e.to_string())
        };
        assert_eq!(check(false), "", "nothing is there");
        fs::create_dir(&place).unwrap();
        assert_eq!(check(false), "", "nothing is in it");
        fs::write(place.join("file.yml"), "# Mine\n").unwrap();
        assert!(check(true).contains("`file.yml` in it was not rendered"));
        fs::write(place.join("file.yml"), "# Made by us\n").unwrap();
        assert!(check(false).contains("`--overwrite`"));
        assert_eq!(check(true), "");
        fs::write(place.join("notes"), "").unwrap();
        assert!(check(true).contains("`notes` in it was not rendered"));
        let file = check_place(&place.join("notes"), true, &NAMES, MARKED);
        assert!(file.unwrap_err().to_string().contains("as a directory"));
    }
}
