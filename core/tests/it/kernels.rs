//! The product has the same bits however it is cut, and they are those of its definition.

use cuttlefish_core::math::Panels;
use cuttlefish_core::math::inputs::transpose;
use cuttlefish_core::math::kernel::{Rows, multiply_add, multiply_add_here};
use ndarray::Array2;
use ndarray_rand::rand::rngs::SmallRng;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;

fn random(rng: &mut SmallRng, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-1.0..1.0))
}

/// The definition: one chain of fused multiply-adds for each element.
fn by_definition(a: &Array2<f32>, b: &Array2<f32>, c: &Array2<f32>) -> Array2<f32> {
    Array2::from_shape_fn(c.dim(), |(i, j)| {
        (0..b.nrows()).fold(c[[i, j]], |sum, k| a[[i, k]].mul_add(b[[k, j]], sum))
    })
}

fn bits(values: &Array2<f32>) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #[test]
    fn a_product_is_the_chain_of_its_definition(
        seed: u64, rows in 0usize..40, inner in 0usize..40, columns in 0usize..80,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let a = random(&mut rng, rows, inner);
        let b = random(&mut rng, inner, columns);
        let mut c = random(&mut rng, rows, columns);
        let wanted = by_definition(&a, &b, &c);
        if inner == 0 {
            // A matrix without columns has no slice to give; the product is the start.
            return Ok(());
        }
        let left = Rows::new(a.as_slice().unwrap(), inner, inner);
        multiply_add_here(left, &Panels::pack(b.view()), c.as_slice_mut().unwrap(), columns);
        prop_assert_eq!(bits(&c), bits(&wanted));
    }

    #[test]
    fn a_transposed_left_side_has_the_same_bits(
        seed: u64, rows in 1usize..20, inner in 1usize..20, columns in 1usize..40,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let a = random(&mut rng, inner, rows);
        let b = random(&mut rng, inner, columns);
        let mut c = Array2::zeros((rows, columns));
        let wanted = by_definition(&a.t().to_owned(), &b, &c);
        let left = Rows::transposed(a.as_slice().unwrap(), rows, rows);
        multiply_add(left, &Panels::pack(b.view()), c.as_slice_mut().unwrap());
        prop_assert_eq!(bits(&c), bits(&wanted));
    }

    #[test]
    fn panels_hold_the_matrix_and_its_transpose(seed: u64, rows in 0usize..50, columns in 0usize..50) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let matrix = random(&mut rng, rows, columns);
        let packed = Panels::pack(matrix.view());
        for ((i, j), &value) in matrix.indexed_iter() {
            prop_assert_eq!(packed.get(i, j), value);
        }
        prop_assert_eq!(&transpose(&packed), &Panels::pack(matrix.t()));
        prop_assert_eq!(&transpose(&packed), &Panels::pack_transposed(matrix.view()));
        prop_assert_eq!(&transpose(&transpose(&packed)), &packed);
    }
}

#[test]
fn threads_and_row_groups_do_not_change_a_bit() {
    let mut rng = SmallRng::seed_from_u64(1);
    let (rows, inner, columns) = (131, 300, 77);
    let a = random(&mut rng, rows, inner);
    let b = Panels::pack(random(&mut rng, inner, columns).view());
    let left = a.as_slice().unwrap();
    let mut whole = vec![0.0; rows * columns];
    multiply_add_here(Rows::new(left, inner, inner), &b, &mut whole, columns);
    let mut threaded = vec![0.0; rows * columns];
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    pool.install(|| multiply_add(Rows::new(left, inner, inner), &b, &mut threaded));
    assert_eq!(whole, threaded);
    for group in [1, 2, 3, 5, 7, 64] {
        for first in (0..rows).step_by(group) {
            let count = group.min(rows - first);
            let mut part = vec![0.0; count * columns];
            let part_rows = Rows::new(&left[first * inner..(first + count) * inner], inner, inner);
            multiply_add_here(part_rows, &b, &mut part, columns);
            assert_eq!(
                part,
                whole[first * columns..(first + count) * columns],
                "group {group}"
            );
        }
    }
}
