//! Axes: their range, their ticks, and the text at each.

use std::ops::RangeInclusive;

use super::super::numbers::group;

/// One axis: a range and the ticks in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// The value at the start of the axis.
    pub min: f64,
    /// The value at its end, larger than `min`.
    pub max: f64,
    /// Values with a tick, in order.
    pub ticks: Vec<f64>,
    /// Distance of the ticks.
    step: f64,
}

impl Scale {
    /// An axis of whole numbers from `first` to `last`.
    pub fn epochs(first: u32, last: u32, most_ticks: usize) -> Self {
        let (min, max) = (f64::from(first), f64::from(last));
        if first == last {
            return Self {
                min: min - 1.0,
                max: max + 1.0,
                ticks: vec![min],
                step: 1.0,
            };
        }
        let step = nice_step(max - min, most_ticks).max(1.0);
        let mut ticks = multiples(min, max, step);
        // Training starts at an epoch that is no round number: say so where there is room.
        if ticks.first().is_none_or(|tick| tick - min >= step * 0.5) {
            ticks.insert(0, min);
        }
        Self {
            min,
            max,
            ticks,
            step,
        }
    }

    /// An axis from round number to round number that holds all values of a range; from 0 if
    /// that wastes little. Its ends stay within `bounds`.
    pub fn values(
        (lowest, highest): (f64, f64),
        bounds: RangeInclusive<f64>,
        most_ticks: usize,
    ) -> Self {
        let (mut min, mut max) = (lowest, highest);
        // A range narrower than the precision of its numbers would have ticks that coincide.
        if max - min <= max.abs().max(min.abs()) * 1e-9 {
            let margin = if max == 0.0 { 0.5 } else { max.abs() * 0.05 };
            (min, max) = (min - margin, max + margin);
        } else if min > 0.0 && min < max * 0.4 {
            min = 0.0;
        }
        (min, max) = (min.max(*bounds.start()), max.min(*bounds.end()));
        let step = nice_step(max - min, most_ticks);
        // Rounding must not push out the values themselves.
        min = ((min / step + 1e-9).floor() * step).min(lowest);
        max = ((max / step - 1e-9).ceil() * step).max(highest);
        (min, max) = (min.max(*bounds.start()), max.min(*bounds.end()));
        Self {
            min,
            max,
            ticks: multiples(min, max, step),
            step,
        }
    }

    /// Text beside a tick.
    pub fn label(&self, value: f64) -> String {
        // No decimals beyond those that tell neighbours apart; and no "-0".
        let value = if value.abs() < self.step * 1e-6 {
            0.0
        } else {
            value
        };
        let largest = self.min.abs().max(self.max.abs());
        if largest >= 1e7 || (largest < 1e-4 && value != 0.0) {
            return format!("{value:.1e}");
        }
        let decimals = (-(self.step.log10() + 1e-9).floor()).max(0.0) as usize;
        let text = format!("{value:.decimals$}");
        match text.split_once('.') {
            Some(_) => text,
            None => match text.strip_prefix('-') {
                Some(digits) => format!("-{}", group(digits)),
                None => group(&text),
            },
        }
    }

    /// Position of a value on an axis of length 1.
    pub fn position(&self, value: f64) -> f64 {
        (value - self.min) / (self.max - self.min)
    }
}

/// The smallest of 1, 2, 5, 10, 20, ... (or its decimal fractions) that cuts a span in at most
/// `most` pieces.
fn nice_step(span: f64, most: usize) -> f64 {
    let least = span / most as f64;
    let unit = 10f64.powi(least.log10().floor() as i32);
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fits = factors
        .into_iter()
        .find(|factor| factor * unit >= least * 0.999);
    fits.unwrap_or(10.0) * unit
}

/// The multiples of a step from `min` to `max`.
fn multiples(min: f64, max: f64, step: f64) -> Vec<f64> {
    let first = (min / step - 1e-6).ceil();
    let last = (max / step + 1e-6).floor();
    let count = (last - first).max(0.0) as usize;
    (0..=count)
        .map(|index| (first + index as f64) * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks.iter().map(|tick| scale.label(*tick)).collect()
    }

    #[test]
    fn epochs_have_whole_ticks() {
        assert_eq!(labels(&Scale::epochs(1, 3, 8)), ["1", "2", "3"]);
        assert_eq!(
            labels(&Scale::epochs(1, 20, 8)),
            ["1", "5", "10", "15", "20"]
        );
        assert_eq!(
            labels(&Scale::epochs(1, 10_000, 6)),
            ["1", "2,000", "4,000", "6,000", "8,000", "10,000"]
        );
        assert_eq!(labels(&Scale::epochs(7, 7, 8)), ["7"]);
    }

    #[test]
    fn values_start_at_zero_where_that_wastes_little() {
        let loss = Scale::values((0.03, 0.42), 0.0..=f64::MAX, 6);
        assert_eq!(labels(&loss), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        let accuracy = Scale::values((91.2, 98.9), 0.0..=100.0, 6);
        assert_eq!(labels(&accuracy), ["90", "92", "94", "96", "98", "100"]);
    }

    #[test]
    fn any_finite_range_has_distinct_ticks_within_it() {
        let ranges = [
            (0.0, 0.0),
            (100.0, 100.0),
            (0.25, 0.25),
            (1e-12, 3e-12),
            (-4.0, 9.0),
            (5.0, 5.0 + 1e-13),
            (2.0, 2.001),
            (-1e250, 1e250),
            (1e-300, 2e-300),
        ];
        for range in ranges {
            let scale = Scale::values(range, f64::MIN..=f64::MAX, 6);
            assert!(scale.min <= range.0 && range.1 <= scale.max, "{scale:?}");
            assert!(scale.ticks.len() >= 2, "{scale:?}");
            assert!(scale.ticks.len() <= 9, "{scale:?}");
            assert!(scale.ticks.is_sorted_by(|a, b| a < b), "{scale:?}");
            let labels = labels(&scale);
            assert!(
                labels.windows(2).all(|pair| pair[0] != pair[1]),
                "{labels:?}"
            );
            for value in [range.0, range.1] {
                assert!((0.0..=1.0).contains(&scale.position(value)), "{scale:?}");
            }
        }
    }

    #[test]
    fn a_perfect_score_stays_below_its_bound() {
        let scale = Scale::values((100.0, 100.0), 0.0..=100.0, 6);
        assert_eq!(scale.max, 100.0);
        assert!(scale.min < 100.0 && scale.ticks.len() >= 2);
    }
}
