//! Tables as people have them: numbers, dates and text in the formats of their countries and programs.

use cuttlefish_core::topology::spec::{
    CsvSource, CsvTask, DateColumn, DatePart, DateReading, Decimal, Missing, TextEncoding,
    Thousands,
};

use super::csv::{floats, options, read, targets};
use super::csv_problems::check_problem;
use crate::data::csv::{encode_bytes, parse};

/// Numbers of Germany.
fn german() -> CsvSource {
    CsvSource {
        decimal: Decimal::Comma,
        thousands: Some(Thousands::Point),
        ..options()
    }
}

fn dates(column: &str, format: Option<&str>, parts: &[DatePart]) -> CsvSource {
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

/// The numbers that a column `y` has in these cells.
fn numbers(cells: &[&str], options: CsvSource) -> Vec<f32> {
    let mut text = "x;y\n".to_owned();
    for (row, cell) in cells.iter().enumerate() {
        text.push_str(&format!("{row};\"{cell}\"\n"));
    }
    let task = CsvTask::Regression;
    targets(&read(&text, &CsvSource { task, ..options }).0).to_vec()
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let with = |decimal, thousands| CsvSource {
        decimal,
        thousands,
        ..options()
    };
    let comma = with(Decimal::Comma, None);
    assert_eq!(
        numbers(&["5,39", "-,5", "+7", "1,5e3", "8,"], comma),
        [5.39, -0.5, 7.0, 1500.0, 8.0]
    );
    assert_eq!(
        numbers(&["1.234.567,25", "1.000", "999", "-12.000,5"], german()),
        [1_234_567.25, 1000.0, 999.0, -12_000.5]
    );
    let english = with(Decimal::Point, Some(Thousands::Comma));
    assert_eq!(
        numbers(&["1,000", "12,345.5", "1,00,000", "0.25"], english),
        [1000.0, 12_345.5, 100_000.0, 0.25]
    );
    let french = with(Decimal::Comma, Some(Thousands::Space));
    assert_eq!(
        numbers(
            &["1 000,5", "1\u{a0}000", "12\u{202f}345\u{2009}678"],
            french
        ),
        [1000.5, 1000.0, 12_345_678.0]
    );
    let swiss = with(Decimal::Point, Some(Thousands::Apostrophe));
    assert_eq!(
        numbers(&["1'000.50", "2\u{2019}000", "3"], swiss),
        [1000.5, 2000.0, 3.0]
    );
}

#[test]
fn numbers_of_another_format_are_no_numbers() {
    let check = |cell: &str, options: CsvSource| {
        let text = format!("x;y\n1;{cell}\n2;a word\n");
        let task = CsvTask::Regression;
        let problem = parse(text.into_bytes(), &CsvSource { task, ..options });
        let problem = problem.expect_err("text").to_string();
        assert!(problem.starts_with(&format!("line 2, column `y`: `{cell}` is not a number")));
    };
    for cell in [
        "1.5",
        "1.00",
        "1.2345",
        "12345.678",
        "1..000",
        ".000",
        "1.000,5,5",
        "1,000.5",
    ] {
        check(cell, german());
    }
    for cell in ["1.5", "1 000", "1,5.0"] {
        let decimal = Decimal::Comma;
        check(
            cell,
            CsvSource {
                decimal,
                ..options()
            },
        );
    }
}

#[test]
fn one_number_is_one_class_however_it_is_written() {
    let task = CsvTask::Classification;
    let text = "x;y\n1,5;1.000\n2,5;1000,0\n3,5;2.000\n";
    let (dataset, _) = read(text, &CsvSource { task, ..german() });
    assert_eq!(dataset.task.classes(), Some(2));
    let range = floats(&dataset);
    assert_eq!(range[1], 0.0);
    assert_eq!(range[0], -range[2]);
}

#[test]
fn other_tables_are_read_in_the_same_format() {
    let encoding = TextEncoding::Windows1252;
    let options = CsvSource {
        encoding,
        dates: dates("sold", Some("%d.%m.%Y"), &[DatePart::Days, DatePart::Month]).dates,
        ..german()
    };
    let text =
        b"gr\xf6\xdfe;sold;stra\xdfe;y\n1.000,5;31.01.2020;M\xfcller;a\n2.000,5;02.02.2020;Alt;b\n";
    let (dataset, encoder) = parse(text.to_vec(), &options).unwrap();
    assert_eq!(
        encoder.feature_names(),
        [
            "größe",
            "sold.days",
            "sold.month",
            "straße=Alt",
            "straße=Müller"
        ]
    );
    let json = serde_json::to_string(&encoder).unwrap();
    let saved = serde_json::from_str(&json).unwrap();
    assert_eq!(encoder, saved);
    let encoded = encode_bytes(&saved, text).unwrap();
    assert_eq!(encoded.values, floats(&dataset));
    let other = b"sold;stra\xdfe;gr\xf6\xdfe\n2020-01-31;Alt;1\n";
    let problem = encode_bytes(&saved, other).unwrap_err().to_string();
    assert_eq!(
        problem,
        "line 2, column `sold`: `2020-01-31` is not a date (in the table that the network was trained with, \
         all are, as `%d.%m.%Y`)"
    );
}

#[test]
fn an_encoder_of_an_earlier_version_is_read() {
    let json = r#"{"missing":"error","columns":[{"name":"x","kind":{"number":{"mean":1.0,"deviation":2.0,"fill":null}}}]}"#;
    let encoder = serde_json::from_str(json).unwrap();
    assert_eq!(encode_bytes(&encoder, b"x\n5\n").unwrap().values, [2.0]);
    assert_eq!(serde_json::to_string(&encoder).unwrap(), json);
}

/// The numbers that the parts of some dates are, unscaled.
fn parts(cells: &[&str], format: Option<&str>, part: DatePart) -> Vec<f64> {
    let mut text = "when;y\n".to_owned();
    for (row, cell) in cells.iter().enumerate() {
        text.push_str(&format!("{cell};{}\n", row % 2));
    }
    let (dataset, encoder) = read(&text, &dates("when", format, &[part]));
    let crate::data::encoder::Encoding::Number {
        mean, deviation, ..
    } = encoder.columns[0].kind
    else {
        panic!("a date is a number");
    };
    let numbers = floats(&dataset).iter();
    numbers
        .map(|scaled| (f64::from(*scaled) * deviation + mean) * 1e4)
        .map(|number| number.round() / 1e4)
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
fn numbers_in_another_format_are_pointed_out() {
    let check = |cells: &[&str], hint: &str| {
        let mut text = "x;y\n".to_owned();
        for (row, cell) in cells.iter().enumerate() {
            text.push_str(&format!("{cell};{row}\n"));
        }
        check_problem(
            &text,
            &options(),
            &format!(
                "line 2, column `x`: `{}` is a number in another format, and so are all of its column (set {hint}, \
                 or list it under `ignore`)",
                cells[0]
            ),
        );
    };
    check(&["5,39", "12,5"], "`decimal: \",\"`");
    check(
        &["5,39", "1.000,5", "3"],
        "`decimal: \",\"` and `thousands: \".\"`",
    );
    check(&["1,000.5", "3.25"], "`thousands: \",\"`");
    check(&["1 000", "3"], "`thousands: \" \"`");
    check(&["1'000.5", "3"], "`thousands: \"'\"`");
    // Three digits may be either.
    check(
        &["1,000", "2,500"],
        "`decimal: \",\"` or `thousands: \",\"`",
    );
    // Another column says which it is.
    check_problem(
        "x;z;y\n1,000;1,5;0\n2,500;2,25;1\n",
        &options(),
        "line 2, column `x`: `1,000` is a number in another format, and so are all of its column (set \
         `decimal: \",\"`, or list it under `ignore`)",
    );
    // And the other way round.
    check_problem(
        "x;y\n1.5;0\n2.5;1\n",
        &CsvSource {
            decimal: Decimal::Comma,
            ..options()
        },
        "line 2, column `x`: `1.5` is a number in another format, and so are all of its column (set \
         `decimal: \".\"`, or list it under `ignore`)",
    );
    // The target too, unless somebody says that it is a class.
    let text = "x;y\n1;5,5\n2;6,5\n";
    let problem = parse(text.into(), &options()).unwrap_err().to_string();
    assert!(
        problem.contains("column `y`: `5,5` is a number in another format"),
        "{problem}"
    );
    let task = CsvTask::Classification;
    assert_eq!(
        read(text, &CsvSource { task, ..options() })
            .0
            .task
            .classes(),
        Some(2)
    );
    // One word makes it text.
    assert_eq!(read("x;y\n5,39;0\nmany;1\n", &options()).0.features, 2);
    assert_eq!(read("x;y\n1.2.3;0\n10.11.12;1\n", &options()).0.features, 2);
}

#[test]
fn dates_are_pointed_out() {
    let check = |first: &str, second: &str, hint: &str| {
        check_problem(
            &format!("when;y\n{first};0\n{second};1\n"),
            &options(),
            &format!(
                "line 2, column `when`: `{first}` is a date, and so are all of its column ({hint}, or list it under \
                 `ignore`)"
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
         `dates: [\"day of sale\"]`, or list it under `ignore`)",
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
    let check =
        |text: &str, options: &CsvSource, expected: &str| check_problem(text, options, expected);
    let days = [DatePart::Days];
    check(
        "when;y\n2020-01-31;0\n31.01.2020;1\n",
        &dates("when", None, &days),
        "line 3, column `when`: `31.01.2020` is not a date (set the column's `format`, which is `%Y-%m-%d`, to \
         `%d.%m.%Y`)",
    );
    check(
        "when;y\n2020-02-30;0\n",
        &dates("when", None, &days),
        "line 2, column `when`: `2020-02-30` is not a date (correct it, or set the column's `format`, which is \
         `%Y-%m-%d`)",
    );
    // A year of two digits is none of four.
    check(
        "when;y\n31.01.20;0\n",
        &dates("when", Some("%d.%m.%Y"), &days),
        "line 2, column `when`: `31.01.20` is not a date (set the column's `format`, which is `%d.%m.%Y`, to \
         `%d.%m.%y`)",
    );
    check(
        "when;y\n31.01.20;0\n",
        &dates("wann", None, &days),
        "there is no column `wann`, named by `dates` (did you mean `when`?)",
    );
    check(
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

#[test]
fn text_of_other_encodings_is_read() {
    let with = |encoding| CsvSource {
        encoding,
        ..options()
    };
    let names = |bytes: &[u8], encoding| {
        let (dataset, _) = parse(bytes.to_vec(), &with(encoding)).unwrap();
        dataset.feature_names
    };
    let utf16 = |text: &str, to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark = "\u{feff}".encode_utf16();
        mark.chain(text.encode_utf16()).flat_map(to_bytes).collect()
    };
    let text = "stra\u{df}e\ty\n\u{20ac}\ta\nx\tb\n";
    let expected = ["straße=x", "straße=€"];
    assert_eq!(
        names(&utf16(text, u16::to_le_bytes), TextEncoding::Utf16Le),
        expected
    );
    assert_eq!(
        names(&utf16(text, u16::to_be_bytes), TextEncoding::Utf16Be),
        expected
    );
    let bytes = b"stra\xdfe\ty\n\x80\ta\nx\tb\n";
    assert_eq!(names(bytes, TextEncoding::Windows1252), expected);
    assert_eq!(names(bytes, TextEncoding::Latin1), expected);
    let bytes = b"stra\xdfe\ty\n\xa4\ta\nx\tb\n";
    assert_eq!(names(bytes, TextEncoding::Iso8859_15), expected);
    let bytes = b"\xcc\xee\xf1\xea\xe2\xe0,y\n1,a\n2,b\n";
    assert_eq!(names(bytes, TextEncoding::Windows1251), ["Москва"]);
    let bytes = b"\x93\x8c\x8b\x9e,y\n1,a\n2,b\n";
    assert_eq!(names(bytes, TextEncoding::ShiftJis), ["東京"]);
    let problem = |bytes: &[u8], encoding| {
        let problem = parse(bytes.to_vec(), &with(encoding)).unwrap_err();
        problem.to_string()
    };
    assert_eq!(
        problem(b"x,y\n1,\xe4\n", TextEncoding::Utf8),
        "line 2: not UTF-8 (set `encoding`, to `windows-1252` for example; compressed files must be unpacked)"
    );
    assert_eq!(
        problem(&utf16(text, u16::to_le_bytes), TextEncoding::Utf8),
        "line 1: not UTF-8 (set `encoding`, to `utf-16le` for example; compressed files must be unpacked)"
    );
    assert_eq!(
        problem(b"x,y\n1,\xff\xff\n", TextEncoding::ShiftJis),
        "line 2: not shift_jis (set another `encoding`)"
    );
}
