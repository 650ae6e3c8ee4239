//! Columns of dates.

use cuttlefish_core::topology::spec::{CsvSource, DateColumn, DatePart, DateReading, Missing};

use super::csv::{floats, options, read};
use super::csv_problems::check_problem;
use crate::data::csv::{encode_bytes, parse};
use crate::data::encoder::Encoding;

/// A table whose column has dates.
pub fn dates(column: &str, format: Option<&str>, parts: &[DatePart]) -> CsvSource {
    let reading = DateReading {
        column: column.to_owned(),
        format: format.map(str::to_owned),
        parts: parts.to_vec(),
    };
    CsvSource {
        dates: vec![DateColumn::Reading(reading)],
        ..options()
    }
}

/// The numbers that the parts of some dates are, unscaled.
fn parts(cells: &[&str], format: Option<&str>, part: DatePart) -> Vec<f64> {
    let mut text = "when;y\n".to_owned();
    for (row, cell) in cells.iter().enumerate() {
        text.push_str(&format!("{cell};{}\n", row % 2));
    }
    let (dataset, encoder) = read(&text, &dates("when", format, &[part]));
    let Encoding::Number {
        mean, deviation, ..
    } = encoder.columns[0].kind
    else {
        panic!("a date is a number");
    };
    let numbers = floats(&dataset).iter();
    numbers
        .map(|scaled| (f64::from(*scaled) * deviation + mean) * 1e2)
        .map(|number| number.round() / 1e2)
        .collect()
}

#[test]
fn dates_become_the_numbers_of_the_calendar() {
    // As `date -d 2020-02-29 +%s` has them, divided by 86400.
    let iso = ["1970-01-01", "2020-02-29", "1969-12-31", "2000-01-01T12:00"];
    assert_eq!(
        parts(&iso, None, DatePart::Days),
        [0.0, 18_321.0, -1.0, 10_957.5]
    );
    assert_eq!(
        parts(&iso, None, DatePart::Year),
        [1970.0, 2020.0, 1969.0, 2000.0]
    );
    assert_eq!(parts(&iso, None, DatePart::Month), [1.0, 2.0, 12.0, 1.0]);
    assert_eq!(parts(&iso, None, DatePart::Day), [1.0, 29.0, 31.0, 1.0]);
    // Thursday, Saturday, Wednesday, Saturday.
    assert_eq!(parts(&iso, None, DatePart::Weekday), [4.0, 6.0, 3.0, 6.0]);
    assert_eq!(parts(&iso, None, DatePart::Hour), [0.0, 0.0, 0.0, 12.0]);
    let same = [
        (
            None,
            [
                "2020-2-29",
                "2020-02-29 00:00:00 UTC",
                "2020-02-29T00:00:00Z",
                "2020-03-01",
            ],
        ),
        (
            Some("%d.%m.%Y"),
            ["29.02.2020", "29.2.2020", "29.02.2020 00:00", "01.03.2020"],
        ),
        (
            Some("%m/%d/%y"),
            ["02/29/20", "2/29/20", "2/29/20 00:00:00.0", "3/1/20"],
        ),
        (
            Some("%d %b %Y"),
            ["29 Feb 2020", "29 feb 2020", "29 Feb 2020", "1 Mar 2020"],
        ),
    ];
    for (format, cells) in same {
        let days = parts(&cells, format, DatePart::Days);
        assert_eq!(days, [18_321.0, 18_321.0, 18_321.0, 18_322.0], "{format:?}");
    }
    let months = parts(&["2020-01", "2020-02"], Some("%Y-%m"), DatePart::Days);
    assert_eq!(months, [18_262.0, 18_293.0]);
    let afternoon = parts(
        &["1/2/2020 1:30 PM", "1/2/2020 1:30 AM"],
        Some("%m/%d/%Y %I:%M %p"),
        DatePart::Hour,
    );
    assert_eq!(afternoon, [13.5, 1.5]);
}

/// 32 bits would round a time of day of this century to three minutes.
#[test]
fn minutes_of_a_day_are_not_rounded() {
    let rows = (0..60).map(|minute| format!("2026-01-01 12:{minute:02};{}\n", minute % 2));
    let text = "when;y\n".to_owned() + &rows.collect::<String>();
    let source = CsvSource {
        test_split: 0.0,
        validation_split: 0.0,
        ..dates("when", None, &[DatePart::Days])
    };
    let (dataset, _) = read(&text, &source);
    let values = floats(&dataset);
    let step = (values[59] - values[0]) / 59.0;
    for pair in values.windows(2) {
        assert!((pair[1] - pair[0] - step).abs() < 1e-4, "{pair:?} {step}");
    }
    // A moment that is always the same says nothing.
    let text = "when;y\n".to_owned() + &"2026-01-01 12:07:13;a\n2026-01-01 12:07:13;b\n".repeat(30);
    assert!(
        floats(&read(&text, &source).0)
            .iter()
            .all(|&value| value == 0.0)
    );
}

#[test]
fn missing_dates_are_filled_in_like_numbers() {
    let text = "when,y\n2020-01-01,a\n,b\n2020-01-03,a\n";
    let both = [DatePart::Days, DatePart::Year];
    check_problem(
        text,
        &dates("when", None, &both),
        "1 cell is missing: line 3, column `when` (fill them in, list the column under `ignore`, or set \
         `missing` to `mean`, `median` or `drop_row`)",
    );
    let missing = Missing::Mean;
    let options = CsvSource {
        missing,
        ..dates("when", None, &both)
    };
    let (dataset, encoder) = read(text, &options);
    assert_eq!(floats(&dataset)[2..4], [0.0, 0.0]);
    assert_eq!(
        encode_bytes(&encoder, b"when\nNA\n").unwrap().values,
        [0.0, 0.0]
    );
    let missing = Missing::Error;
    let (_, encoder) = read(
        "when,y\n2020-01-01,a\n2020-01-03,b\n",
        &CsvSource {
            missing,
            ..dates("when", None, &both)
        },
    );
    let problem = encode_bytes(&encoder, b"when\nNA\n")
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("1 cell is missing: line 2, column `when` ("),
        "{problem}"
    );
}

#[test]
fn dates_are_pointed_out() {
    let check = |first: &str, second: &str, hint: &str| {
        check_problem(
            &format!("when;y\n{first};0\n{second};1\n"),
            &options(),
            &format!(
                "line 2, column `when`: `{first}` is a date, and so are all of its column ({hint}, or list the column under \
                 `categories` or `ignore`)"
            ),
        );
    };
    check("2020-01-31", "2020-02-01 12:00", "set `dates: [when]`");
    check(
        "31.01.2020",
        "1.2.2020",
        "set `dates: [{column: when, format: \"%d.%m.%Y\"}]`",
    );
    check(
        "01/02/2020",
        "03/04/2020",
        "set `dates: [{column: when, format: \"%d/%m/%Y\"}]` or `%m/%d/%Y`",
    );
    check(
        "01/02/2020",
        "03/14/2020",
        "set `dates: [{column: when, format: \"%m/%d/%Y\"}]`",
    );
    check(
        "2020-01",
        "2020-02",
        "set `dates: [{column: when, format: \"%Y-%m\"}]`",
    );
    check(
        "31.01.20",
        "1.2.20",
        "set `dates: [{column: when, format: \"%d.%m.%y\"}]`",
    );
    check(
        "Jan 31 2020",
        "Feb 1 2020",
        "set `dates: [{column: when, format: \"%b %d %Y\"}]`",
    );
    check(
        "31. January 2020",
        "1. February 2020",
        "set `dates: [{column: when, format: \"%d. %B %Y\"}]`",
    );
    check_problem(
        "x;y\n1;2020-01-31\n2;2020-02-01\n",
        &options(),
        "line 2, column `y`: `2020-01-31` is a date, and so are all of its column (choose another target, or set \
         `task: classification`)",
    );
    check_problem(
        "day of sale;y\n2020-01-31;0\n2020-02-01;1\n",
        &options(),
        "line 2, column `day of sale`: `2020-01-31` is a date, and so are all of its column (set \
         `dates: [\"day of sale\"]`, or list the column under `categories` or `ignore`)",
    );
    // One word makes it text.
    assert_eq!(
        read("when;y\n2020-01-31;0\nlater;1\n", &options())
            .0
            .features,
        2
    );
}

#[test]
fn dates_that_do_not_fit_are_named() {
    let days = [DatePart::Days];
    check_problem(
        "when;y\n2020-01-31;0\n31.01.2020;1\n",
        &dates("when", None, &days),
        "line 3, column `when`: `31.01.2020` is not a date (set the column's `format`, which is `%Y-%m-%d`, to \
         `%d.%m.%Y`)",
    );
    check_problem(
        "when;y\n2020-02-30;0\n",
        &dates("when", None, &days),
        "line 2, column `when`: `2020-02-30` is not a date (correct it, or set the column's `format`, which is \
         `%Y-%m-%d`)",
    );
    // A year of two digits is none of four.
    check_problem(
        "when;y\n31.01.20;0\n",
        &dates("when", Some("%d.%m.%Y"), &days),
        "line 2, column `when`: `31.01.20` is not a date (set the column's `format`, which is `%d.%m.%Y`, to \
         `%d.%m.%y`)",
    );
    check_problem(
        "when;y\n31.01.20;0\n",
        &dates("whem", None, &days),
        "there is no column `whem`, named by `dates` (did you mean `when`?)",
    );
    check_problem(
        "x;y\n1;2020-01-01\n",
        &dates("y", None, &days),
        "column `y` is the target and listed under `dates`, and a date cannot be predicted (remove it from one)",
    );
    for format in ["%d.%m", "%Q", "no date", "", "%"] {
        let problem = parse(
            b"when;y\n1;0\n".to_vec(),
            &dates("when", Some(format), &days),
        );
        let problem = problem.unwrap_err().to_string();
        let start = format!("column `when`: no date can be read by the format `{format}`: ");
        assert!(problem.starts_with(&start), "{problem}");
        assert!(problem.ends_with("(`%d.%m.%Y` for example)"), "{problem}");
    }
}
