//! Images that differ a little in every epoch: shifted, rotated, and distorted as rubber would be (Simard,
//! Steinkraus & Platt 2003).
//!
//! An augmented image is a pure function of (seed, epoch, row), computed with additions,
//! multiplications and a pure-Rust libm: whoever gathers the row, and for whatever batch, has the same
//! bytes.

use std::fmt;

use ndarray_rand::rand::RngCore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::math::stream::{Purpose, stream};

/// Changes of training images; everything is off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Most pixels that an image is shifted by, down or up and across: a whole number is drawn for each.
    #[schemars(range(max = 1024))]
    pub shift: usize,
    /// Most degrees that an image is rotated by, either way.
    #[schemars(range(min = 0.0, max = 180.0))]
    pub rotate: f32,
    /// A random displacement of each pixel that is alike for neighbours.
    pub elastic: Option<Elastic>,
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shift, rotate, .. } = self;
        write!(
            f,
            "shifted by {shift} pixels at most, rotated by {rotate} degrees"
        )?;
        match self.elastic {
            Some(Elastic { alpha, sigma }) => {
                write!(f, ", distorted with alpha {alpha} and sigma {sigma}")
            }
            None => Ok(()),
        }
    }
}

/// Displacements as random as rubber allows: drawn between -1 and 1 for each pixel, then smoothed by a
/// Gaussian, then scaled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Factor of the smoothed displacements: 34 was best for digits of 29 x 29 pixels (Simard et al.).
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub alpha: f32,
    /// Standard deviation of the Gaussian, in pixels: 4 goes with an alpha of 34.
    #[schemars(range(min = 0.1, max = 64.0))]
    pub sigma: f32,
}

/// Deviations of the Gaussian beyond which its weights count as 0.
const REACH: f32 = 3.0;

/// An augmentation, ready for images of one size.
#[derive(Clone, Debug)]
pub struct Augmenter {
    how: Augmentation,
    seed: u64,
    height: usize,
    width: usize,
    /// The Gaussian of the elastic displacements, from its middle outwards; adds up to 1 both ways.
    gaussian: Vec<f32>,
}

impl Augmenter {
    /// Augmenter for the images of a run with this seed.
    pub fn new(how: Augmentation, seed: u64, [height, width]: [usize; 2]) -> Self {
        let sigma = how.elastic.map_or(0.0, |elastic| elastic.sigma);
        let reach = (REACH * sigma).ceil() as usize;
        let mut gaussian: Vec<f32> = (0..=reach)
            .map(|away| match away {
                0 => 1.0,
                away => {
                    let deviations = away as f32 / sigma;
                    libm::expf(-0.5 * deviations * deviations)
                }
            })
            .collect();
        let total = 2.0 * gaussian.iter().sum::<f32>() - 1.0;
        gaussian.iter_mut().for_each(|weight| *weight /= total);
        Self {
            how,
            seed,
            height,
            width,
            gaussian,
        }
    }

    /// The image of a row as an epoch has it, from the image as it is; both channel by channel, and each
    /// channel row by row. All channels are moved alike.
    ///
    /// Each pixel takes the value at the place that it comes from: between pixels what is proportional
    /// to the distances (bilinear), rounded to the nearest byte, and 0 outside.
    pub fn apply(&self, epoch: u32, row: u32, image: &[u8], result: &mut [u8]) {
        let places = self.height * self.width;
        let mut rng = stream(
            self.seed,
            Purpose::Augmentation,
            epoch as usize,
            row as usize,
        );
        let mut draw = || f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0;
        let mut shift = || {
            let steps = draw() * (self.how.shift as f64 + 0.5);
            // Away from the middle, so that the ends are as likely as all others.
            libm::round(steps).clamp(-(self.how.shift as f64), self.how.shift as f64) as f32
        };
        let [down, across] = [shift(), shift()];
        let angle = draw() * f64::from(self.how.rotate) * (std::f64::consts::PI / 180.0);
        let (sine, cosine) = (libm::sin(angle) as f32, libm::cos(angle) as f32);
        let mut field = |alpha: f32| {
            let drawn: Vec<f32> = (0..places).map(|_| draw() as f32 * alpha).collect();
            self.smooth(&drawn)
        };
        let displacements = self
            .how
            .elastic
            .map(|elastic| [field(elastic.alpha), field(elastic.alpha)]);
        let [middle_y, middle_x] = [self.height, self.width].map(|side| (side as f32 - 1.0) / 2.0);
        for pixel in 0..places {
            let y = (pixel / self.width) as f32 - middle_y - down;
            let x = (pixel % self.width) as f32 - middle_x - across;
            let mut from_y = cosine * y - sine * x + middle_y;
            let mut from_x = sine * y + cosine * x + middle_x;
            if let Some([of_y, of_x]) = &displacements {
                from_y += of_y[pixel];
                from_x += of_x[pixel];
            }
            let channels = image
                .chunks_exact(places)
                .zip(result.chunks_exact_mut(places));
            for (channel, result) in channels {
                result[pixel] = self.value(channel, from_y, from_x);
            }
        }
    }

    /// The value of an image between its pixels.
    fn value(&self, image: &[u8], y: f32, x: f32) -> u8 {
        let ((top, below), (left, right)) = (split(y), split(x));
        let at = |y: i32, x: i32| {
            // A negative coordinate becomes a large number, which is outside.
            let (y, x) = (y as usize, x as usize);
            match y < self.height && x < self.width {
                true => f32::from(image[y * self.width + x]),
                false => 0.0,
            }
        };
        let row = |y: i32| at(y, left) * (1.0 - right) + at(y, left + 1) * right;
        let value = row(top) * (1.0 - below) + row(top + 1) * below;
        (value + 0.5) as u8
    }

    /// Smooths a field of the image's size, with 0 outside: first down, then across.
    fn smooth(&self, field: &[f32]) -> Vec<f32> {
        let down = self.smooth_along(field, field.len(), self.width);
        self.smooth_along(&down, self.width, 1)
    }

    /// Smooths runs of `run` values, in which neighbours are `step` values apart.
    fn smooth_along(&self, field: &[f32], run: usize, step: usize) -> Vec<f32> {
        let mut smooth = vec![0.0; field.len()];
        for (to, from) in smooth.chunks_exact_mut(run).zip(field.chunks_exact(run)) {
            for (away, weight) in self.gaussian.iter().enumerate() {
                let away = away * step;
                let add = |(to, from): (&mut f32, &f32)| *to += weight * from;
                if away < run {
                    to[away..].iter_mut().zip(from).for_each(add);
                }
                if 0 < away && away < run {
                    to.iter_mut().zip(&from[away..]).for_each(add);
                }
            }
        }
        smooth
    }
}

/// The whole number below a place, and how far behind that it is.
fn split(place: f32) -> (i32, f32) {
    // No image is so large that what is cut off here could be inside of it.
    let whole = place.clamp(-1e6, 1e6) as i32;
    let whole = whole - i32::from(whole as f32 > place);
    (whole, place - whole as f32)
}
