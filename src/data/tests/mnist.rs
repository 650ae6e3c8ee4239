//! MNIST and its like: the search for files, their checks, and their fetching.

use std::fs;
use std::path::{Path, PathBuf};

use cuttlefish_core::data::{Dataset, Labels, Values};
use cuttlefish_core::digest;
use cuttlefish_core::topology::spec::{Data, ImageSource};

use super::fetch::{ServerAnswer, fetcher, serve};
use super::idx::{gzip, idx};
use crate::data::mnist::{self, FASHION_MNIST, FileDigest, IdxDataset, IdxFile, MNIST};
use crate::data::{Error, load};

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The files of a data set of 3 training and 2 test images of 1 x 2 pixels.
fn files() -> [Vec<u8>; 4] {
    [
        idx(&[3, 1, 2], &[10, 11, 20, 21, 30, 31]),
        idx(&[3], &[0, 1, 2]),
        idx(&[2, 1, 2], &[40, 41, 50, 51]),
        idx(&[2], &[2, 0]),
    ]
}

fn leak<T: ?Sized>(value: Box<T>) -> &'static T {
    Box::leak(value)
}

fn sha256(bytes: &[u8]) -> &'static str {
    leak(digest::sha256(bytes).into_boxed_str())
}

/// A tiny data set, with mirrors.
fn tiny(mirrors: &[String], digest: fn(&[u8]) -> FileDigest) -> IdxDataset {
    let files = files();
    let mirrors = mirrors.iter().map(|m| leak(m.clone().into_boxed_str()));
    IdxDataset {
        name: "tiny",
        class_names: &["a", "b", "c"],
        image: (1, 2),
        rows: (3, 2),
        mirrors: leak(mirrors.collect::<Vec<_>>().into_boxed_slice()),
        files: std::array::from_fn(|i| IdxFile {
            name: NAMES[i],
            digest: digest(&files[i]),
        }),
        unlike: None,
    }
}

fn content(bytes: &[u8]) -> FileDigest {
    FileDigest::Content(sha256(bytes))
}

fn archive(bytes: &[u8]) -> FileDigest {
    FileDigest::Archive(sha256(&gzip(bytes)))
}

fn write(dir: &Path, packed: bool) {
    fs::create_dir_all(dir).unwrap();
    for (name, bytes) in NAMES.iter().zip(files()) {
        match packed {
            true => fs::write(dir.join(format!("{name}.gz")), gzip(&bytes)).unwrap(),
            false => fs::write(dir.join(name), bytes).unwrap(),
        }
    }
}

fn with_share(validation_split: f64) -> ImageSource {
    ImageSource {
        validation_split,
        ..ImageSource::default()
    }
}

fn run(source: &IdxDataset, dir: &Path) -> Result<Dataset, Error> {
    mnist::load(source, dir, &with_share(0.4), &fetcher())
}

#[track_caller]
fn check_tiny(dataset: &Dataset) {
    let Values::Bytes { bytes, scale } = &dataset.values else {
        panic!("images are bytes");
    };
    assert_eq!(bytes[..], [10, 11, 20, 21, 30, 31, 40, 41, 50, 51]);
    assert_eq!(*scale, 1.0 / 255.0);
    let Labels::Classes(labels) = dataset.task.labels() else {
        panic!("labels are classes");
    };
    assert_eq!(labels, [0, 1, 2, 2, 0]);
    assert_eq!(dataset.split.train, [0, 1]);
    assert_eq!(dataset.split.validation, [2]);
    assert_eq!(dataset.split.test, [3, 4]);
}

#[track_caller]
fn check_error(file: usize, bytes: &[u8], digest: fn(&[u8]) -> FileDigest, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false);
    let path = dir.path().join(NAMES[file]);
    fs::write(&path, bytes).unwrap();
    let error = run(&tiny(&[], digest), dir.path()).unwrap_err().to_string();
    let expected = format!("read `{}`: {expected}", path.display());
    assert!(error.starts_with(&expected), "{error}\n{expected}");
    assert!(error.ends_with(')'), "{error}");
}

#[test]
fn files_are_found_in_either_directory_gzipped_or_not() {
    for packed in [false, true] {
        for below in ["", "tiny"] {
            let dir = tempfile::tempdir().unwrap();
            write(&dir.path().join(below), packed);
            check_tiny(&run(&tiny(&[], content), dir.path()).unwrap());
        }
    }
}

#[test]
fn absent_files_are_fetched_and_kept() {
    for digest in [content, archive] {
        let dir = tempfile::tempdir().unwrap();
        let answers = files()
            .map(|bytes| ServerAnswer::Body(gzip(&bytes)))
            .to_vec();
        let source = tiny(&[serve(answers)], digest);
        check_tiny(&run(&source, dir.path()).unwrap());
        // The server has stopped answering: this time the files are on disk.
        check_tiny(&run(&source, dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path().join("tiny")).unwrap().count(), 4);
    }
}

#[test]
fn fetched_file_with_a_wrong_digest_is_not_kept() {
    let wrong = gzip(&idx(&[3, 1, 2], &[0; 6]));
    for digest in [content, archive] {
        let dir = tempfile::tempdir().unwrap();
        let source = tiny(&[serve(vec![ServerAnswer::Body(wrong.clone())])], digest);
        let error = run(&source, dir.path()).unwrap_err();
        assert!(matches!(error, Error::Fetch(_)));
        assert!(error.to_string().contains("its SHA-256 is `"), "{error}");
        assert!(error.to_string().contains("`t10k-labels-idx1-ubyte.gz`"));
        assert_eq!(fs::read_dir(dir.path().join("tiny")).unwrap().count(), 0);
    }
}

#[test]
fn wrong_files_are_named() {
    let images = idx(&[3, 1, 2], &[0; 6]);
    check_error(
        0,
        &images,
        content,
        &format!(
            "the SHA-256 of its content is `{}`, for `tiny` it is `{}` (",
            sha256(&images),
            sha256(&files()[0])
        ),
    );
    let shape = "it has the shape 3, `tiny` has 3 x 1 x 2 (";
    check_error(0, &files()[1], content, shape);
    check_error(
        1,
        &idx(&[2], &[0, 0]),
        content,
        "it has the shape 2, `tiny` has 3 (",
    );
    check_error(2, b"", content, "the file is empty (");
    check_error(
        3,
        &files()[3][..9],
        content,
        "the file ends after 1 of 2 values (",
    );
    check_error(
        3,
        &idx(&[2], &[0, 3]),
        archive,
        "label 1 is 3, the limit is 2 (",
    );
}

#[test]
fn files_of_a_look_alike_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false);
    let other: &'static IdxDataset = leak(Box::new(tiny(&[], content)));
    let source = IdxDataset {
        name: "fashion-tiny",
        unlike: Some(other),
        ..tiny(&[], archive)
    };
    let error = run(&source, dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("it belongs to `tiny`, not to `fashion-tiny`"),
        "{error}"
    );
}

/// The real files, where they lie beside the repository.
fn real() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!(
        "skipped: `{}` with the MNIST files is not there",
        dir.display()
    );
    None
}

#[test]
fn real_mnist_is_read() {
    let Some(dir) = real() else { return };
    let spec = Data::Mnist(with_share(0.1));
    let dataset = load(&spec, Path::new(""), &dir).unwrap().dataset;
    let Values::Bytes { bytes, .. } = &dataset.values else {
        panic!("images are bytes");
    };
    assert_eq!(bytes.len(), 54_880_000);
    let Labels::Classes(labels) = dataset.task.labels() else {
        panic!("labels are classes");
    };
    assert_eq!(labels[..5], [5, 0, 4, 1, 9]);
    assert_eq!(labels[60_000..60_003], [7, 2, 1]);
    let split = &dataset.split;
    assert_eq!((split.train.len(), split.validation.len()), (54_000, 6_000));
    assert_eq!(split.test.len(), 10_000);
}

#[test]
fn real_mnist_is_not_taken_for_fashion() {
    let Some(dir) = real() else { return };
    let error = mnist::load(&FASHION_MNIST, &dir, &with_share(0.1), &fetcher()).unwrap_err();
    let Error::OtherDataset { name, other, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((name, other), (FASHION_MNIST.name, MNIST.name));
}
