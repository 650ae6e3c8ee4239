//! Readings of a column of text: the formats by which its cells are numbers or dates, and the cells that are not.

use std::collections::HashSet;

/// Texts that no format reads which are remembered: more than a column of names may have.
const MAX_REMEMBERED: usize = 128;

/// A cell, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextCell {
    /// Line on which its row starts, from 1.
    pub line: u64,
    /// Its text.
    pub text: String,
}

/// Reading of the cells of a column by formats of one kind.
pub(super) struct Readings<F> {
    reads: fn(F, &str) -> bool,
    /// Every format, the last one that has been found by itself in front.
    formats: Vec<F>,
    /// Texts that none of them reads.
    unreadable: HashSet<String>,
    /// Formats by which all cells so far can be read that can be read at all.
    pub common: Vec<F>,
    /// Number of cells that can be read by some format.
    pub fitting: usize,
    /// Number of those that cannot.
    pub misfits: usize,
    /// The first one that can be read.
    pub first: Option<TextCell>,
    /// The first one that cannot.
    pub misfit: Option<TextCell>,
    /// The last cell that left fewer common formats.
    narrowing: Option<TextCell>,
    /// Two cells that can be read, but by no common format.
    pub unlike: Option<(TextCell, TextCell)>,
}

impl<F: Copy> Readings<F> {
    /// Readings of no cells; `reads` says whether a text can be read by a format.
    pub fn new(formats: impl Iterator<Item = F>, reads: fn(F, &str) -> bool) -> Self {
        let formats: Vec<F> = formats.collect();
        Self {
            reads,
            common: formats.clone(),
            unreadable: HashSet::new(),
            formats,
            fitting: 0,
            misfits: 0,
            first: None,
            misfit: None,
            narrowing: None,
            unlike: None,
        }
    }

    /// Looks at a cell; `text` is the part of it that is read.
    pub fn see(&mut self, line: u64, cell: &str, text: &str) {
        let here = || TextCell {
            line,
            text: cell.to_owned(),
        };
        if !self.can_read(text) {
            self.misfits += 1;
            self.misfit.get_or_insert_with(here);
            return;
        }
        self.fitting += 1;
        self.first.get_or_insert_with(here);
        let before = self.common.len();
        self.common.retain(|&format| (self.reads)(format, text));
        if self.common.len() == before {
            return;
        }
        let narrowing = self.narrowing.replace(here());
        if self.common.is_empty() {
            let other = narrowing.or_else(|| self.first.clone());
            self.unlike = other.map(|other| (other, here()));
        }
    }

    fn can_read(&mut self, text: &str) -> bool {
        // Neither numbers nor dates are without one.
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        if !has_digit || self.unreadable.contains(text) {
            return false;
        }
        let reads = |format: &F| (self.reads)(*format, text);
        if self.common.iter().any(reads) {
            return true;
        }
        match self.formats.iter().position(reads) {
            Some(at) => {
                self.formats.swap(0, at);
                true
            }
            None => {
                if self.unreadable.len() < MAX_REMEMBERED {
                    self.unreadable.insert(text.to_owned());
                }
                false
            }
        }
    }
}
