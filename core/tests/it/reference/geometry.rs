//! Values of a map that belong together, counted out place by place.

use cuttlefish_core::layers::{Conv1d, Conv2d, LayerKind};
use cuttlefish_core::math::conv::{PoolKind, Window};
use cuttlefish_core::topology::Layer;

/// The places of a map that a window sees at a position, without those outside.
fn window_places(window: &Window, position: usize) -> Vec<(usize, usize)> {
    let (row, column) = (
        position / window.positions.width,
        position % window.positions.width,
    );
    let mut places = Vec::new();
    for down in 0..window.size.height {
        for across in 0..window.size.width {
            let y = (row * window.strides.height + down) as isize - window.padding.height as isize;
            let x =
                (column * window.strides.width + across) as isize - window.padding.width as isize;
            if (0..window.map.height as isize).contains(&y)
                && (0..window.map.width as isize).contains(&x)
            {
                let place = y as usize * window.map.width + x as usize;
                places.push((down * window.size.width + across, place));
            }
        }
    }
    places
}

/// Pairs of a weight and a feature that make up a sum.
pub fn links(layer: &Layer, position: usize) -> Vec<(usize, usize)> {
    let maps = match &layer.kind {
        LayerKind::Dense(_) => return (0..layer.fan_in).map(|i| (i, i)).collect(),
        LayerKind::Conv1d(Conv1d {
            convolution: maps, ..
        })
        | LayerKind::Conv2d(Conv2d(maps)) => maps,
    };
    let (kernel, map) = (maps.window.size.area(), maps.window.map.area());
    let mut links = Vec::new();
    for channel in 0..maps.channels {
        for (weight, place) in window_places(&maps.window, position) {
            links.push((channel * kernel + weight, channel * map + place));
        }
    }
    links
}

/// Share of each activation of a neuron in each of its outputs, for one row.
pub fn shares(layer: &Layer, activations: &[f64]) -> Vec<Vec<(usize, f64)>> {
    let Some(pool) = layer.pool else {
        return (0..activations.len()).map(|p| vec![(p, 1.0)]).collect();
    };
    let of = |output| {
        let places = window_places(&pool.window, output);
        match pool.kind {
            PoolKind::Average => {
                let share = 1.0 / places.len() as f64;
                places.iter().map(|&(_, place)| (place, share)).collect()
            }
            PoolKind::Max => {
                let mut best = places[0].1;
                for &(_, place) in &places {
                    if activations[place] > activations[best] {
                        best = place;
                    }
                }
                vec![(best, 1.0)]
            }
        }
    };
    (0..pool.window.positions.area()).map(of).collect()
}
