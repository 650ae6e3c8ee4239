//! Excerpts of long tables: the first and the last rows, and those between them as one.

use std::ops::Range;

/// Rows up to which a table is shown whole.
const MAX_WHOLE: usize = 24;
/// Rows of a longer one that are shown at its beginning and at its end.
const FIRST: usize = 16;
const LAST: usize = 4;

/// Parts of a table of many rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Rows that are shown at the beginning.
    pub first: Range<usize>,
    /// Rows that are summed up in one; none in a short table.
    pub between: Range<usize>,
    /// Rows that are shown at the end.
    pub last: Range<usize>,
}

impl Excerpt {
    /// Excerpt of a table of so many rows.
    pub fn of(rows: usize) -> Self {
        if rows <= MAX_WHOLE {
            return Self {
                first: 0..rows,
                between: rows..rows,
                last: rows..rows,
            };
        }
        let end = rows - LAST;
        Self {
            first: 0..FIRST,
            between: FIRST..end,
            last: end..rows,
        }
    }

    /// Rows of the excerpt: each shown one as `row` makes it, and those between them as `sum` does.
    pub fn rows<T>(&self, row: impl Fn(usize) -> T, sum: impl FnOnce(Range<usize>) -> T) -> Vec<T> {
        let mut rows: Vec<T> = self.first.clone().map(&row).collect();
        if !self.between.is_empty() {
            rows.push(sum(self.between.clone()));
        }
        rows.extend(self.last.clone().map(row));
        rows
    }
}
