//! Safetensors: the length of a JSON header, the header, then the numbers of all tensors.
//!
//! Written here rather than by the crate of that name because that one keeps metadata in a hash
//! map: its files differ from one time to the next. The tests read ours with it.

use std::io::{Seek, Write};

use serde_json::{Map, Value, json};

use super::{Error, Metadata, Tensor};

/// The header is padded to a multiple of this, so that a mapped file's numbers are aligned.
const ALIGNMENT: usize = 8;

/// Writes tensors in safetensors format.
pub fn write<W: Write + Seek>(
    mut to: W,
    tensors: &[Tensor],
    metadata: &Metadata,
) -> Result<(), Error> {
    let mut header =
        serde_json::to_vec(&header(tensors, metadata)).map_err(std::io::Error::from)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    to.write_all(&(header.len() as u64).to_le_bytes())?;
    to.write_all(&header)?;
    for tensor in tensors {
        let bytes: Vec<u8> = tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
        to.write_all(&bytes)?;
    }
    to.flush()?;
    Ok(())
}

/// Type, shape and place of each tensor.
fn header(tensors: &[Tensor], metadata: &Metadata) -> Value {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata.texts()));
    let mut start = 0;
    for tensor in tensors {
        let end = start + size_of_val(tensor.data.as_slice());
        header.insert(
            tensor.name.clone(),
            json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]}),
        );
        start = end;
    }
    Value::Object(header)
}
