//! Weights as a heat map: one square a weight, blue below zero, orange above.

/// The longer side has at least this many pixels.
const LEAST_SIDE: usize = 256;

/// Colours at equal steps from the most negative to the most positive weight. Lightness falls to
/// both sides, so that signs and sizes are told apart without seeing the colours too.
pub const STOPS: [[u8; 3]; 7] = [
    [23, 37, 108],
    [37, 99, 235],
    [147, 190, 250],
    [246, 246, 244],
    [253, 180, 110],
    [226, 80, 12],
    [96, 28, 8],
];

/// Entry of the palette for places without a weight: transparent.
const NOTHING: u8 = 0;

/// Entry of the palette for the weight 0; the extremes are equally far from it.
const ZERO: f32 = 128.0;

/// A PNG file of weights, written row by row into `height` x `width` squares. The colours are
/// symmetric around 0: the largest absolute weight has the strongest one.
///
/// # Errors
/// When there is nothing to draw.
pub fn heat_map(
    weights: &[f32],
    (height, width): (usize, usize),
) -> Result<Vec<u8>, png::EncodingError> {
    let squares = squares(weights, height * width);
    let side = LEAST_SIDE.div_ceil(height.max(width).max(1));
    let mut pixels = Vec::with_capacity(squares.len() * side * side);
    for row in squares.chunks(width.max(1)) {
        let line: Vec<u8> = row
            .iter()
            .flat_map(|&square| std::iter::repeat_n(square, side))
            .collect();
        pixels.extend(std::iter::repeat_n(&line, side).flatten());
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, (width * side) as u32, (height * side) as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_trns(&[0][..]);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The largest absolute weight: the one with the strongest colour.
pub fn strongest(weights: &[f32]) -> f32 {
    let finite = weights.iter().map(|w| w.abs()).filter(|w| w.is_finite());
    finite.fold(0.0, f32::max)
}

/// The palette entry of each square.
fn squares(weights: &[f32], count: usize) -> Vec<u8> {
    let strongest = strongest(weights);
    let square = |&weight: &f32| {
        if weight.is_nan() {
            return NOTHING;
        }
        // Divided first: the reciprocal of a tiny weight is not finite.
        let share = if weight == 0.0 {
            0.0
        } else {
            weight / strongest
        };
        (ZERO + share * (ZERO - 1.0)).round().clamp(1.0, 255.0) as u8
    };
    let mut squares: Vec<u8> = weights.iter().take(count).map(square).collect();
    squares.resize(count, NOTHING);
    squares
}

fn palette() -> Vec<u8> {
    let mut palette = vec![0; 3];
    for entry in 0..=254 {
        let place = entry as f32 / 254.0 * (STOPS.len() - 1) as f32;
        let below = (place as usize).min(STOPS.len() - 2);
        let share = place - below as f32;
        for (low, high) in STOPS[below].iter().zip(&STOPS[below + 1]) {
            let (low, high) = (f32::from(*low), f32::from(*high));
            palette.push((low + share * (high - low)).round() as u8);
        }
    }
    palette
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_symmetric_around_zero() {
        let extremes = squares(&[-2.0, 0.0, 2.0, 1.0, -1.0], 5);
        assert_eq!(extremes, [1, 128, 255, 192, 65]);
        assert_eq!(squares(&[0.0, 0.0], 2), [128, 128]);
        assert_eq!(squares(&[-1e-45, 1e-45], 2), [1, 255]);
        assert_eq!(palette().len(), 3 * 256);
        assert_eq!(palette()[3..6], STOPS[0]);
        assert_eq!(palette()[3 * 128..][..3], STOPS[3]);
        assert_eq!(palette()[3 * 255..], STOPS[6]);
    }

    #[test]
    fn what_is_no_number_and_places_without_a_weight_are_left_out() {
        let odd = squares(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0], 6);
        assert_eq!(odd, [NOTHING, 255, 1, 255, NOTHING, NOTHING]);
    }
}
