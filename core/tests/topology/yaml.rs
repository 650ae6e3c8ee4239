//! Scalars, places and the cost of parsing.

use std::time::{Duration, Instant};

use cuttlefish_core::topology::yaml::{MAX_BYTES, Value, parse, plain};
use cuttlefish_core::topology::{Place, Problems};

#[test]
fn plain_scalars_are_those_of_the_core_schema() {
    for text in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(plain(text), Value::Null, "{text}");
    }
    for (text, value) in [("true", true), ("TRUE", true), ("False", false)] {
        assert_eq!(plain(text), Value::Bool(value), "{text}");
    }
    for (text, value) in [
        ("0", 0),
        ("007", 7),
        ("+3", 3),
        ("-3", -3),
        ("0o17", 15),
        ("0xfF", 255),
        ("18446744073709551616", 1 << 64),
    ] {
        assert_eq!(plain(text), Value::Int(value), "{text}");
    }
    for (text, value) in [
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1e3", -1000.0),
        ("1E-2", 0.01),
        (".inf", f64::INFINITY),
        ("-.INF", f64::NEG_INFINITY),
        (&"9".repeat(60), 1e60),
    ] {
        assert_eq!(plain(text), Value::Float(value), "{text}");
    }
    assert!(matches!(plain(".nan"), Value::Float(number) if number.is_nan()));
    for text in [
        "yes", "no", "on", "tRUE", "nUll", "inf", "nan", "infinity", "-", "+", ".", "e5", "1_000",
        "1e", "0x", "0o8", "0x+1", "-0x1", "--1", "1.2.3", "12:30", "ä", "ää",
    ] {
        assert_eq!(plain(text), Value::Text(text.to_owned()), "{text}");
    }
}

#[test]
fn quoted_scalars_are_text_and_places_count_characters() {
    let mut problems = Problems::default();
    let root = parse("é: {b: \"3\", c: '~', d: 3}\ne: |\n  5\n", &mut problems).expect("valid");
    assert!(problems.is_empty());
    let inner = root.get("é").expect("the first key");
    for (key, value, column) in [
        ("b", Value::Text("3".to_owned()), 8),
        ("c", Value::Text("~".to_owned()), 16),
        ("d", Value::Int(3), 24),
    ] {
        let node = inner.get(key).expect("a key");
        assert_eq!(node.value, value);
        assert_eq!(node.place, Place::Text { line: 1, column });
    }
    let block = root.get("e").expect("the second key");
    assert_eq!(block.value, Value::Text("5\n".to_owned()));
}

#[test]
fn no_text_of_the_largest_size_takes_long() {
    let parts = [
        "[",
        "]",
        "{",
        "{a: ",
        "- ",
        "? ",
        "a: ",
        "a\n",
        "a: b\n",
        "\"",
        "\"a\" ",
        "'",
        "# c\n",
        "&a ",
        "*a ",
        "!t ",
        "[a, ",
        "- a\n",
        "%A\n",
        "---\n",
        "|\n",
        ">\n  a\n",
        "\t",
        " ",
        "\n",
        "\u{feff}",
        "ä",
        "\"\\u0041",
        ", ",
        ": ",
        "[]: ",
        "a ",
        "{? ",
        "- - a\n",
    ];
    for part in parts {
        let text = part.repeat(MAX_BYTES / part.len());
        let start = Instant::now();
        parse(&text, &mut Problems::default());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{part:?} took {took:?}");
    }
}
