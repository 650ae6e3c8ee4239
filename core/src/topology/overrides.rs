//! Overrides from the command line: `--set training.epochs=3` replaces or adds one value.

use super::problem::{Place, Problem, Problems, shorten};
use super::yaml::{self, Entry, MAX_DEPTH, Node, Value};

/// One step of a path like `network.layers[0].units`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A key of a mapping.
    Key(String),
    /// `[0]`: an item of a list, from 0.
    Index(usize),
    /// `[hidden]`: the item of a list with this `name`.
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
    let steps = parse_path(path).map_err(|message| problem("", message, usage))?;
    let mut value = parse_value(value, &place)?;
    if steps.len() + value.depth() > MAX_DEPTH {
        return Err(problem("", "nested too deeply".to_owned(), None));
    }
    let mut node = root;
    for (index, step) in steps.iter().enumerate() {
        // The path so far is only needed for a message.
        node = match enter(node, step, &place) {
            Ok(node) => node,
            Err((message, help)) => {
                return Err(problem(&written(&steps[..index]), message, help.as_deref()));
            }
        };
    }
    value.relocate(&place);
    *node = value;
    Ok(())
}

/// The place of the value at `path`, or of the nearest thing around it that was written.
pub(super) fn place_of(root: &Node, path: &str) -> Place {
    let mut node = root;
    for step in parse_path(path).unwrap_or_default() {
        let next = match (&step, &node.value) {
            (Step::Key(key), _) => node.get(key),
            (Step::Index(index), Value::Sequence(items)) => items.get(*index),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.place.clone()
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

fn parse_path(path: &str) -> Result<Vec<Step>, String> {
    let invalid = || format!("`{}` is not a path", shorten(path));
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || key.contains(']') {
            return Err(invalid());
        }
        steps.push(Step::Key(key.to_owned()));
        while !rest.is_empty() {
            let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (item, after) = inner.ok_or_else(invalid)?;
            if item.is_empty() || item.contains('[') {
                return Err(invalid());
            }
            steps.push(match item.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Name(item.to_owned()),
            });
            rest = after;
        }
        if steps.len() > MAX_DEPTH {
            return Err("the path is too long".to_owned());
        }
    }
    Ok(steps)
}

/// The node that a step leads to, with what to say when it leads nowhere.
fn enter<'n>(
    node: &'n mut Node,
    step: &Step,
    place: &Place,
) -> Result<&'n mut Node, (String, Option<String>)> {
    if let (Step::Key(_), Value::Null) = (step, &node.value) {
        node.value = Value::Mapping(Vec::new());
        node.place = place.clone();
    }
    match (step, &mut node.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
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
        (Step::Key(key), _) => Err((
            format!("not a mapping, so it has no `{}`", shorten(key)),
            None,
        )),
        (Step::Index(index), Value::Sequence(items)) => {
            let count = items.len();
            let missing = || (format!("there is no item {index}"), Some(counted(count)));
            items.get_mut(*index).ok_or_else(missing)
        }
        (Step::Name(name), Value::Sequence(items)) => {
            let named = |item: &&mut Node| match item.get("name").map(|node| &node.value) {
                Some(Value::Text(text)) => text == name,
                _ => false,
            };
            let missing = format!("there is no item with the name `{}`", shorten(name));
            items.iter_mut().find(named).ok_or((missing, None))
        }
        _ => Err(("not a list".to_owned(), None)),
    }
}

fn counted(items: usize) -> String {
    match items {
        0 => "the list is empty".to_owned(),
        1 => "the list has one item, number 0".to_owned(),
        _ => format!("the list has the items 0 to {}", items - 1),
    }
}

fn written(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(&shorten(key)),
            Step::Key(key) => path.push_str(&format!(".{}", shorten(key))),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Name(name) => path.push_str(&format!("[{}]", shorten(name))),
        }
    }
    path
}
