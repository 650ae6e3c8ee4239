//! The curves of a run: loss, and accuracy where there is one, by epoch, as SVG or PNG.
//!
//! Both come from the same drawing (`plot/figure.rs`), which is a pure function of the history.
//! The font is embedded, so the pictures do not depend on what a machine has installed.

mod figure;
mod scale;

use std::sync::OnceLock;

use cuttlefish_core::protocol::{EpochRecord, Evaluation};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{FontStyle, register_font};

use figure::{Curve, FONT, Medium, Panel, draw};

/// Height of a figure, in the pixels of a screen without magnification.
const HEIGHT: u32 = 400;

/// Width of a figure with one panel, and with two.
const WIDTHS: [u32; 2] = [640, 960];

/// Plotters counts in whole units: an SVG needs ten to a pixel for its curves to be smooth.
const SVG_UNITS: u32 = 10;

/// Pixels of the PNG for each of a screen without magnification.
const PNG_PIXELS: u32 = 2;

/// Points drawn in each direction for one pixel of the PNG: plotters does not smooth thick lines.
const OVERSAMPLING: u32 = 2;

/// The medium of plotters' SVG backend.
const VECTOR: Medium = Medium {
    scale: SVG_UNITS,
    lift: 0.09,
    round_joints: false,
};

/// The medium of its bitmap backend.
const BITMAP: Medium = Medium {
    scale: PNG_PIXELS * OVERSAMPLING,
    lift: 0.25,
    round_joints: true,
};

/// Error of drawing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history has no epoch with numbers that can be drawn.
    #[error("there is nothing to plot (the run has no finished epoch yet)")]
    Empty,
    /// The drawing library gave up.
    #[error("{0} (this is a bug, please report it)")]
    Drawing(String),
    /// The picture could not be encoded.
    #[error("the picture cannot be encoded: {0} (this is a bug, please report it)")]
    Encoding(#[from] png::EncodingError),
}

/// The curves of run `name` as an SVG document.
pub fn svg(name: &str, history: &[EpochRecord]) -> Result<String, Error> {
    let panels = panels(history)?;
    let (width, height) = size(&panels);
    let (units_wide, units_high) = (width * SVG_UNITS, height * SVG_UNITS);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (units_wide, units_high)).into_drawing_area();
    embed_font()?;
    draw(&area, name, &panels, VECTOR)?;
    drop(area);
    // The view box keeps the fine units; the size that a page reserves is in pixels.
    let size = format!(r#"width="{width}" height="{height}" stroke-linejoin="round""#);
    let units = format!(r#"width="{units_wide}" height="{units_high}""#);
    Ok(text.replacen(&units, &size, 1))
}

/// The curves of run `name` as the bytes of a PNG file, for a screen of double density.
pub fn png(name: &str, history: &[EpochRecord]) -> Result<Vec<u8>, Error> {
    let panels = panels(history)?;
    let (width, height) = size(&panels);
    let (width, height) = (width * PNG_PIXELS, height * PNG_PIXELS);
    let fine = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![255; (fine.0 * fine.1 * 3) as usize];
    embed_font()?;
    let area = BitMapBackend::with_buffer(&mut pixels, fine).into_drawing_area();
    draw(&area, name, &panels, BITMAP)?;
    drop(area);

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&average(&pixels, width as usize))?;
    writer.finish()?;
    Ok(bytes)
}

/// The panels of a history, without the numbers that cannot be drawn.
fn panels(history: &[EpochRecord]) -> Result<Vec<Panel>, Error> {
    let panel = |title, is_share, value: fn(&Evaluation) -> Option<f64>| {
        let curve = |label, color, part: fn(&EpochRecord) -> Option<&Evaluation>| {
            let point = |epoch: &EpochRecord| Some((epoch.epoch, value(part(epoch)?)?));
            let points = history.iter().filter_map(point);
            Curve::new(label, color, points, is_share)
        };
        let curves = [
            curve("train", figure::TRAINING, |epoch| Some(&epoch.train)),
            curve("validation", figure::VALIDATION, |epoch| {
                epoch.validation.as_ref()
            }),
        ];
        Panel::new(title, is_share, curves.into_iter().flatten().collect())
    };
    let panels = [
        panel("loss", false, |evaluation| Some(evaluation.loss)),
        panel("accuracy", true, |evaluation| evaluation.accuracy),
    ];
    let panels: Vec<Panel> = panels.into_iter().flatten().collect();
    if panels.is_empty() {
        return Err(Error::Empty);
    }
    Ok(panels)
}

/// Width and height of the figure.
fn size(panels: &[Panel]) -> (u32, u32) {
    (WIDTHS[panels.len() - 1], HEIGHT)
}

/// Makes the font known to plotters, which keeps fonts for the whole process.
fn embed_font() -> Result<(), Error> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED
        .get_or_init(|| register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok());
    if *registered {
        Ok(())
    } else {
        Err(Error::Drawing("the embedded font is damaged".to_owned()))
    }
}

/// Pixels of a picture `width` wide, each the mean of the finer ones that it covers.
fn average(fine: &[u8], width: usize) -> Vec<u8> {
    let times = OVERSAMPLING as usize;
    let line = width * times * 3;
    let mut pixels = Vec::with_capacity(fine.len() / (times * times));
    for lines in fine.chunks_exact(line * times) {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0;
                for y in 0..times {
                    for dx in 0..times {
                        sum += usize::from(lines[y * line + (x * times + dx) * 3 + channel]);
                    }
                }
                pixels.push((sum / (times * times)) as u8);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests;
