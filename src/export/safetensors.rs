//! Safetensors: the length of a JSON header, the header, then the numbers of all tensors.
//!
//! Written here rather than by the crate of that name because that one keeps metadata in a hash
//! map: its files differ from one time to the next. The tests read ours with it.

use std::io::{Seek, Write};

use serde_json::{Map, Value, json};

use super::{Error, Metadata, Tensor};
use crate::layout::Layout;

/// The header is padded to a multiple of this, so that a mapped file's numbers are aligned.
const ALIGNMENT: usize = 8;
/// Layouts in words, for whoever reads the file's header.
const KERAS: &str = "<layer>/kernel is [fan_in, units], of a convolution [height, width, channels, filters], <layer>/bias is [units], as in Keras";
const TORCH: &str = "<module>.weight is [units, fan_in], of a convolution [filters, channels, height, width], <module>.bias is [units], as in a torch.nn.Sequential of the same layers";

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
    let (format, layout) = match metadata.layout {
        Layout::Keras => ("cuttlefish", KERAS),
        // The word that PyTorch's programs look for.
        Layout::Torch => ("pt", TORCH),
    };
    let mut about = json!({
        "format": format,
        "layout": layout,
        "run": metadata.run,
        "version": env!("CARGO_PKG_VERSION"),
        "weights_sha256": metadata.weights_sha256,
    });
    if let Some(target) = &metadata.target {
        // All values are text in this format.
        about["target"] = json!(target.name);
        about["target_offset"] = json!(target.scale.offset.to_string());
        about["target_scale"] = json!(target.scale.scale.to_string());
        about["target_formula"] = json!(target.formula());
    }
    header.insert("__metadata__".to_owned(), about);
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
