//! A table in a CSV file, as a topology file describes it: which columns, and how its numbers, dates and text are
//! written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::default;
use super::split_keys::SplitKeys;
use crate::data::{Augmentation, SplitRules, TargetScaling, TestRows, ValidationRows};

/// Keys of a table in a CSV file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSource {
    /// The file, relative to the topology file.
    pub path: String,
    /// Name of the column to predict.
    pub target: String,
    /// Kind of the target, a class or a number; by default text and whole numbers with
    /// at most 20 different values are classes.
    #[serde(default)]
    pub task: CsvTask,
    /// Scaling of a target that is a number, fitted on the training rows; by default `standard`, and `min_max`
    /// where the output layer's activation does not reach every number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scaling: Option<TargetScaling>,
    /// Treatment of empty cells.
    #[serde(default)]
    pub missing: Missing,
    /// Columns to leave out.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Columns of names, whatever they look like: postal codes for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Columns of dates, which become numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<DateColumn>,
    /// Character between the whole and the fraction of a number.
    #[serde(default)]
    pub decimal: Decimal,
    /// Character between the thousands of a number; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<Thousands>,
    /// Encoding of the file's text.
    #[serde(default)]
    pub encoding: TextEncoding,
    /// Share of all rows that test.
    #[serde(default = "default::test_split")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub test_split: f64,
    /// Share of the other rows that validate.
    #[serde(default = "default::validation_split")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_split: f64,
    /// Only images can be changed, and a table has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// Keys of the split that every source has.
    #[serde(flatten)]
    pub split_keys: SplitKeys,
}

/// Writing of a table's numbers and text: what is needed to read another table that is written alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableFormat {
    /// Character between the whole and the fraction of a number.
    pub decimal: Decimal,
    /// Character between the thousands of a number.
    pub thousands: Option<Thousands>,
    /// Encoding of the text.
    pub encoding: TextEncoding,
}

/// Kind of the target column of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CsvTask {
    /// Decided by the column.
    #[default]
    Auto,
    /// A class.
    Classification,
    /// A number.
    Regression,
}

/// Treatment of empty cells of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Report them and stop.
    #[default]
    Error,
    /// Numbers become the mean of the training rows, categories the most frequent one.
    Mean,
    /// Numbers become the median of the training rows, categories the most frequent one.
    Median,
    /// Leave the rows out.
    DropRow,
}

/// Character between the whole and the fraction of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decimal {
    /// `5.39`
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `5,39`
    #[serde(rename = ",")]
    Comma,
}

/// Character between the thousands of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Thousands {
    /// `1,000`
    #[serde(rename = ",")]
    Comma,
    /// `1.000`
    #[serde(rename = ".")]
    Point,
    /// `1 000`, with any blank that does not end a line
    #[serde(rename = " ")]
    Space,
    /// `1'000`, with a straight or a curly apostrophe
    #[serde(rename = "'")]
    Apostrophe,
}

/// A column of dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DateColumn {
    /// Name of a column of dates like `2020-01-31`, which become days.
    Name(String),
    /// A column with its format and parts.
    Reading(DateReading),
}

/// A column of dates with its format and parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DateReading {
    /// Name of the column.
    pub column: String,
    /// Format of its dates, `%d.%m.%Y` for example; dates are like `2020-01-31` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Numbers that a date becomes, a feature each; the days by default.
    #[serde(default = "days")]
    #[schemars(length(min = 1))]
    pub parts: Vec<DatePart>,
}

/// A number that a date becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatePart {
    /// Days since 1970-01-01, the time of day as their fraction
    Days,
    /// Year
    Year,
    /// Month, 1 to 12
    Month,
    /// Day of the month, 1 to 31
    Day,
    /// Day of the week, 1 to 7, Monday first
    Weekday,
    /// Hours since midnight, minutes as their fraction
    Hour,
}

/// Encoding of a file's text, by the names that the web uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextEncoding {
    /// Unicode, as nearly everybody writes it
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Unicode of 16 bits, as Excel writes its "Unicode text"
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// Unicode of 16 bits with the high byte first
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// Western European; as on the web, read as windows-1252, which contains it
    #[serde(rename = "latin-1")]
    Latin1,
    /// Western European of Windows
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// Western European with the euro
    #[serde(rename = "iso-8859-15")]
    Iso8859_15,
    /// Central European
    #[serde(rename = "iso-8859-2")]
    Iso8859_2,
    /// Central European of Windows
    #[serde(rename = "windows-1250")]
    Windows1250,
    /// Cyrillic of Windows
    #[serde(rename = "windows-1251")]
    Windows1251,
    /// Russian
    #[serde(rename = "koi8-r")]
    Koi8R,
    /// Greek of Windows
    #[serde(rename = "windows-1253")]
    Windows1253,
    /// Turkish of Windows
    #[serde(rename = "windows-1254")]
    Windows1254,
    /// Hebrew of Windows
    #[serde(rename = "windows-1255")]
    Windows1255,
    /// Arabic of Windows
    #[serde(rename = "windows-1256")]
    Windows1256,
    /// Baltic of Windows
    #[serde(rename = "windows-1257")]
    Windows1257,
    /// Vietnamese of Windows
    #[serde(rename = "windows-1258")]
    Windows1258,
    /// Mac OS before X
    Macintosh,
    /// Japanese of Windows
    #[serde(rename = "shift_jis")]
    ShiftJis,
    /// Japanese of Unix
    EucJp,
    /// Korean
    EucKr,
    /// Chinese of the mainland
    #[serde(rename = "gb18030")]
    Gb18030,
    /// Chinese of Taiwan and Hong Kong
    #[serde(rename = "big5")]
    Big5,
}

impl CsvSource {
    /// A table with the column to predict, and what the file says by default.
    pub fn new(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            target: target.into(),
            task: CsvTask::default(),
            target_scaling: None,
            missing: Missing::default(),
            ignore: Vec::new(),
            categories: Vec::new(),
            dates: Vec::new(),
            decimal: Decimal::default(),
            thousands: None,
            encoding: TextEncoding::default(),
            test_split: default::test_split(),
            validation_split: default::validation_split(),
            augmentation: None,
            split_keys: SplitKeys::default(),
        }
    }

    /// Rules by which its rows become parts.
    pub fn split_rules(&self) -> SplitRules {
        let validation = ValidationRows::Drawn(self.validation_split);
        self.split_keys
            .rules(TestRows::Drawn(self.test_split), validation)
    }

    /// Writing of its numbers and text.
    pub fn format(&self) -> TableFormat {
        TableFormat {
            decimal: self.decimal,
            thousands: self.thousands,
            encoding: self.encoding,
        }
    }
}

impl TableFormat {
    /// True for the format of a table of which nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Decimal {
    /// The character.
    pub fn character(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }
}

impl Thousands {
    /// Every one, the likelier first.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Point, Self::Space, Self::Apostrophe];

    /// The character, as the topology file has it.
    pub fn character(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Point => '.',
            Self::Space => ' ',
            Self::Apostrophe => '\'',
        }
    }
}

impl DateColumn {
    /// Name of the column.
    pub fn column(&self) -> &str {
        match self {
            Self::Name(column) => column,
            Self::Reading(reading) => &reading.column,
        }
    }

    /// The column with its format and parts.
    pub fn reading(&self) -> DateReading {
        match self {
            Self::Name(column) => DateReading {
                column: column.clone(),
                format: None,
                parts: days(),
            },
            Self::Reading(reading) => reading.clone(),
        }
    }
}

fn days() -> Vec<DatePart> {
    vec![DatePart::Days]
}
