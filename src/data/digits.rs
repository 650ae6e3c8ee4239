//! The built-in data set: 1,797 handwritten digits of 8 x 8 pixels. See `DIGITS.md` for where
//! they come from.

use std::io::{BufRead, BufReader};

use cuttlefish_core::data::{Dataset, Split, Task, TestRows, ValidationRows, Values};
use cuttlefish_core::topology::spec::ImageSource;
use flate2::read::GzDecoder;

use super::Error;

/// Share of the rows that test; the source has no test set of its own.
pub const TEST_SPLIT: f64 = 0.2;

const FILE: &[u8] = include_bytes!("digits.csv.gz");
const ROWS: usize = 1797;
const SIDE: usize = 8;
const CLASSES: u32 = 10;

/// Unpacks the pictures. Pixels are between 0 and 16, so they are scaled by 1/16.
///
/// # Errors
/// When they cannot be split as asked.
pub fn load(source: &ImageSource) -> Result<Dataset, Error> {
    let (bytes, labels) =
        unpack().expect("the built-in digits are part of the program, and a test unpacks them");
    let task = Task::Classification {
        class_names: (0..CLASSES).map(|digit| digit.to_string()).collect(),
        labels,
    };
    let validation = ValidationRows::Drawn(source.validation_split);
    let rules = source
        .split_keys
        .rules(TestRows::Drawn(TEST_SPLIT), validation);
    Ok(Dataset {
        name: "digits".to_owned(),
        features: SIDE * SIDE,
        image: Some((SIDE, SIDE)),
        feature_names: Vec::new(),
        values: Values::Bytes {
            bytes: bytes.into(),
            scale: 1.0 / 16.0,
        },
        split: Split::by_rules(rules, &task)?,
        task,
    })
}

/// Pixels and labels, or `None` if the file is not what it was when the program was written.
fn unpack() -> Option<(Vec<u8>, Vec<u32>)> {
    let mut pixels = Vec::with_capacity(ROWS * SIDE * SIDE);
    let mut labels = Vec::with_capacity(ROWS);
    for line in BufReader::new(GzDecoder::new(FILE)).lines() {
        let line = line.ok()?;
        let (picture, label) = line.rsplit_once(',')?;
        for pixel in picture.split(',') {
            pixels.push(pixel.parse().ok().filter(|&pixel| pixel <= 16)?);
        }
        labels.push(label.parse().ok().filter(|&label| label < CLASSES)?);
    }
    (labels.len() == ROWS && pixels.len() == ROWS * SIDE * SIDE).then_some((pixels, labels))
}
