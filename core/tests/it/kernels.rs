//! The product has the same bits however it is cut, and they are those of its definition.

use cuttlefish_core::math::conv::{Convolution, Padding, Size, Window};
use cuttlefish_core::math::inputs::transpose;
use cuttlefish_core::math::kernel::{
    Rows, multiply_add, multiply_add_bytes, multiply_add_bytes_transposed, multiply_add_here,
};
use cuttlefish_core::math::{ByteMatrix, Inputs, LANES, Panels, Storage};
use ndarray::Array2;
use ndarray_rand::rand::rngs::SmallRng;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;

fn random(rng: &mut SmallRng, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-1.0..1.0))
}

/// With its own bytes, or some rows of a larger matrix.
fn random_bytes(rng: &mut SmallRng, rows: usize, columns: usize) -> ByteMatrix {
    let scale = rng.random_range(1e-3..1.0);
    if rng.random() {
        let all = 2 * rows + 1;
        let bytes: Vec<u8> = (0..all * columns + LANES).map(|_| rng.random()).collect();
        let numbers: Vec<u32> = (0..rows).map(|_| rng.random_range(0..all as u32)).collect();
        let shared = ByteMatrix::shared(&Storage::from(bytes), &numbers, columns, scale);
        return shared.expect("there is a cell behind the last row");
    }
    let mut matrix = ByteMatrix::zeros(rows, columns, scale);
    for row in 0..rows {
        matrix.row_mut(row).fill_with(|| rng.random());
    }
    matrix
}

/// Numbers that the bytes stand for.
fn numbers(bytes: &ByteMatrix) -> Array2<f32> {
    Array2::from_shape_fn((bytes.rows(), bytes.columns()), |(row, column)| {
        f32::from(bytes.row(row)[column]) * bytes.scale()
    })
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
        let expected = by_definition(&a, &b, &c);
        if inner == 0 {
            // A matrix without columns has no slice to give; the product is the start.
            return Ok(());
        }
        let left = Rows::new(a.as_slice().unwrap(), inner, inner);
        multiply_add_here(left, &Panels::pack(b.view()), c.as_slice_mut().unwrap(), columns);
        prop_assert_eq!(bits(&c), bits(&expected));
    }

    #[test]
    fn a_transposed_left_side_has_the_same_bits(
        seed: u64, rows in 1usize..20, inner in 1usize..20, columns in 1usize..40,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let a = random(&mut rng, inner, rows);
        let b = random(&mut rng, inner, columns);
        let mut c = Array2::zeros((rows, columns));
        let expected = by_definition(&a.t().to_owned(), &b, &c);
        let left = Rows::transposed(a.as_slice().unwrap(), rows, rows);
        multiply_add(left, &Panels::pack(b.view()), c.as_slice_mut().unwrap());
        prop_assert_eq!(bits(&c), bits(&expected));
    }

    #[test]
    fn a_product_with_bytes_is_the_one_with_the_numbers_that_they_stand_for(
        seed: u64, rows in 0usize..20, inner in 1usize..40, columns in 0usize..80,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let a = random(&mut rng, rows, inner);
        let b = random_bytes(&mut rng, inner, columns);
        let mut c = random(&mut rng, rows, columns);
        let expected = by_definition(&a, &numbers(&b), &c);
        let left = Rows::new(a.as_slice().unwrap(), inner, inner);
        multiply_add_bytes(left, &b, c.as_slice_mut().unwrap(), columns);
        prop_assert_eq!(bits(&c), bits(&expected));
    }

    #[test]
    fn a_product_with_transposed_bytes_has_the_same_bits(
        // Several of the blocks that are transposed, and parts of them.
        seed: u64, rows in 0usize..10, inner in 1usize..300, columns in 0usize..300,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let a = random(&mut rng, rows, inner + 1);
        let b = random_bytes(&mut rng, columns, inner);
        let mut c = random(&mut rng, rows, columns);
        let expected = by_definition(&a, &numbers(&b).t().to_owned(), &c);
        // Weights have the bias behind them.
        let left = Rows::new(a.as_slice().unwrap(), inner + 1, inner);
        multiply_add_bytes_transposed(left, &b, c.as_slice_mut().unwrap());
        prop_assert_eq!(bits(&c), bits(&expected));
    }

    #[test]
    fn inputs_from_bytes_have_the_layouts_of_their_numbers(
        seed: u64, rows in 0usize..50, columns in 0usize..50,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut bytes = random_bytes(&mut rng, 50 - rows, 50 - columns);
        let other = random_bytes(&mut rng, rows, columns);
        // In memory that has been used before.
        bytes.reset(rows, columns, other.scale());
        (0..rows).for_each(|row| bytes.row_mut(row).copy_from_slice(other.row(row)));
        let numbers = numbers(&bytes);
        let inputs = Inputs::from_bytes(bytes);
        prop_assert_eq!((inputs.n_rows(), inputs.n_features()), numbers.dim());
        prop_assert_eq!(inputs.features(), &Panels::pack(numbers.t()));
        prop_assert_eq!(inputs.samples(), &Panels::pack(numbers.view()));
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

/// Results of a convolution on a number of threads: sums, gradients and errors.
fn convolved(
    threads: usize,
    maps: &Convolution,
    weights: &Array2<f32>,
    features: &Panels,
) -> [Vec<f32>; 3] {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let (filters, rows) = (weights.nrows(), features.columns());
    let width = maps.positions() * rows;
    pool.unwrap().install(|| {
        let weights = weights.as_slice().unwrap();
        let mut sums = vec![0.5; filters * width];
        let left = Rows::new(weights, maps.fan_in(), maps.fan_in());
        maps.multiply_add(left, features, &mut sums);
        let deltas = Array2::from_shape_vec((filters, width), sums.clone()).unwrap();
        let gradients = maps.gradients(deltas.view(), features);
        let errors = maps.propagate(weights, maps.fan_in(), deltas.view(), rows);
        [sums, gradients, errors.into_raw_vec_and_offset().0]
    })
}

#[test]
fn threads_and_groups_of_filters_do_not_change_a_bit_of_a_convolution() {
    let mut rng = SmallRng::seed_from_u64(2);
    let size = |height, width| Size { height, width };
    // More work than one thread is given, in parts that two and three threads do not divide.
    let (channels, filters, rows) = (5, 11, 37);
    let window = Window::new(size(13, 11), size(3, 4), size(1, 2), Padding::Same).unwrap();
    let maps = Convolution { channels, window };
    assert!(maps.positions() * filters * maps.fan_in() * rows > 1 << 20);
    let features = Panels::pack(random(&mut rng, maps.inputs(), rows).view());
    let weights = random(&mut rng, filters, maps.fan_in());
    let whole = convolved(1, &maps, &weights, &features);
    for threads in [2, 3] {
        assert!(
            convolved(threads, &maps, &weights, &features) == whole,
            "{threads} threads"
        );
    }
    let width = maps.positions() * rows;
    for first in (0..filters).step_by(3) {
        let range = first..filters.min(first + 3);
        let part = weights.slice(ndarray::s![range.clone(), ..]).to_owned();
        let [sums, gradients, _] = convolved(1, &maps, &part, &features);
        assert!(sums == whole[0][range.start * width..range.end * width]);
        for (of_part, of_all) in gradients.chunks(range.len()).zip(whole[1].chunks(filters)) {
            assert!(of_part == &of_all[range.clone()]);
        }
    }
}
