//! YAML text to a tree that knows where everything was written.
//!
//! Only what a topology file needs: scalars, lists and mappings of YAML 1.2 with its core schema.
//! Anchors, aliases, tags and several documents are refused, and everything is bounded, so that
//! no text can cost more than a moment. Never panics.

use std::collections::HashSet;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::problem::{Place, Problem, Problems, shorten};

/// Largest text, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 32;
/// Most scalars, lists and mappings together.
pub const MAX_NODES: usize = 100_000;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Place where it starts.
    pub place: Place,
    /// Value of the node.
    pub value: Value,
}

/// Value of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number, also `.inf` and `.nan`.
    Float(f64),
    /// Quoted text, or plain text that is nothing of the above.
    Text(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text; every key once.
    Mapping(Vec<Entry>),
    /// Something that has been reported already.
    Refused,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Place where the key was written.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// Parses a text. Problems that leave a tree to look at are added to `problems`; when they do
/// not, the result is `None`.
pub fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_BYTES {
        problems.push(Problem {
            place: Place::START,
            path: String::new(),
            message: format!("the text has {} bytes", text.len()),
            help: Some(format!("at most {MAX_BYTES} are read")),
        });
        return None;
    }
    let options = granit_parser::options! {
        // Otherwise the first alias of a file would hide all problems after it.
        emit_unresolved_aliases: true,
        emit_comments: false,
    };
    let mut builder = TreeBuilder {
        problems,
        stack: Vec::new(),
        root: None,
        nodes: 0,
        documents: 0,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let step = match next {
            Ok((event, span)) => builder.event(event, place(&span.start)),
            Err(error) => builder.syntax(&error),
        };
        match step {
            Ok(()) => {}
            Err(Stop::Unusable) => return None,
            Err(Stop::Finished) => break,
        }
    }
    builder.root
}

/// Meaning of the plain scalar `text` in the core schema of YAML 1.2.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Value::Float(sign * f64::INFINITY);
    }
    let radix = match (text.get(..2), text.get(2..)) {
        (Some("0o"), Some(rest)) => Some((8, rest)),
        (Some("0x"), Some(rest)) => Some((16, rest)),
        _ => None,
    };
    if let Some((radix, rest)) = radix {
        // `from_str_radix` would take a sign here, YAML does not.
        if !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)) {
            return i128::from_str_radix(rest, radix)
                .map_or(Value::Float(f64::INFINITY), Value::Int);
        }
        return Value::Text(text.to_owned());
    }
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if whole && let Ok(number) = text.parse() {
        return Value::Int(number);
    }
    // Rust's grammar of floats is that of YAML but for the words `inf` and `nan`.
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if starts
        && digits.bytes().all(numeric)
        && let Ok(number) = text.parse()
    {
        return Value::Float(number);
    }
    Value::Text(text.to_owned())
}

impl Node {
    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Mapping(entries) = &self.value else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.node)
    }

    /// The value of a key of a mapping, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Mapping(entries) = &mut self.value else {
            return None;
        };
        let entry = entries.iter_mut().find(|entry| entry.key == key)?;
        Some(&mut entry.node)
    }

    /// Depth to which lists and mappings nest: 0 for a scalar.
    pub fn depth(&self) -> usize {
        let below = match &self.value {
            Value::Sequence(items) => items.iter().map(Node::depth).max(),
            Value::Mapping(entries) => entries.iter().map(|entry| entry.node.depth()).max(),
            _ => return 0,
        };
        1 + below.unwrap_or(0)
    }

    /// The node as JSON; numbers that JSON does not have become `null`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Number, Value as Json};
        match &self.value {
            Value::Null | Value::Refused => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Number::from_i128(*value)
                .or_else(|| Number::from_f64(*value as f64))
                .map_or(Json::Null, Json::Number),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Text(value) => Json::String(value.clone()),
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// Says of the node and everything in it that it was written elsewhere.
    pub(super) fn relocate(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.relocate(place)),
            Value::Mapping(entries) => {
                for entry in entries {
                    entry.place = place.clone();
                    entry.node.relocate(place);
                }
            }
            _ => {}
        }
    }
}

fn place(mark: &Marker) -> Place {
    Place::Text {
        line: mark.line().max(1),
        column: mark.col() + 1,
    }
}

/// Reason for taking no more events.
enum Stop {
    /// There is no tree to look at.
    Unusable,
    /// The tree is complete.
    Finished,
}

/// List or mapping whose end has not come yet.
enum OpenNode {
    Sequence(Place, Vec<Node>),
    Mapping {
        place: Place,
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<Key>,
    },
}

/// A key that waits for its value.
enum Key {
    Valid(String, Place),
    Refused,
}

struct TreeBuilder<'p> {
    problems: &'p mut Problems,
    stack: Vec<OpenNode>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl TreeBuilder<'_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.report(
                        place,
                        "a second document",
                        "a topology is one YAML document",
                    );
                    return Err(Stop::Finished);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.count(&place)?;
                self.report(
                    place.clone(),
                    "aliases are not supported",
                    "repeat the value",
                );
                self.add(Node {
                    place,
                    value: Value::Refused,
                });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(&place)?;
                self.properties(&place, anchor, tag.is_some());
                self.scalar(&text, style, place);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(&place, anchor, tag.is_some())?;
                self.stack.push(OpenNode::Sequence(place, Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(&place, anchor, tag.is_some())?;
                self.stack.push(OpenNode::Mapping {
                    place,
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) {
        if let Some(OpenNode::Mapping {
            seen,
            key: key @ None,
            ..
        }) = self.stack.last_mut()
        {
            if seen.insert(text.to_owned()) {
                *key = Some(Key::Valid(text.to_owned(), place));
            } else {
                *key = Some(Key::Refused);
                let message = format!("the key `{}` is here twice", shorten(text));
                self.report(place, &message, "remove one of the two");
            }
            return;
        }
        let value = match style {
            ScalarStyle::Plain => plain(text),
            _ => Value::Text(text.to_owned()),
        };
        self.add(Node { place, value });
    }

    fn open(&mut self, place: &Place, anchor: usize, tagged: bool) -> Result<(), Stop> {
        self.count(place)?;
        self.properties(place, anchor, tagged);
        if self.stack.len() >= MAX_DEPTH {
            let help = format!("at most {MAX_DEPTH} levels of lists and mappings");
            self.report(place.clone(), "nested too deeply", &help);
            return Err(Stop::Unusable);
        }
        Ok(())
    }

    fn close(&mut self) {
        let node = match self.stack.pop() {
            Some(OpenNode::Sequence(place, items)) => Node {
                place,
                value: Value::Sequence(items),
            },
            Some(OpenNode::Mapping { place, entries, .. }) => Node {
                place,
                value: Value::Mapping(entries),
            },
            None => return,
        };
        self.add(node);
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(OpenNode::Sequence(_, items)) => items.push(node),
            Some(OpenNode::Mapping { entries, key, .. }) => match key.take() {
                Some(Key::Valid(key, place)) => entries.push(Entry { key, place, node }),
                Some(Key::Refused) => {}
                None => {
                    *key = Some(Key::Refused);
                    if node.value != Value::Refused {
                        self.report(node.place, "a key must be text", "keys are single words");
                    }
                }
            },
        }
    }

    /// Refuses what a topology has no use for.
    fn properties(&mut self, place: &Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.report(
                place.clone(),
                "anchors are not supported",
                "remove the `&name`",
            );
        }
        if tagged {
            self.report(place.clone(), "tags are not supported", "remove the `!tag`");
        }
    }

    fn count(&mut self, place: &Place) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            self.report(place.clone(), &message, "a topology needs a few dozen");
            return Err(Stop::Unusable);
        }
        Ok(())
    }

    fn syntax(&mut self, error: &ScanError) -> Result<(), Stop> {
        self.problems.push(Problem {
            place: place(error.marker()),
            path: String::new(),
            message: format!("not valid YAML: {}", shorten(&error.info())),
            help: None,
        });
        Err(Stop::Unusable)
    }

    fn report(&mut self, place: Place, message: &str, help: &str) {
        self.problems.push(Problem {
            place,
            path: String::new(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
        });
    }
}
