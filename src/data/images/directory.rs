//! Files of a directory of pictures, in the order of their names, whatever the file system's is.

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::PictureProblem;
use super::{FileProblems, ImagesProblem, MAX_FILES, error};
use crate::data::Error;
use crate::data::csv::MAX_CLASSES;

/// Files that file managers leave behind.
const LEFTOVERS: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// Directory of a class.
#[derive(Debug)]
pub(super) struct ClassDir {
    /// Name of the class, which is that of the directory.
    pub name: String,
    /// Its files; never empty.
    pub files: Vec<PathBuf>,
}

/// An entry of a directory.
struct DirEntry {
    name: String,
    path: PathBuf,
    is_dir: bool,
}

/// Directories of classes in a directory, by their names.
pub(super) fn classes(dir: &Path) -> Result<Vec<ClassDir>, Error> {
    let entries = entries(dir)?;
    let beside: Vec<_> = entries.iter().filter(|entry| !entry.is_dir).collect();
    if !beside.is_empty() {
        let problem = |entry: &&DirEntry| {
            let problem = "it is in no directory of a class (move it into one, or out)";
            (entry.path.clone(), PictureProblem::File(problem.to_owned()))
        };
        let problems = FileProblems(beside.iter().map(problem).collect());
        return Err(error(dir, ImagesProblem::Files(problems)));
    }
    match entries.len() {
        0 => return Err(error(dir, ImagesProblem::NoClasses)),
        count if count > MAX_CLASSES => {
            let (what, limit) = ("classes", MAX_CLASSES);
            return Err(error(dir, ImagesProblem::TooMany { what, limit }));
        }
        _ => {}
    }
    let mut classes = Vec::with_capacity(entries.len());
    let mut room = MAX_FILES;
    for entry in entries {
        let files = files_of(&entry.path, &mut room, dir)?;
        classes.push(ClassDir {
            name: entry.name,
            files,
        });
    }
    Ok(classes)
}

/// Names of the files of a directory, and behind them of those of the directories in it.
pub(super) fn files(dir: &Path) -> Result<Vec<String>, Error> {
    let (dirs, files): (Vec<_>, Vec<_>) = entries(dir)?.into_iter().partition(|entry| entry.is_dir);
    let mut names: Vec<String> = files.into_iter().map(|entry| entry.name).collect();
    let mut room = MAX_FILES.saturating_sub(names.len());
    for entry in dirs {
        for file in files_of(&entry.path, &mut room, dir)? {
            names.push(format!("{}/{}", entry.name, name_of(&file)));
        }
    }
    match names.is_empty() {
        true => Err(error(dir, ImagesProblem::NoFiles)),
        false => Ok(names),
    }
}

/// Last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Files of the directory of a class; `room` is how many there may be.
fn files_of(dir: &Path, room: &mut usize, whole: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = entries(dir)?;
    if entries.is_empty() {
        return Err(error(dir, ImagesProblem::NoFiles));
    }
    *room = room.checked_sub(entries.len()).ok_or_else(|| {
        let (what, limit) = ("files", MAX_FILES);
        error(whole, ImagesProblem::TooMany { what, limit })
    })?;
    Ok(entries.into_iter().map(|entry| entry.path).collect())
}

/// Entries of a directory that are not hidden, by their names.
fn entries(dir: &Path) -> Result<Vec<DirEntry>, Error> {
    let read_error = |source| Error::Read {
        path: dir.to_owned(),
        source,
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        let path = entry.path();
        let name = entry.file_name().into_string().map_err(|name| {
            let name = name.to_string_lossy().into_owned();
            error(dir, ImagesProblem::NotUtf8(name))
        })?;
        if name.starts_with('.') || LEFTOVERS.contains(&name.as_str()) {
            continue;
        }
        if entries.len() >= MAX_FILES {
            let (what, limit) = ("files", MAX_FILES);
            return Err(error(dir, ImagesProblem::TooMany { what, limit }));
        }
        let is_dir = path.is_dir();
        entries.push(DirEntry { name, path, is_dir });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
