//! The built-in digits are those that were published.

use cuttlefish_core::data::{Task, Values};

use crate::data::digits;

#[test]
fn digits_are_the_published_ones() {
    let digits = digits::load(0.1);
    let Values::Bytes { bytes, scale } = &digits.values else {
        panic!("pictures are bytes");
    };
    let Task::Classification {
        class_names,
        labels,
    } = &digits.task
    else {
        panic!("digits are classes");
    };
    assert_eq!(digits.rows(), 1797);
    assert_eq!(bytes.len(), 1797 * 64);
    // Both computed with other software from the published file.
    assert_eq!(bytes.iter().map(|&b| u64::from(b)).sum::<u64>(), 561_718);
    let mut counts = [0; 10];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(bytes[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    assert_eq!(f32::from(*bytes.iter().max().unwrap()) * scale, 1.0);
    assert_eq!(class_names[9], "9");
    assert_eq!((digits.features, digits.image), (64, Some((8, 8))));
}

#[test]
fn every_digit_is_in_one_part() {
    let split = digits::load(0.1).split;
    let (train, validation, test) = (&split.train, &split.validation, &split.test);
    assert_eq!(
        (train.len(), validation.len(), test.len()),
        (1295, 143, 359)
    );
    let mut all = [train.clone(), validation.clone(), test.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..1797).collect::<Vec<_>>());
}
