//! Tables at random: nothing panics, and what is read is finite.

use cuttlefish_core::topology::spec::{
    CsvSource, CsvTask, DateColumn, DatePart, DateReading, Decimal, Missing, TextEncoding,
    Thousands,
};
use proptest::prelude::*;

use super::csv::{floats, options};
use crate::data::csv::{CsvProblem, EncodedTable, encode_bytes, parse};

/// A cell: a number, a date, or what is almost one.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[+-]?[0-9]{1,4}([., '\u{a0}][0-9]{2,3}){0,3}([.,][0-9]{0,3})?",
        "[+-]?[0-9.,' ]{0,6}(e[+-]?[0-9]{1,3})?",
        "[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}( [0-9:]{0,8})?",
        "(1[89]|20)[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9])?",
        "[0-3]?[0-9][. ] ?(Jan|feb|MAR|April) [0-9]{2,4}",
        "(|NA|inf|-inf|nan|word|ä|\"|€)",
        any::<String>(),
    ]
}

/// A table of three columns, `d`, `x` and `y`.
fn text() -> impl Strategy<Value = String> {
    let cell = || {
        (cell(), any::<bool>()).prop_map(|(cell, is_quoted)| match is_quoted {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell,
        })
    };
    let row = (cell(), cell(), cell()).prop_map(|(d, x, y)| [d, x, y]);
    let rows = prop::collection::vec(row, 0..8);
    (rows, "[,;\t|]", "\r?\n").prop_map(|(rows, delimiter, end)| {
        let names = ["d", "x", "y"].map(str::to_owned);
        let lines = [names].into_iter().chain(rows);
        lines.map(|row| row.join(&delimiter) + &end).collect()
    })
}

fn dates(format: Option<String>, parts: Vec<DatePart>) -> DateColumn {
    let column = "d".to_owned();
    DateColumn::Reading(DateReading {
        column,
        format,
        parts,
    })
}

fn any_options() -> impl Strategy<Value = CsvSource> {
    use TextEncoding::{Big5, EucKr, Gb18030, Latin1, ShiftJis, Utf8, Utf16Be, Utf16Le};
    let thousands = Thousands::ALL.map(Some).into_iter().chain([None]);
    let parts = vec![
        DatePart::Days,
        DatePart::Year,
        DatePart::Weekday,
        DatePart::Hour,
    ];
    let format = prop::option::of(prop::sample::select(vec![
        "%d.%m.%Y",
        "%m/%d/%y",
        "%Y-%m",
        "%d %b %Y",
        "%H %Y %j",
        "%s",
        "%G-W%V-%u",
    ]));
    let dates_of = prop::option::of((format, prop::sample::subsequence(parts, 1..=4)));
    (
        prop::sample::select(vec![Decimal::Point, Decimal::Comma]),
        prop::sample::select(thousands.collect::<Vec<_>>()),
        prop::sample::select(vec![
            Utf8, Utf8, Utf8, Utf16Le, Utf16Be, Latin1, ShiftJis, EucKr, Gb18030, Big5,
        ]),
        dates_of,
        prop::sample::select(vec![
            Missing::Error,
            Missing::Mean,
            Missing::Median,
            Missing::DropRow,
        ]),
        prop::sample::select(vec![
            CsvTask::Auto,
            CsvTask::Classification,
            CsvTask::Regression,
        ]),
        0.0..0.9,
    )
        .prop_map(
            |(decimal, thousands, encoding, dates_of, missing, task, share)| CsvSource {
                decimal,
                thousands,
                encoding,
                dates: Vec::from_iter(
                    dates_of.map(|(format, parts)| dates(format.map(str::to_owned), parts)),
                ),
                missing,
                task,
                test_split: share,
                validation_split: share,
                ..options()
            },
        )
}

/// True for features that can be computed with. A row that was left out for its target may have anything in it.
fn is_encoded(encoded: Result<EncodedTable, CsvProblem>, missing: Missing) -> bool {
    match encoded {
        Ok(encoded) => {
            let values = encoded.values;
            !values.is_empty() && values.iter().all(|value| value.is_finite())
        }
        Err(_) => missing == Missing::DropRow,
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(bytes, &options());
    }

    #[test]
    fn random_tables_never_panic(
        text in "(x,|z;|y)?[xy](,|;)y(\r)?\n([0-9a,;|\t\".?\r\n-]|NA|inf|1e9){0,60}",
        missing in 0..4_usize,
        task in 0..3_usize,
        share in 0.0..0.9,
    ) {
        use CsvTask::{Auto, Classification, Regression};
        let options = CsvSource {
            missing: [Missing::Error, Missing::Mean, Missing::Median, Missing::DropRow][missing],
            task: [Auto, Classification, Regression][task],
            test_split: share,
            validation_split: share,
            ..options()
        };
        if let Ok((dataset, encoder)) = parse(text.clone().into_bytes(), &options) {
            let values = floats(&dataset);
            prop_assert!(values.iter().all(|value| value.is_finite()));
            prop_assert_eq!(values.len(), dataset.rows() * encoder.features());
            // An encoder that was fitted on a table encodes that table.
            let encoded = encode_bytes(&encoder, text.as_bytes());
            prop_assert!(is_encoded(encoded, options.missing));
        }
    }

    #[test]
    fn random_tables_in_any_format_never_panic(
        bytes in prop_oneof![
            text().prop_map(String::into_bytes),
            text().prop_map(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            (text(), any::<Vec<u8>>()).prop_map(|(text, noise)| [text.into_bytes(), noise].concat()),
        ],
        options in any_options(),
    ) {
        if let Ok((dataset, encoder)) = parse(bytes.clone(), &options) {
            let values = floats(&dataset);
            prop_assert!(values.iter().all(|value| value.is_finite()));
            prop_assert_eq!(values.len(), dataset.rows() * encoder.features());
            prop_assert_eq!(dataset.feature_names.len(), encoder.features());
            // What is saved of it encodes that table.
            let saved = serde_json::from_str(&serde_json::to_string(&encoder).unwrap()).unwrap();
            let encoded = encode_bytes(&saved, &bytes);
            prop_assert!(is_encoded(encoded, options.missing));
        }
    }

    #[test]
    fn random_formats_of_dates_never_panic(
        format in "(%[-_0^#:]?[0-9]{0,3}[A-Za-z%]|[ .,/:T-]|.){0,6}",
        cells in prop::collection::vec(cell(), 1..4),
    ) {
        let options = CsvSource {
            dates: vec![dates(Some(format), vec![DatePart::Days, DatePart::Hour])],
            ..options()
        };
        let rows: String = cells.iter().map(|cell| format!("{cell};1;0.5\n")).collect();
        let _ = parse(format!("d;x;y\n{rows}").into_bytes(), &options);
    }

    #[test]
    fn damaged_tables_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = b"size,colour,y\n1,red,cat\n3,\"bl,ue\",dog\n1,red,ant\n3.5,red,cat\n".to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - length.index(bytes.len()) / 4);
        let _ = parse(bytes, &options());
    }
}
