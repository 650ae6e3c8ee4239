//! A batch as bytes: a quarter of the memory of its numbers, an eighth of both of their layouts.

use std::ops::{Index, Range};

use super::inputs::LANES;

/// A matrix whose elements are `f32::from(byte) * scale`, kept as bytes, row by row.
///
/// Rows and columns are padded with zeros to whole blocks of [`LANES`] x [`LANES`].
#[derive(Clone, Debug, Default)]
pub struct ByteMatrix {
    rows: usize,
    columns: usize,
    scale: f32,
    cells: Vec<[u8; LANES]>,
}

impl ByteMatrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize, scale: f32) -> Self {
        let mut matrix = Self::default();
        matrix.reset(rows, columns, scale);
        matrix
    }

    /// Becomes a matrix of this shape and keeps its memory. Its elements are arbitrary unless they
    /// are set; the padding is zero.
    pub fn reset(&mut self, rows: usize, columns: usize, scale: f32) {
        self.scale = scale;
        if (rows, columns) == (self.rows, self.columns) {
            return;
        }
        self.rows = rows;
        self.columns = columns;
        self.cells.clear();
        let cells = rows.next_multiple_of(LANES) * self.panels();
        self.cells.resize(cells, [0; LANES]);
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix, padding left out.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many panels of [`LANES`] columns there are, which is how many cells a row has.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// What each byte is multiplied by.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The bytes of one row.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.cells[self.row_cells(row)].as_flattened()[..self.columns]
    }

    /// The bytes of one row, to be set.
    pub fn row_mut(&mut self, row: usize) -> &mut [u8] {
        let cells = self.row_cells(row);
        &mut self.cells[cells].as_flattened_mut()[..self.columns]
    }

    /// The numbers of one row, [`LANES`] at a time, zeros behind the last one.
    pub fn numbers(&self, row: usize) -> impl Iterator<Item = [f32; LANES]> {
        let cells = self.cells[self.row_cells(row)].iter();
        cells.map(|cell| cell.map(|byte| f32::from(byte) * self.scale))
    }

    fn row_cells(&self, row: usize) -> Range<usize> {
        row * self.panels()..(row + 1) * self.panels()
    }

    /// One panel: [`LANES`] columns of every row.
    pub fn panel(&self, panel: usize) -> BytePanel<'_> {
        BytePanel {
            cells: self.cells.get(panel..).unwrap_or_default(),
            stride: self.panels(),
        }
    }

    /// Becomes the transpose of some rows and columns of a matrix, whole blocks of [`LANES`] unless
    /// they are its last ones. The padding is arbitrary.
    pub(super) fn transpose_part(
        &mut self,
        from: &Self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        self.reset(columns.len(), rows.len(), from.scale);
        let (stride, from_stride) = (self.panels(), from.panels());
        for (panel, from_row) in rows.step_by(LANES).enumerate() {
            for (row, from_column) in (0..).step_by(LANES).zip(columns.clone().step_by(LANES)) {
                let first = from_row * from_stride + from_column / LANES;
                let block = std::array::from_fn(|lane| from.cells[first + lane * from_stride]);
                let first = row * stride + panel;
                for (lane, cell) in transpose(block).into_iter().enumerate() {
                    self.cells[first + lane * stride] = cell;
                }
            }
        }
    }
}

/// [`LANES`] columns of every row of a [`ByteMatrix`].
#[derive(Clone, Copy, Debug)]
pub struct BytePanel<'a> {
    /// From the panel's cell of the first row on.
    cells: &'a [[u8; LANES]],
    /// Cells from one row to the next.
    stride: usize,
}

impl Index<usize> for BytePanel<'_> {
    type Output = [u8; LANES];

    fn index(&self, row: usize) -> &[u8; LANES] {
        &self.cells[row * self.stride]
    }
}

/// Transposes a block. Each of four rounds interleaves its halves, which turns the eight bits of
/// (row, column) by one; four bits further the two have changed places.
fn transpose(block: [[u8; LANES]; LANES]) -> [[u8; LANES]; LANES] {
    interleave(interleave(interleave(interleave(block))))
}

/// Written so that a compiler sees two instructions of its vector unit in each pair of rows.
#[inline]
fn interleave(block: [[u8; LANES]; LANES]) -> [[u8; LANES]; LANES] {
    const HALF: usize = LANES / 2;
    let mut out = [[0; LANES]; LANES];
    for row in 0..HALF {
        let (upper, lower) = (block[row], block[row + HALF]);
        for lane in 0..HALF {
            out[2 * row][2 * lane] = upper[lane];
            out[2 * row][2 * lane + 1] = lower[lane];
            out[2 * row + 1][2 * lane] = upper[lane + HALF];
            out[2 * row + 1][2 * lane + 1] = lower[lane + HALF];
        }
    }
    out
}
