//! Pooling: a stage of the filters before it. What it computes is in [`crate::math::conv::Pool`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extent::Extent;
use super::{Flow, LayerSpec, Misfit, Misplacement, Stack};
use crate::math::conv::{Padding, Pool, PoolKind, Size, Window};

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
    /// Padding at the edges of the maps.
    #[serde(default)]
    pub padding: Padding,
}

fn pool_size() -> Extent {
    Extent::square(2)
}

/// A pool of the largest value in windows of `pool_size` by `pool_size`.
pub fn max_pooling2d(pool_size: usize) -> LayerSpec {
    LayerSpec::MaxPooling2d(Pooling2dSpec::square(pool_size))
}

/// A pool of the mean of windows of `pool_size` by `pool_size`.
pub fn average_pooling2d(pool_size: usize) -> LayerSpec {
    LayerSpec::AveragePooling2d(Pooling2dSpec::square(pool_size))
}

impl Pooling2dSpec {
    fn square(pool_size: usize) -> Self {
        Self {
            pool_size: Extent::square(pool_size),
            strides: None,
            padding: Padding::default(),
        }
    }

    pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
        let is_filter = matches!(pooled(before), Some(LayerSpec::Conv2d(_)));
        (!is_filter).then_some((
            MISPLACED,
            "filters pool their own maps: put it right behind a `conv2d` layer",
        ))
    }

    pub(super) fn add_to(&self, kind: PoolKind, stack: &mut Stack) -> Result<(), Misfit> {
        // That a convolution comes right before is seen without the data.
        let Flow::Maps(_, map) = stack.flow else {
            return Ok(());
        };
        let size = self.pool_size.size();
        let strides = self.strides.unwrap_or(self.pool_size).size();
        let window = Window::new(map, size, strides, self.padding);
        let too_large = || format!("a window of {size} is larger than the maps, which are {map}");
        add_to(stack, kind, window.ok_or_else(too_large), Flow::Maps)
    }
}

/// Keys of a pool over steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pooling1dSpec {
    /// Steps of the window.
    #[serde(default = "steps")]
    #[schemars(range(min = 1, max = 1024))]
    pub pool_size: usize,
    /// Steps that the window moves on; as many as `pool_size` by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub strides: Option<usize>,
    /// Padding at both ends.
    #[serde(default)]
    pub padding: Padding,
}

fn steps() -> usize {
    2
}

/// A pool of the largest value in windows of `pool_size` steps.
pub fn max_pooling1d(pool_size: usize) -> LayerSpec {
    LayerSpec::MaxPooling1d(Pooling1dSpec::steps(pool_size))
}

/// A pool of the mean of windows of `pool_size` steps.
pub fn average_pooling1d(pool_size: usize) -> LayerSpec {
    LayerSpec::AveragePooling1d(Pooling1dSpec::steps(pool_size))
}

impl Pooling1dSpec {
    fn steps(pool_size: usize) -> Self {
        Self {
            pool_size,
            strides: None,
            padding: Padding::default(),
        }
    }

    pub(super) fn misplacement(before: &[LayerSpec]) -> Option<Misplacement> {
        let is_filter = matches!(pooled(before), Some(LayerSpec::Conv1d(_)));
        (!is_filter).then_some((
            MISPLACED,
            "filters pool their own steps: put it right behind a `conv1d` layer",
        ))
    }

    pub(super) fn add_to(&self, kind: PoolKind, stack: &mut Stack) -> Result<(), Misfit> {
        let Flow::Steps(_, steps) = stack.flow else {
            return Ok(());
        };
        let size = self.pool_size;
        let strides = Size::row(self.strides.unwrap_or(size));
        let window = Window::new(Size::row(steps), Size::row(size), strides, self.padding);
        let too_large = || format!("a window of {size} is larger than the {steps} steps");
        let flow = |channels, size: Size| Flow::Steps(channels, size.width);
        add_to(stack, kind, window.ok_or_else(too_large), flow)
    }
}

const MISPLACED: &str = "pooling that does not follow a convolution";

/// The layer that a pool behind `before` pools.
fn pooled(before: &[LayerSpec]) -> Option<&LayerSpec> {
    match before {
        [.., normalized, LayerSpec::BatchNormalization(_)] => Some(normalized),
        _ => before.last(),
    }
}

/// Makes a pool, or the message that it does not fit, a stage of the filters on top.
fn add_to(
    stack: &mut Stack,
    kind: PoolKind,
    window: Result<Window, String>,
    flow: fn(usize, Size) -> Flow,
) -> Result<(), Misfit> {
    let misfit = |message| Misfit {
        key: ".pool_size",
        message,
        help: "make it smaller, or leave the layer out",
    };
    stack.flow = Flow::Unknown;
    let window = window.map_err(misfit)?;
    if let Some(filters) = stack.top() {
        filters.pool = Some(Pool { kind, window });
        stack.flow = flow(filters.units, window.positions);
    }
    Ok(())
}
