//! What each layer with weights is given, and what it makes of it: the walk through the layers of a
//! file with its data.

use super::check::Report;
use super::document::DataShape;
use super::extent::Extent;
use super::spec::{LayerSpec, Spec};
use crate::math::Maps;
use crate::math::conv::{Padding, Pool, PoolKind, Size, Window};

/// What a layer with weights is given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Weights of each neuron.
    pub fan_in: usize,
    /// For a convolution.
    pub maps: Option<Maps>,
}

/// What flows from one layer to the next.
#[derive(Clone, Copy, Debug)]
enum Flow {
    /// Numbers in a row.
    Row(usize),
    /// Rows of the data that are images: a dense layer takes them as they are.
    Image(Size),
    /// Maps, of which each neuron before makes one.
    Maps(usize, Size),
    /// What a layer makes that does not fit: no problem is reported twice.
    Unknown,
}

impl Flow {
    fn features(self) -> usize {
        match self {
            Self::Row(features) => features,
            Self::Image(size) => size.area(),
            Self::Maps(maps, size) => maps * size.area(),
            Self::Unknown => 0,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Row(features) => format!("{features} numbers in a row"),
            Self::Image(size) => words(size),
            Self::Maps(maps, size) => format!("{maps} maps of {}", words(size)),
            Self::Unknown => String::new(),
        }
    }
}

fn words(size: Size) -> String {
    format!("{} x {}", size.height, size.width)
}

/// The layers with weights of a file for some data, as far as their shapes fit.
pub(super) fn shapes(spec: &Spec, data: &DataShape, report: &mut Report<'_>) -> Vec<Given> {
    let mut flow = match data.image {
        Some((height, width)) => Flow::Image(Size { height, width }),
        None => Flow::Row(data.features),
    };
    let mut given: Vec<Given> = Vec::new();
    for (position, layer) in spec.network.layers.iter().enumerate() {
        let path = |key: &str| format!("network.layers[{position}]{key}");
        match layer {
            LayerSpec::Dense { units, .. } => {
                if let Flow::Maps(..) = flow {
                    let message = format!(
                        "a dense layer needs numbers in a row, and is given {}",
                        flow.words()
                    );
                    report.add(&path(""), message, "put `{type: flatten}` before it");
                }
                given.push(Given {
                    fan_in: flow.features(),
                    maps: None,
                });
                flow = Flow::Row(*units);
            }
            LayerSpec::Conv2d {
                filters,
                kernel_size,
                strides,
                padding,
                ..
            } => {
                let maps = maps(flow, *kernel_size, *strides, *padding, |message, help| {
                    report.add(&path(help.0), message, help.1);
                });
                given.push(Given {
                    fan_in: maps.map_or(0, |maps| maps.fan_in()),
                    maps,
                });
                flow = maps.map_or(Flow::Unknown, |maps| Flow::Maps(*filters, maps.output()));
            }
            LayerSpec::MaxPooling2d {
                pool_size,
                strides,
                padding,
            }
            | LayerSpec::AveragePooling2d {
                pool_size,
                strides,
                padding,
            } => {
                let kind = match layer {
                    LayerSpec::MaxPooling2d { .. } => PoolKind::Max,
                    _ => PoolKind::Average,
                };
                // That a convolution comes right before is seen without the data.
                let (Flow::Maps(maps, map), Some(below)) =
                    (flow, given.last_mut().and_then(|below| below.maps.as_mut()))
                else {
                    continue;
                };
                let (size, strides) = (pool_size.size(), strides.unwrap_or(*pool_size).size());
                let Some(window) = Window::new(map, size, strides, *padding) else {
                    let message = format!(
                        "a window of {} is larger than the maps, which are {}",
                        words(size),
                        words(map)
                    );
                    report.add(
                        &path(".pool_size"),
                        message,
                        "make it smaller, or leave the layer out",
                    );
                    flow = Flow::Unknown;
                    continue;
                };
                below.pool = Some(Pool { kind, window });
                flow = Flow::Maps(maps, below.output());
            }
            LayerSpec::Flatten {} => {
                if !matches!(flow, Flow::Unknown) {
                    flow = Flow::Row(flow.features());
                }
            }
            LayerSpec::BatchNormalization { .. } | LayerSpec::Dropout { .. } => {}
        }
    }
    given
}

/// What a convolution slides over; reports what does not fit, with the key and what to do.
fn maps(
    flow: Flow,
    kernel: Extent,
    strides: Extent,
    padding: Padding,
    mut report: impl FnMut(String, (&str, &str)),
) -> Option<Maps> {
    let (channels, map) = match flow {
        Flow::Image(size) => (1, size),
        Flow::Maps(maps, size) => (maps, size),
        Flow::Row(_) => {
            let message = format!("a convolution needs maps, and is given {}", flow.words());
            report(
                message,
                (
                    "",
                    "it goes before `flatten` and dense layers, and the data has to be images",
                ),
            );
            return None;
        }
        Flow::Unknown => return None,
    };
    let window = Window::new(map, kernel.size(), strides.size(), padding);
    if window.is_none() {
        let message = format!(
            "a kernel of {} is larger than what it is given: {}",
            words(kernel.size()),
            flow.words()
        );
        report(
            message,
            (".kernel_size", "make it smaller, or use `padding: same`"),
        );
    }
    Some(Maps {
        channels,
        window: window?,
        pool: None,
    })
}
