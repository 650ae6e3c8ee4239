//! The transpose of bytes, in blocks of [`LANES`] x [`LANES`].
//!
//! Each of four rounds interleaves the halves of a block, which turns the eight bits of (row, column)
//! by one; four bits further the two have changed places.

use std::ops::Range;

use super::LANES;

/// Puts the transpose of some columns of rows that begin at `starts` into `to`, whose rows are `stride`
/// cells apart. There are whole blocks of rows, and of each row all cells that `columns` begin.
pub fn transpose(
    from: &[u8],
    starts: &[usize],
    columns: Range<usize>,
    to: &mut [[u8; LANES]],
    stride: usize,
) {
    let mut blocks_done = 0;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function is compiled for.
        blocks_done = unsafe { avx2::transpose(from, starts, columns.clone(), to, stride) };
    }
    let blocks = starts.as_chunks::<LANES>().0.iter().enumerate();
    for (panel, &starts) in blocks.skip(blocks_done) {
        let rows = starts.map(|start| cells(from, start, &columns));
        for cell in 0..rows[0].len() {
            let block = rows.map(|row| row[cell]);
            for (lane, turned) in transposed(block).into_iter().enumerate() {
                to[(cell * LANES + lane) * stride + panel] = turned;
            }
        }
    }
}

/// The cells that begin some columns of a row.
fn cells<'a>(from: &'a [u8], start: usize, columns: &Range<usize>) -> &'a [[u8; LANES]] {
    let (cells, _) = from[start + columns.start..].as_chunks();
    &cells[..columns.len().div_ceil(LANES)]
}

fn transposed(block: [[u8; LANES]; LANES]) -> [[u8; LANES]; LANES] {
    interleave(interleave(interleave(interleave(block))))
}

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

/// Two blocks at a time, one in each half of the registers.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_set_m128i, _mm256_setzero_si256,
        _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
    };
    use std::ops::Range;

    use super::{LANES, cells};

    /// Says how many panels are done: all, or all but the last one.
    #[target_feature(enable = "avx2")]
    pub fn transpose(
        from: &[u8],
        starts: &[usize],
        columns: Range<usize>,
        to: &mut [[u8; LANES]],
        stride: usize,
    ) -> usize {
        let blocks = starts.as_chunks::<{ 2 * LANES }>().0;
        for (pair, &starts) in blocks.iter().enumerate() {
            let rows = starts.map(|start| cells(from, start, &columns));
            for cell in 0..rows[0].len() {
                let mut block = [_mm256_setzero_si256(); LANES];
                for lane in 0..LANES {
                    let (low, high) = (&rows[lane][cell], &rows[lane + LANES][cell]);
                    block[lane] = _mm256_set_m128i(load(high), load(low));
                }
                let block = interleave(interleave(interleave(interleave(block))));
                let to = &mut to[cell * LANES * stride + 2 * pair..];
                for (lane, both) in block.into_iter().enumerate() {
                    let cells = to[lane * stride..].first_chunk_mut();
                    store(both, cells.expect("a place for every cell"));
                }
            }
        }
        2 * blocks.len()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn interleave(block: [__m256i; LANES]) -> [__m256i; LANES] {
        let mut out = block;
        for row in 0..LANES / 2 {
            let (upper, lower) = (block[row], block[row + LANES / 2]);
            out[2 * row] = _mm256_unpacklo_epi8(upper, lower);
            out[2 * row + 1] = _mm256_unpackhi_epi8(upper, lower);
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(cell: &[u8; LANES]) -> __m128i {
        // SAFETY: there are 16 bytes, and the load needs no alignment.
        unsafe { _mm_loadu_si128(cell.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(both: __m256i, cells: &mut [[u8; LANES]; 2]) {
        // SAFETY: there is room for 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(cells.as_mut_ptr().cast(), both) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_where_row_and_column_have_changed_places() {
        let block: [[u8; LANES]; LANES] =
            std::array::from_fn(|row| std::array::from_fn(|column| (row * LANES + column) as u8));
        let turned = transposed(block);
        for (row, cell) in turned.iter().enumerate() {
            for (column, &byte) in cell.iter().enumerate() {
                assert_eq!(byte, block[column][row]);
            }
        }
    }

    /// Three blocks of rows: a pair, and one by itself.
    #[test]
    fn blocks_are_the_same_in_pairs_and_alone() {
        let from: Vec<u8> = (0..4000_u32).map(|i| ((i * 7919) >> 3) as u8).collect();
        let starts: Vec<usize> = (0..3 * LANES).map(|row| row * 61 % 47 * 80).collect();
        let columns = 5..5 + 2 * LANES;
        let stride = 3;
        let mut to = vec![[0; LANES]; columns.len() * stride];
        transpose(&from, &starts, columns.clone(), &mut to, stride);
        for (row, column) in columns.enumerate() {
            for (number, &start) in starts.iter().enumerate() {
                let value = to[row * stride + number / LANES][number % LANES];
                assert_eq!(value, from[start + column], "{row} {number}");
            }
        }
    }
}
