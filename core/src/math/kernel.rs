//! Matrix products whose bits do not depend on how the work is cut up.
//!
//! Every element of a product is one chain of fused multiply-adds over the inner index in order,
//! starting from the value that was there: `c = fma(a[k], b[k], c)` for k = 0, 1, 2, ... So a
//! result is the same for one row or a hundred, for every tile size, every number of threads and
//! every instruction set that rounds as IEEE 754 says. Vectors run across columns, never along k.

use std::ops::Range;

use rayon::prelude::*;

use super::LANES;
use super::bytes::ByteMatrix;
use super::inputs::Panels;

#[path = "tiles.rs"]
mod tiles;

/// Multiply-adds below which a second thread costs more than it saves.
const PARALLEL_THRESHOLD: usize = 1 << 20;

/// Rows of the bytes that are transposed at a time: 8 panels, the widest tile.
const BLOCK_ROWS: usize = 8 * LANES;

/// Columns of the bytes that are transposed at a time: 16 KiB in all.
const BLOCK_COLUMNS: usize = 128;

/// Rows of the largest tile.
pub const TILE_ROWS: usize = 8;

/// Sweeps with the widest instruction set that this processor has.
macro_rules! dispatch {
    ($right:ident, $a:expr, $b:expr, $c:expr, $stride:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the feature that the function is compiled for.
                return unsafe { tiles::avx512::$right::sweep($a, $b, $c, $stride) };
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: as above.
                return unsafe { tiles::avx2::$right::sweep($a, $b, $c, $stride) };
            }
        }
        tiles::portable::$right::sweep($a, $b, $c, $stride);
    }};
}

/// The left factor of a product: rows of weights or errors, possibly a transposed view.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    /// Distance between two rows.
    row_stride: usize,
    /// Distance between two elements of a row.
    inner_stride: usize,
    rows: usize,
    inner: usize,
}

impl<'a> Rows<'a> {
    /// The first `inner` columns of a row-major matrix whose rows are `stride` apart.
    pub fn new(values: &'a [f32], stride: usize, inner: usize) -> Self {
        assert!(inner <= stride || values.is_empty(), "columns fit in a row");
        Self {
            values,
            row_stride: stride,
            inner_stride: 1,
            rows: values.len() / stride.max(1),
            inner,
        }
    }

    /// The transpose of the first `rows` columns of a row-major matrix whose rows are `stride`
    /// apart.
    pub fn transposed(values: &'a [f32], stride: usize, rows: usize) -> Self {
        assert!(rows <= stride || values.is_empty(), "columns fit in a row");
        Self {
            values,
            row_stride: 1,
            inner_stride: stride,
            rows,
            inner: values.len() / stride.max(1),
        }
    }

    /// The elements of one row, `inner_stride` apart, nothing behind the last one.
    fn row(self, row: usize) -> &'a [f32] {
        if self.inner == 0 {
            return &[];
        }
        let start = row * self.row_stride;
        &self.values[start..=start + (self.inner - 1) * self.inner_stride]
    }

    /// Some columns of every row.
    fn columns(self, columns: Range<usize>) -> Self {
        Self {
            values: &self.values[(columns.start * self.inner_stride).min(self.values.len())..],
            inner: columns.len(),
            ..self
        }
    }

    /// Some of the rows.
    pub fn part(self, first: usize, rows: usize) -> Self {
        Self {
            values: &self.values[(first * self.row_stride).min(self.values.len())..],
            rows,
            ..self
        }
    }
}

/// Computes `c += a * b`, with `c` row-major `[a.rows, b.columns]`, on as many threads as pay off.
pub fn multiply_add(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
    let columns = b.columns();
    assert_eq!(c.len(), a.rows * columns, "the result has the right size");
    if columns == 0 {
        return;
    }
    if !is_worth_threads(a.rows, a.inner * columns) {
        return multiply_add_here(a, b, c, columns);
    }
    let block = rows_per_thread(a.rows);
    c.par_chunks_mut(block * columns)
        .enumerate()
        .for_each(|(index, c)| {
            multiply_add_here(a.part(index * block, c.len() / columns), b, c, columns);
        });
}

/// Computes `c += a * b` on this thread; the rows of `c` are `stride` apart.
pub fn multiply_add_here(a: Rows<'_>, b: &Panels, c: &mut [f32], stride: usize) {
    assert_eq!(a.inner, b.rows(), "inner sizes agree");
    assert!(b.columns() <= stride, "columns fit in a row of the result");
    dispatch!(numbers, a, b, c, stride);
}

/// Adds the products of `a` and of bytes to `c`, each byte made a number as it is used.
pub fn multiply_add_bytes(a: Rows<'_>, b: &ByteMatrix, c: &mut [f32], stride: usize) {
    assert_eq!(a.inner, b.rows(), "inner sizes agree");
    assert!(b.columns() <= stride, "columns fit in a row of the result");
    dispatch!(bytes, a, b, c, stride);
}

/// Computes `c += a * b^T` on this thread, with `c` row-major `[a.rows, b.rows]`.
///
/// Vectors run across the rows of `b`, so a block at a time is transposed to where it stays in
/// cache.
pub fn multiply_add_bytes_transposed(a: Rows<'_>, b: &ByteMatrix, c: &mut [f32]) {
    assert_eq!(a.inner, b.columns(), "inner sizes agree");
    let (rows, inner) = (b.rows(), b.columns());
    assert_eq!(c.len(), a.rows * rows, "the result has the right size");
    if c.is_empty() {
        return;
    }
    let mut block = ByteMatrix::default();
    for row in (0..rows).step_by(BLOCK_ROWS) {
        for column in (0..inner).step_by(BLOCK_COLUMNS) {
            let columns = column..inner.min(column + BLOCK_COLUMNS);
            let left = a.columns(columns.clone());
            block.transpose_part(b, row..rows.min(row + BLOCK_ROWS), columns);
            multiply_add_bytes(left, &block, &mut c[row..], rows);
        }
    }
}

/// True if `rows` rows of `cost` multiply-adds each are worth a second thread.
pub fn is_worth_threads(rows: usize, cost: usize) -> bool {
    rows >= 2 && rows * cost >= PARALLEL_THRESHOLD && rayon::current_num_threads() >= 2
}

/// Rows that each thread takes: whole tiles, so that every thread stays on the fast path.
pub fn rows_per_thread(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads())
        .next_multiple_of(TILE_ROWS)
}

/// Sums up in a fixed order: lane by lane of 16, then over the lanes.
pub fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for chunk in values.chunks(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes `c += a * b` with `b` as numbers, and with the bytes that they are made of.
    type Sweep = (
        &'static str,
        fn(Rows<'_>, &Panels, &mut [f32], usize),
        fn(Rows<'_>, &ByteMatrix, &mut [f32], usize),
    );

    /// The loops of every instruction set that this processor has.
    fn sweeps() -> Vec<Sweep> {
        use tiles::portable;
        let mut sweeps: Vec<Sweep> =
            vec![("portable", portable::numbers::sweep, portable::bytes::sweep)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor has the features that the functions are compiled for.
                sweeps.push((
                    "avx2",
                    |a, b, c, s| unsafe { tiles::avx2::numbers::sweep(a, b, c, s) },
                    |a, b, c, s| unsafe { tiles::avx2::bytes::sweep(a, b, c, s) },
                ));
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: as above.
                sweeps.push((
                    "avx512",
                    |a, b, c, s| unsafe { tiles::avx512::numbers::sweep(a, b, c, s) },
                    |a, b, c, s| unsafe { tiles::avx512::bytes::sweep(a, b, c, s) },
                ));
            }
        }
        sweeps
    }

    #[test]
    fn every_instruction_set_has_the_same_bits_for_numbers_and_for_bytes() {
        let noise = |seed: usize, n: usize| -> Vec<f32> {
            (0..n)
                .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
                .collect()
        };
        for (rows, inner, columns) in [
            (1, 5, 3),
            (1, 70, 150),
            (7, 33, 16),
            (13, 40, 50),
            (23, 100, 131),
        ] {
            let left = noise(1, rows * inner);
            // A scale that rounds.
            let mut bytes = ByteMatrix::zeros(inner, columns, 1.0 / 255.0);
            for row in 0..inner {
                for (column, byte) in bytes.row_mut(row).iter_mut().enumerate() {
                    *byte = (row * 151 + column * 91) as u8;
                }
            }
            let panels = Panels::unpack(&bytes);
            let product = |sweep: &dyn Fn(Rows<'_>, &mut [f32])| -> Vec<u32> {
                let mut c = noise(3, rows * columns);
                sweep(Rows::new(&left, inner, inner), &mut c);
                c.iter().map(|v| v.to_bits()).collect()
            };
            let definition =
                product(&|a, c| tiles::portable::numbers::sweep(a, &panels, c, columns));
            for (name, numbers, of_bytes) in sweeps() {
                let at = format!("{name} at {rows} x {inner} x {columns}");
                let actual = product(&|a, c| numbers(a, &panels, c, columns));
                assert_eq!(actual, definition, "numbers, {at}");
                let actual = product(&|a, c| of_bytes(a, &bytes, c, columns));
                assert_eq!(actual, definition, "bytes, {at}");
            }
        }
        println!(
            "compared {:?}",
            sweeps().iter().map(|(name, ..)| *name).collect::<Vec<_>>()
        );
    }
}
