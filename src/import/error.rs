//! Errors of an import of weights. Texts go on after "failed to".

use std::fmt;

use safetensors::SafeTensorError;

use crate::data::npz::NpzProblem;
use crate::store;

/// Error of an import.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another kind of file, or a part of one.
    #[error(
        "read the tensors: {0} (expected a file in safetensors format, or an npz file of NumPy)"
    )]
    File(#[from] SafeTensorError),
    /// A file of NumPy's arrays that cannot be read.
    #[error("read the tensors: {0}")]
    Npz(#[from] NpzProblem),
    /// A format of another program.
    #[error("read the tensors: it is {format} (write the tensors with `{instead}`)")]
    Foreign {
        /// The format.
        format: &'static str,
        /// What writes a file that is read.
        instead: &'static str,
    },
    /// More numbers than the limit.
    #[error(
        "read the tensors: they have more than {0} numbers, the limit (leave out what the network does not need)"
    )]
    TooLarge(usize),
    /// Names of two layouts.
    #[error(
        "tell the layout: the names are neither only Keras's nor only PyTorch's, {0} (name it with \
         `--layout keras` or `--layout torch`)"
    )]
    Layout(String),
    /// A tensor that the network needs.
    #[error("find the tensor `{name}` of shape {shape:?}; the file has {found}")]
    Missing {
        /// Name of the tensor.
        name: String,
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Names of the file's tensors.
        found: String,
    },
    /// Tensors that the network has no place for.
    #[error("place {0}: the network has no such tensors (leave them out with `--ignore-extra`)")]
    Extra(String),
    /// A tensor of another shape or type.
    #[error(
        "use the tensor `{name}`: it is {found_dtype} of shape {found:?}, and the network needs \
         F32 of shape {expected:?}{}",
        Hint(found, expected)
    )]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Type of the tensor's numbers.
        found_dtype: String,
        /// Shape of the tensor.
        found: Vec<usize>,
        /// Shape that the network needs.
        expected: Vec<usize>,
    },
    /// Numbers that nothing can be computed with.
    #[error("use the tensor `{name}`: it has numbers that are not finite")]
    NotFinite {
        /// Name of the tensor.
        name: String,
    },
    /// Numbers that the network cannot have.
    #[error(
        "use the tensor `{name}`: the network does not learn it, and its numbers are not all {expected} \
         (write `{key}: true` for the batch normalization)"
    )]
    NotLearned {
        /// Name of the tensor.
        name: String,
        /// The number that they would have to be.
        expected: f32,
        /// Key of the topology that says that they are learned.
        key: &'static str,
    },
    /// A target that is scaled otherwise than that of the run.
    #[error(
        "use the weights: `{file}`, and in the run `{run}` (only a last layer that is linear and has a bias is \
         converted; use a topology and data with the target that they were trained on)"
    )]
    Target {
        /// Formula of the file's target.
        file: String,
        /// Formula of the run's.
        run: String,
    },
    /// Metadata that are not what `export` writes.
    #[error("read the tensors: the metadata say `{key}: {text}` (it has to be {expected})")]
    Metadata {
        /// The key.
        key: &'static str,
        /// Its text.
        text: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// The store.
    #[error("write the weights: {0}")]
    Store(#[from] store::Error),
    /// The run has another writer.
    #[error("write the weights: another process works on the run")]
    Refused,
}

/// Advice about a shape that is the other one backwards.
struct Hint<'a>(&'a [usize], &'a [usize]);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found, expected) = self;
        let is_turned = found != expected && found.iter().rev().eq(expected.iter());
        match is_turned && found.len() == 2 {
            true => f.write_str(" (is it in the other layout, see `--layout`?)"),
            false => Ok(()),
        }
    }
}
