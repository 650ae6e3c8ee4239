//! IDX files and NumPy's arrays of people's own, from the topology's keys to rows, and new rows like them.

use std::fs;
use std::path::Path;

use cuttlefish_core::data::{Dataset, Task, Values};
use cuttlefish_core::topology::spec::{Data, IdxSource, NpzSource};

use super::idx::{gzip, idx};
use super::images::png;
use super::npz::{bytes, floats, integers, npz};
use crate::data::load;
use crate::data::pictures::{self, PictureForm};

fn idx_source(change: impl FnOnce(&mut IdxSource)) -> Data {
    let Data::Idx(mut source) = Data::idx("images", "labels") else {
        panic!("a source of IDX files was made");
    };
    change(&mut source);
    Data::Idx(source)
}

fn npz_source(change: impl FnOnce(&mut NpzSource)) -> Data {
    let Data::Npz(mut source) = Data::npz("a.npz") else {
        panic!("a source of arrays was made");
    };
    change(&mut source);
    Data::Npz(source)
}

fn read(dir: &Path, data: &Data) -> Result<Dataset, String> {
    let loaded = load(data, dir, dir);
    loaded
        .map(|loaded| loaded.dataset)
        .map_err(|error| error.to_string())
}

#[track_caller]
fn check_problem(dir: &Path, data: &Data, file: &str, expected: &str) {
    let problem = read(dir, data).unwrap_err();
    let expected = format!("read `{}`: {expected}", dir.join(file).display());
    assert!(problem.starts_with(&expected), "{problem}\n{expected}");
    assert!(problem.ends_with(')'), "{problem}");
}

/// Class names and all bytes.
fn contents(dataset: &Dataset) -> (Vec<String>, Vec<u8>) {
    let Task::Classification { class_names, .. } = &dataset.task else {
        panic!("whole numbers are classes");
    };
    let Values::Bytes { bytes, .. } = &dataset.values else {
        panic!("bytes stay bytes");
    };
    (class_names.clone(), bytes.to_vec())
}

#[test]
fn a_pair_of_idx_files_is_read_gzipped_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let images = idx(&[3, 1, 2], &[10, 11, 20, 21, 30, 31]);
    fs::write(dir.path().join("images"), gzip(&images)).unwrap();
    fs::write(dir.path().join("labels"), idx(&[3], &[1, 26, 1])).unwrap();
    let dataset = read(dir.path(), &idx_source(|_| {})).unwrap();
    let names = ["1", "26"].map(str::to_owned).to_vec();
    assert_eq!(contents(&dataset), (names, vec![10, 11, 20, 21, 30, 31]));
    assert_eq!((dataset.image, dataset.features), (Some((1, 2)), 2));
    fs::write(dir.path().join("more"), idx(&[1, 1, 2], &[7, 8])).unwrap();
    fs::write(dir.path().join("more-labels"), gzip(&idx(&[1], &[26]))).unwrap();
    let data = idx_source(|source| {
        source.test_images = Some("more".to_owned());
        source.test_labels = Some("more-labels".to_owned());
        source.class_names = Some(["a", "z"].map(str::to_owned).to_vec());
    });
    let dataset = read(dir.path(), &data).unwrap();
    assert_eq!(contents(&dataset).0, ["a", "z"]);
    assert_eq!(
        (dataset.split.test.as_slice(), dataset.split.train.len()),
        (&[3][..], 3)
    );
}

#[test]
fn an_idx_file_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = idx_source(|_| {});
    let missing = read(dir.path(), &data).unwrap_err();
    assert!(missing.contains("images`: No such file"), "{missing}");
    fs::write(dir.path().join("images"), idx(&[2, 1, 1], &[1, 2])).unwrap();
    fs::write(dir.path().join("labels"), b"1,2").unwrap();
    check_problem(
        dir.path(),
        &data,
        "labels",
        "not an IDX file: it starts with `31 2c`",
    );
    fs::write(dir.path().join("labels"), idx(&[3], &[1, 2, 3])).unwrap();
    check_problem(
        dir.path(),
        &data,
        "labels",
        "it has the shape 3, and there are 2 rows (",
    );
}

#[test]
fn one_array_is_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.npz"), bytes("(2, 2)", &[0; 4])).unwrap();
    let one = "it is an npy file, which has one array (";
    check_problem(dir.path(), &npz_source(|_| {}), "a.npz", one);
}

#[test]
fn arrays_are_found_by_their_usual_names_or_by_those_that_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let save = |names: &[&str]| {
        let rows = || bytes("(2, 1, 2)", &[1, 2, 3, 4]);
        let arrays: Vec<_> = names
            .iter()
            .map(|name| {
                (
                    *name,
                    if name.contains('x') {
                        rows()
                    } else {
                        integers(&[5, 3])
                    },
                )
            })
            .collect();
        fs::write(dir.path().join("a.npz"), npz(&arrays, true)).unwrap();
    };
    for names in [["x", "y"], ["x_train", "y_train"]] {
        save(&names);
        let dataset = read(dir.path(), &npz_source(|_| {})).unwrap();
        assert_eq!(contents(&dataset).1, [1, 2, 3, 4], "{names:?}");
        assert_eq!(contents(&dataset).0, ["3", "5"], "{names:?}");
    }
    let keras = ["x_train", "y_train", "x_test", "y_test"];
    save(&keras);
    let dataset = read(dir.path(), &npz_source(|_| {})).unwrap();
    assert_eq!(
        (dataset.rows(), dataset.split.test.as_slice()),
        (4, &[2, 3][..])
    );
    let both = npz_source(|source| source.split.test_split = Some(0.5));
    check_problem(
        dir.path(),
        &both,
        "a.npz",
        "it has the arrays `x_test` and `y_test`, which test (",
    );
    save(&["pixels_x", "kinds"]);
    check_problem(
        dir.path(),
        &npz_source(|_| {}),
        "a.npz",
        "it has no array `x`, only `pixels_x`, `kinds` (name the array of the rows with `x`)",
    );
    let named = npz_source(|source| {
        source.x = Some("pixels_x".to_owned());
        source.y = Some("kinds".to_owned());
    });
    assert_eq!(read(dir.path(), &named).unwrap().rows(), 2);
    fs::write(
        dir.path().join("b.npz"),
        npz(
            &[
                ("x_test", bytes("(1, 1, 2)", &[8, 9])),
                ("y_test", integers(&[3])),
            ],
            false,
        ),
    )
    .unwrap();
    let tested = npz_source(|source| {
        source.x = Some("pixels_x".to_owned());
        source.y = Some("kinds".to_owned());
        source.test_path = Some("b.npz".to_owned());
    });
    let dataset = read(dir.path(), &tested).unwrap();
    assert_eq!(
        (dataset.rows(), dataset.split.test.as_slice()),
        (3, &[2][..])
    );
}

/// New rows for a network that was trained on bytes of 1 x 2 pixels.
fn new_rows(
    path: &Path,
    data: &Data,
    scale: Option<f32>,
) -> Result<(Vec<f32>, Vec<String>), String> {
    let form = PictureForm {
        features: 2,
        image: Some((1, 2)),
        scale,
        data,
    };
    let rows = pictures::read(path, &form);
    rows.map(|rows| (rows.values, rows.files))
        .map_err(|error| error.to_string())
}

#[test]
fn new_rows_come_from_any_kind_of_file() {
    let dir = tempfile::tempdir().unwrap();
    let data = npz_source(|source| source.x = Some("pixels".to_owned()));
    let write = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    };
    let rows = || bytes("(1, 1, 2)", &[255, 51]);
    let flat = || bytes("(1, 2)", &[255, 51]);
    let files = [
        write(
            "a.npz",
            &npz(&[("pixels", rows()), ("y", integers(&[1]))], true),
        ),
        write(
            "b.npz",
            &npz(&[("y", integers(&[1])), ("x", flat())], false),
        ),
        write("c.npz", &npz(&[("only", rows())], false)),
        write("d.npy", &rows()),
        write("e", &gzip(&idx(&[1, 1, 2], &[255, 51]))),
        write("f.csv", b"255,51\n"),
        write("g.png", &png(1, 2, &[255, 51])),
    ];
    for path in &files {
        let (values, files) = new_rows(path, &data, Some(1.0 / 255.0)).unwrap();
        assert_eq!(values, [1.0, 51.0 * (1.0 / 255.0)], "{}", path.display());
        assert_eq!(files.is_empty(), !path.ends_with("g.png"));
    }
    write("dir/b.png", &png(1, 2, &[0, 0]));
    write("dir/a.png", &png(1, 2, &[255, 255]));
    write("dir/class/c.png", &png(1, 2, &[0, 255]));
    let (values, files) = new_rows(&dir.path().join("dir"), &data, Some(1.0 / 255.0)).unwrap();
    assert_eq!(values, [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(files, ["a.png", "b.png", "class/c.png"]);
}

#[test]
fn new_rows_of_another_form_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = npz_source(|_| {});
    let check = |content: &[u8], scale: Option<f32>, expected: &str| {
        let path = dir.path().join("file");
        fs::write(&path, content).unwrap();
        let problem = new_rows(&path, &data, scale).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
        assert!(
            problem.ends_with(')') || problem.contains("cannot be used:"),
            "{problem}"
        );
    };
    let bytes_scale = Some(1.0 / 255.0);
    let other = idx(&[1, 2, 2], &[0; 4]);
    check(
        &other,
        bytes_scale,
        "it has images of 2 x 2, and the network takes images of 1 x 2 (",
    );
    let turned = idx(&[1, 2, 1], &[0; 2]);
    check(
        &turned,
        bytes_scale,
        "it has images of 2 x 1, and the network takes images of 1 x 2 (",
    );
    check(
        &floats("(1, 2)", &[0.5, 1.0]),
        bytes_scale,
        "it has floating-point numbers, and the network was trained on bytes (",
    );
    let trained_on_floats = "it has bytes, and the network was trained on floating-point numbers (";
    check(&bytes("(1, 2)", &[0, 1]), None, trained_on_floats);
    check(&png(1, 2, &[0, 1]), None, trained_on_floats);
    check(
        &png(2, 1, &[0, 1]),
        bytes_scale,
        "it has 2 x 1 pixels, and has to have 1 x 2",
    );
    check(
        &npz(&[("a", integers(&[1])), ("b", integers(&[1]))], false),
        bytes_scale,
        "it has no array `x`",
    );
}
