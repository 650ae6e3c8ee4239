//! Tables as people have them: numbers and text in the formats of their countries and programs.

use cuttlefish_core::topology::spec::{
    CsvSource, CsvTask, DatePart, Decimal, TextEncoding, Thousands,
};

use super::csv::{floats, options, read, targets};
use super::csv_dates::dates;
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
        [1_234_567.2, 1000.0, 999.0, -12_000.5]
    );
    let english = with(Decimal::Point, Some(Thousands::Comma));
    assert_eq!(
        numbers(&["1,000", "12,345.5", "1,00,000", "0.25"], english),
        [1000.0, 12_345.5, 100_000.0, 0.25]
    );
    let french = with(Decimal::Comma, Some(Thousands::Space));
    assert_eq!(
        numbers(
            &[
                "1 000,5",
                "1\u{a0}000",
                "12\u{202f}345\u{2009}678",
                "3\u{2007}000",
                "\u{2212}1 000"
            ],
            french
        ),
        [1000.5, 1000.0, 12_345_678.0, 3000.0, -1000.0]
    );
    let swiss = with(Decimal::Point, Some(Thousands::Apostrophe));
    assert_eq!(
        numbers(&["1'000.50", "2\u{2019}000", "3"], swiss),
        [1000.5, 2000.0, 3.0]
    );
    assert_eq!(numbers(&["\u{2212}1.5", "2.5"], options()), [-1.5, 2.5]);
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
        "0.500",
        "012.500",
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

#[test]
fn a_decimal_comma_is_no_delimiter_where_there_is_another() {
    let text = "Betrag, EUR;Menge\n0,5;1,5\n1,5;2,5\n2,5;1,5\n";
    let options = CsvSource {
        target: "Menge".to_owned(),
        decimal: Decimal::Comma,
        ..options()
    };
    assert_eq!(read(text, &options).0.feature_names, ["Betrag, EUR"]);
    let text = "x,Menge\n\"0,5\",1\n\"1,5\",2\n";
    assert_eq!(read(text, &options).0.feature_names, ["x"]);
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
                 or list the column under `categories` or `ignore`)",
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
         `decimal: \",\"`, or list the column under `categories` or `ignore`)",
    );
    // And the other way round.
    check_problem(
        "x;y\n1.5;0\n2.5;1\n",
        &CsvSource {
            decimal: Decimal::Comma,
            ..options()
        },
        "line 2, column `x`: `1.5` is a number in another format, and so are all of its column (set \
         `decimal: \".\"`, or list the column under `categories` or `ignore`)",
    );
    // The target too, unless somebody says that it is a class.
    let text = "x;y\n1;5,5\n2;6,5\n";
    check_problem(
        text,
        &options(),
        "line 2, column `y`: `5,5` is a number in another format, and so are all of its column (set \
         `decimal: \",\"`, or set `task: classification`)",
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
        "it begins as text in utf-16le does, and not in utf-8 (set `encoding: utf-16le`)"
    );
    assert_eq!(
        problem(&utf16(text, u16::to_be_bytes), TextEncoding::Utf16Le),
        "it begins as text in utf-16be does, and not in utf-16le (set `encoding: utf-16be`)"
    );
    // Without a mark, by its zeros.
    assert_eq!(
        problem(
            &utf16("x,y\n1,a\n2,b\n", u16::to_be_bytes)[2..],
            TextEncoding::Latin1
        ),
        "it begins as text in utf-16be does, and not in latin-1 (set `encoding: utf-16be`)"
    );
    // The mark of UTF-8 before text of UTF-8, and of another encoding.
    assert_eq!(
        problem(
            "\u{feff}größe,y\n1,a\n2,b\n".as_bytes(),
            TextEncoding::Latin1
        ),
        "it begins as text in utf-8 does, and not in latin-1 (set `encoding: utf-8`)"
    );
    let bytes = b"\xef\xbb\xbfstra\xdfe,y\n1,a\n2,b\n";
    assert_eq!(names(bytes, TextEncoding::Latin1), ["straße"]);
    assert_eq!(
        problem(b"x,y\n1,\xff\xff\n", TextEncoding::ShiftJis),
        "line 2: not shift_jis (set another `encoding`)"
    );
}

#[test]
fn names_are_names_whatever_they_look_like() {
    let categories = vec!["code".to_owned(), "version".to_owned()];
    let options = CsvSource {
        categories,
        ..options()
    };
    let text = "code;version;y\n010115;10.11.12;0\n20095;1,5;1\n010115;1,5;1\n";
    let (dataset, encoder) = read(text, &options);
    let names = [
        "code=010115",
        "code=20095",
        "version=1,5",
        "version=10.11.12",
    ];
    assert_eq!(dataset.feature_names, names);
    assert_eq!(
        encode_bytes(&encoder, text.as_bytes()).unwrap().values,
        floats(&dataset)
    );
    let categories = vec!["cod".to_owned()];
    check_problem(
        text,
        &CsvSource {
            categories,
            ..options
        },
        "there is no column `cod`, named by `categories` (did you mean `code`?)",
    );
}
