//! Rows to be answered by a network that was trained on images or arrays: an IDX or NumPy file, a picture file
//! or a directory of some, or a CSV file with a column a pixel.

use std::path::Path;

use cuttlefish_core::topology::spec::{Data, DataFormat};

use super::array::Numbers;
use super::csv::Lines;
use super::examples::{MAX_VALUES, NamedArray, RowShape};
use super::file::read_file;
use super::images::decode::{PictureHeader, is_picture};
use super::{Error, idx, images, npz, own};

/// Form of the rows that a network takes.
#[derive(Clone, Copy, Debug)]
pub struct PictureForm<'a> {
    /// Features of a row.
    pub features: usize,
    /// Height and width, where rows are images.
    pub image: Option<(usize, usize)>,
    /// Factor of a byte; None where the network was trained on floating-point numbers.
    pub scale: Option<f32>,
    /// The data that it was trained on.
    pub data: &'a Data,
}

/// Rows, as in training.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureRows {
    /// `[rows, features]`
    pub values: Vec<f32>,
    /// Line of a text file on which each begins, from 1; None for files that have no lines.
    pub lines: Option<Vec<u64>>,
    /// Names of the files that the rows are; empty where a file has several.
    pub files: Vec<String>,
}

/// The rows in `path`.
///
/// A file is known by its first bytes, gzipped or not. In a CSV file a first line without a number is taken for
/// a header.
///
/// # Errors
/// Says what the network takes.
pub fn read(path: &Path, form: &PictureForm<'_>) -> Result<PictureRows, Error> {
    if path.is_dir() {
        return pictures(path, form);
    }
    let bytes = read_file(path)?;
    if is_picture(&bytes) {
        return pictures(path, form);
    }
    let refused = |problem: String| Error::Pictures {
        path: path.to_owned(),
        problem,
    };
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let values = if is_gzip || bytes.starts_with(&[0, 0]) {
        let array = idx::parse(&bytes).map_err(|problem| refused(problem.to_string()))?;
        let name = String::new();
        let path = path.to_owned();
        let array = NamedArray { path, name, array };
        array_rows(array, DataFormat::ChannelsLast, form)?
    } else if npz::is_numpy(&bytes) {
        let (source, format) = match form.data {
            Data::Npz(source) => (Some(source), source.data_format),
            _ => (None, DataFormat::ChannelsLast),
        };
        array_rows(own::new_rows(path, &bytes, source)?, format, form)?
    } else {
        return table(&bytes, form.features, form.scale.unwrap_or(1.0)).map_err(refused);
    };
    Ok(PictureRows {
        values,
        lines: None,
        files: Vec::new(),
    })
}

/// Picture files.
fn pictures(path: &Path, form: &PictureForm<'_>) -> Result<PictureRows, Error> {
    let refused = |problem: &str| Error::Pictures {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let Some((height, width)) = form.image else {
        return Err(refused(
            "it has pictures, and the network takes rows of numbers",
        ));
    };
    if form.scale.is_none() {
        return Err(refused(FLOATS));
    }
    let expected = PictureHeader {
        size: (height, width),
        channels: form.features / (height * width).max(1),
    };
    let source = match form.data {
        Data::Images(source) => Some(source),
        _ => None,
    };
    let pictures = images::read(path, expected, source)?;
    // The largest byte of a picture is 1, whatever the largest number of the training data was.
    let values = pictures
        .pixels
        .iter()
        .map(|&byte| f32::from(byte) * (1.0 / 255.0));
    Ok(PictureRows {
        values: values.collect(),
        lines: None,
        files: pictures.files,
    })
}

const FLOATS: &str = "it has bytes, and the network was trained on floating-point numbers";

/// Rows of an array, scaled as in training.
fn array_rows(
    array: NamedArray,
    format: DataFormat,
    form: &PictureForm<'_>,
) -> Result<Vec<f32>, Error> {
    let path = array.path.clone();
    let refused = |problem: String| Error::Pictures {
        path: path.clone(),
        problem,
    };
    let shape = array.row_shape(format)?;
    let area = form.image.map_or(1, |(height, width)| height * width);
    let expected = RowShape {
        image: form.image,
        channels: form.features / area.max(1),
    };
    // Images of one channel may come as rows, and the other way round.
    let is_same_row = shape.features() == form.features
        && (shape.image.is_none() || shape.channels == 1)
        && (expected.image.is_none() || expected.channels == 1)
        && (shape.image.is_none() || expected.image.is_none());
    if shape != expected && !is_same_row {
        let (found, expected) = (shape.words(), expected.words());
        return Err(refused(format!(
            "it has {found}, and the network takes {expected}"
        )));
    }
    match (array.into_rows(format)?.1, form.scale) {
        (Numbers::Bytes(bytes), Some(scale)) => {
            Ok(bytes.iter().map(|&byte| f32::from(byte) * scale).collect())
        }
        (Numbers::Floats(values), None) => Ok(values),
        (Numbers::Floats(_), Some(_)) => {
            let problem = "it has floating-point numbers, and the network was trained on bytes";
            Err(refused(problem.to_owned()))
        }
        _ => Err(refused(FLOATS.to_owned())),
    }
}

fn table(bytes: &[u8], features: usize, scale: f32) -> Result<PictureRows, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let number = |cell: &str| cell.parse::<f32>().ok().filter(|v| v.is_finite());
    let (mut values, mut lines) = (Vec::new(), Vec::new());
    let mut text = Lines::new(bytes);
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let start = record.position().map_or(0, csv::Position::byte);
        let (_, line) = text.advance(start as usize);
        if record.len() != features {
            return Err(format!(
                "line {line} has {} columns, the network takes {features}",
                record.len()
            ));
        }
        let pixels: Result<Vec<f32>, &str> =
            record.iter().map(|cell| number(cell).ok_or(cell)).collect();
        match pixels {
            Ok(pixels) => {
                values.extend(pixels.iter().map(|pixel| pixel * scale));
                lines.push(line);
            }
            Err(_) if index == 0 && record.iter().all(|cell| number(cell).is_none()) => {}
            Err(cell) => {
                let header = if index == 0 {
                    ", and a header has none"
                } else {
                    ""
                };
                return Err(format!("line {line}: `{cell}` is not a number{header}"));
            }
        }
        if values.len() > MAX_VALUES {
            return Err(format!("it has more than {MAX_VALUES} numbers, the limit"));
        }
    }
    if values.is_empty() {
        return Err("it has no rows".to_owned());
    }
    Ok(PictureRows {
        values,
        lines: Some(lines),
        files: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_pixels_may_have_a_header() {
        let pictures = |values: &[f32], lines: &[u64]| {
            Ok(PictureRows {
                values: values.to_vec(),
                lines: Some(lines.to_vec()),
                files: Vec::new(),
            })
        };
        assert_eq!(
            table(b"a,b\n1,2\n\n3,4\n", 2, 0.5),
            pictures(&[0.5, 1.0, 1.5, 2.0], &[2, 4])
        );
        assert_eq!(table(b"1,2\n", 2, 1.0), pictures(&[1.0, 2.0], &[1]));
        let marked = b"\xef\xbb\xbf1,2\n";
        assert_eq!(table(marked, 2, 1.0), pictures(&[1.0, 2.0], &[1]));
    }

    #[test]
    fn what_is_no_table_of_pixels_is_named() {
        let problem = |bytes: &[u8]| table(bytes, 2, 1.0).unwrap_err();
        assert_eq!(problem(b""), "it has no rows");
        assert_eq!(
            problem(b"1,2\n1\n"),
            "line 2 has 1 columns, the network takes 2"
        );
        assert_eq!(problem(b"1,2\n1,inf\n"), "line 2: `inf` is not a number");
        // The first line is none of names if there is a number in it.
        let first = "line 1: `nan` is not a number, and a header has none";
        assert_eq!(problem(b"nan,2\n1,2\n"), first);
        assert_eq!(problem(b"1,nan\n1,2\n"), first);
    }
}
