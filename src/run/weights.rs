//! Weights of a run's last commit: as a file, as arrays, as a digest.

use std::path::Path;

use cuttlefish_core::network::digest;

use super::{Error, Run};
use crate::export::{self, Format, Metadata};

impl Run {
    /// Writes the weights to a file, and returns the number of its tensors.
    ///
    /// # Errors
    /// When they cannot be read, or the file is there and `overwrite` is not said.
    pub async fn export(
        &self,
        path: &Path,
        format: Format,
        overwrite: bool,
    ) -> Result<usize, Error> {
        let saved = self.saved().await?;
        let states = saved.states().await?;
        let tensors = export::tensors(&saved.graph, &states)?;
        let metadata = Metadata {
            run: self.name().to_owned(),
            weights_sha256: digest(states.iter().flatten()),
        };
        export::write_file(path, overwrite, format, &tensors, &metadata)?;
        Ok(tensors.len())
    }

    /// SHA-256 over every neuron's weights, then bias, little-endian f32, in layer and neuron order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn digest(&self) -> Result<String, Error> {
        Ok(self.saved().await?.digest().await?)
    }
}
