//! Numbers as NumPy's files.

use ndarray::{Array1, Array2};
use ndarray_npy::WriteNpyExt as _;

/// A NumPy file of numbers that are a picture of a height and width, or in a row.
///
/// # Errors
/// When there are not as many numbers as the picture has.
pub fn npy(
    values: &[f32],
    shape: Option<(usize, usize)>,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let values = values.to_vec();
    let mut file = Vec::new();
    match shape {
        Some(shape) => Array2::from_shape_vec(shape, values)?.write_npy(&mut file)?,
        None => Array1::from(values).write_npy(&mut file)?,
    }
    Ok(file)
}
