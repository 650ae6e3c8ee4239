//! Directories of picture files: a directory for each class, PNG or JPEG files in it.
//!
//! | module | responsibility |
//! |---|---|
//! | [`decode`] | one picture file to bytes |
//! | `directory` | the files of a directory, in the order of their names |
//!
//! The first file says what size and channels pictures have, unless the topology does; the others are compared
//! before they are unpacked. Hidden files, whose names begin with a dot, are left out; any other that cannot
//! be used is refused by name. Tested in `data/tests/images.rs`.

pub mod decode;
mod directory;

use std::fmt;
use std::path::{Path, PathBuf};

use cuttlefish_core::data::{Dataset, Task, Values};
use cuttlefish_core::topology::spec::{ColorMode, ImagesSource};
use rayon::prelude::*;

use self::decode::{PictureHeader, PictureProblem};
use self::directory::ClassDir;
use super::Error;
use super::examples::{MAX_VALUES, own_split};
use super::file::read_file_up_to;

/// The largest number of files.
pub const MAX_FILES: usize = 1_000_000;
/// The largest picture file, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Files with problems that are named; the others are counted.
const MAX_NAMED: usize = 10;
/// Brings the largest byte to 1.
const BYTE_SCALE: f32 = 1.0 / 255.0;

/// Problem of a directory of pictures. Goes on after "read `...`: ".
#[derive(Debug, thiserror::Error)]
pub enum ImagesProblem {
    /// Nothing in it.
    #[error("there is no directory of a class in it (put the pictures of each class into one)")]
    NoClasses,
    /// More files or classes than the limit.
    #[error("it has more than {limit} {what}, the limit (use fewer)")]
    TooMany {
        /// Kind of thing of which there are too many.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No pictures.
    #[error("there are no PNG or JPEG files in it (put some in, or remove it)")]
    NoFiles,
    /// A name that cannot be written down.
    #[error("`{0}` in it is no UTF-8 (rename it)")]
    NotUtf8(String),
    /// A class that only a directory that tests has.
    #[error(
        "it has the class `{0}`, which the training directory has not (remove it, or give training pictures of it)"
    )]
    NewClass(String),
    /// More values than the limit.
    #[error(
        "{files} pictures of {features} values are more than the limit of {MAX_VALUES} values (use fewer or smaller ones)"
    )]
    TooLarge {
        /// Number of files.
        files: usize,
        /// Values of each.
        features: usize,
    },
    /// Files that cannot be used.
    #[error("{0}")]
    Files(FileProblems),
}

/// Files that cannot be used, with the reason of each.
#[derive(Debug)]
pub struct FileProblems(Vec<(PathBuf, PictureProblem)>);

impl fmt::Display for FileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let files = if count == 1 { "file" } else { "files" };
        write!(f, "{count} {files} in it cannot be used:")?;
        for (path, problem) in self.0.iter().take(MAX_NAMED) {
            write!(f, "\n  `{}`: {problem}", path.display())?;
        }
        match count.checked_sub(MAX_NAMED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  ... and {more} more"),
        }
    }
}

/// Pictures of one form, and their names.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Form of all of them.
    pub header: PictureHeader,
    /// Names of the files, below the directory that was read.
    pub files: Vec<String>,
    /// Pixels `[pictures, channels, height, width]`.
    pub pixels: Vec<u8>,
}

/// Loads a directory of classes, and the one that tests if there is one. `base_dir` is what paths are relative to.
///
/// # Errors
/// Names the directory or every file that cannot be used.
pub fn load(source: &ImagesSource, base_dir: &Path) -> Result<Dataset, Error> {
    let path = base_dir.join(&source.path);
    let classes = directory::classes(&path)?;
    let class_names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    let mut labels = labels(&classes, &class_names);
    let files: Vec<PathBuf> = paths(classes);
    let mut test_files = Vec::new();
    let test_path = source.test_path.as_ref().map(|path| base_dir.join(path));
    if let Some(test_path) = &test_path {
        let test = directory::classes(test_path)?;
        let new = test.iter().find(|class| !class_names.contains(&class.name));
        if let Some(class) = new {
            let problem = ImagesProblem::NewClass(class.name.clone());
            return Err(error(test_path, problem));
        }
        labels.extend(self::labels(&test, &class_names));
        test_files = paths(test);
    }
    let expected = expected(&files[0], source.image_size, source.color_mode)?;
    let rows = files.len() + test_files.len();
    let mut pixels = room(&path, rows, expected)?;
    let (train, test) = pixels.split_at_mut(files.len() * expected.features());
    decode_all(&path, &files, expected, Some(source), train)?;
    if let Some(test_path) = &test_path {
        decode_all(test_path, &test_files, expected, Some(source), test)?;
    }
    let task = Task::Classification {
        class_names,
        labels,
    };
    let rules = source.split.rules(source.split_keys);
    Ok(Dataset {
        name: "images".to_owned(),
        features: expected.features(),
        image: Some(expected.size),
        feature_names: Vec::new(),
        values: Values::Bytes {
            bytes: pixels.into(),
            scale: BYTE_SCALE,
        },
        split: own_split(test_files.len(), rules, &task)?,
        task,
    })
}

/// Reads pictures to be answered: a file, or all files of a directory and of the directories in it. `source` is what
/// the network was trained on, if that was pictures.
///
/// # Errors
/// Names every file that is not of this form.
pub fn read(
    path: &Path,
    expected: PictureHeader,
    source: Option<&ImagesSource>,
) -> Result<Pictures, Error> {
    let (files, names) = if path.is_dir() {
        let names = directory::files(path)?;
        (names.iter().map(|name| path.join(name)).collect(), names)
    } else {
        (vec![path.to_owned()], vec![directory::name_of(path)])
    };
    let mut pixels = room(path, files.len(), expected)?;
    decode_all(path, &files, expected, source, &mut pixels)?;
    Ok(Pictures {
        header: expected,
        pixels,
        files: names,
    })
}

/// Index of its class for each file.
fn labels(classes: &[ClassDir], names: &[String]) -> Vec<u32> {
    let of_class = |class: &ClassDir| {
        let index = names.iter().position(|name| *name == class.name);
        std::iter::repeat_n(index.unwrap_or(0) as u32, class.files.len())
    };
    classes.iter().flat_map(of_class).collect()
}

fn paths(classes: Vec<ClassDir>) -> Vec<PathBuf> {
    classes.into_iter().flat_map(|class| class.files).collect()
}

/// The form that all pictures have to have.
fn expected(
    first: &Path,
    size: Option<[usize; 2]>,
    mode: Option<ColorMode>,
) -> Result<PictureHeader, Error> {
    let header = decode::header(&read_file_up_to(first, MAX_FILE_BYTES)?);
    let header = header.map_err(|problem| {
        let problems = FileProblems(vec![(first.to_owned(), problem)]);
        error(first, ImagesProblem::Files(problems))
    })?;
    Ok(PictureHeader {
        size: size.map_or(header.size, |[height, width]| (height, width)),
        ..header.in_mode(mode)
    })
}

/// Room for the pixels of so many pictures.
fn room(dir: &Path, files: usize, expected: PictureHeader) -> Result<Vec<u8>, Error> {
    let features = expected.features();
    let values = files.checked_mul(features);
    match values.filter(|&values| values <= MAX_VALUES) {
        Some(values) => Ok(vec![0; values]),
        None => Err(error(dir, ImagesProblem::TooLarge { files, features })),
    }
}

/// Unpacks files of a directory, each into its place.
fn decode_all(
    dir: &Path,
    files: &[PathBuf],
    expected: PictureHeader,
    source: Option<&ImagesSource>,
    pixels: &mut [u8],
) -> Result<(), Error> {
    let mode = source.and_then(|source| source.color_mode);
    let advised = |problem: PictureProblem| match problem {
        PictureProblem::Channels {
            found, expected, ..
        } if source.is_some() => PictureProblem::Channels {
            found,
            expected,
            advice: "write `color_mode: rgb` or `color_mode: grayscale`, and it is converted",
        },
        problem => problem,
    };
    let decode = |(path, pixels): (&PathBuf, &mut [u8])| {
        let bytes = read_file_up_to(path, MAX_FILE_BYTES);
        let bytes = bytes.map_err(|error| PictureProblem::File(error.to_string()));
        let decoded = bytes.and_then(|bytes| decode::decode(&bytes, expected, mode, pixels));
        Some((path.clone(), advised(decoded.err()?)))
    };
    let places = pixels.par_chunks_exact_mut(expected.features().max(1));
    let problems: Vec<_> = files.par_iter().zip(places).filter_map(decode).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(error(dir, ImagesProblem::Files(FileProblems(problems)))),
    }
}

fn error(path: &Path, problem: ImagesProblem) -> Error {
    Error::Images {
        path: path.to_owned(),
        problem,
    }
}
