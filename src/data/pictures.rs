//! Pictures to be answered by a trained network: an IDX file, or a CSV file with a column a pixel.

use std::path::Path;

use super::Error;
use super::file::read_file;
use super::idx;

/// Pictures of a file.
#[derive(Debug, PartialEq)]
pub struct Pictures {
    /// Pixels of all pictures, scaled as in training, row-major `[pictures, features]`.
    pub values: Vec<f32>,
    /// Line of the file on which each begins, from 1; `None` for IDX, which has no lines.
    pub lines: Option<Vec<u64>>,
}

/// The pictures in `path`.
///
/// An IDX file is known by its first bytes, gzipped or not. In a CSV file a first line that is not
/// made of numbers is taken for a header.
pub fn read(
    path: &Path,
    features: usize,
    image: Option<(usize, usize)>,
    scale: Option<f32>,
) -> Result<Pictures, Error> {
    let scale = scale.unwrap_or(1.0);
    let bytes = read_file(path)?;
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    if is_gzip || bytes.starts_with(&[0, 0]) {
        let pictures = idx::parse(&bytes).map_err(|problem| Error::Pictures {
            path: path.to_owned(),
            problem: problem.to_string(),
        })?;
        let dims = &pictures.header.dims;
        let fits = image.is_none_or(|(height, width)| dims[1..] == [height, width]);
        if dims.len() != 3 || !fits {
            let expected = image.map_or(features.to_string(), |(h, w)| format!("{h} x {w}"));
            return Err(Error::Pictures {
                path: path.to_owned(),
                problem: format!("it has the shape {dims:?}, not pictures of {expected} pixels"),
            });
        }
        let pixels = pictures.values.iter();
        return Ok(Pictures {
            values: pixels.map(|&byte| f32::from(byte) * scale).collect(),
            lines: None,
        });
    }
    table(&bytes, features, scale).map_err(|problem| Error::Pictures {
        path: path.to_owned(),
        problem,
    })
}

fn table(bytes: &[u8], features: usize, scale: f32) -> Result<Pictures, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let (mut values, mut lines) = (Vec::new(), Vec::new());
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record
            .position()
            .map_or(index as u64 + 1, csv::Position::line);
        if record.len() != features {
            return Err(format!(
                "line {line} has {} columns, the network takes {features}",
                record.len()
            ));
        }
        let pixels: Result<Vec<f32>, &str> = record
            .iter()
            .map(|cell| {
                cell.parse::<f32>()
                    .ok()
                    .filter(|v| v.is_finite())
                    .ok_or(cell)
            })
            .collect();
        match pixels {
            Ok(pixels) => {
                values.extend(pixels.iter().map(|pixel| pixel * scale));
                lines.push(line);
            }
            Err(_) if index == 0 => {}
            Err(cell) => return Err(format!("line {line}: `{cell}` is not a number")),
        }
    }
    if values.is_empty() {
        return Err("it has no rows".to_owned());
    }
    Ok(Pictures {
        values,
        lines: Some(lines),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_pixels_may_have_a_header() {
        let pictures = |values: &[f32], lines: &[u64]| {
            Ok(Pictures {
                values: values.to_vec(),
                lines: Some(lines.to_vec()),
            })
        };
        assert_eq!(
            table(b"a,b\n1,2\n\n3,4\n", 2, 0.5),
            pictures(&[0.5, 1.0, 1.5, 2.0], &[2, 4])
        );
        assert_eq!(table(b"1,2\n", 2, 1.0), pictures(&[1.0, 2.0], &[1]));
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
    }
}
