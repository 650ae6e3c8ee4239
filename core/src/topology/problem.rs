//! Problems of a topology file, each with its place, what was expected and what to do.

use std::fmt;
use std::sync::Arc;

/// Problems beyond this many are only counted: nobody reads more, and a hostile file has 100,000.
const MAX_PROBLEMS: usize = 100;
/// Characters of a value, and of a source line, that a message shows.
const MAX_VALUE: usize = 60;
const MAX_EXCERPT: usize = 100;

/// Place where something was written. Orders places in the text before overrides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Position in the file.
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// Override of the command line: `training.epochs=3`.
    Override(Arc<str>),
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Place where it was written.
    pub place: Place,
    /// Path of the value that it is about: `network.layers[1].units`; empty for the file as a whole.
    pub path: String,
    /// Description of the problem, as a lower-case fragment.
    pub message: String,
    /// Advice: what would be right.
    pub help: Option<String>,
}

/// All problems of a file, in the order of their places; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    omitted: usize,
}

impl Place {
    /// The start of the file.
    pub const START: Self = Self::Text { line: 1, column: 1 };
}

impl Problems {
    /// The problems, first places first.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Number of problems, with those that are only counted.
    pub fn count(&self) -> usize {
        self.list.len() + self.omitted
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a problem.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// `value` when there are no problems, otherwise the problems in the order of their places.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            return Ok(value);
        }
        Err(self.sorted())
    }

    /// These problems, first places first.
    pub(super) fn sorted(mut self) -> Self {
        self.list.sort_by(|a, b| a.place.cmp(&b.place));
        self
    }

    /// The problems for people: one line each with the name of the file, and the line of the
    /// file's text that it is about.
    ///
    /// ```text
    /// topology/foo.yaml:7:21: network.layers[0].unit: unknown key `unit` (did you mean `units`?)
    ///    7 |     - {type: dense, unit: 3}
    ///      |                     ^
    /// ```
    pub fn render(&self, file: &str, text: &str) -> String {
        let mut out = String::new();
        for problem in &self.list {
            match &problem.place {
                Place::Text { line, column } => {
                    out.push_str(&format!(
                        "{file}:{line}:{column}: {}\n",
                        ProblemText(problem)
                    ));
                    out.push_str(&excerpt(text, *line, *column));
                }
                Place::Override(_) => out.push_str(&format!("{problem}\n")),
            }
        }
        if self.omitted > 0 {
            out.push_str(&format!("... and {} more problems\n", self.omitted));
        }
        out
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{problem}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n... and {omitted} more problems"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Text { line, column } => write!(f, "{line}:{column}: {}", ProblemText(self)),
            Place::Override(text) => write!(f, "--set {}: {}", shorten(text), ProblemText(self)),
        }
    }
}

/// A problem without its place.
struct ProblemText<'a>(&'a Problem);

impl fmt::Display for ProblemText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        f.write_str(&self.0.message)?;
        match &self.0.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// A line of the text with a caret under the column; nothing where there is no such line.
fn excerpt(text: &str, line: usize, column: usize) -> String {
    let Some(source) = text.lines().nth(line.saturating_sub(1)) else {
        return String::new();
    };
    if source.trim().is_empty() {
        return String::new();
    }
    // A very long line is shown from a little before the column on.
    let skipped = (column - 1).saturating_sub(MAX_EXCERPT / 2);
    let skipped = if column > MAX_EXCERPT { skipped } else { 0 };
    let visible: String = source
        .chars()
        .skip(skipped)
        .take(MAX_EXCERPT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let indent = " ".repeat(column - 1 - skipped);
    format!("{line:5} | {}\n      | {indent}^\n", visible.trim_end())
}

/// Text from a file, fit for one line of a message: short, without control characters.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_VALUE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_VALUE).is_some() {
        short.push_str("...");
    }
    short
}

/// The valid word that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    // Also keeps the comparison cheap for words of a megabyte.
    if word.len() > MAX_VALUE {
        return None;
    }
    let word = word.to_lowercase().replace(['-', ' '], "_");
    let initials = |valid: &str| -> String {
        let words = valid.split(['_', '-']);
        words.filter_map(|word| word.chars().next()).collect()
    };
    // `lr` and `mse` are far from `learning_rate` and `mean_squared_error`, but clear.
    if word.len() > 1
        && let Some(valid) = valid.iter().find(|valid| initials(valid) == word)
    {
        return Some(valid);
    }
    let distance = |valid: &str| {
        let valid = valid.to_lowercase().replace('-', "_");
        strsim::damerau_levenshtein(&word, &valid)
    };
    valid
        .iter()
        .map(|valid| (distance(valid), *valid))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, valid)| *distance <= 1 + valid.len() / 5 && *distance < valid.len())
        .map(|(_, valid)| valid)
}

/// Advice for a word that is not valid: the nearest valid one, or all of them.
pub(super) fn suggest(word: &str, valid: &[&str]) -> String {
    match nearest(word, valid) {
        Some(valid) => format!("did you mean `{valid}`?"),
        None => format!("valid: {}", join(valid)),
    }
}

/// Words in backticks with commas.
pub(super) fn join(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
