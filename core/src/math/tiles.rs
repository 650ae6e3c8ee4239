//! The inner loops of [`super`], compiled once for each instruction set.
//!
//! A tile is a few rows of the left factor times a few panels of the right one; all of its sums
//! stay in registers while k runs. The loops are a macro and not a generic function because a
//! function can only be compiled for an instruction set that it names itself.

use super::Rows;
use crate::math::bytes::{ByteMatrix, BytePanels};
use crate::math::{LANES, Panels};

/// Defines `sweep(a, b, c)`, which adds `a * b` to `c` on one thread, with `b` a `$right`.
///
/// `$rows` x `$panels` are the shapes of the tiles: the largest first, which does most of the work,
/// down to a single row. Fewer rows take more panels, which keeps as many sums in flight.
/// `$vector` holds [`LANES`] numbers, and `$load` makes one of a cell of `b`. `streams` and `cells` beside
/// it find the cells of neighbouring panels in a row of `b`.
macro_rules! sweep {
    (
        $(#[$target:meta])*
        $right:ty, [$($rows:literal x $panels:literal),*], $vector:ty,
        |$b:ident, $cell:ident| $load:expr
    ) => {
        $(#[$target])*
        pub fn sweep(a: Rows<'_>, b: &$right, c: &mut [f32], stride: usize) {
            let mut row = 0;
            $(
                while a.rows - row >= $rows {
                    band::<$rows, $panels>(a, b, c, stride, row);
                    row += $rows;
                }
            )*
        }

        /// Computes `ROWS` rows of the result.
        $(#[$target])*
        fn band<const ROWS: usize, const PANELS: usize>(
            a: Rows<'_>,
            b: &$right,
            c: &mut [f32],
            stride: usize,
            row: usize,
        ) {
            let mut panel = 0;
            while b.panels() - panel >= PANELS {
                tile::<ROWS, PANELS>(a, b, c, stride, row, panel);
                panel += PANELS;
            }
            while panel < b.panels() {
                tile::<ROWS, 1>(a, b, c, stride, row, panel);
                panel += 1;
            }
        }

        $(#[$target])*
        #[inline]
        fn tile<const ROWS: usize, const PANELS: usize>(
            a: Rows<'_>,
            b: &$right,
            c: &mut [f32],
            stride: usize,
            row: usize,
            panel: usize,
        ) {
            let columns = b.columns();
            let range = |r: usize, p: usize| {
                let first = (panel + p) * LANES;
                let start = (row + r) * stride + first;
                start..start + LANES.min(columns - first)
            };
            let mut sums = [[load(&[0.0; LANES]); PANELS]; ROWS];
            for r in 0..ROWS {
                for p in 0..PANELS {
                    let from = &c[range(r, p)];
                    sums[r][p] = match from.try_into() {
                        Ok(lanes) => load(lanes),
                        Err(_) => {
                            let mut lanes = [0.0; LANES];
                            lanes[..from.len()].copy_from_slice(from);
                            load(&lanes)
                        }
                    };
                }
            }
            let streams = streams::<PANELS>(b, panel);
            let left: [&[f32]; ROWS] = std::array::from_fn(|r| a.row(row + r));
            for k in 0..a.inner {
                let cells = cells::<PANELS>(&streams, k);
                let right: [$vector; PANELS] = std::array::from_fn(|p| {
                    let ($b, $cell) = (b, &cells[p]);
                    $load
                });
                for r in 0..ROWS {
                    let factor = splat(left[r][k * a.inner_stride]);
                    for p in 0..PANELS {
                        sums[r][p] = multiply_add(factor, right[p], sums[r][p]);
                    }
                }
            }
            for r in 0..ROWS {
                for p in 0..PANELS {
                    let to = &mut c[range(r, p)];
                    let lanes = store(sums[r][p]);
                    match <&mut [f32; LANES]>::try_from(&mut *to) {
                        Ok(to) => *to = lanes,
                        Err(_) => to.copy_from_slice(&lanes[..to.len()]),
                    }
                }
            }
        }
    };
}

/// Defines a `sweep` for each kind of right factor.
macro_rules! sweeps {
    ($(#[$target:meta])*, $shapes:tt, $vector:ty) => {
        /// Products with numbers.
        pub mod numbers {
            use super::super::{LANES, Panels, Rows};
            use super::*;

            sweep!($(#[$target])* Panels, $shapes, $vector, |_b, cell| load(cell));

            type Stream<'a> = &'a [[f32; LANES]];

            #[inline]
            fn streams<const PANELS: usize>(b: &Panels, panel: usize) -> [Stream<'_>; PANELS] {
                std::array::from_fn(|p| b.panel(panel + p))
            }

            #[inline]
            fn cells<'a, const PANELS: usize>(
                streams: &[Stream<'a>; PANELS],
                row: usize,
            ) -> [&'a [f32; LANES]; PANELS] {
                std::array::from_fn(|p| &streams[p][row])
            }
        }

        /// Products with bytes, each made a number as it is used.
        pub mod bytes {
            use super::super::{ByteMatrix, BytePanels, LANES, Rows};
            use super::*;

            sweep!($(#[$target])* ByteMatrix, $shapes, $vector, |b, cell| widen(cell, b.scale()));

            #[inline]
            fn streams<const PANELS: usize>(b: &ByteMatrix, panel: usize) -> BytePanels<'_> {
                b.panels_from(panel)
            }

            #[inline]
            fn cells<'a, const PANELS: usize>(
                streams: &BytePanels<'a>,
                row: usize,
            ) -> &'a [[u8; LANES]; PANELS] {
                streams.cells(row)
            }
        }
    };
}

/// Compiled for the baseline of the target; a fused multiply-add that the processor lacks is
/// computed in software, slowly and with the same bits.
pub mod portable {
    use super::LANES;

    fn load(lanes: &[f32; LANES]) -> [f32; LANES] {
        *lanes
    }

    fn widen(bytes: &[u8; LANES], scale: f32) -> [f32; LANES] {
        bytes.map(|byte| f32::from(byte) * scale)
    }

    fn store(vector: [f32; LANES]) -> [f32; LANES] {
        vector
    }

    fn splat(value: f32) -> [f32; LANES] {
        [value; LANES]
    }

    fn multiply_add(a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    sweeps!(, [4 x 1, 2 x 2, 1 x 4], [f32; LANES]);
}

/// 16 registers of 8 lanes: 12 sums in flight.
#[cfg(target_arch = "x86_64")]
pub mod avx2 {
    use std::arch::x86_64::{
        __m256, _mm_loadu_si64, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
    };

    use super::LANES;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(lanes: &[f32; LANES]) -> [__m256; 2] {
        let (low, high) = lanes.split_at(8);
        // SAFETY: both halves are 8 numbers long, and the load needs no alignment.
        unsafe {
            [
                _mm256_loadu_ps(low.as_ptr()),
                _mm256_loadu_ps(high.as_ptr()),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn widen(bytes: &[u8; LANES], scale: f32) -> [__m256; 2] {
        let (low, high) = bytes.split_at(8);
        // SAFETY: both halves are 8 bytes long, and the load needs no alignment.
        let halves = unsafe { [_mm_loadu_si64(low.as_ptr()), _mm_loadu_si64(high.as_ptr())] };
        halves.map(|half| {
            let numbers = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(half));
            _mm256_mul_ps(numbers, _mm256_set1_ps(scale))
        })
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store([low, high]: [__m256; 2]) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        let (to_low, to_high) = lanes.split_at_mut(8);
        // SAFETY: both halves are 8 numbers long, and the store needs no alignment.
        unsafe {
            _mm256_storeu_ps(to_low.as_mut_ptr(), low);
            _mm256_storeu_ps(to_high.as_mut_ptr(), high);
        }
        lanes
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn splat(value: f32) -> [__m256; 2] {
        [_mm256_set1_ps(value); 2]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multiply_add(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [
            _mm256_fmadd_ps(a[0], b[0], c[0]),
            _mm256_fmadd_ps(a[1], b[1], c[1]),
        ]
    }

    sweeps!(#[target_feature(enable = "avx2,fma")], [6 x 1, 4 x 1, 2 x 2, 1 x 4], [__m256; 2]);
}

/// 32 registers of 16 lanes: 16 sums in flight.
#[cfg(target_arch = "x86_64")]
pub mod avx512 {
    use std::arch::x86_64::{
        __m512, _mm_loadu_si128, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::LANES;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(lanes: &[f32; LANES]) -> __m512 {
        // SAFETY: there are 16 numbers, and the load needs no alignment.
        unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn widen(bytes: &[u8; LANES], scale: f32) -> __m512 {
        // SAFETY: there are 16 bytes, and the load needs no alignment.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        let numbers = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
        _mm512_mul_ps(numbers, _mm512_set1_ps(scale))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(vector: __m512) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        // SAFETY: there is room for 16 numbers, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), vector) };
        lanes
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    sweeps!(#[target_feature(enable = "avx512f")], [8 x 2, 4 x 2, 2 x 4, 1 x 8], __m512);
}
