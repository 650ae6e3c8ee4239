//! Weights of a run's last commit: as a file, as arrays, as a digest.

use std::collections::BTreeMap;
use std::path::Path;

use cuttlefish_core::network::digest;
use ndarray::ArrayD;

use super::{Error, Run, recorded_layers};
use crate::export::metadata::columns_digest;
use crate::export::{self, Metadata, ScaledTarget, WeightsFormat};
use crate::layout::Layout;
use crate::layout::constants::Constants;
use crate::record::SavedRun;

/// Content of a file of weights.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Number of tensors.
    pub tensors: usize,
    /// Scaled target that they answer with; None where their answers are in the target's unit, or classes.
    pub target: Option<ScaledTarget>,
    /// What the program that reads it has to be told, a sentence each.
    pub notes: Vec<String>,
}

fn scaled_target(saved: &SavedRun) -> Option<ScaledTarget> {
    let scale = saved.graph.target_scale;
    (!scale.is_identity()).then(|| ScaledTarget {
        name: saved.record.rows.target.clone().unwrap_or_default(),
        scale,
    })
}

impl Run {
    /// The weights, named and shaped as in Keras: `<layer>/kernel` `[fan_in, units]` (of a convolution
    /// `[height, width, channels, filters]`, or `[steps, channels, filters]`), `<layer>/bias` `[units]`, and
    /// those of a batch normalization.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn weights(&self) -> Result<BTreeMap<String, ArrayD<f32>>, Error> {
        let saved = self.saved().await?;
        let tensors = export::tensors(&saved.graph, &saved.states().await?)?;
        let arrays = tensors.into_iter().map(|tensor| {
            let array = ArrayD::from_shape_vec(tensor.shape, tensor.data);
            let array = array.map_err(|error| Error::Corrupt(error.to_string()))?;
            Ok((tensor.name, array))
        });
        arrays.collect()
    }

    /// Writes the weights to a file in a layout, as they were trained: for a scaled target they answer with scaled
    /// numbers.
    ///
    /// # Errors
    /// When they cannot be read, or the file is there and `overwrite` is not said.
    pub async fn export(
        &self,
        path: &Path,
        (format, layout): (WeightsFormat, Layout),
        overwrite: bool,
    ) -> Result<Exported, Error> {
        let saved = self.saved().await?;
        let states = saved.states().await?;
        let layers = recorded_layers(self.name(), &saved.record)?;
        let tensors = export::tensors_in(layout, &saved.graph, &layers, &states)?;
        let metadata = Metadata {
            run: self.name().to_owned(),
            weights_sha256: digest(states.iter().flatten()),
            layout,
            target: scaled_target(&saved),
            constants: Constants::of(&saved.graph),
            columns_sha256: saved.record.rows.encoder.as_ref().map(columns_digest),
        };
        export::write_file(path, overwrite, format, &tensors, &metadata)?;
        Ok(Exported {
            tensors: tensors.len(),
            notes: match layout {
                Layout::Keras => Vec::new(),
                Layout::Torch => metadata.constants.torch_notes(),
            },
            target: metadata.target,
        })
    }

    /// SHA-256 over every neuron's weights, then bias, little-endian f32, in layer and neuron order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn digest(&self) -> Result<String, Error> {
        Ok(self.saved().await?.digest().await?)
    }
}
