//! Values as YAML that people like to read: blocks, plain words where they are safe, and long texts
//! line by line. What is written is read alike by YAML 1.1 and 1.2.

use serde::Serialize;
use serde_json::Value;

/// Words that some YAML takes for something else than text.
const NOT_TEXT: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// The YAML of a value, with the keys of its structs in their order.
///
/// # Errors
/// When it has keys that are no text, or numbers that are none.
pub fn to_string(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    write(&serde_json::to_value(value)?, 0, &mut text);
    // A block begins on a new line, below its key; the outermost has none.
    Ok(text.trim_start().to_owned())
}

/// Writes what stands behind a key or a dash, with the end of its line. `depth` is that of blocks in it.
fn write(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(depth, out);
                out.push('-');
                let mut text = String::new();
                write(item, depth + 1, &mut text);
                // A mapping begins behind its dash.
                let of_mapping = item.as_object().is_some_and(|map| !map.is_empty());
                let text = if of_mapping {
                    format!(" {}", text.trim_start())
                } else {
                    text
                };
                out.push_str(&text);
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            for (key, value) in entries {
                indent(depth, out);
                out.push_str(&scalar(key));
                out.push(':');
                // Lists stand as far left as their key.
                let inner = depth + usize::from(!value.is_array());
                write(value, inner, out);
            }
        }
        Value::String(text) if is_block(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                if !line.is_empty() {
                    indent(depth.max(1), out);
                }
                out.push_str(line);
                out.push('\n');
            }
        }
        Value::String(text) => {
            out.push(' ');
            out.push_str(&scalar(text));
            out.push('\n');
        }
        other => {
            out.push_str(&format!(" {other}\n"));
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// True if a text is best written line by line: then it is what it is, without any escapes.
fn is_block(text: &str) -> bool {
    let is_plain = |c: char| c == '\n' || (' '..='~').contains(&c);
    let ends_once = text.ends_with('\n') && !text.ends_with("\n\n");
    let starts_plainly = !text.starts_with([' ', '\n']);
    ends_once && starts_plainly && text.len() > 1 && text.chars().all(is_plain)
}

/// A text on one line: as it is, if nobody takes that for anything else, and quoted otherwise.
fn scalar(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    // Not a digit, a sign or a point, with which numbers and dates begin.
    let starts_plainly = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_other = NOT_TEXT.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts_plainly && !is_other && text.chars().all(is_word) {
        text.to_owned()
    } else {
        // YAML reads text in quotes as JSON does.
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use cuttlefish_core::topology::{Problems, yaml};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Value that the reader of topology files makes of a text.
    fn read(text: &str) -> Value {
        let mut problems = Problems::default();
        let node = yaml::parse(text, &mut problems);
        node.unwrap_or_else(|| panic!("{problems}:\n{text}"))
            .to_json()
    }

    #[test]
    fn people_read_blocks() {
        let value = json!({
            "services": {
                "hidden.003": {
                    "image": "cuttlefish-neuron:0123",
                    "command": ["actor"],
                    "volumes": [{"type": "bind", "options": [1, {}]}, [2, [3]]],
                    "networks": {"a": {}},
                },
                "no": null,
            },
            "rabbitmq.conf": "heartbeat = 10\n\n# Why.\na = b\n",
        });
        let expected = "\
services:
  hidden.003:
    image: \"cuttlefish-neuron:0123\"
    command:
    - actor
    volumes:
    - type: bind
      options:
      - 1
      - {}
    -
      - 2
      -
        - 3
    networks:
      a: {}
  \"no\": null
rabbitmq.conf: |
  heartbeat = 10

  # Why.
  a = b
";
        assert_eq!(to_string(&value).unwrap(), expected);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z0-9._/ :#\n-]{0,12}",
            "(yes|no|on|OFF|null|~|true|1e3|0x1f|012|1:30|2026-01-02|\\.5|=|<<)",
            "\\PC{0,8}",
            "([ -~]{1,6}\n){1,3}",
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in value()) {
            let written = to_string(&json!({"value": value})).unwrap();
            prop_assert_eq!(read(&written), json!({"value": value}), "{}", written);
        }
    }
}
