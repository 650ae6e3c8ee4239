//! Tensors of a file in safetensors or npz format.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::Error;
use crate::data::array::Numbers;
use crate::data::npz::{self, Archive, NpzProblem};

/// The largest number of numbers of all tensors together: 1 GiB of them.
pub const MAX_NUMBERS: usize = 1 << 28;

/// What a file of weights has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// Tensors by their names.
    pub by_name: BTreeMap<String, FileTensor>,
    /// What the file says about them; empty where its format has no place for it.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Type of its numbers, in the word of the format.
    pub dtype: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Its numbers, the last dimension fastest; None where they are none that weights can be.
    pub numbers: Option<Vec<f32>>,
}

impl FileTensor {
    /// True if its numbers have been converted to 32 bits.
    pub fn is_converted(&self) -> bool {
        self.numbers.is_some() && !matches!(self.dtype.as_str(), "F32" | "float32")
    }
}

/// Reads all tensors of a file, known by its first bytes. Floating-point numbers of 16 and 64 bits become such
/// of 32.
///
/// # Errors
/// When it is another kind of file, or a damaged one.
pub fn read(file: &[u8]) -> Result<Tensors, Error> {
    if file.starts_with(b"\x89HDF") {
        return Err(Error::Foreign {
            format: "an HDF5 file",
            instead: "numpy.savez(\"w.npz\", **{f\"{l.name}/{v.name}\": v for l in model.layers for v in l.weights})",
        });
    }
    if npz::is_numpy(file) {
        return read_npz(file);
    }
    let (_, header) = SafeTensors::read_metadata(file)?;
    let metadata = header.metadata().iter().flatten();
    let metadata = metadata.map(|(key, value)| (key.clone(), value.clone()));
    let tensors = SafeTensors::deserialize(file)?;
    let mut room = MAX_NUMBERS;
    let mut read = BTreeMap::new();
    for (name, tensor) in tensors.iter() {
        let count: usize = tensor.shape().iter().product();
        room = room
            .checked_sub(count)
            .ok_or(Error::TooLarge(MAX_NUMBERS))?;
        let tensor = FileTensor {
            dtype: format!("{:?}", tensor.dtype()),
            shape: tensor.shape().to_vec(),
            numbers: numbers(tensor.dtype(), tensor.data()),
        };
        read.insert(name.to_owned(), tensor);
    }
    Ok(Tensors {
        by_name: read,
        metadata: metadata.collect(),
    })
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let numbers = match dtype {
        Dtype::F16 => {
            let (numbers, _) = bytes.as_chunks();
            numbers
                .iter()
                .map(|&b| f16::from_le_bytes(b).to_f32())
                .collect()
        }
        Dtype::BF16 => {
            let (numbers, _) = bytes.as_chunks();
            numbers
                .iter()
                .map(|&b| bf16::from_le_bytes(b).to_f32())
                .collect()
        }
        Dtype::F32 => {
            let (numbers, _) = bytes.as_chunks();
            numbers.iter().map(|&b| f32::from_le_bytes(b)).collect()
        }
        Dtype::F64 => {
            let (numbers, _) = bytes.as_chunks();
            numbers
                .iter()
                .map(|&b| f64::from_le_bytes(b) as f32)
                .collect()
        }
        _ => return None,
    };
    Some(numbers)
}

fn read_npz(file: &[u8]) -> Result<Tensors, Error> {
    let mut archive = Archive::open(file).map_err(|problem| match &problem {
        NpzProblem::NoArray(name) if name.ends_with(".pkl") => Error::Foreign {
            format: "a file of `torch.save`",
            instead: "safetensors.torch.save_file(model.state_dict(), \"w.safetensors\")",
        },
        NpzProblem::NoArray(name) if name.ends_with(".h5") || name == "config.json" || name == "metadata.json" => {
            Error::Foreign {
                format: "a file of Keras's `model.save`",
                instead: "numpy.savez(\"w.npz\", **{f\"{l.name}/{v.name}\": v for l in model.layers for v in l.weights})",
            }
        }
        _ => Error::Npz(problem),
    })?;
    let mut room = MAX_NUMBERS;
    let mut read = BTreeMap::new();
    for name in archive.names().to_vec() {
        let array = archive.read(&name, room, "")?;
        room -= array.numbers.len();
        let tensor = FileTensor {
            dtype: array.element.name().to_owned(),
            shape: array.dims,
            numbers: match array.numbers {
                Numbers::Floats(numbers) => Some(numbers),
                Numbers::Bytes(_) | Numbers::Integers(_) => None,
            },
        };
        read.insert(name, tensor);
    }
    Ok(Tensors {
        by_name: read,
        metadata: BTreeMap::new(),
    })
}
