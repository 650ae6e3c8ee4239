//! Overrides from the command line: `--set training.epochs=3` replaces or adds one value.

use super::problem::{Place, Problem, Problems, shorten};
use super::yaml::{self, Entry, MAX_DEPTH, Node, Value};

/// Segment of a path like `network.layers[0].units`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// A key of a mapping.
    Key(String),
    /// `[0]`: an item of a list, from 0.
    Index(usize),
    /// `[hidden]`: the item of a list with this `name`, also within a block of repeated layers.
    Name(String),
}

/// Applies one override, `path=value`, to a tree. The value is YAML; mappings on the way that do
/// not exist are created. Whether the path means anything is for the validation to say.
pub fn apply_override(root: &mut Node, text: &str) -> Result<(), Problem> {
    let place = Place::Override(text.into());
    let problem = |path: &str, message: String, help: Option<&str>| Problem {
        place: place.clone(),
        path: path.to_owned(),
        message,
        help: help.map(str::to_owned),
    };
    let usage = Some("write `path=value`, `training.epochs=3` for example");
    let Some((path, value)) = text.split_once('=') else {
        return Err(problem("", "there is no `=`".to_owned(), usage));
    };
    let path = path.trim();
    let segments = parse_path(path).map_err(|message| problem("", message, usage))?;
    let mut value = parse_value(value, &place)?;
    if segments.len() + value.depth() > MAX_DEPTH {
        return Err(problem("", "nested too deeply".to_owned(), None));
    }
    let mut node = root;
    for (index, segment) in segments.iter().enumerate() {
        // The path so far is only needed for a message.
        node = match enter(node, segment, &place) {
            Ok(node) => node,
            Err((message, help)) => {
                return Err(problem(
                    &path_text(&segments[..index]),
                    message,
                    help.as_deref(),
                ));
            }
        };
    }
    value.relocate(&place);
    *node = value;
    Ok(())
}

/// The place of the value at `path`, or of the nearest thing around it that was written.
pub(super) fn place_of(root: &Node, path: &str) -> Place {
    let (mut node, mut rest) = (root, path);
    while let Some(next) = descend(node, rest) {
        (node, rest) = next;
    }
    node.place.clone()
}

/// The node that the start of a path leads to, with the rest of the path. A key may have dots and brackets
/// itself, so the longest one that fits is taken.
fn descend<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, &'p str)> {
    match &node.value {
        Value::Mapping(entries) => {
            let path = path.strip_prefix('.').unwrap_or(path);
            let fitting = entries.iter().filter(|entry| !entry.key.is_empty());
            let fitting = fitting.filter_map(|entry| {
                let rest = path.strip_prefix(entry.key.as_str())?;
                let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                ends.then_some((&entry.node, rest))
            });
            fitting.min_by_key(|(_, rest)| rest.len())
        }
        Value::Sequence(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            Some((items.get(index.parse::<usize>().ok()?)?, rest))
        }
        _ => None,
    }
}

/// Description of a text that is no path of an override; `None` of one that is.
pub(super) fn not_a_path(path: &str) -> Option<String> {
    // An override ends its path at the first `=`, and ignores space around it.
    if path.contains('=') || path.trim() != path {
        return Some(format!("`{}` is not a path", shorten(path)));
    }
    parse_path(path).err()
}

fn parse_value(text: &str, place: &Place) -> Result<Node, Problem> {
    let mut problems = Problems::default();
    let node = yaml::parse(text, &mut problems);
    match problems.iter().next() {
        Some(first) => Err(Problem {
            place: place.clone(),
            ..first.clone()
        }),
        None => Ok(node.unwrap_or(Node {
            place: place.clone(),
            value: Value::Null,
        })),
    }
}

fn parse_path(path: &str) -> Result<Vec<Segment>, String> {
    let invalid = || format!("`{}` is not a path", shorten(path));
    let mut segments = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || key.contains(']') {
            return Err(invalid());
        }
        segments.push(Segment::Key(key.to_owned()));
        while !rest.is_empty() {
            let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (item, after) = inner.ok_or_else(invalid)?;
            if item.is_empty() || item.contains('[') {
                return Err(invalid());
            }
            segments.push(match item.parse() {
                Ok(index) => Segment::Index(index),
                Err(_) => Segment::Name(item.to_owned()),
            });
            rest = after;
        }
        if segments.len() > MAX_DEPTH {
            return Err("the path is too long".to_owned());
        }
    }
    Ok(segments)
}

/// The node that a segment leads to, with what to say when it leads nowhere.
fn enter<'n>(
    node: &'n mut Node,
    segment: &Segment,
    place: &Place,
) -> Result<&'n mut Node, (String, Option<String>)> {
    if let (Segment::Key(_), Value::Null) = (segment, &node.value) {
        node.value = Value::Mapping(Vec::new());
        node.place = place.clone();
    }
    match (segment, &mut node.value) {
        (Segment::Key(key), Value::Mapping(entries)) => {
            let index = match entries.iter().position(|entry| entry.key == *key) {
                Some(index) => index,
                None => {
                    entries.push(Entry {
                        key: key.clone(),
                        place: place.clone(),
                        node: Node {
                            place: place.clone(),
                            value: Value::Null,
                        },
                    });
                    entries.len() - 1
                }
            };
            Ok(&mut entries[index].node)
        }
        (Segment::Key(key), _) => Err((
            format!("not a mapping, so it has no `{}`", shorten(key)),
            None,
        )),
        (Segment::Index(index), Value::Sequence(items)) => {
            let count = items.len();
            let missing = || (format!("there is no item {index}"), Some(counted(count)));
            items.get_mut(*index).ok_or_else(missing)
        }
        (Segment::Name(name), Value::Sequence(items)) => {
            let missing = format!("there is no item with the name `{}`", shorten(name));
            let help = repeated(items, name);
            named(items, name).ok_or((missing, help))
        }
        _ => Err(("not a list".to_owned(), None)),
    }
}

/// Key of the layers of a repeated block.
const BLOCK: &str = "layers";

/// The item with a name, in a list or in the blocks of it.
fn named<'n>(items: &'n mut [Node], name: &str) -> Option<&'n mut Node> {
    for item in items {
        if has_name(item, name) {
            return Some(item);
        }
        if let Some(Value::Sequence(block)) = item.get_mut(BLOCK).map(|node| &mut node.value)
            && let Some(found) = named(block, name)
        {
            return Some(found);
        }
    }
    None
}

fn has_name(item: &Node, name: &str) -> bool {
    let of_item = item.get("name").map(|node| &node.value);
    matches!(of_item, Some(Value::Text(text)) if text == name)
}

/// Advice for the name of a single repetition, `hidden-3`: only the layer as it is written can be changed.
fn repeated(items: &mut [Node], name: &str) -> Option<String> {
    let digit = |c: char| c.is_ascii_digit();
    let mut written = name;
    while let Some(rest) = written.trim_end_matches(digit).strip_suffix('-')
        && written.ends_with(digit)
    {
        written = rest;
        if named(items, written).is_some() {
            return Some(format!(
                "every repetition of a layer is changed alike, with `[{}]`",
                shorten(written)
            ));
        }
    }
    None
}

fn counted(items: usize) -> String {
    match items {
        0 => "the list is empty".to_owned(),
        1 => "the list has one item, number 0".to_owned(),
        _ => format!("the list has the items 0 to {}", items - 1),
    }
}

fn path_text(segments: &[Segment]) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Key(key) if path.is_empty() => path.push_str(&shorten(key)),
            Segment::Key(key) => path.push_str(&format!(".{}", shorten(key))),
            Segment::Index(index) => path.push_str(&format!("[{index}]")),
            Segment::Name(name) => path.push_str(&format!("[{}]", shorten(name))),
        }
    }
    path
}
