//! Image data of people's own in one or a few files: pairs of IDX files, and NumPy's arrays.

use std::path::Path;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::spec::{DataFormat, IdxSource, NpzSource};

use super::array::Array;
use super::examples::{self, Examples, MAX_VALUES, NamedArray};
use super::file::read_file;
use super::npz::{Archive, NpzProblem};
use super::{Error, idx};

/// Loads a pair of IDX files, and the pair that tests if there is one. `base_dir` is what paths are relative to.
///
/// # Errors
/// Names the file, and what is wrong with it.
pub fn load_idx(source: &IdxSource, base_dir: &Path) -> Result<Dataset, Error> {
    let pair = |images: &str, labels: &str| -> Result<Examples, Error> {
        Ok(Examples {
            rows: idx_file(&base_dir.join(images))?,
            answers: idx_file(&base_dir.join(labels))?,
        })
    };
    let examples = pair(&source.images, &source.labels)?;
    let test = match (&source.test_images, &source.test_labels) {
        (Some(images), Some(labels)) => Some(pair(images, labels)?),
        _ => None,
    };
    let (names, format) = (source.class_names.as_deref(), DataFormat::ChannelsLast);
    let rules = source.split.rules(source.split_keys);
    examples::dataset("idx", examples, test, format, names, rules)
}

fn idx_file(path: &Path) -> Result<NamedArray, Error> {
    let array = idx::parse(&read_file(path)?).map_err(|problem| Error::OwnIdx {
        path: path.to_owned(),
        problem,
    })?;
    Ok(NamedArray {
        path: path.to_owned(),
        name: String::new(),
        array,
    })
}

/// Names of the arrays that rows and right answers are looked for by.
const ROWS: [&str; 2] = ["x", "x_train"];
const ANSWERS: [&str; 2] = ["y", "y_train"];
const TEST_ROWS: &str = "x_test";
const TEST_ANSWERS: &str = "y_test";
/// Names that rows to be answered are looked for by, in this order.
const NEW_ROWS: [&str; 3] = ["x", TEST_ROWS, "x_train"];

/// Loads arrays, and those that test if there are some. `base_dir` is what paths are relative to.
///
/// # Errors
/// Names the file and the array, and what is wrong with it.
pub fn load_npz(source: &NpzSource, base_dir: &Path) -> Result<Dataset, Error> {
    let path = base_dir.join(&source.path);
    let bytes = read_file(&path)?;
    let mut file = NumpyFile::open_several(&path, &bytes)?;
    let rows = file.find(source.x.as_deref(), &ROWS);
    let answers = file.find(source.y.as_deref(), &ANSWERS);
    let examples = Examples {
        rows: file.read(&rows, "name the array of the rows with `x`")?,
        answers: file.read(&answers, "name the array of the right answers with `y`")?,
    };
    let test = match &source.test_path {
        Some(test_path) => Some(test_file(&base_dir.join(test_path), &rows, &answers)?),
        None => file.test_arrays(source)?,
    };
    drop(bytes);
    let (names, format) = (source.class_names.as_deref(), source.data_format);
    let rules = source.split.rules(source.split_keys);
    examples::dataset("npz", examples, test, format, names, rules)
}

/// Rows of arrays that a network is to answer: those of the array that `source` names, or of the usual names,
/// or of the only array.
///
/// # Errors
/// Says which arrays there are.
pub fn new_rows(
    path: &Path,
    bytes: &[u8],
    source: Option<&NpzSource>,
) -> Result<NamedArray, Error> {
    let mut file = NumpyFile::open(path, bytes)?;
    let named = source.and_then(|source| source.x.as_deref());
    let named = named.filter(|name| file.archive.has(name));
    let name = match (named, file.archive.names()) {
        (None, [only]) => only.clone(),
        (named, _) => file.find(named, &NEW_ROWS),
    };
    file.read(&name, "name the array of the rows `x`")
}

/// Arrays of a file that tests: of the names that they have in the other file, or of Keras's.
fn test_file(path: &Path, rows: &str, answers: &str) -> Result<Examples, Error> {
    let bytes = read_file(path)?;
    let mut file = NumpyFile::open_several(path, &bytes)?;
    let rows = file.find(None, &[rows, TEST_ROWS]);
    let answers = file.find(None, &[answers, TEST_ANSWERS]);
    let hint = "arrays that test have the names that the others have";
    Ok(Examples {
        rows: file.read(&rows, hint)?,
        answers: file.read(&answers, hint)?,
    })
}

/// An open file of arrays.
struct NumpyFile<'a> {
    path: &'a Path,
    archive: Archive<'a>,
}

impl<'a> NumpyFile<'a> {
    fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let archive = Archive::open(bytes).map_err(|problem| error(path, problem))?;
        Ok(Self { path, archive })
    }

    /// A file that has arrays with names.
    fn open_several(path: &'a Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let file = Self::open(path, bytes)?;
        match file.archive.is_npy() {
            true => Err(error(path, NpzProblem::OneArray)),
            false => Ok(file),
        }
    }

    /// The name that was given, or else the first of the usual ones that there is.
    fn find(&self, given: Option<&str>, usual: &[&str]) -> String {
        let found = usual.iter().copied().find(|name| self.archive.has(name));
        given.or(found).unwrap_or(usual[0]).to_owned()
    }

    fn read(&mut self, name: &str, hint: &'static str) -> Result<NamedArray, Error> {
        let array = self.archive.read(name, MAX_VALUES, hint);
        let array: Array = array.map_err(|problem| error(self.path, problem))?;
        Ok(NamedArray {
            path: self.path.to_owned(),
            name: name.to_owned(),
            array,
        })
    }

    /// Arrays that test, if they are named or have Keras's names.
    fn test_arrays(&mut self, source: &NpzSource) -> Result<Option<Examples>, Error> {
        let (rows, answers) = match (&source.x_test, &source.y_test) {
            (Some(rows), Some(answers)) => (rows.as_str(), answers.as_str()),
            _ if self.archive.has(TEST_ROWS) && self.archive.has(TEST_ANSWERS) => {
                if source.split.test_split.is_some() {
                    return Err(error(self.path, NpzProblem::TwoTests));
                }
                (TEST_ROWS, TEST_ANSWERS)
            }
            _ => return Ok(None),
        };
        Ok(Some(Examples {
            rows: self.read(rows, "`x_test` names it")?,
            answers: self.read(answers, "`y_test` names it")?,
        }))
    }
}

fn error(path: &Path, problem: NpzProblem) -> Error {
    Error::Npz {
        path: path.to_owned(),
        problem,
    }
}
