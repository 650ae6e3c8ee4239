//! Convolution and pooling of maps, channels first, whose bits do not depend on who hosts which filter.
//!
//! A map of `height x width` values of every row of a batch is `height * width` features, row by row.
//! The kernel's weights of one filter are in the order channel, row, column. As with every product here,
//! each sum is one chain of fused multiply-adds: of an output over the kernel's weights in their order,
//! of a gradient over positions and then rows, of an error over filters, and then over the positions
//! that saw the value.

use std::fmt;

use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::LANES;
use super::inputs::Panels;
use super::kernel::{self, Rows};

/// Height and width of maps, windows and steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Down.
    pub height: usize,
    /// Across.
    pub width: usize,
}

impl Size {
    /// A row of places.
    pub fn row(width: usize) -> Self {
        Self { height: 1, width }
    }

    /// Number of places.
    pub fn area(self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.height, self.width)
    }
}

/// Padding at the edges of a map.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The window stays inside.
    #[default]
    Valid,
    /// The window may reach outside, where there is nothing, so that with steps of 1 the result is as
    /// large as the map.
    Same,
}

/// A window that slides over a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The map.
    pub map: Size,
    /// The window.
    pub size: Size,
    /// Distance from one position to the next.
    pub strides: Size,
    /// Padding above and left of the map: rows and columns that the first position lies outside of it.
    pub padding: Size,
    /// Positions.
    pub positions: Size,
}

impl Window {
    /// The positions of a window, as Keras and TensorFlow have them; `None` if there are none.
    pub fn new(map: Size, size: Size, strides: Size, padding: Padding) -> Option<Self> {
        let along = |map: usize, size: usize, stride: usize| match padding {
            Padding::Valid => Some(((map.checked_sub(size)?) / stride + 1, 0)),
            Padding::Same => {
                let positions = map.div_ceil(stride);
                let outside = ((positions - 1) * stride + size).saturating_sub(map);
                Some((positions, outside / 2))
            }
        };
        let (height, above) = along(map.height, size.height, strides.height)?;
        let (width, left) = along(map.width, size.width, strides.width)?;
        Some(Self {
            map,
            size,
            strides,
            padding: Size {
                height: above,
                width: left,
            },
            positions: Size { height, width },
        })
    }

    /// Places of the map under the window at a position, row by row: `None` outside of the map.
    fn places(&self, position: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        let (down, across) = (
            position / self.positions.width,
            position % self.positions.width,
        );
        let inside = |at: usize, padding: usize, size: usize| {
            at.checked_sub(padding).filter(|&place| place < size)
        };
        let (top, left) = (down * self.strides.height, across * self.strides.width);
        (0..self.size.height).flat_map(move |row| {
            let y = inside(top + row, self.padding.height, self.map.height);
            (0..self.size.width).map(move |column| {
                let x = inside(left + column, self.padding.width, self.map.width);
                Some(y? * self.map.width + x?)
            })
        })
    }
}

/// Pool of a map: one value for each place of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// The largest, or the mean.
    pub kind: PoolKind,
    /// Over the map that the filter has made.
    pub window: Window,
}

/// Function of the values under the window of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest one. Its gradient goes to the first of several.
    Max,
    /// Their mean; what is outside of the map does not count.
    Average,
}

/// Convolution of the maps below by the filters of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Convolution {
    /// Maps of the layer below.
    pub channels: usize,
    /// The kernel over each of them.
    pub window: Window,
}

impl Convolution {
    /// Weights of a filter.
    pub fn fan_in(&self) -> usize {
        self.channels * self.window.size.area()
    }

    /// Features that a filter sees.
    pub fn inputs(&self) -> usize {
        self.channels * self.window.map.area()
    }

    /// Values of a filter's map before the pool.
    pub fn positions(&self) -> usize {
        self.window.positions.area()
    }

    /// The feature that each weight of some channels meets at a position.
    fn taps(
        &self,
        position: usize,
        channels: std::ops::Range<usize>,
    ) -> impl Iterator<Item = Option<usize>> + '_ {
        channels.flat_map(move |channel| {
            let places = self.window.places(position);
            places.map(move |place| Some(channel * self.window.map.area() + place?))
        })
    }

    /// Adds the sums of some filters to `sums`, `[filters, positions * rows]`. `weights` has one row of
    /// `fan_in` numbers for each of them.
    pub fn multiply_add(&self, weights: Rows<'_>, features: &Panels, sums: &mut [f32]) {
        let (positions, rows) = (self.positions(), features.columns());
        let filters = sums.len() / (positions * rows).max(1);
        let add = |range: std::ops::Range<usize>, sums: &mut [f32], stride: usize| {
            let mut patch = Panels::zeros(self.fan_in(), rows);
            for (place, position) in range.enumerate() {
                for panel in 0..patch.panels() {
                    let from = features.panel(panel);
                    let taps = self.taps(position, 0..self.channels);
                    for (cell, tap) in patch.panel_mut(panel).iter_mut().zip(taps) {
                        *cell = tap.map_or([0.0; LANES], |feature| from[feature]);
                    }
                }
                kernel::multiply_add_here(weights, &patch, &mut sums[place * rows..], stride);
            }
        };
        let stride = positions * rows;
        if sums.is_empty() || !kernel::is_worth_threads(positions, filters * self.fan_in() * rows) {
            return add(0..positions, sums, stride);
        }
        // Positions lie side by side in each filter's row, so that each thread has sums of its own.
        let each = positions.div_ceil(rayon::current_num_threads());
        let parts: Vec<(usize, Vec<f32>)> = (0..positions)
            .into_par_iter()
            .step_by(each)
            .map(|first| {
                let range = first..positions.min(first + each);
                let (begin, width) = (first * rows, range.len() * rows);
                let of_filters = sums.chunks_exact(stride);
                let mut part: Vec<f32> = of_filters
                    .flat_map(|sums| &sums[begin..begin + width])
                    .copied()
                    .collect();
                add(range, &mut part, width);
                (begin, part)
            })
            .collect();
        for (begin, part) in parts {
            let width = part.len() / filters;
            let of_filters = sums.chunks_exact_mut(stride);
            for (sums, part) in of_filters.zip(part.chunks_exact(width)) {
                sums[begin..begin + width].copy_from_slice(part);
            }
        }
    }

    /// Gradients of the weights of some filters, `[fan_in, filters]`, from dLoss/d(sum), `[filters,
    /// positions * rows]`.
    pub fn gradients(&self, deltas: ArrayView2<'_, f32>, features: &Panels) -> Vec<f32> {
        let (filters, rows) = (deltas.nrows(), features.columns());
        let mut gradients = vec![0.0; self.fan_in() * filters];
        let add = |channels: std::ops::Range<usize>, gradients: &mut [f32]| {
            let mut patch = vec![0.0; channels.len() * self.window.size.area() * rows];
            for position in 0..self.positions() {
                let taps = self.taps(position, channels.clone());
                for (row, tap) in patch.chunks_exact_mut(rows).zip(taps) {
                    match tap {
                        Some(feature) => features.copy_row(feature, row),
                        None => row.fill(0.0),
                    }
                }
                let here = deltas.slice(s![.., position * rows..(position + 1) * rows]);
                let (left, right) = (Rows::new(&patch, rows, rows), Panels::pack_transposed(here));
                kernel::multiply_add_here(left, &right, gradients, filters);
            }
        };
        if rows == 0 || filters == 0 {
            return gradients;
        }
        self.by_channels(
            filters,
            rows,
            &mut gradients,
            self.window.size.area() * filters,
            add,
        );
        gradients
    }

    /// dLoss/d(feature), `[features, rows]`, from the deltas of all filters of a layer, `[filters, positions
    /// * rows]`. `weights` has `stride` numbers for each filter.
    pub fn propagate(
        &self,
        weights: &[f32],
        stride: usize,
        deltas: ArrayView2<'_, f32>,
        rows: usize,
    ) -> Array2<f32> {
        let mut errors = Array2::zeros((self.inputs(), rows));
        let values = errors.as_slice_mut().expect("a new array is contiguous");
        if values.is_empty() {
            return errors;
        }
        let area = self.window.size.area();
        let transposed = Rows::transposed(weights, stride, self.fan_in());
        let add = |channels: std::ops::Range<usize>, errors: &mut [f32]| {
            let begin = channels.start * self.window.map.area();
            let left = transposed.part(channels.start * area, channels.len() * area);
            let mut patch = vec![0.0; channels.len() * area * rows];
            for position in 0..self.positions() {
                let here = deltas.slice(s![.., position * rows..(position + 1) * rows]);
                patch.fill(0.0);
                kernel::multiply_add_here(left, &Panels::pack(here), &mut patch, rows);
                let taps = self.taps(position, channels.clone());
                for (patch, tap) in patch.chunks_exact(rows).zip(taps) {
                    let Some(feature) = tap else { continue };
                    let errors = &mut errors[(feature - begin) * rows..][..rows];
                    for (error, patch) in errors.iter_mut().zip(patch) {
                        *error += patch;
                    }
                }
            }
        };
        let of_channel = self.window.map.area() * rows;
        self.by_channels(deltas.nrows(), rows, values, of_channel, add);
        errors
    }

    /// Works on blocks of channels, of which each has a part of `values`, on as many threads as pay off.
    fn by_channels(
        &self,
        filters: usize,
        rows: usize,
        values: &mut [f32],
        of_channel: usize,
        work: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        let cost = self.window.size.area() * self.positions() * filters * rows;
        if !kernel::is_worth_threads(self.channels, cost) {
            return work(0..self.channels, values);
        }
        let each = self.channels.div_ceil(rayon::current_num_threads());
        let blocks = values.par_chunks_mut(each * of_channel);
        blocks.enumerate().for_each(|(block, values)| {
            let first = block * each;
            work(first..first + values.len() / of_channel, values);
        });
    }
}

impl Pool {
    /// Pools maps of some filters, `[filters, positions * rows]`.
    pub fn apply(&self, maps: ArrayView2<'_, f32>, rows: usize) -> Array2<f32> {
        let outputs = self.window.positions.area();
        let mut pooled = Array2::zeros((maps.nrows(), outputs * rows));
        for (map, mut pooled) in maps.outer_iter().zip(pooled.outer_iter_mut()) {
            let (Some(map), Some(pooled)) = (map.as_slice(), pooled.as_slice_mut()) else {
                unreachable!("arrays that are never transposed are contiguous");
            };
            for (position, pooled) in pooled.chunks_exact_mut(rows.max(1)).enumerate() {
                let mut n_places = 0;
                for place in self.window.places(position).flatten() {
                    let values = &map[place * rows..][..rows];
                    match self.kind {
                        PoolKind::Max if n_places > 0 => {
                            for (largest, &value) in pooled.iter_mut().zip(values) {
                                // Not `max`, which may return either zero.
                                if value > *largest {
                                    *largest = value;
                                }
                            }
                        }
                        PoolKind::Max => pooled.copy_from_slice(values),
                        PoolKind::Average => {
                            for (sum, value) in pooled.iter_mut().zip(values) {
                                *sum += value;
                            }
                        }
                    }
                    n_places += 1;
                }
                if self.kind == PoolKind::Average {
                    let n = n_places as f32;
                    pooled.iter_mut().for_each(|sum| *sum /= n);
                }
            }
        }
        pooled
    }

    /// dLoss/d(map), `[filters, positions * rows]`, from that of the pooled maps.
    pub fn backpropagate(
        &self,
        maps: ArrayView2<'_, f32>,
        errors: ArrayView2<'_, f32>,
        rows: usize,
    ) -> Array2<f32> {
        let mut below = Array2::zeros(maps.dim());
        let all = maps.outer_iter().zip(errors.outer_iter());
        for ((map, errors), mut below) in all.zip(below.outer_iter_mut()) {
            let (Some(map), Some(errors), Some(below)) =
                (map.as_slice(), errors.as_slice(), below.as_slice_mut())
            else {
                unreachable!("arrays that are never transposed are contiguous");
            };
            for (position, errors) in errors.chunks_exact(rows.max(1)).enumerate() {
                let places: Vec<usize> = self.window.places(position).flatten().collect();
                for (row, &error) in errors.iter().enumerate() {
                    match self.kind {
                        PoolKind::Max => {
                            let value = |place: usize| map[place * rows + row];
                            let first = places.iter().copied().reduce(|best, place| {
                                if value(place) > value(best) {
                                    place
                                } else {
                                    best
                                }
                            });
                            if let Some(place) = first {
                                below[place * rows + row] += error;
                            }
                        }
                        PoolKind::Average => {
                            let share = error / places.len() as f32;
                            for &place in &places {
                                below[place * rows + row] += share;
                            }
                        }
                    }
                }
            }
        }
        below
    }
}
