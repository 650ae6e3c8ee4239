//! The built-in digits are those that were published.

use cuttlefish_core::data::{Folds, Task, Values};
use cuttlefish_core::topology::spec::{ImageSource, SplitKeys};

use crate::data::digits;

#[test]
fn digits_are_the_published_ones() {
    let digits = digits::load(&ImageSource::default()).unwrap();
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
    let split = digits::load(&ImageSource::default()).unwrap().split;
    let (train, validation, test) = (&split.train, &split.validation, &split.test);
    assert_eq!(
        (train.len(), validation.len(), test.len()),
        (1295, 143, 359)
    );
    let mut all = [train.clone(), validation.clone(), test.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..1797).collect::<Vec<_>>());
}

#[test]
fn stratified_folds_have_the_same_digits() {
    let split = |fold| {
        let split_keys = SplitKeys {
            stratify: true,
            folds: Some(Folds { count: 5, fold }),
        };
        let source = ImageSource {
            split_keys,
            ..ImageSource::default()
        };
        let digits = digits::load(&source).unwrap();
        let Task::Classification { labels, .. } = digits.task else {
            panic!("digits are classes");
        };
        let mut counts = [0_u32; 10];
        for &row in &digits.split.validation {
            counts[labels[row as usize] as usize] += 1;
        }
        (digits.split, counts)
    };
    let folds: Vec<_> = (1..=5).map(split).collect();
    let mut all = folds[0].0.test.clone();
    for (split, counts) in &folds {
        assert_eq!(split.test, folds[0].0.test);
        assert_eq!(split.train.len() + split.validation.len(), 1438);
        for (count, other) in counts.iter().zip(folds[0].1) {
            assert!(count.abs_diff(other) <= 1, "{counts:?}");
        }
        all.extend(&split.validation);
    }
    all.sort_unstable();
    assert_eq!(all, (0..1797).collect::<Vec<_>>());
}
