//! Numbers as people read them.

use std::time::Duration;

/// A count with thousands separators: `41,000`.
pub fn thousands(count: u64) -> String {
    group(&count.to_string())
}

/// A measured value: four decimals where that says something, and another form where it would
/// not (`12,345.7`, `1.234e9`, `5.000e-6`).
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        // Never written by a healthy run, but a report must not hide that one is not.
        return value.to_string();
    }
    if size >= 1e9 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.3e}");
    }
    let digits = if size >= 1e3 { 1 } else { 4 };
    let text = format!("{value:.digits$}");
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{sign}{}.{decimals}", group(whole))
}

/// A share as a percentage: `96.51 %`. Only a share of 1 is written as 100 %.
pub fn percent(share: f64) -> String {
    let mut hundredths = (share * 1e4).round();
    if share < 1.0 {
        hundredths = hundredths.min(9999.0);
    }
    format!("{:.2} %", hundredths / 1e2)
}

/// A rate, to three significant digits: `41,200 samples/s`.
pub fn rate(rows_per_second: f64) -> String {
    let rounded = if rows_per_second >= 1e3 {
        let unit = 10f64.powi(rows_per_second.log10().floor() as i32 - 2);
        (rows_per_second / unit).round() * unit
    } else {
        rows_per_second.round()
    };
    format!("{} samples/s", thousands(rounded as u64))
}

/// A length of time: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 10 min`.
pub fn duration(time: Duration) -> String {
    let tenths = (time.as_secs_f64() * 10.0).round() as u64;
    let seconds = (time.as_secs_f64()).round() as u64;
    match seconds {
        _ if time < Duration::from_millis(1) => "less than 1 ms".to_owned(),
        _ if time < Duration::from_secs(1) => format!("{} ms", time.as_millis()),
        _ if tenths < 600 => format!("{}.{} s", tenths / 10, tenths % 10),
        0..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!(
            "{} h {:02} min",
            thousands(seconds / 3600),
            seconds / 60 % 60
        ),
    }
}

/// A number of bytes: `812 B`, `1.4 MiB`.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Puts a comma before every third digit from the right.
pub fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        let counts = [0, 999, 1000, 123_456, 1_234_567].map(thousands);
        assert_eq!(counts, ["0", "999", "1,000", "123,456", "1,234,567"]);
    }

    #[test]
    fn figures_stay_short_and_say_something_at_any_size() {
        let cases = [
            (0.0, "0.0000"),
            (0.1234, "0.1234"),
            (-0.5, "-0.5000"),
            (2.0, "2.0000"),
            (0.000_05, "5.000e-5"),
            (12_345.67, "12,345.7"),
            (-1_234.5, "-1,234.5"),
            (2.5e12, "2.500e12"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn only_all_is_a_hundred_percent() {
        assert_eq!(percent(0.9651), "96.51 %");
        assert_eq!(percent(0.99999), "99.99 %");
        assert_eq!(percent(1.0), "100.00 %");
    }

    #[test]
    fn rates_have_three_digits_that_count() {
        let rates = [0.0, 12.4, 999.6, 41_234.0, 1_234_567.0].map(rate);
        let texts = ["0", "12", "1,000", "41,200", "1,230,000"];
        assert_eq!(rates, texts.map(|text| format!("{text} samples/s")));
    }

    #[test]
    fn times_use_the_unit_that_fits() {
        let cases = [
            (Duration::from_micros(20), "less than 1 ms"),
            (Duration::from_millis(850), "850 ms"),
            (Duration::from_millis(12_340), "12.3 s"),
            (Duration::from_millis(59_960), "1 min 00 s"),
            (Duration::from_secs(245), "4 min 05 s"),
            (Duration::from_secs(7_800), "2 h 10 min"),
        ];
        for (time, text) in cases {
            assert_eq!(duration(time), text);
        }
    }

    #[test]
    fn sizes_use_the_unit_that_fits() {
        let sizes = [0, 1023, 1024, 1_572_864, 5 << 40].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB"]);
    }
}
