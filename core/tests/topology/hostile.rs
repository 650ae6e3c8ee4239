//! Texts that nobody writes by accident: they cost a moment and are refused, and nothing panics.

use proptest::prelude::*;

use cuttlefish_core::topology::yaml::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
use cuttlefish_core::topology::{Grouping, parse};

use crate::{DIGITS, VALID, problems};

/// Everything that a text can go through.
fn exercise(text: &str, overrides: &[String]) {
    match parse(text, overrides) {
        Ok(document) => {
            if let Err(problems) = document.graph(&DIGITS, Grouping::FromFile) {
                problems.render("file", text);
            }
        }
        Err(problems) => {
            assert!(problems.count() > 0, "an error without a problem");
            problems.render("file", text);
        }
    }
}

#[test]
fn a_huge_text_is_refused_before_it_is_parsed() {
    let text = "#".repeat(MAX_BYTES + 1);
    assert_eq!(
        problems(&text, &[]),
        "1:1: the text has 1048577 bytes (at most 1048576 are read)"
    );
    let comment = "#".repeat(MAX_BYTES - VALID.len() - 1);
    assert_eq!(problems(&format!("{VALID}{comment}\n"), &[]), "");
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let too_deep = "nested too deeply";
    assert!(!problems(&nested(MAX_DEPTH), &[]).contains(too_deep));
    assert!(problems(&nested(MAX_DEPTH + 1), &[]).contains(too_deep));
    for depth in [200, 300, 100_000] {
        exercise(&nested(depth), &[]);
        exercise(&"- ".repeat(depth), &[]);
        exercise(&"{a: ".repeat(depth), &[]);
        exercise(&"? ".repeat(depth), &[]);
        assert!(!problems(&"[".repeat(depth), &[]).is_empty());
    }
}

#[test]
fn a_text_of_too_many_values_is_refused() {
    let many = "- 1\n".repeat(MAX_NODES);
    assert_eq!(
        problems(&many, &[]),
        "100000:3: more than 100000 values (a topology needs a few dozen)"
    );
}

#[test]
fn a_billion_laughs_are_not_even_begun() {
    let mut text = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        text += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
    }
    let problems = problems(&text, &[]);
    assert!(problems.contains("anchors are not supported"), "{problems}");
    assert!(problems.contains("aliases are not supported"), "{problems}");
}

#[test]
fn thousands_of_problems_are_counted_and_not_printed() {
    let mut text = VALID.to_owned();
    for key in 0..20_000 {
        text += &format!("key{key}: 1\n");
    }
    let lines: Vec<String> = problems(&text, &[]).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[100], "... and 19900 more problems");
}

#[test]
fn long_words_and_odd_characters_do_not_spoil_a_message() {
    let long = "x".repeat(500_000);
    let text = format!("{VALID}{}: 1\n", &long[..1000]);
    let message = problems(&text, &[]);
    assert!(message.len() < 400, "{message}");
    let text = VALID.replace("relu", &long);
    let rendered = parse(&text, &[])
        .expect_err("no such activation")
        .render("file", &text);
    assert!(rendered.len() < 600, "{rendered}");
    let text = VALID.replace("test", r#""a\u0007\n\x1b[31mb""#);
    let message = problems(&text, &[]);
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_are_fine() {
    assert_eq!(problems(&VALID.replace('\n', "\r\n"), &[]), "");
    assert_eq!(problems(&format!("\u{feff}{VALID}"), &[]), "");
    assert_eq!(problems(&format!("---\n{VALID}...\n"), &[]), "");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        exercise(&text, &[]);
    }

    #[test]
    fn no_text_of_yaml_signs_panics(text in r#"[-a-c0-2:,\[\]{}#&*!|>'"%@?~<. \n\t]{0,80}"#) {
        exercise(&text, &[]);
        exercise(VALID, &[text.clone(), format!("a={text}"), format!("{text}=1")]);
    }

    #[test]
    fn no_mutated_file_panics(
        at in 0..VALID.len(),
        removed in 0..20usize,
        inserted in r#"([-a-z0-9:,\[\]{}#&*!|>'"?. \n]{0,8}|units: [0-9.e-]{1,30}|\PC{0,4})"#,
    ) {
        let end = (at + removed).min(VALID.len());
        let text = format!("{}{inserted}{}", &VALID[..at], &VALID[end..]);
        exercise(&text, &[]);
    }

    #[test]
    fn no_value_in_any_place_panics(
        path in r"(seed|name|data(\.(source|path|ignore))?|network(\.layers(\[[0-2]\](\.(units|name|activation|type|rate|kernel_regularizer|resources))?)?)?|training(\.(epochs|batch_size|optimizer(\.[a-z_]{1,9})?|early_stopping))?|deployment(\.resources)?)",
        value in r#"(-?[0-9]{1,45}|[0-9.eE+-]{1,12}|\.inf|\.nan|true|~|\[\]|\{\}|[a-z-]{1,12}|"[^"\\]{0,9}"|\{type: [a-z]{3,8}, [a-z_]{1,9}: [0-9.]{1,4}\})"#,
    ) {
        exercise(VALID, &[format!("{path}={value}")]);
    }
}
