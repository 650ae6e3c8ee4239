//! Matrix products whose bits do not depend on how the work is cut up.
//!
//! Every element of a product is one chain of fused multiply-adds over the inner index in order,
//! starting from the value that was there: `c = fma(a[k], b[k], c)` for k = 0, 1, 2, ... So a
//! result is the same for one row or a hundred, for every tile size, every number of threads and
//! every instruction set that rounds as IEEE 754 says. Vectors run across columns, never along k.

use rayon::prelude::*;

use super::inputs::{LANES, Panels};

/// Multiply-adds below which a second thread costs more than it saves.
const PARALLEL_THRESHOLD: usize = 1 << 20;

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
    /// A row-major matrix `[rows, inner]`.
    pub fn new(values: &'a [f32], rows: usize, inner: usize) -> Self {
        assert_eq!(values.len(), rows * inner, "a matrix fills its slice");
        Self {
            values,
            row_stride: inner,
            inner_stride: 1,
            rows,
            inner,
        }
    }

    /// The transpose of a row-major matrix `[inner, rows]`.
    pub fn transposed(values: &'a [f32], inner: usize, rows: usize) -> Self {
        assert_eq!(values.len(), rows * inner, "a matrix fills its slice");
        Self {
            values,
            row_stride: 1,
            inner_stride: rows,
            rows,
            inner,
        }
    }

    fn part(self, first: usize, rows: usize) -> Self {
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
    assert_eq!(a.inner, b.rows(), "inner sizes agree");
    assert_eq!(c.len(), a.rows * columns, "the result has the right size");
    if columns == 0 {
        return;
    }
    for_row_blocks(a.rows, a.inner * columns, columns, c, |first, c| {
        multiply_add_here(a.part(first, c.len() / columns), b, c);
    });
}

/// Computes `c += a * b` on this thread.
pub fn multiply_add_here(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has the features that the function is compiled for.
            return unsafe { x86::multiply_avx512(a, b, c) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { x86::multiply_avx2(a, b, c) };
        }
    }
    portable(a, b, c);
}

/// Calls `work(first row, rows)` on blocks of whole rows of `values`, in parallel if the work
/// (`cost` multiply-adds a row) is worth a second thread.
pub fn for_row_blocks<T: Send>(
    rows: usize,
    cost: usize,
    width: usize,
    values: &mut [T],
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let threads = rayon::current_num_threads();
    if threads < 2 || rows < 2 || rows * cost < PARALLEL_THRESHOLD {
        return work(0, values);
    }
    // Whole tiles of 8 rows keep every thread on the fast path.
    let block = rows.div_ceil(threads).next_multiple_of(8);
    values
        .par_chunks_mut(block * width)
        .enumerate()
        .for_each(|(index, chunk)| work(index * block, chunk));
}

/// Any processor: correct everywhere, and fast where fused multiply-add is part of the baseline.
fn portable(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
    sweep::<4, 1>(a, b, c);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Panels, Rows, sweep};

    /// 32 registers of 16 lanes: tiles of 8 rows x 2 panels, 16 sums in flight.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
    pub fn multiply_avx512(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
        sweep::<8, 2>(a, b, c);
    }

    /// 16 registers of 8 lanes: tiles of 6 rows x 1 panel, 12 sums in flight.
    #[target_feature(enable = "avx2,fma")]
    pub fn multiply_avx2(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
        sweep::<6, 1>(a, b, c);
    }
}

/// Covers the result with tiles of at most `ROWS` rows and `PANELS` panels; the rows that are
/// left over take fewer rows and more panels, which keeps as many sums in flight.
#[inline(always)]
fn sweep<const ROWS: usize, const PANELS: usize>(a: Rows<'_>, b: &Panels, c: &mut [f32]) {
    let mut row = 0;
    while a.rows - row >= ROWS {
        band::<ROWS, PANELS>(a, b, c, row);
        row += ROWS;
    }
    while a.rows - row >= 4 {
        band::<4, 4>(a, b, c, row);
        row += 4;
    }
    while a.rows - row >= 2 {
        band::<2, 8>(a, b, c, row);
        row += 2;
    }
    if a.rows > row {
        band::<1, 8>(a, b, c, row);
    }
}

/// Computes `ROWS` rows of the result.
#[inline(always)]
fn band<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_>,
    b: &Panels,
    c: &mut [f32],
    row: usize,
) {
    let mut panel = 0;
    while b.panels() - panel >= PANELS {
        tile::<ROWS, PANELS>(a, b, c, row, panel);
        panel += PANELS;
    }
    while panel < b.panels() {
        tile::<ROWS, 1>(a, b, c, row, panel);
        panel += 1;
    }
}

/// Computes one tile: all of its sums stay in registers while k runs.
#[inline(always)]
fn tile<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_>,
    b: &Panels,
    c: &mut [f32],
    row: usize,
    panel: usize,
) {
    let columns = b.columns();
    let first_column = panel * LANES;
    let width = |p: usize| LANES.min(columns - first_column - p * LANES);
    let mut sums = [[[0.0f32; LANES]; PANELS]; ROWS];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (p, sums) in sums.iter_mut().enumerate() {
            let start = (row + r) * columns + first_column + p * LANES;
            sums[..width(p)].copy_from_slice(&c[start..start + width(p)]);
        }
    }
    let streams: [&[[f32; LANES]]; PANELS] = std::array::from_fn(|p| b.panel(panel + p));
    let left: [&[f32]; ROWS] = std::array::from_fn(|r| {
        if a.inner == 0 {
            &[]
        } else {
            let start = (row + r) * a.row_stride;
            &a.values[start..=start + (a.inner - 1) * a.inner_stride]
        }
    });
    for k in 0..a.inner {
        for r in 0..ROWS {
            let factor = left[r][k * a.inner_stride];
            for p in 0..PANELS {
                let lanes = &streams[p][k];
                for lane in 0..LANES {
                    sums[r][p][lane] = factor.mul_add(lanes[lane], sums[r][p][lane]);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (p, sums) in sums.iter().enumerate() {
            let start = (row + r) * columns + first_column + p * LANES;
            c[start..start + width(p)].copy_from_slice(&sums[..width(p)]);
        }
    }
}
