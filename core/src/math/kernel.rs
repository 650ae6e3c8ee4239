//! Matrix products whose bits do not depend on how the work is cut up.
//!
//! Every element of a product is one chain of fused multiply-adds over the inner index in order,
//! starting from the value that was there: `c = fma(a[k], b[k], c)` for k = 0, 1, 2, ... So a
//! result is the same for one row or a hundred, for every tile size, every number of threads and
//! every instruction set that rounds as IEEE 754 says. Vectors run across columns, never along k.

use rayon::prelude::*;

use super::inputs::{LANES, Panels};

#[path = "tiles.rs"]
mod tiles;

/// Multiply-adds below which a second thread costs more than it saves.
const PARALLEL_THRESHOLD: usize = 1 << 20;

/// Rows of the largest tile.
pub const TILE_ROWS: usize = 8;

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
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature that the function is compiled for.
            return unsafe { tiles::avx512::sweep(a, b, c, stride) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { tiles::avx2::sweep(a, b, c, stride) };
        }
    }
    tiles::portable::sweep(a, b, c, stride);
}

/// Whether `rows` rows of `cost` multiply-adds each are worth a second thread.
pub fn is_worth_threads(rows: usize, cost: usize) -> bool {
    rows >= 2 && rows * cost >= PARALLEL_THRESHOLD && rayon::current_num_threads() >= 2
}

/// How many rows each thread takes: whole tiles, so that every thread stays on the fast path.
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

    type Sweep = fn(Rows<'_>, &Panels, &mut [f32], usize);

    /// The loops of every instruction set that this processor has.
    fn sweeps() -> Vec<(&'static str, Sweep)> {
        let mut sweeps: Vec<(&'static str, Sweep)> = vec![("portable", tiles::portable::sweep)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor has the features that the function is compiled for.
                sweeps.push(("avx2", |a, b, c, s| unsafe {
                    tiles::avx2::sweep(a, b, c, s)
                }));
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: as above.
                sweeps.push(("avx512", |a, b, c, s| unsafe {
                    tiles::avx512::sweep(a, b, c, s)
                }));
            }
        }
        sweeps
    }

    #[test]
    fn every_instruction_set_has_the_same_bits() {
        let noise = |seed: usize, n: usize| -> Vec<f32> {
            (0..n)
                .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
                .collect()
        };
        for (rows, inner, columns) in [(1, 5, 3), (7, 33, 16), (13, 40, 50), (23, 100, 131)] {
            let left = noise(1, rows * inner);
            let right = noise(2, inner * columns);
            let mut panels = Panels::zeros(inner, columns);
            for (row, values) in right.chunks(columns).enumerate() {
                panels.set_row(row, values);
            }
            let products: Vec<(&str, Vec<u32>)> = sweeps()
                .into_iter()
                .map(|(name, sweep)| {
                    let mut c = noise(3, rows * columns);
                    sweep(Rows::new(&left, inner, inner), &panels, &mut c, columns);
                    (name, c.iter().map(|v| v.to_bits()).collect())
                })
                .collect();
            for (name, bits) in &products {
                assert_eq!(
                    *bits, products[0].1,
                    "{name} at {rows} x {inner} x {columns}"
                );
            }
        }
        println!(
            "compared {:?}",
            sweeps().iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
    }
}
