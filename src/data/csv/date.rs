//! Dates: cells to moments, moments to numbers, and the formats that people use.

use cuttlefish_core::topology::spec::DatePart;
use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::fmt::temporal::Pieces;

/// Formats in which dates are often written, besides that of ISO 8601; those for which days and months can be
/// mistaken for each other are here both ways.
const USUAL_FORMATS: [&str; 23] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%B %d %Y",
    "%d. %B %Y",
    "%Y-%m",
    "%m/%Y",
    "%b %Y",
    "%B %Y",
];

/// The format of ISO 8601, as far as it has no time of day.
const ISO: &str = "%Y-%m-%d";

/// Formats of a time of day behind a date.
const USUAL_TIMES: [&str; 4] = ["%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p"];

/// Years of dates. Smaller ones are a sign of a year of two digits that is taken for one of four.
const YEARS: std::ops::RangeInclusive<i16> = 1000..=9999;

/// 1970-01-01.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Format of the dates of a column; None for that of ISO 8601, with or without a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateFormat<'a>(pub Option<&'a str>);

impl<'a> DateFormat<'a> {
    /// The usual formats, that of ISO 8601 first.
    pub fn usual() -> impl Iterator<Item = DateFormat<'static>> {
        let others = USUAL_FORMATS.into_iter().map(Some);
        [None].into_iter().chain(others).map(DateFormat)
    }

    /// Says what is wrong with a format by which no date can be read.
    pub fn check(self) -> Result<(), String> {
        let Some(format) = self.0 else {
            return Ok(());
        };
        let day = DateTime::constant(2004, 11, 23, 0, 0, 0, 0);
        let text = strtime::format(format, day).map_err(|error| error.to_string())?;
        match self.read(&text) {
            Some(read) if read.year() == day.year() && read.month() == day.month() => Ok(()),
            _ => Err("it has no year and month".to_owned()),
        }
    }

    /// The moment that a cell is; None if it is no date of this format. A time of day may follow a format without
    /// one, and a time zone is not looked at: the clock of who wrote it counts.
    pub fn read(self, cell: &str) -> Option<DateTime> {
        let moment = match self.0 {
            None => iso(cell).or_else(|| formatted(ISO, cell)),
            Some(format) => formatted(format, cell),
        };
        moment.filter(|moment| YEARS.contains(&moment.year()))
    }

    /// The format as a topology file lists a column that has it.
    pub fn listed(self, column: &str) -> String {
        match self.0 {
            None => format!("`dates: [{}]`", yaml(column)),
            Some(format) => {
                format!(
                    "`dates: [{{column: {}, format: \"{format}\"}}]`",
                    yaml(column)
                )
            }
        }
    }

    /// The format in words.
    pub fn words(self) -> &'a str {
        self.0.unwrap_or(ISO)
    }
}

/// A date of ISO 8601, with what computers write behind it.
fn iso(cell: &str) -> Option<DateTime> {
    let pieces = Pieces::parse(cell.strip_suffix(" UTC").unwrap_or(cell)).ok()?;
    let time = pieces.time().unwrap_or(Time::midnight());
    Some(pieces.date().to_datetime(time))
}

/// A date of a format. One without a day is the first of its month.
fn formatted(format: &str, cell: &str) -> Option<DateTime> {
    let (mut parsed, end) = BrokenDownTime::parse_prefix(format, cell).ok()?;
    // `1.2.3` is a version.
    let has_short_year = format.ends_with("%y");
    let digits = cell.as_bytes().iter().take(end).rev();
    if has_short_year && digits.take_while(|byte| byte.is_ascii_digit()).count() < 2 {
        return None;
    }
    if parsed.day().is_none() && parsed.day_of_year().is_none() {
        parsed.set_day(Some(1)).ok()?;
    }
    let time = match cell.get(end..)? {
        "" => parsed.to_time().ok()?,
        _ if parsed.hour().is_some() => return None,
        rest => time_of_day(rest.strip_prefix([' ', 'T'])?.trim_start())?,
    };
    Some(parsed.to_date().ok()?.to_datetime(time))
}

fn time_of_day(text: &str) -> Option<Time> {
    let mut formats = USUAL_TIMES.iter();
    formats.find_map(|format| Time::strptime(format, text).ok())
}

/// A name as YAML needs it in a list: in quotes unless it is a plain word.
fn yaml(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    match name.chars().all(is_plain) && name.starts_with(char::is_alphabetic) {
        true => name.to_owned(),
        false => serde_json::Value::from(name).to_string(),
    }
}

/// The number that is a part of a moment.
pub(super) fn number(moment: DateTime, part: DatePart) -> f64 {
    match part {
        DatePart::Days => moment.duration_since(EPOCH).as_secs_f64() / 86_400.0,
        DatePart::Year => f64::from(moment.year()),
        DatePart::Month => f64::from(moment.month()),
        DatePart::Day => f64::from(moment.day()),
        DatePart::Weekday => f64::from(moment.weekday().to_monday_one_offset()),
        DatePart::Hour => {
            let midnight = moment.date().to_datetime(Time::midnight());
            moment.duration_since(midnight).as_secs_f64() / 3600.0
        }
    }
}
