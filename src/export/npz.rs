//! NumPy's npz: a zip archive of one npy file a tensor, not compressed (weights hardly shrink).
//!
//! `numpy.load(path)["<layer>/kernel"]` gives the array. The format has no place for metadata.

use std::io::{Seek, Write};

use ndarray::ArrayView;
use ndarray_npy::NpzWriter;

use super::{Error, Tensor};

/// Writes tensors in npz format.
pub fn write<W: Write + Seek>(to: W, tensors: &[Tensor]) -> Result<(), Error> {
    let mut archive = NpzWriter::new(to);
    for tensor in tensors {
        let array = ArrayView::from_shape(tensor.shape.as_slice(), &tensor.data)
            .map_err(std::io::Error::other)?;
        archive.add_array(tensor.name.as_str(), &array)?;
    }
    archive.finish()?;
    Ok(())
}
