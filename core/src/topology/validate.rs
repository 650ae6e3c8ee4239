//! Checks a YAML tree against the schema and finds all problems in one pass.
//!
//! It understands exactly the keywords that the generated schema uses; a test fails when the
//! types begin to use another one.

use serde_json::Value as Json;

use super::pattern::PATTERNS;
use super::problem::{Place, Problem, Problems, join, nearest, shorten, suggest};
use super::schema::schema;
use super::wording::{
    definition, describe, description, full_description, noun, tag_of, type_help,
};
use super::yaml::{Entry, Node, Value};

/// Adds everything that is wrong with a tree to `problems`.
pub(super) fn validate(root: &Node, problems: &mut Problems) {
    if root.value == Value::Null {
        problems.push(Problem {
            place: Place::START,
            path: String::new(),
            message: "the file is empty".to_owned(),
            help: Some("it needs at least `name`, `data` and `network`".to_owned()),
        });
        return;
    }
    Walker { problems }.visit(schema(), root, "", None);
}

/// A number type of the schema: its largest and smallest whole number.
fn format_range(format: &str) -> Option<(i128, i128)> {
    match format {
        "int64" => Some((i64::MIN.into(), i64::MAX.into())),
        "uint32" => Some((0, u32::MAX.into())),
        "uint" | "uint64" => Some((0, u64::MAX.into())),
        _ => None,
    }
}

/// Key of a repeated block, and advice for a layer that has it.
const REPEAT: &str = "repeat";
const REPEAT_HELP: &str = "put the layer into a block: `{repeat: 3, layers: [...]}`";

struct Walker<'p> {
    problems: &'p mut Problems,
}

impl Walker<'_> {
    /// `about` is what the key that leads here says it is for.
    fn visit(&mut self, mut schema: &Json, node: &Node, path: &str, mut about: Option<String>) {
        loop {
            about = about.or_else(|| description(schema));
            match schema["$ref"].as_str().and_then(definition) {
                Some(target) => schema = target,
                None => break,
            }
        }
        if node.value == Value::Refused {
            return;
        }
        if *schema == Json::Bool(true) {
            return self.anything(node, path);
        }
        if let Some(branches) = schema["anyOf"].as_array() {
            if branches[1]["type"] == "null" {
                // An optional value.
                if node.value != Value::Null {
                    self.visit(&branches[0], node, path, about);
                }
            } else if branches[0]["type"] == "string" {
                // A short form, and a long one.
                let fitting = branches.iter().find(|branch| fits(branch, &node.value));
                self.visit(fitting.unwrap_or(&branches[0]), node, path, about);
            } else {
                self.visit(meant(branches, node), node, path, None);
            }
            return;
        }
        if let Some(branches) = schema["oneOf"].as_array() {
            return match branches[0].get("const") {
                Some(_) => self.word(branches, node, path, about),
                None => self.tagged(branches, node, path, about),
            };
        }
        if !fits(schema, &node.value) {
            let types = types(schema);
            let message = format!("expected {}, {}", noun(types[0]), describe(&node.value));
            let help = type_help(types[0], &node.value).or(about);
            return self.report(&node.place, path, message, help);
        }
        match &node.value {
            Value::Int(number) => self.integer(schema, *number, node, path, about),
            Value::Float(number) => self.float(schema, *number, node, path, about),
            Value::Text(text) => self.text(schema, text, node, path),
            Value::Sequence(items) => self.sequence(schema, items, node, path),
            Value::Mapping(entries) => self.mapping(schema, entries, node, path, None),
            _ => {}
        }
    }

    /// Checks a value of any form: only numbers that are none are wrong, which JSON does not have.
    fn anything(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Float(number) if !number.is_finite() => {
                let message = format!("must be a finite number, {}", describe(&node.value));
                self.report(&node.place, path, message, None);
            }
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.anything(item, &format!("{path}[{index}]"));
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    self.anything(&entry.node, &child(path, &entry.key));
                }
            }
            _ => {}
        }
    }

    /// Checks one of several words.
    fn word(&mut self, branches: &[Json], node: &Node, path: &str, about: Option<String>) {
        let valid: Vec<&str> = branches
            .iter()
            .filter_map(|b| b["const"].as_str())
            .collect();
        let (message, help) = match &node.value {
            Value::Text(text) if valid.contains(&text.as_str()) => return,
            Value::Text(text) => (
                format!("unknown value `{}`", shorten(text)),
                Some(suggest(text, &valid)),
            ),
            other => (
                format!("expected one of {}, {}", join(&valid), describe(other)),
                about,
            ),
        };
        self.report(&node.place, path, message, help);
    }

    /// A mapping with a key that says which of several kinds it is.
    fn tagged(&mut self, branches: &[Json], node: &Node, path: &str, about: Option<String>) {
        let Some((tag, _)) = tag_of(&branches[0]) else {
            return;
        };
        let valid: Vec<&str> = branches.iter().filter_map(|b| Some(tag_of(b)?.1)).collect();
        let Value::Mapping(entries) = &node.value else {
            let message = format!("expected a mapping, {}", describe(&node.value));
            let help = match &node.value {
                Value::Text(text) => {
                    nearest(text, &valid).map(|word| format!("write `{{{tag}: {word}}}`"))
                }
                _ => None,
            };
            return self.report(&node.place, path, message, help.or(about));
        };
        let Some(chosen) = node.get(tag) else {
            let misspelt = entries
                .iter()
                .find(|entry| nearest(&entry.key, &[tag]).is_some());
            return match misspelt {
                Some(entry) => {
                    let message = format!("unknown key `{}`", shorten(&entry.key));
                    let help = format!("did you mean `{tag}`?");
                    self.report(&entry.place, &child(path, &entry.key), message, Some(help));
                }
                None => {
                    let help = format!("one of {}", join(&valid));
                    self.report(
                        &node.place,
                        path,
                        format!("missing key `{tag}`"),
                        Some(help),
                    );
                }
            };
        };
        let Value::Text(word) = &chosen.value else {
            if chosen.value != Value::Refused {
                let message = format!(
                    "expected one of {}, {}",
                    join(&valid),
                    describe(&chosen.value)
                );
                self.report(&chosen.place, &child(path, tag), message, None);
            }
            return;
        };
        match branches
            .iter()
            .find(|b| tag_of(b).is_some_and(|(_, of)| of == word))
        {
            Some(branch) => self.mapping(branch, entries, node, path, Some(tag)),
            None => {
                let message = format!("unknown {tag} `{}`", shorten(word));
                let help = suggest(word, &valid);
                self.report(&chosen.place, &child(path, tag), message, Some(help));
            }
        }
    }

    fn mapping(
        &mut self,
        schema: &Json,
        entries: &[Entry],
        node: &Node,
        path: &str,
        tag: Option<&str>,
    ) {
        let Some(properties) = schema["properties"].as_object() else {
            // Keys of one's own, whose values are all of one kind.
            let values = &schema["additionalProperties"];
            for entry in entries.iter().filter(|_| values.is_object()) {
                self.visit(values, &entry.node, &child(path, &entry.key), None);
            }
            return;
        };
        let mut valid: Vec<&str> = properties.keys().map(String::as_str).collect();
        // The order of a JSON object depends on how `serde_json` was built.
        valid.sort_unstable();
        let mut nearest_keys = Vec::new();
        for entry in entries {
            let key = entry.key.as_str();
            let below = child(path, key);
            match properties.get(key) {
                Some(_) if tag == Some(key) => {}
                Some(schema) => self.visit(schema, &entry.node, &below, None),
                None => {
                    // A key that is there anyway is not what this one was meant to be.
                    let free: Vec<&str> = valid
                        .iter()
                        .copied()
                        .filter(|key| node.get(key).is_none())
                        .collect();
                    nearest_keys.extend(nearest(key, &free));
                    let help = match nearest(key, &free) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None if key == REPEAT => REPEAT_HELP.to_owned(),
                        None => format!("valid: {}", join(&valid)),
                    };
                    let message = format!("unknown key `{}`", shorten(key));
                    self.report(&entry.place, &below, message, Some(help));
                }
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        for key in required.filter_map(Json::as_str) {
            // A misspelt key has been reported already.
            if node.get(key).is_none() && !nearest_keys.contains(&key) {
                let message = format!("missing key `{key}`");
                let help = full_description(&properties[key]);
                self.report(&node.place, path, message, help);
            }
        }
    }

    fn sequence(&mut self, schema: &Json, items: &[Node], node: &Node, path: &str) {
        let limit = |key: &str| schema[key].as_u64().map(|limit| limit as usize);
        let message = match (limit("minItems"), limit("maxItems")) {
            (Some(min), _) if items.len() < min => Some(format!("expected at least {min}")),
            (_, Some(max)) if items.len() > max => Some(format!("expected at most {max}")),
            _ => None,
        };
        if let Some(message) = message {
            let message = format!("{message} in this list, found {}", items.len());
            self.report(&node.place, path, message, None);
        }
        for (index, item) in items.iter().enumerate() {
            self.visit(&schema["items"], item, &format!("{path}[{index}]"), None);
        }
    }

    fn text(&mut self, schema: &Json, text: &str, node: &Node, path: &str) {
        let Some(regex) = schema["pattern"].as_str() else {
            return;
        };
        let pattern = PATTERNS.iter().find(|pattern| pattern.regex == regex);
        if let Some(pattern) = pattern.filter(|pattern| !(pattern.matches)(text)) {
            let message = format!("expected {}, found `{}`", pattern.expected, shorten(text));
            self.report(&node.place, path, message, None);
        }
    }

    fn integer(
        &mut self,
        schema: &Json,
        number: i128,
        node: &Node,
        path: &str,
        about: Option<String>,
    ) {
        let format = schema["format"].as_str().and_then(format_range);
        match format {
            Some((_, max)) if number > max && schema["maximum"].is_null() => {
                let message = format!("must be at most {max}, found `{number}`");
                self.report(&node.place, path, message, about);
            }
            _ => self.float(schema, number as f64, node, path, about),
        }
    }

    fn float(
        &mut self,
        schema: &Json,
        number: f64,
        node: &Node,
        path: &str,
        about: Option<String>,
    ) {
        let single = schema["format"] == "float";
        let message = if !number.is_finite() || single && !(number as f32).is_finite() {
            "must be a finite number".to_owned()
        } else {
            let (min, max) = (&schema["minimum"], &schema["maximum"]);
            let low = min.as_f64().is_some_and(|min| number < min);
            let high = max.as_f64().is_some_and(|max| number > max);
            match (low || high, bound(min), bound(max)) {
                (false, ..) => return,
                (_, Some(min), Some(max)) => format!("must be between {min} and {max}"),
                (_, Some(min), None) => format!("must be at least {min}"),
                (_, _, max) => format!("must be at most {}", max.unwrap_or_default()),
            }
        };
        let message = format!("{message}, {}", describe(&node.value));
        self.report(&node.place, path, message, about);
    }

    fn report(&mut self, place: &Place, path: &str, message: String, help: Option<String>) {
        self.problems.push(Problem {
            place: place.clone(),
            path: path.to_owned(),
            message,
            help,
        });
    }
}

/// The form that a value was meant to have: that of mappings of which it has a key, unless it says its
/// `type`, which only those of the last form have.
fn meant<'s>(branches: &'s [Json], node: &Node) -> &'s Json {
    let has_key_of = |branch: &&Json| {
        let definition = branch["$ref"].as_str().and_then(definition);
        let keys = definition.and_then(|form| form["properties"].as_object());
        keys.is_some_and(|keys| keys.keys().any(|key| node.get(key).is_some()))
    };
    let last = &branches[branches.len() - 1];
    let meant = branches.iter().find(has_key_of);
    meant.filter(|_| node.get("type").is_none()).unwrap_or(last)
}

fn child(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{}", shorten(key))
}

fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).collect(),
        other => vec![other.as_str().unwrap_or("object")],
    }
}

/// True if a value is of the type that a schema, or what it refers to, asks for.
fn fits(schema: &Json, value: &Value) -> bool {
    let target = schema["$ref"].as_str().and_then(definition);
    let types = types(target.unwrap_or(schema));
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) => "number",
        Value::Text(_) => "string",
        Value::Sequence(_) => "array",
        Value::Mapping(_) | Value::Refused => "object",
    };
    types.contains(&kind) || kind == "integer" && types.contains(&"number")
}

fn bound(limit: &Json) -> Option<String> {
    limit.as_f64().map(|limit| limit.to_string())
}

#[cfg(test)]
mod tests;
