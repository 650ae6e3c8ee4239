//! Metadata of a file of weights, where the format has a place for them: texts by their keys.

use std::collections::BTreeMap;

use cuttlefish_core::data::TargetScale;
use cuttlefish_core::digest::sha256;

use crate::data::encoder::Encoder;
use crate::layout::Layout;
use crate::layout::constants::Constants;

/// Key of the digest, which every file has that is written here.
pub const WEIGHTS_SHA256: &str = "weights_sha256";
/// Key of the name of a scaled target.
pub const TARGET: &str = "target";
/// Key of the target that the network answers with 0.
pub const TARGET_OFFSET: &str = "target_offset";
/// Key of the difference of targets that the network answers with 1.
pub const TARGET_SCALE: &str = "target_scale";
/// Key of the digest of a table's encoder.
pub const COLUMNS_SHA256: &str = "columns_sha256";
/// Key of what each batch normalization adds to the variance, in the order of the layers.
pub const EPSILONS: &str = "batch_normalization_epsilon";
/// Key of the slope of `leaky_relu` below 0.
pub const LEAKY_RELU_SLOPE: &str = "leaky_relu_slope";

/// Layouts in words, for whoever reads the file's header.
const KERAS: &str = "<layer>/kernel is [fan_in, units], of a convolution [height, width, channels, filters], <layer>/bias is [units], as in Keras";
const TORCH: &str = "<module>.weight is [units, fan_in], of a convolution [filters, channels, height, width], <module>.bias is [units], as in a torch.nn.Sequential of the same layers";

/// Metadata of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Name of the run.
    pub run: String,
    /// The run's digest, in hexadecimal.
    pub weights_sha256: String,
    /// Layout of the tensors.
    pub layout: Layout,
    /// Scaled target that the network answers with; None where its answers are in the target's unit, or classes.
    pub target: Option<ScaledTarget>,
    /// Digest of how the columns of a table become features; None where the network takes no table.
    pub columns_sha256: Option<String>,
    /// Numbers that no tensor has.
    pub constants: Constants,
}

/// Digest of how the columns of a table become features, in hexadecimal.
pub fn columns_digest(encoder: &Encoder) -> String {
    sha256(serde_json::json!(encoder.columns).to_string())
}

/// A target whose scaled values a network answers with.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledTarget {
    /// Name of the target.
    pub name: String,
    /// Its scaling.
    pub scale: TargetScale,
}

impl ScaledTarget {
    /// The formula from what the last layer answers to the target.
    pub fn formula(&self) -> String {
        let TargetScale { offset, scale } = self.scale;
        format!("{} = {offset} + {scale} * output", self.name)
    }
}

impl Metadata {
    /// The texts.
    pub fn texts(&self) -> BTreeMap<&'static str, String> {
        let (format, layout) = match self.layout {
            Layout::Keras => ("cuttlefish", KERAS),
            // The word that PyTorch's programs look for.
            Layout::Torch => ("pt", TORCH),
        };
        let mut texts = BTreeMap::from([
            ("format", format.to_owned()),
            ("layout", layout.to_owned()),
            ("run", self.run.clone()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            (WEIGHTS_SHA256, self.weights_sha256.clone()),
        ]);
        if let Some(target) = &self.target {
            texts.insert(TARGET, target.name.clone());
            texts.insert(TARGET_OFFSET, target.scale.offset.to_string());
            texts.insert(TARGET_SCALE, target.scale.scale.to_string());
            texts.insert("target_formula", target.formula());
        }
        if let Some(digest) = &self.columns_sha256 {
            texts.insert(COLUMNS_SHA256, digest.clone());
        }
        let epsilons = self.constants.epsilons.iter();
        let epsilons: Vec<String> = epsilons.map(|(_, number)| number.to_string()).collect();
        if !epsilons.is_empty() {
            texts.insert(EPSILONS, epsilons.join(", "));
        }
        if let Some(slope) = self.constants.leaky_relu_slope {
            texts.insert(LEAKY_RELU_SLOPE, slope.to_string());
        }
        texts
    }
}
