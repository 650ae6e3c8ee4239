//! The patterns of the schema, each matched by hand: three fixed patterns need no regex engine.

/// A pattern of the schema.
pub(super) struct Pattern {
    /// Regular expression, as the schema writes it.
    pub regex: &'static str,
    /// Words for it in a message.
    pub expected: &'static str,
    /// True if a text matches.
    pub matches: fn(&str) -> bool,
}

/// Every pattern that the schema uses.
pub(super) const PATTERNS: [Pattern; 3] = [
    Pattern {
        regex: r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        expected: "at most 40 lower-case letters, digits and dashes, without a dash at either end",
        matches: |text| is_name(text, "-"),
    },
    Pattern {
        regex: r"^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$",
        expected: "at most 40 lower-case letters, digits, dashes and underscores, with a letter \
                   or digit at both ends",
        matches: |text| is_name(text, "-_"),
    },
    Pattern {
        regex: r"^[0-9]+(KiB|MiB|GiB)$",
        expected: "a whole number with `KiB`, `MiB` or `GiB`",
        matches: |text| {
            let digits = ["KiB", "MiB", "GiB"]
                .iter()
                .find_map(|unit| text.strip_suffix(unit));
            digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        },
    },
];

fn is_name(text: &str, marks: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=40).contains(&text.len())
        && text.chars().all(|c| alphanumeric(c) || marks.contains(c))
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::PATTERNS;

    fn check(pattern: usize, valid: &[&str], invalid: &[&str]) {
        let matches = PATTERNS[pattern].matches;
        for text in valid {
            assert!(matches(text), "{text:?} should match");
        }
        for text in invalid {
            assert!(!matches(text), "{text:?} should not match");
        }
    }

    #[test]
    fn names_and_sizes_match_as_their_patterns_say() {
        let longest = "a".repeat(40);
        let too_long = "a".repeat(41);
        let never = ["", "-a", "a-", "A", "a b", "ä", "a\n", &too_long];
        check(0, &["a", "7", "a-b", "a--b", &longest], &never);
        check(0, &[], &["a_b"]);
        check(1, &["a", "a-b", "a_b", "dense_1", &longest], &never);
        check(1, &[], &["_a", "a_"]);
        check(
            2,
            &["1KiB", "64MiB", "007GiB"],
            &[
                "", "MiB", "64", "64MB", "6.4MiB", "-1MiB", "64MiB ", "64 MiB",
            ],
        );
    }
}
