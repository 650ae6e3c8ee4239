//! The IDX format: files that are read, files that are refused with their texts, and no panic.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use crate::data::array::{Array, ElementType, Numbers};
use crate::data::idx::{Decoder, IdxHeader, IdxProblem, parse};

/// Writes an IDX file.
pub fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for dim in dims {
        bytes.extend_from_slice(&dim.to_be_bytes());
    }
    bytes.extend_from_slice(values);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check_problem(bytes: &[u8], text: &str) {
    let problem = parse(bytes).unwrap_err().to_string();
    assert_eq!(problem, text);
}

#[test]
fn labels_and_images_are_read_gzipped_or_not() {
    let values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for dims in [&[12][..], &[2, 2, 3]] {
        let file = idx(dims, &values);
        for bytes in [file.clone(), gzip(&file)] {
            let Array {
                element,
                dims: read,
                numbers,
            } = parse(&bytes).unwrap();
            assert_eq!(read, dims.iter().map(|&d| d as usize).collect::<Vec<_>>());
            assert_eq!(numbers, Numbers::Bytes(values.to_vec()));
            let header = IdxHeader {
                element,
                dims: read,
            };
            assert_eq!([&header.bytes()[..], &values].concat(), file);
        }
    }
}

#[test]
fn every_type_of_values_is_read() {
    let file = |code: u8, values: &[u8]| [&[0, 0, code, 1, 0, 0, 0, 2][..], values].concat();
    let check = |code, element, values: &[u8], expected| {
        let array = parse(&file(code, values)).unwrap();
        assert_eq!((array.element, array.numbers), (element, expected));
    };
    let integers = |values: &[i64]| Numbers::Integers(values.to_vec());
    let floats = |values: &[f32]| Numbers::Floats(values.to_vec());
    check(0x09, ElementType::I8, &[1, 255], integers(&[1, -1]));
    check(
        0x0b,
        ElementType::I16,
        &[1, 2, 255, 254],
        integers(&[258, -2]),
    );
    check(
        0x0c,
        ElementType::I32,
        &[0, 0, 1, 2, 255, 255, 255, 254],
        integers(&[258, -2]),
    );
    let four = [0.5f32.to_be_bytes(), (-3f32).to_be_bytes()].concat();
    check(0x0d, ElementType::F32, &four, floats(&[0.5, -3.0]));
    let eight = [0.5f64.to_be_bytes(), (-3f64).to_be_bytes()].concat();
    check(0x0e, ElementType::F64, &eight, floats(&[0.5, -3.0]));
}

#[test]
fn each_kind_of_damage_is_named() {
    let good = idx(&[3], &[7, 8, 9]);
    check_problem(b"", "the file is empty");
    check_problem(
        b"<html>",
        "not an IDX file: it starts with `3c 68` instead of two zero bytes",
    );
    check_problem(&good[..6], "the file ends inside its header");
    check_problem(&good[..9], "the file ends after 1 of 3 values");
    check_problem(
        &[&good[..], &[0]].concat(),
        "the file goes on after the 3 values that its header declares",
    );
    check_problem(
        &[0, 0, 0x0a, 1, 0, 0, 0, 0],
        "the values are of the unknown type `0a`",
    );
    check_problem(
        &[0, 0, 0x0d, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0],
        "the file ends after 1 of 2 values",
    );
    check_problem(
        &idx(&[1; 5], &[0]),
        "5 dimensions, from 1 (labels) to 4 (images with channels) are read",
    );
    check_problem(
        &idx(&[1 << 31], &[]),
        "the header declares 2147483648 values, the limit is 268435456",
    );
    check_problem(
        &idx(&[u32::MAX, u32::MAX, u32::MAX], &[]),
        "the header declares 4294967295 x 4294967295 x 4294967295 values, the limit is 268435456",
    );
}

#[test]
fn damage_inside_gzip_is_named() {
    let good = gzip(&idx(&[300], &[5; 300]));
    check_problem(
        &good[..good.len() - 9],
        "the gzip data is damaged: it ends early",
    );
    check_problem(&good[..5], "the gzip data is damaged: it ends early");
    let mut wrong_checksum = good.clone();
    let at = good.len() - 6;
    wrong_checksum[at] ^= 1;
    check_problem(
        &wrong_checksum,
        "the gzip data is damaged: corrupt gzip stream does not have a matching checksum",
    );
    check_problem(&gzip(b""), "the file ends inside its header");
    check_problem(&gzip(&idx(&[3], &[1])), "the file ends after 1 of 3 values");
}

#[test]
fn gzip_is_unpacked_no_further_than_the_header_says() {
    let bomb = gzip(&idx(&[10], &vec![0; 100 << 20]));
    assert!(bomb.len() < 1 << 20);
    let mut unpacked = 0;
    let decoder = Decoder::new(&bomb[..], 10).unwrap();
    let problem = decoder.read(|chunk| unpacked += chunk.len()).unwrap_err();
    assert!(matches!(problem, IdxProblem::TooLong { expected: 10 }));
    assert_eq!(unpacked, 10);
}

#[test]
fn limit_of_the_caller_holds() {
    let problem = Decoder::new(&idx(&[11], &[0; 11])[..], 10).unwrap_err();
    assert!(matches!(problem, IdxProblem::TooLarge { limit: 10, .. }));
}

/// Bytes of any kind give an answer, and take no more memory than the limit.
fn check_bounded(bytes: &[u8]) {
    const LIMIT: usize = 4096;
    let Ok(decoder) = Decoder::new(bytes, LIMIT) else {
        return;
    };
    let header = decoder.header();
    assert!(header.values() <= LIMIT);
    let declared = header.values() * header.element.size();
    let mut unpacked = 0;
    let result = decoder.read(|chunk| unpacked += chunk.len());
    assert!(unpacked <= declared);
    assert!(result.is_err() || unpacked == declared);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_bounded(&bytes);
        let _ = parse(&bytes);
        check_bounded(&gzip(&bytes));
    }

    #[test]
    fn damaged_files_never_panic(
        values in prop::collection::vec(any::<u8>(), 24),
        packed in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = idx(&[2, 3, 4], &values);
        if packed {
            bytes = gzip(&bytes);
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        check_bounded(&bytes);
        if let Ok(array) = parse(&bytes) {
            prop_assert!(array.numbers.len() <= bytes.len().max(24));
        }
    }
}
