//! Words of messages about the schema: what a value is for, what was found, what to write.

use serde_json::Value as Json;

use super::problem::{join, shorten};
use super::schema::schema;
use super::yaml::{Value, plain};

/// The definition that a reference of the schema names.
pub(super) fn definition(reference: &str) -> Option<&'static Json> {
    schema().pointer(reference.strip_prefix('#')?)
}

/// The key and word by which a branch of a tagged choice is known.
pub(super) fn tag_of(branch: &Json) -> Option<(&str, &str)> {
    let properties = branch["properties"].as_object()?;
    properties
        .iter()
        .find_map(|(key, schema)| Some((key.as_str(), schema["const"].as_str()?)))
}

/// The first sentence of a schema's own description, as a fragment.
pub(super) fn description(schema: &Json) -> Option<String> {
    let text = schema["description"].as_str()?;
    let text = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    let sentence = text
        .split(". ")
        .next()
        .unwrap_or(&text)
        .trim_end_matches('.');
    let mut chars = sentence.chars();
    let first = chars.next()?;
    // `CSV` stays as it is.
    let acronym = chars.clone().next().is_some_and(char::is_uppercase);
    let first = if acronym {
        first
    } else {
        first.to_ascii_lowercase()
    };
    Some(format!("{first}{}", chars.as_str()))
}

/// A schema's description, or that of what it refers to.
pub(super) fn full_description(schema: &Json) -> Option<String> {
    let words = |schema: &Json| -> Option<String> {
        let branches = schema["oneOf"].as_array()?;
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|b| b["const"].as_str().or_else(|| Some(tag_of(b)?.1)))
            .collect();
        Some(join(&words))
    };
    let target = schema["$ref"].as_str().and_then(definition);
    let about = description(schema).or_else(|| description(target?));
    match (about, target.and_then(words)) {
        (Some(about), Some(words)) => Some(format!("{about}: {words}")),
        (about, words) => about.or(words),
    }
}

pub(super) fn noun(name: &str) -> &'static str {
    match name {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        _ => "a mapping",
    }
}

/// Description of the value that was found.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null | Value::Refused => "found nothing".to_owned(),
        Value::Bool(value) => format!("found `{value}`"),
        Value::Int(value) => format!("found `{value}`"),
        // As YAML writes them.
        Value::Float(value) if value.is_nan() => "found `.nan`".to_owned(),
        Value::Float(f64::INFINITY) => "found `.inf`".to_owned(),
        Value::Float(f64::NEG_INFINITY) => "found `-.inf`".to_owned(),
        Value::Float(value) => format!("found `{value}`"),
        Value::Text(text) => format!("found the text `{}`", shorten(text)),
        Value::Sequence(_) => "found a list".to_owned(),
        Value::Mapping(_) => "found a mapping".to_owned(),
    }
}

/// Advice for the commonest slips.
pub(super) fn type_help(expected: &str, value: &Value) -> Option<String> {
    match (expected, value) {
        ("string", Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
            Some("put it in quotes".to_owned())
        }
        ("boolean", Value::Text(text)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write `true`".to_owned()),
            "no" | "off" | "false" => Some("write `false`".to_owned()),
            _ => None,
        },
        ("integer" | "number", Value::Text(text)) => match plain(text) {
            Value::Int(_) | Value::Float(_) => Some("write it without quotes".to_owned()),
            _ => None,
        },
        _ => None,
    }
}
