//! A batch as bytes: a quarter of the memory of its numbers, an eighth of both of their layouts, and
//! nothing at all where they stay in the data set.

use std::ops::Range;

use super::LANES;
use super::storage::Storage;
use super::transpose::transpose;

/// A matrix whose elements are `f32::from(byte) * scale`, kept as bytes.
///
/// Rows can be read in whole cells of [`LANES`] bytes, as many of them as whole cells hold. What is behind
/// the last column and the last row is arbitrary.
#[derive(Clone, Debug, Default)]
pub struct ByteMatrix {
    rows: usize,
    columns: usize,
    scale: f32,
    /// Start of each row, and as many that are no rows as fill the last cell of a column.
    starts: Vec<usize>,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    /// Row by row, in whole cells.
    Own(Vec<[u8; LANES]>),
    /// Rows in a larger matrix, by their starts.
    Shared(Storage<u8>),
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl ByteMatrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize, scale: f32) -> Self {
        let mut matrix = Self::default();
        matrix.reset(rows, columns, scale);
        matrix
    }

    /// Rows of a larger matrix that have these numbers, without a copy; `None` where the end of
    /// `bytes` is too close to one of them for whole cells.
    pub fn shared(bytes: &Storage<u8>, rows: &[u32], columns: usize, scale: f32) -> Option<Self> {
        let cells = columns.next_multiple_of(LANES);
        let mut starts: Vec<usize> = rows.iter().map(|&row| row as usize * columns).collect();
        let last = starts.iter().max().copied().unwrap_or_default();
        if last + cells > bytes.len() {
            return None;
        }
        starts.resize(rows.len().next_multiple_of(LANES), last);
        Some(Self {
            rows: rows.len(),
            columns,
            scale,
            starts,
            bytes: Bytes::Shared(bytes.clone()),
        })
    }

    /// Becomes a matrix of this shape and keeps its memory. Its elements are arbitrary unless they
    /// are set.
    pub fn reset(&mut self, rows: usize, columns: usize, scale: f32) {
        self.scale = scale;
        let is_own = matches!(self.bytes, Bytes::Own(_));
        if is_own && (rows, columns) == (self.rows, self.columns) {
            return;
        }
        (self.rows, self.columns) = (rows, columns);
        let (all_rows, panels) = (rows.next_multiple_of(LANES), self.panels());
        self.starts.clear();
        self.starts
            .extend((0..all_rows).map(|row| row * panels * LANES));
        let cells = self.own();
        cells.clear();
        cells.resize(all_rows * panels, [0; LANES]);
    }

    fn own(&mut self) -> &mut Vec<[u8; LANES]> {
        if let Bytes::Shared(_) = self.bytes {
            self.bytes = Bytes::default();
        }
        match &mut self.bytes {
            Bytes::Own(cells) => cells,
            Bytes::Shared(_) => unreachable!("replaced above"),
        }
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of panels of [`LANES`] columns, which is that of the cells of a row.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// Factor of each byte.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The bytes of one row.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.bytes()[self.starts[row]..][..self.columns]
    }

    /// The bytes of one row, to be set.
    ///
    /// # Panics
    ///
    /// If the matrix shares the bytes of somebody else.
    pub fn row_mut(&mut self, row: usize) -> &mut [u8] {
        let Bytes::Own(cells) = &mut self.bytes else {
            panic!("a shared matrix stays as it is");
        };
        &mut cells.as_flattened_mut()[self.starts[row]..][..self.columns]
    }

    /// The numbers of one row, [`LANES`] at a time, zeros behind the last one.
    pub fn numbers(&self, row: usize) -> impl Iterator<Item = [f32; LANES]> {
        let chunks = self.row(row).chunks(LANES);
        chunks.map(|chunk| {
            let mut cell = [0; LANES];
            cell[..chunk.len()].copy_from_slice(chunk);
            cell.map(|byte| f32::from(byte) * self.scale)
        })
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Own(cells) => cells.as_flattened(),
            Bytes::Shared(bytes) => bytes,
        }
    }

    /// The panels of [`LANES`] columns from this one on.
    pub fn panels_from(&self, panel: usize) -> BytePanels<'_> {
        BytePanels {
            bytes: self.bytes(),
            starts: &self.starts,
            first: panel * LANES,
        }
    }

    /// Becomes the transpose of some rows and columns of a matrix, whole blocks of [`LANES`] unless
    /// they are its last ones.
    pub(super) fn transpose_part(
        &mut self,
        from: &Self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        self.reset(columns.len(), rows.len(), from.scale);
        let panels = self.panels();
        let starts = &from.starts[rows.start..rows.end.next_multiple_of(LANES)];
        transpose(from.bytes(), starts, columns, self.own(), panels);
    }
}

/// Neighbouring panels of a [`ByteMatrix`], whose cells in a row are neighbours too.
#[derive(Clone, Copy, Debug)]
pub struct BytePanels<'a> {
    bytes: &'a [u8],
    /// Start of each row.
    starts: &'a [usize],
    /// The first of the columns.
    first: usize,
}

impl<'a> BytePanels<'a> {
    /// The first panels' cells in a row.
    #[inline]
    pub fn cells<const PANELS: usize>(&self, row: usize) -> &'a [[u8; LANES]; PANELS] {
        let start = self.starts[row] + self.first;
        let cells = self.bytes[start..].as_chunks().0.first_chunk();
        cells.expect("rows can be read in whole cells")
    }
}
