//! Report of the problems that checks find.

use super::expand::is_in_block;
use super::overrides::place_of;
use super::problem::{Place, Problem, Problems};
use super::yaml::Node;

/// Collects problems by path; their places come from the tree.
pub(super) struct Report<'a> {
    root: &'a Node,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    /// A report about one tree.
    pub fn new(root: &'a Node, problems: &'a mut Problems) -> Self {
        Self { root, problems }
    }

    /// Place of the value below these keys; `None` where only a default says it.
    pub fn written(&self, keys: &[&str]) -> Option<&Place> {
        let mut node = self.root;
        for key in keys {
            node = node.get(key)?;
        }
        Some(&node.place)
    }

    /// Adds a problem with the value at `path`; of a layer that is repeated, only the first at that path.
    pub fn add(&mut self, path: &str, message: impl Into<String>, help: &str) {
        if is_in_block(path) && self.problems.iter().any(|problem| problem.path == path) {
            return;
        }
        self.problems.push(Problem {
            place: place_of(self.root, path),
            path: path.to_owned(),
            message: message.into(),
            help: Some(help.to_owned()),
        });
    }
}
