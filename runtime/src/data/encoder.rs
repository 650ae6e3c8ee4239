//! The encoder of a table: how its columns become features, as a run's record keeps it.

use cuttlefish_core::topology::spec::Missing;
use serde::{Deserialize, Serialize};

/// Encoding of a table's columns as features. Fitted on training rows; saved with a run, it
/// encodes the rows of another table in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Treatment of missing cells.
    pub missing: Missing,
    /// Encoders of the columns, in the order of their features.
    pub columns: Vec<ColumnEncoder>,
}

/// Encoding of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnEncoder {
    /// Name of the column, as the table's header has it.
    pub name: String,
    /// Its features.
    pub kind: Encoding,
}

/// Features of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// One feature: `(number - mean) / deviation`, or 0 where the training rows are all the same.
    Number {
        /// Mean of the training rows.
        mean: f64,
        /// Standard deviation of the training rows.
        deviation: f64,
        /// Stands in for missing cells.
        fill: Option<f64>,
    },
    /// One feature for each category, 1 for the cell's own.
    Category {
        /// Sorted.
        categories: Vec<String>,
        /// Stands in for missing cells: an index.
        fill: Option<usize>,
    },
}

impl Encoder {
    /// Number of features of a row.
    pub fn features(&self) -> usize {
        self.columns.iter().map(|column| column.kind.width()).sum()
    }

    /// Names of the features: the column, or `column=category`.
    pub fn feature_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.features());
        for ColumnEncoder { name, kind } in &self.columns {
            match kind {
                Encoding::Number { .. } => names.push(name.clone()),
                Encoding::Category { categories, .. } => {
                    names.extend(categories.iter().map(|value| format!("{name}={value}")));
                }
            }
        }
        names
    }
}

impl Encoding {
    fn width(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Category { categories, .. } => categories.len(),
        }
    }
}
