//! Small drawings for the page, as SVG inside of it.

use crate::numbers::figure;

/// Bars of a histogram.
const BINS: usize = 32;

/// Size of a drawing in its own units.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 120.0;

/// Points of a curve beyond which only some are drawn: there are no more pixels.
const MAX_POINTS: usize = 400;

/// Histogram of values, from the smallest to the largest one.
pub fn histogram(values: &[f32]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (Some(low), Some(high)) = (finite().reduce(f32::min), finite().reduce(f32::max)) else {
        return String::new();
    };
    let (low, high) = (f64::from(low), f64::from(high));
    let mut counts = [0usize; BINS];
    for value in finite() {
        let place = (f64::from(value) - low) / (high - low) * BINS as f64;
        // All values the same: not a number, which becomes 0.
        counts[(place as usize).min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let step = WIDTH / BINS as f64;
    let mut svg = open("histogram", "how often each value occurs");
    for (bin, &count) in counts.iter().enumerate() {
        if count > 0 {
            let height = (HEIGHT * count as f64 / most).max(1.5);
            svg += &format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                bin as f64 * step + 0.5,
                HEIGHT - height,
                step - 1.0,
            );
        }
    }
    if low < 0.0 && high > 0.0 {
        let zero = -low / (high - low) * WIDTH;
        svg += &format!(
            "<line class=\"zero\" x1=\"{zero:.1}\" x2=\"{zero:.1}\" y1=\"0\" y2=\"{HEIGHT}\"/>"
        );
    }
    svg += "</svg>\n";
    svg += &format!(
        "<p class=\"ends\"><span>{}</span><span>{}</span></p>\n",
        figure(low),
        figure(high)
    );
    svg
}

/// Curves over epochs: of the training rows, then of the validation rows.
pub fn curves(title: &str, curves: &[Vec<(f64, f64)>; 2], written: fn(f64) -> String) -> String {
    let finite = || curves.iter().flatten().filter(|point| point.1.is_finite());
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let low = finite().map(of).reduce(f64::min)?;
        Some((low, finite().map(of).reduce(f64::max)?))
    };
    let (Some(x), Some(y)) = (ends(|point| point.0), ends(|point| point.1)) else {
        return String::new();
    };
    let mut svg = open("curve", title);
    for (curve, class) in curves.iter().zip(["train", "validation"]) {
        let every = curve.len().div_ceil(MAX_POINTS).max(1);
        let points: Vec<String> = curve
            .iter()
            .enumerate()
            .filter(|(i, point)| point.1.is_finite() && (curve.len() - 1 - i) % every == 0)
            .map(|(_, point)| {
                let right = place(point.0, x) * WIDTH;
                let up = place(point.1, y) * (HEIGHT - 8.0) + 4.0;
                format!("{right:.1},{:.1}", HEIGHT - up)
            })
            .collect();
        match &points[..] {
            [] => {}
            // A line needs two points.
            [point] => {
                svg += &format!("<polyline class=\"{class}\" points=\"{point} {point}\"/>");
            }
            points => {
                svg += &format!(
                    "<polyline class=\"{class}\" points=\"{}\"/>",
                    points.join(" ")
                );
            }
        }
    }
    format!(
        "<figure>\n<figcaption>{title}</figcaption>\n<div class=\"plot\">\n\
         <div class=\"axis\"><span>{}</span><span>{}</span></div>\n{svg}</svg>\n\
         <p class=\"ends\"><span>epoch {}</span><span>{}</span></p>\n</div>\n</figure>\n",
        written(y.1),
        written(y.0),
        x.0,
        x.1
    )
}

/// Place of a value between two ends, in the middle if they are the same.
fn place(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low {
        (value - low) / (high - low)
    } else {
        0.5
    }
}

fn open(class: &str, label: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{label}\">"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_a_bar_for_each_group_of_values() {
        let svg = histogram(&[-1.0, 0.5, 0.5, 1.0]);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("class=\"zero\""), "{svg}");
        assert_eq!(histogram(&[0.25; 9]).matches("<rect").count(), 1);
        assert_eq!(histogram(&[f32::NAN]), "");
    }

    #[test]
    fn a_curve_needs_a_point() {
        let none = [Vec::new(), Vec::new()];
        assert_eq!(curves("loss", &none, figure), "");
        let one = [vec![(1.0, 0.5)], Vec::new()];
        assert_eq!(curves("loss", &one, figure).matches("<polyline").count(), 1);
        let long = [(0..10_000).map(|i| (f64::from(i), 1.0)).collect(), vec![]];
        assert!(curves("loss", &long, figure).len() < 10_000);
    }
}
