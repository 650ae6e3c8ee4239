//! MNIST and Fashion-MNIST: finding their four files, checking them, and reading them into one
//! data set, training rows first.
//!
//! Each file is looked for in `<data_dir>/<name>/` and then in `<data_dir>` itself, gzipped or
//! not, and fetched into `<data_dir>/<name>/` when it is in neither. Pixels are unpacked straight
//! into the one vector that the data set keeps. Tested in `data/tests/mnist.rs`.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use cuttlefish_core::data::{Dataset, Split, Task, TestRows, ValidationRows, Values};
use cuttlefish_core::digest::hexadecimal;
use cuttlefish_core::topology::spec::ImageSource;
use sha2::{Digest as _, Sha256};

use super::array::ElementType;
use super::fetch::{Download, Fetcher};
use super::idx::{self, Decoder};
use super::{Error, fetch};

/// A data set of four IDX files.
#[derive(Clone, Copy, Debug)]
pub struct IdxDataset {
    /// Name in a topology file.
    pub name: &'static str,
    /// Names of the classes.
    pub class_names: &'static [&'static str],
    /// Height and width of an image.
    pub image: (usize, usize),
    /// Number of training and of test images.
    pub rows: (usize, usize),
    /// Addresses of directories that have the gzipped files.
    pub mirrors: &'static [&'static str],
    /// Training images, training labels, test images, test labels.
    pub files: [IdxFile; 4],
    /// A data set whose files have the same names and shapes, and known digests.
    pub unlike: Option<&'static IdxDataset>,
}

/// One of the four files.
#[derive(Clone, Copy, Debug)]
pub struct IdxFile {
    /// Name of the file, without `.gz`.
    pub name: &'static str,
    /// Digest by which the file is known to be right.
    pub digest: FileDigest,
}

/// A SHA-256, in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileDigest {
    /// Digest of the unpacked file: checked whenever the file is read, however it is packed.
    Content(&'static str),
    /// Digest of the gzipped file as its authors publish it: checked when it is fetched.
    Archive(&'static str),
}

/// 70,000 handwritten digits.
pub static MNIST: IdxDataset = IdxDataset {
    name: "mnist",
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    image: (28, 28),
    rows: (60_000, 10_000),
    mirrors: &[
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ],
    files: [
        IdxFile {
            name: "train-images-idx3-ubyte",
            digest: FileDigest::Content(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
        },
        IdxFile {
            name: "train-labels-idx1-ubyte",
            digest: FileDigest::Content(
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
        },
        IdxFile {
            name: "t10k-images-idx3-ubyte",
            digest: FileDigest::Content(
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
        },
        IdxFile {
            name: "t10k-labels-idx1-ubyte",
            digest: FileDigest::Content(
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        },
    ],
    unlike: None,
};

/// 70,000 pictures of clothes.
///
/// The digests that are published for it are of the gzipped files, so files that somebody else
/// put there are checked by their shape and labels only. Their names and shapes are MNIST's:
/// `unlike` keeps MNIST's files from being taken for it.
pub static FASHION_MNIST: IdxDataset = IdxDataset {
    name: "fashion-mnist",
    class_names: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    image: (28, 28),
    rows: (60_000, 10_000),
    mirrors: &[
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ],
    files: [
        IdxFile {
            name: "train-images-idx3-ubyte",
            digest: FileDigest::Archive(
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
        },
        IdxFile {
            name: "train-labels-idx1-ubyte",
            digest: FileDigest::Archive(
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        },
        IdxFile {
            name: "t10k-images-idx3-ubyte",
            digest: FileDigest::Archive(
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
        },
        IdxFile {
            name: "t10k-labels-idx1-ubyte",
            digest: FileDigest::Archive(
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        },
    ],
    unlike: Some(&MNIST),
};

/// The largest file that is fetched: twice the largest of the eight.
const FETCH_LIMIT: u64 = 64 << 20;

/// Loads the four files of `source`, and fetches those that are absent. `keys` say which training rows validate.
pub fn load(
    source: &IdxDataset,
    data_dir: &Path,
    keys: &ImageSource,
    fetcher: &Fetcher,
) -> Result<Dataset, Error> {
    // All four are looked for before any is read: what is missing shows at once.
    let mut paths = Vec::with_capacity(4);
    for index in 0..4 {
        paths.push(match find(source, index, data_dir) {
            Some(path) => path,
            None => fetch_file(source, index, data_dir, fetcher)?,
        });
    }
    let (train_rows, test_rows) = source.rows;
    let features = source.image.0 * source.image.1;
    let mut bytes = Vec::with_capacity((train_rows + test_rows) * features);
    let mut labels = Vec::with_capacity(train_rows + test_rows);
    for (index, path) in paths.iter().enumerate() {
        if index % 2 == 0 {
            read(source, index, path, |chunk| bytes.extend_from_slice(chunk))?;
            continue;
        }
        let start = labels.len();
        read(source, index, path, |chunk| {
            labels.extend(chunk.iter().map(|&label| u32::from(label)));
        })?;
        check_labels(source, path, &labels[start..])?;
    }
    let task = Task::Classification {
        class_names: source.class_names.iter().map(|&n| n.to_owned()).collect(),
        labels,
    };
    let validation = ValidationRows::Last(keys.validation_split);
    let rules = keys.split_keys.rules(TestRows::Last(test_rows), validation);
    Ok(Dataset {
        name: source.name.to_owned(),
        features,
        image: Some(source.image),
        feature_names: Vec::new(),
        values: Values::Bytes {
            bytes: bytes.into(),
            scale: 1.0 / 255.0,
        },
        split: Split::by_rules(rules, &task)?,
        task,
    })
}

impl IdxDataset {
    /// The dimensions of one of the four files.
    fn dims(&self, index: usize) -> Vec<usize> {
        let rows = if index < 2 { self.rows.0 } else { self.rows.1 };
        match index % 2 {
            0 => vec![rows, self.image.0, self.image.1],
            _ => vec![rows],
        }
    }
}

fn find(source: &IdxDataset, index: usize, data_dir: &Path) -> Option<PathBuf> {
    let name = source.files[index].name;
    [data_dir.join(source.name), data_dir.to_owned()]
        .iter()
        .flat_map(|dir| [dir.join(name), dir.join(format!("{name}.gz"))])
        .find(|path| path.is_file())
}

fn fetch_file(
    source: &IdxDataset,
    index: usize,
    data_dir: &Path,
    fetcher: &Fetcher,
) -> Result<PathBuf, Error> {
    let names = source.files.map(|file| format!("{}.gz", file.name));
    let download = Download {
        file: &names[index],
        mirrors: source.mirrors,
        directory: &data_dir.join(source.name),
        limit: FETCH_LIMIT,
    };
    fetcher
        .fetch(&download, &names, |path| check_fetched(source, index, path))
        .map_err(|error: fetch::Error| Box::new(error).into())
}

/// Checks a file that has just been fetched, and says in a few words what is wrong with it.
fn check_fetched(source: &IdxDataset, index: usize, path: &Path) -> Result<(), String> {
    if let FileDigest::Archive(expected) = source.files[index].digest {
        let mut hasher = Sha256::new();
        File::open(path)
            .and_then(|mut file| io::copy(&mut file, &mut hasher))
            .map_err(|error| error.to_string())?;
        compare(expected, &hexadecimal(&hasher.finalize()))?;
    }
    read(source, index, path, |_| {}).map_err(|error| match error {
        Error::Idx { problem, .. } => problem.to_string(),
        Error::Shape {
            expected, found, ..
        } => format!("it has the shape {found} instead of {expected}"),
        Error::Digest {
            expected, found, ..
        } => wrong_digest(&expected, &found),
        other => other.to_string(),
    })
}

fn compare(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        Ok(())
    } else {
        Err(wrong_digest(expected, found))
    }
}

fn wrong_digest(expected: &str, found: &str) -> String {
    format!("its SHA-256 is `{found}` instead of `{expected}`")
}

/// Reads one of the four files, and checks its shape before and its digest after.
fn read(
    source: &IdxDataset,
    index: usize,
    path: &Path,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let idx_error = |problem| match problem {
        idx::IdxProblem::Io(source) => Error::Read {
            path: path.to_owned(),
            source,
        },
        problem => Error::Idx {
            path: path.to_owned(),
            problem,
        },
    };
    let file = File::open(path).map_err(|error| idx_error(idx::IdxProblem::Io(error)))?;
    let decoder = Decoder::new(BufReader::new(file), idx::MAX_VALUES).map_err(idx_error)?;
    let expected = idx::IdxHeader {
        element: ElementType::U8,
        dims: source.dims(index),
    };
    if *decoder.header() != expected {
        return Err(Error::Shape {
            path: path.to_owned(),
            name: source.name,
            expected: expected.to_string(),
            found: decoder.header().to_string(),
        });
    }
    let mut hasher = Sha256::new_with_prefix(expected.bytes());
    decoder
        .read(|chunk| {
            hasher.update(chunk);
            take(chunk);
        })
        .map_err(idx_error)?;
    check_content(source, index, path, hexadecimal(&hasher.finalize()))
}

fn check_content(
    source: &IdxDataset,
    index: usize,
    path: &Path,
    found: String,
) -> Result<(), Error> {
    match source.files[index].digest {
        FileDigest::Content(expected) if expected != found => {
            return Err(Error::Digest {
                path: path.to_owned(),
                name: source.name,
                expected: expected.to_owned(),
                found,
            });
        }
        _ => {}
    }
    let others = source.unlike.filter(
        |other| matches!(other.files[index].digest, FileDigest::Content(digest) if digest == found),
    );
    match others {
        None => Ok(()),
        Some(other) => Err(Error::OtherDataset {
            path: path.to_owned(),
            name: source.name,
            other: other.name,
        }),
    }
}

fn check_labels(source: &IdxDataset, path: &Path, labels: &[u32]) -> Result<(), Error> {
    let classes = source.class_names.len();
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(row) => Err(Error::Label {
            path: path.to_owned(),
            row,
            label: labels[row] as u8,
            limit: classes - 1,
        }),
    }
}
