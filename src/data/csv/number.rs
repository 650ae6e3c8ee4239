//! Numbers as people write them: `1.234,5`, `1 000`, `1'000.50`.

use std::fmt;
use std::str::FromStr;

use cuttlefish_core::topology::spec::{Decimal, TableFormat, Thousands};

/// Writing of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberFormat {
    decimal: Decimal,
    thousands: Option<Thousands>,
}

impl From<TableFormat> for NumberFormat {
    fn from(format: TableFormat) -> Self {
        Self {
            decimal: format.decimal,
            thousands: format.thousands,
        }
    }
}

impl NumberFormat {
    /// The character between whole and fraction.
    pub fn decimal(self) -> Decimal {
        self.decimal
    }

    /// Every format, the simplest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let thousands = [None].into_iter().chain(Thousands::ALL.map(Some));
        thousands
            .flat_map(|thousands| {
                [Decimal::Point, Decimal::Comma].map(|decimal| Self { decimal, thousands })
            })
            .filter(|format| {
                let thousands = format.thousands.map(Thousands::character);
                thousands != Some(format.decimal.character())
            })
    }

    /// The number in a cell; None if it is no number.
    pub fn parse<T: FromStr>(self, cell: &str) -> Option<T> {
        // The minus of typographers.
        if let Some(number) = cell.strip_prefix('\u{2212}') {
            return self.parse(&format!("-{number}"));
        }
        if self == Self::default() {
            return cell.parse().ok();
        }
        self.plain(cell)?.parse().ok()
    }

    /// A number as programs write it; None if it is not grouped as this format has it. What is not of digits is left
    /// to the parser.
    fn plain(self, cell: &str) -> Option<String> {
        let (sign, number) = match cell.strip_prefix(['+', '-']) {
            Some(number) => (&cell[..1], number),
            None => ("", cell),
        };
        let decimal = self.decimal.character();
        let (whole, fraction) = match number.split_once(decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (number, None),
        };
        let mut plain = sign.to_owned();
        match self.thousands {
            Some(thousands) => {
                let mut groups = whole.split(|c| is_separator(thousands, c)).peekable();
                let mut is_first = true;
                while let Some(group) = groups.next() {
                    let is_last = groups.peek().is_none();
                    let is_only = is_first && is_last;
                    if !is_only && !is_group(group, is_first, is_last) {
                        return None;
                    }
                    plain.push_str(group);
                    is_first = false;
                }
            }
            None => plain.push_str(whole),
        }
        // A point that this format does not know must not become one that the parser knows.
        if plain.contains('.') {
            return None;
        }
        if let Some(fraction) = fraction {
            plain.push('.');
            plain.push_str(fraction);
        }
        Some(plain)
    }

    /// Number of options by which the topology file asks for this format rather than `current`.
    pub fn changes(self, current: Self) -> usize {
        usize::from(self.decimal != current.decimal)
            + usize::from(self.thousands != current.thousands)
    }

    /// The options by which the topology file asks for this format rather than `current`.
    pub fn options(self, current: Self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let is_other_decimal = self.decimal != current.decimal;
            if is_other_decimal {
                write!(f, "`decimal: \"{}\"`", self.decimal.character())?;
            }
            if self.thousands != current.thousands {
                let and = if is_other_decimal { " and " } else { "" };
                match self.thousands {
                    Some(thousands) => {
                        write!(f, "{and}`thousands: \"{}\"`", thousands.character())?;
                    }
                    None => write!(f, "{and}no `thousands`")?,
                }
            }
            Ok(())
        })
    }
}

/// True for three digits, behind the first separator also two (`1,00,000` in India), before it fewer, of which the
/// first is not 0.
fn is_group(group: &str, is_first: bool, is_last: bool) -> bool {
    let lengths = match (is_first, is_last) {
        (true, _) => 1..=3,
        (_, true) => 3..=3,
        _ => 2..=3,
    };
    let is_padded = is_first && group.starts_with('0');
    !is_padded && lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
}

/// The character, and those that word processors and other programs put in its place.
fn is_separator(thousands: Thousands, c: char) -> bool {
    match thousands {
        Thousands::Comma => c == ',',
        Thousands::Point => c == '.',
        Thousands::Space => {
            c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
        }
        Thousands::Apostrophe => matches!(c, '\'' | '\u{2019}'),
    }
}
