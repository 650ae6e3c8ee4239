//! NumPy's files: those that NumPy has written, damaged ones, and no panic.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use serde::Deserialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::data::array::Numbers;
use crate::data::npz::{Archive, NpzProblem};

const STORED: &[u8] = include_bytes!("../../../tests/own/stored.npz");
const DEFLATED: &[u8] = include_bytes!("../../../tests/own/deflated.npz");
const ONE: &[u8] = include_bytes!("../../../tests/own/one.npy");
const OBJECTS: &[u8] = include_bytes!("../../../tests/own/objects.npz");

/// Shape and numbers of the arrays, as `tests/own/make.py` says them.
#[derive(Deserialize)]
struct Contents {
    arrays: std::collections::BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

fn contents() -> Contents {
    serde_json::from_str(include_str!("../../../tests/own/contents.json")).unwrap()
}

/// An npy file of this description.
pub fn npy(description: &str, values: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((description.len() as u16 + 1).to_le_bytes());
    file.extend(description.as_bytes());
    file.push(b'\n');
    file.extend(values);
    file
}

fn described(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    npy(&text, values)
}

/// An archive of arrays.
pub fn npz(arrays: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let method = match packed {
        true => CompressionMethod::Deflated,
        false => CompressionMethod::Stored,
    };
    for (name, array) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An array of bytes.
pub fn bytes(shape: &str, values: &[u8]) -> Vec<u8> {
    described("|u1", shape, values)
}

/// An array of 64-bit whole numbers.
pub fn integers(values: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    described("<i8", &format!("({},)", values.len()), &bytes)
}

/// An array of 32-bit floating-point numbers.
pub fn floats(shape: &str, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    described("<f4", shape, &bytes)
}

fn widened(numbers: &Numbers) -> Vec<f64> {
    match numbers {
        Numbers::Bytes(values) => values.iter().map(|&v| v.into()).collect(),
        Numbers::Integers(values) => values.iter().map(|&v| v as f64).collect(),
        Numbers::Floats(values) => values.iter().map(|&v| v.into()).collect(),
    }
}

#[test]
fn what_numpy_writes_is_read_compressed_or_not() {
    for file in [STORED, DEFLATED] {
        let mut archive = Archive::open(file).unwrap();
        let contents = contents();
        assert_eq!(archive.names().len(), contents.arrays.len());
        for (name, (shape, values)) in &contents.arrays {
            let array = archive.read(name, 100, "").unwrap();
            assert_eq!(array.dims, *shape, "{name}");
            let rounded: Vec<f64> = values.iter().map(|&v| f64::from(v as f32)).collect();
            assert_eq!(widened(&array.numbers), rounded, "{name}");
        }
    }
}

#[test]
fn one_array_without_an_archive_has_no_name() {
    let mut archive = Archive::open(ONE).unwrap();
    assert_eq!(archive.names(), [""]);
    let array = archive.read("", 12, "").unwrap();
    assert_eq!(array.numbers, Numbers::Bytes((0..12).collect()));
}

#[track_caller]
fn check_problem(file: &[u8], expected: &str) {
    let result = Archive::open(file).and_then(|mut archive| archive.read("x", 1000, "hint"));
    let problem = result.unwrap_err().to_string();
    assert!(problem.starts_with(expected), "{problem}");
    assert!(problem.ends_with(')'), "{problem}");
}

#[test]
fn each_kind_of_damage_is_named() {
    let one = |array: Vec<u8>| npz(&[("x", array)], false);
    check_problem(b"", "it is neither an npz nor an npy file of NumPy (");
    check_problem(b"PK\x03\x04", "the archive is damaged: ");
    check_problem(
        &npz(&[("a", integers(&[1])), ("b", integers(&[2]))], true),
        "it has no array `x`, only `a`, `b` (hint)",
    );
    for text in [OBJECTS, &one(described("<U3", "(2,)", &[0; 24]))] {
        check_problem(text, "the array `x`: its type `");
        let problem = Archive::open(text).and_then(|mut archive| archive.read("x", 10, ""));
        let problem = problem.unwrap_err().to_string();
        assert!(
            problem.contains("is text or objects (number names of classes with `numpy.unique(y, return_inverse=True)[1]`"),
            "{problem}"
        );
    }
    check_problem(
        &one(described("<c8", "(1,)", &[0; 8])),
        "the array `x`: its type `<c8` is not read (",
    );
    check_problem(
        &one(bytes("()", &[0; 2])),
        "the array `x`: its shape () needs 1 bytes, and it has 2 (",
    );
    check_problem(
        &one(b"text".to_vec()),
        "the array `x`: its header is damaged: ",
    );
    check_problem(
        &one(vec![0; 100]),
        "the array `x`: it is not in npy format (",
    );
    check_problem(
        &one(bytes("(2, 3)", &[0; 5])),
        "the array `x`: its shape 2 x 3 needs 6 bytes, and it has 5 (",
    );
    check_problem(
        &one(bytes("(2, 3)", &[0; 7])),
        "the array `x`: its shape 2 x 3 needs 6 bytes, and it has 7 (",
    );
    check_problem(
        &one(bytes("(1001,)", &[0; 1001])),
        "the array `x`: it has the shape 1001, the limit is 1000 values (",
    );
    check_problem(
        &one(bytes("(18446744073709551615, 2)", &[])),
        "the array `x`: it has the shape 18446744073709551615 x 2, the limit",
    );
    check_problem(
        &one(bytes("(1, 1, 1, 1, 1, 1, 1, 1, 1)", &[0])),
        "the array `x`: it has 9 dimensions, the limit is 8 (",
    );
    check_problem(
        &one(bytes("(a,)", &[])),
        "the array `x`: its header is damaged: its `shape`",
    );
    let mut flipped = one(bytes("(2, 3)", &[7; 6]));
    let at = flipped.windows(6).position(|w| w == [7; 6]).unwrap();
    flipped[at] ^= 1;
    check_problem(
        &flipped,
        "the array `x`: its data is damaged: Invalid checksum",
    );
    let mut text = ZipWriter::new(Cursor::new(Vec::new()));
    text.start_file(
        "x.txt",
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
    )
    .unwrap();
    let text = text.finish().unwrap().into_inner();
    check_problem(&text, "`x.txt` in it is no array (");
}

/// 100 MiB of zeros that call themselves ten bytes, and a shape that calls itself larger than the file.
#[test]
fn an_array_is_unpacked_no_further_than_it_says() {
    let bomb = npz(&[("x", bytes("(10,)", &vec![0; 100 << 20]))], true);
    assert!(bomb.len() < 1 << 20);
    let mut archive = Archive::open(&bomb).unwrap();
    let problem = archive.read("x", 1 << 28, "").unwrap_err().to_string();
    assert!(
        problem.contains("needs 10 bytes, and it has 104857600"),
        "{problem}"
    );
    let empty = npz(&[("x", bytes("(268435456,)", &[]))], true);
    let mut archive = Archive::open(&empty).unwrap();
    let problem = archive.read("x", 1 << 28, "").unwrap_err().to_string();
    assert!(
        problem.contains("needs 268435456 bytes, and it has 0"),
        "{problem}"
    );
}

/// Bytes of any kind give an answer, and arrays within the limit.
fn check_bounded(file: &[u8]) {
    const LIMIT: usize = 4096;
    let Ok(mut archive) = Archive::open(file) else {
        return;
    };
    for name in archive.names().to_vec() {
        match archive.read(&name, LIMIT, "") {
            Ok(array) => {
                assert_eq!(array.numbers.len(), array.dims.iter().product::<usize>());
                assert!(array.numbers.len() <= LIMIT);
            }
            Err(problem) => assert!(!matches!(problem, NpzProblem::Format)),
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![&b"PK\x03\x04"[..], b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b""]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check_bounded(&[start, &bytes].concat());
    }

    #[test]
    fn damaged_files_never_panic(
        file in prop::sample::select(vec![STORED, DEFLATED, ONE, OBJECTS]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = file.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        check_bounded(&bytes);
    }

    #[test]
    fn descriptions_of_any_kind_never_panic(
        description in "[{}'\"a-z0-9<>|(),: _]{0,60}",
        shape in "[0-9,() -]{0,30}",
        values in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        check_bounded(&npy(&description, &values));
        check_bounded(&bytes(&shape, &values));
        check_bounded(&npz(&[("x", bytes(&shape, &values))], true));
    }
}
