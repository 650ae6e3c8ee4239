//! Pooling: a stage of the filters before it. What it computes is in [`crate::math::conv::Pool`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extent::Extent;
use super::{Flow, LayerSpec, Misfit, Misplacement, Stack};
use crate::math::conv::{Padding, Pool, PoolKind, Window};

/// Keys of a pool over maps of height and width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pooling2dSpec {
    /// Height and width of the window: one number, or two.
    #[serde(default = "pool_size")]
    pub pool_size: Extent,
    /// Steps of the window down and across; those of `pool_size` by default.
    #[serde(default)]
    pub strides: Option<Extent>,
    /// What happens at the edges of the maps.
    #[serde(default)]
    pub padding: Padding,
}

fn pool_size() -> Extent {
    Extent::square(2)
}

pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
    let pooled = match before {
        [.., normalized, LayerSpec::BatchNormalization(_)] => Some(normalized),
        _ => before.last(),
    };
    let is_filter = matches!(pooled, Some(LayerSpec::Conv2d(_)));
    (!is_filter).then_some((
        "pooling that does not follow a convolution",
        "filters pool their own maps: put it right behind a `conv2d` layer",
    ))
}

impl Pooling2dSpec {
    pub(super) fn add_to(&self, kind: PoolKind, stack: &mut Stack) -> Result<(), Misfit> {
        // That a convolution comes right before is seen without the data.
        let Flow::Maps(maps, map) = stack.flow else {
            return Ok(());
        };
        let (size, strides) = (
            self.pool_size.size(),
            self.strides.unwrap_or(self.pool_size).size(),
        );
        let Some(window) = Window::new(map, size, strides, self.padding) else {
            stack.flow = Flow::Unknown;
            return Err(Misfit {
                key: ".pool_size",
                message: format!("a window of {size} is larger than the maps, which are {map}"),
                help: "make it smaller, or leave the layer out",
            });
        };
        if let Some(filters) = stack.top() {
            filters.pool = Some(Pool { kind, window });
        }
        stack.flow = Flow::Maps(maps, window.positions);
        Ok(())
    }
}
