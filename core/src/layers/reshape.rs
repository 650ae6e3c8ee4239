//! Reshape: a row of the data is an image. No value changes, and none moves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Flow, LayerSpec, Misfit, Misplacement, Stack};
use crate::math::conv::Size;

/// Keys of a reshape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReshapeSpec {
    /// Height and width of the image, row by row: of a time series its steps, and the channels of each.
    #[schemars(inner(range(min = 1, max = 65536)))]
    pub target_shape: [usize; 2],
}

/// A reshape of rows of the data to images of this height and width.
pub fn reshape(height: usize, width: usize) -> LayerSpec {
    LayerSpec::Reshape(ReshapeSpec {
        target_shape: [height, width],
    })
}

pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
    let has_neurons = before.iter().any(|layer| layer.neurons().is_some());
    has_neurons.then_some((
        "reshape behind a layer with weights",
        "put it first: it says what a row of the data is",
    ))
}

impl ReshapeSpec {
    pub(super) fn add_to(&self, stack: &mut Stack) -> Result<(), Misfit> {
        let [height, width] = self.target_shape;
        let features = stack.flow.features();
        let size = Size { height, width };
        if stack.has_channels() {
            stack.flow = Flow::Unknown;
            return Err(Misfit {
                key: "",
                message: "the rows are images of several channels already".to_owned(),
                help: "leave the layer out",
            });
        }
        if height.checked_mul(width) == Some(features) {
            stack.flow = Flow::Image(1, size);
            return Ok(());
        }
        stack.flow = Flow::Unknown;
        Err(Misfit {
            key: ".target_shape",
            message: format!("a row of {features} numbers is not {size}"),
            help: "the product of both is the number of features",
        })
    }
}
