//! The encoder of a table: how its columns become features, as a run's record keeps it.

use cuttlefish_core::topology::spec::{DatePart, Missing, TableFormat};
use serde::{Deserialize, Serialize};

/// Encoding of a table's columns as features. Fitted on training rows; saved with a run, it
/// encodes the rows of another table in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Treatment of missing cells.
    pub missing: Missing,
    /// Writing of the table's numbers and text.
    #[serde(default, skip_serializing_if = "TableFormat::is_default")]
    pub format: TableFormat,
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
        /// How a cell is read that is a date; None for numbers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        date: Option<DateFeature>,
    },
    /// One feature for each category, 1 for the cell's own.
    Category {
        /// Sorted.
        categories: Vec<String>,
        /// Stands in for missing cells: an index.
        fill: Option<usize>,
    },
}

/// A number of a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateFeature {
    /// Format of the dates; None for those like `2020-01-31`.
    pub format: Option<String>,
    /// The number.
    pub part: DatePart,
}

impl Encoder {
    /// Number of features of a row.
    pub fn features(&self) -> usize {
        self.columns.iter().map(|column| column.kind.width()).sum()
    }

    /// Names of the features: the column, `column=category`, or `column.month` and the like of a date.
    pub fn feature_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.features());
        for ColumnEncoder { name, kind } in &self.columns {
            match kind {
                Encoding::Number { date, .. } => names.push(match date {
                    Some(date) => date.name(name),
                    None => name.clone(),
                }),
                Encoding::Category { categories, .. } => {
                    names.extend(categories.iter().map(|value| format!("{name}={value}")));
                }
            }
        }
        names
    }
}

impl DateFeature {
    /// Name of the feature that this number of a column is.
    pub fn name(&self, column: &str) -> String {
        let part = match self.part {
            DatePart::Days => "days",
            DatePart::Year => "year",
            DatePart::Month => "month",
            DatePart::Day => "day",
            DatePart::Weekday => "weekday",
            DatePart::Hour => "hour",
        };
        format!("{column}.{part}")
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
