//! The rules of a sweep that no schema can state.

use super::search::grid_size;
use super::spec::{Search, Space, SweepSpec};

/// Most combinations of a grid.
pub const MAX_GRID: u64 = 1_000_000;
/// Most steps between 0 and a bound of `quniform`: more are not told apart by an `f64`.
const MAX_STEPS: f64 = (1u64 << 53) as f64;

/// A problem of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepProblem {
    /// Path of the value that it is about, below the sweep: `parameters.training.epochs.lower`.
    pub path: String,
    /// Description of the problem, as a lower-case fragment.
    pub message: String,
    /// Advice: what would be right.
    pub help: String,
}

impl SweepSpec {
    /// All problems that its types and ranges do not exclude; empty if there are none.
    pub fn check(&self) -> Vec<SweepProblem> {
        let mut found = Findings(Vec::new());
        if self.parameters.is_empty() {
            let help = "name one, `training.optimizer.learning_rate` for example";
            found.add("parameters", "there is no parameter", help);
        }
        for (path, space) in &self.parameters {
            self.path(path, &mut found);
            let at = format!("parameters.{path}");
            values(&at, space, &mut found);
            self.searchable(&at, space, &mut found);
        }
        if self.max_time.is_some_and(|time| !time.is_finite()) {
            let help = "leave it out for a sweep without a limit";
            found.add("max_time", "must be a finite number", help);
        }
        // The size of a grid means something once its spaces do.
        if found.0.is_empty() {
            self.grid(&mut found);
        }
        found.0
    }

    /// A parameter's path: what it must not set.
    fn path(&self, path: &str, found: &mut Findings) {
        let at = format!("parameters.{path}");
        let of_sweep = [
            ("name", "it names the sweep as a whole"),
            ("seed", "`seeds` trains every configuration with several"),
            ("sweep", "a sweep cannot change itself"),
            ("data.folds", "`folds` of the sweep says how many there are"),
        ];
        for (refused, help) in of_sweep {
            if path == refused || is_below(path, refused) {
                found.add(&at, format!("`{refused}` is not for a trial to set"), help);
            }
        }
        let ends = path.match_indices(['.', '[']).map(|(end, _)| &path[..end]);
        if let Some(around) = ends.into_iter().find(|p| self.parameters.contains_key(*p)) {
            let message = format!("it is a part of the parameter `{around}`");
            found.add(&at, message, "leave one of the two out");
        }
    }

    /// Space and search: which go together.
    fn searchable(&self, at: &str, space: &Space, found: &mut Findings) {
        let at = format!("{at}.space");
        match (self.search, space) {
            (Search::Grid, Space::Uniform { .. } | Space::Loguniform { .. }) => {
                let message = format!("a grid has no end of values of `{}`", space.name());
                let help = "use `grid_search` with some `values`, or `quniform`";
                found.add(&at, message, help);
            }
            (Search::Tpe { .. }, Space::GridSearch { .. }) => {
                let help = "use `choice` with the same values as `categories`";
                found.add(&at, "`tpe` does not try every value of a list", help);
            }
            _ => {}
        }
    }

    fn grid(&self, found: &mut Findings) {
        let size = grid_size(self);
        if size > u128::from(MAX_GRID) {
            let message = format!("the grid has {size} configurations");
            let help = format!("at most {MAX_GRID}: use fewer values, or another search");
            return found.add("parameters", message, &help);
        }
        if let (Search::Grid, Some(max)) = (self.search, self.max_trials)
            && size > u128::from(max)
        {
            let message = format!("the grid has {size} configurations, `max_trials` is {max}");
            let help = "raise it, use fewer values, or another search";
            found.add("max_trials", message, help);
        }
    }
}

/// True if a path leads into the value at another.
fn is_below(path: &str, around: &str) -> bool {
    let rest = path.strip_prefix(around);
    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The values of one space.
fn values(at: &str, space: &Space, found: &mut Findings) {
    match *space {
        Space::Choice { ref categories } => list(at, "categories", categories.is_empty(), found),
        Space::GridSearch { ref values } => list(at, "values", values.is_empty(), found),
        Space::Uniform { lower, upper } => {
            bounds(at, lower, upper, found);
        }
        Space::Loguniform { lower, upper } => {
            if bounds(at, lower, upper, found) && lower <= 0.0 {
                let message = format!("must be above 0, found `{lower}`");
                let help = "0 and less have no logarithm: 0.0001 for example";
                found.add(&format!("{at}.lower"), message, help);
            }
        }
        Space::Quniform { lower, upper, q } => {
            if bounds(at, lower, upper, found) {
                step(&format!("{at}.q"), lower, upper, q, found);
            }
        }
        Space::Randint { lower, upper } => {
            if lower >= upper {
                let message = format!("must be below `upper`, {upper}, found `{lower}`");
                let help = "`upper` is itself none of the values";
                found.add(&format!("{at}.lower"), message, help);
            }
        }
    }
}

fn list(at: &str, key: &str, is_empty: bool, found: &mut Findings) {
    if is_empty {
        found.add(&format!("{at}.{key}"), "the list is empty", "one at least");
    }
}

/// True if the bounds leave something between them.
fn bounds(at: &str, lower: f64, upper: f64, found: &mut Findings) -> bool {
    let before = found.0.len();
    for (key, bound) in [("lower", lower), ("upper", upper)] {
        if !bound.is_finite() {
            let message = format!("must be a finite number, found `{bound}`");
            found.add(&format!("{at}.{key}"), message, "a bound of the values");
        }
    }
    if before == found.0.len() {
        let path = format!("{at}.lower");
        if lower >= upper {
            let message = format!("must be below `upper`, {upper}, found `{lower}`");
            found.add(&path, message, "leave out a parameter that has one value");
        } else if !(upper - lower).is_finite() {
            let help = "use closer bounds, or `loguniform`";
            found.add(&path, "too far from `upper`", help);
        }
    }
    before == found.0.len()
}

/// The step of `quniform`.
fn step(at: &str, lower: f64, upper: f64, q: f64, found: &mut Findings) {
    let range = upper - lower;
    if !(q > 0.0 && q <= range) {
        let message = format!("must be above 0 and at most {range}, found `{q}`");
        found.add(at, message, "`q` is the step between `lower` and `upper`");
    } else if lower.abs().max(upper.abs()) / q > MAX_STEPS {
        let message = format!("too small a step, found `{q}`");
        found.add(at, message, "use `uniform`");
    }
}

/// Problems so far.
struct Findings(Vec<SweepProblem>);

impl Findings {
    fn add(&mut self, path: &str, message: impl Into<String>, help: &str) {
        self.0.push(SweepProblem {
            path: path.to_owned(),
            message: message.into(),
            help: help.to_owned(),
        });
    }
}
