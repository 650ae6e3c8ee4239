//! A batch is the same whatever it is kept as, and so is what neurons make of it.

use std::sync::Arc;

use cuttlefish_core::data::{
    Augmentation, BatchRef, BatchSource, Batches, Dataset, Part, Split, Values,
};
use cuttlefish_core::math::{Optimizer, Step, Storage};
use cuttlefish_core::neuron::Neurons;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::Layer;
use ndarray::Array2;

use crate::support::{classifier, noise};

const FEATURES: usize = 37;

const SGD: Optimizer = Optimizer::Sgd {
    learning_rate: 0.1,
    momentum: 0.9,
    nesterov: false,
};

/// 100 rows of bytes, in memory that something else than a vector owns.
fn bytes() -> Dataset {
    struct ForeignBytes([u8; 100 * FEATURES]);
    impl AsRef<[u8]> for ForeignBytes {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Dataset {
        values: Values::Bytes {
            bytes: Storage::new(ForeignBytes(std::array::from_fn(|i| (i * 89) as u8))),
            scale: 1.0 / 255.0,
        },
        ..floats()
    }
}

fn floats() -> Dataset {
    noise(1, FEATURES, 2, [80, 10, 10])
}

fn batch(index: u32, rows: u32) -> BatchRef {
    BatchRef {
        part: Part::Train,
        epoch: 1,
        index,
        rows,
    }
}

#[test]
fn a_lean_source_has_the_same_batches() {
    for dataset in [bytes(), floats()] {
        let is_bytes = matches!(dataset.values, Values::Bytes { .. });
        let dataset = Arc::new(dataset);
        let source = Batches::new(dataset.clone(), 7, 30, true);
        let lean = Batches::lean(dataset, 7, 30, true);
        // Forth and back, so that memory is used again for another size.
        for (index, rows) in [(0, 30), (1, 30), (2, 20), (1, 30), (0, 30), (2, 20)] {
            let of_source = source.inputs(batch(index, rows));
            let of_lean = lean.inputs(batch(index, rows));
            assert!(of_source.bytes().is_none());
            assert_eq!(of_lean.bytes().is_some(), is_bytes);
            assert_eq!(of_source.samples(), of_lean.samples());
            assert_eq!(of_source.features(), of_lean.features());
        }
    }
}

#[test]
fn a_lean_source_leaves_rows_where_they_are() {
    let dataset = Arc::new(bytes());
    let Values::Bytes { bytes, .. } = &dataset.values else {
        panic!("they are bytes");
    };
    let lean = Batches::lean(dataset.clone(), 7, 20, true);
    for index in 0..4 {
        let numbers = lean.row_numbers(batch(index, 20));
        // A kernel would read beyond the end of the last one.
        let is_copied = numbers.contains(&99);
        let inputs = lean.inputs(batch(index, 20));
        for (row, &number) in numbers.iter().enumerate() {
            let actual = inputs.bytes().unwrap().row(row);
            let there = &bytes[number as usize * FEATURES..][..FEATURES];
            assert_eq!(actual, there);
            assert_eq!(actual.as_ptr() != there.as_ptr(), is_copied, "row {number}");
        }
    }
}

#[test]
fn a_lean_source_keeps_two_batches_and_uses_their_memory_again() {
    let mut images = bytes();
    images.image = Some((1, FEATURES));
    let changed = Augmentation {
        shift: 1,
        rotate: 0.0,
        elastic: None,
    };
    let lean = Batches::lean(Arc::new(images), 7, 20, true).augmented(Some(changed));
    let place = |index| {
        lean.inputs(batch(index, 20))
            .bytes()
            .unwrap()
            .row(0)
            .as_ptr()
    };
    let (first, second) = (place(0), place(1));
    assert_ne!(first, second);
    assert_eq!((place(0), place(1)), (first, second), "both are kept");
    assert_eq!(
        (place(2), place(3)),
        (first, second),
        "the oldest makes room"
    );
}

#[test]
fn a_mapped_data_set_is_dropped_with_its_last_user() {
    let bytes: Arc<[u8]> = Arc::from([1, 2, 3]);
    let storage = Storage::new(bytes.clone());
    let other = storage.clone();
    assert_eq!((&storage[..], other.len()), (&[1, 2, 3][..], 3));
    assert_eq!(Arc::strong_count(&bytes), 2);
    drop(storage);
    assert_eq!(Arc::strong_count(&bytes), 2);
    drop(other);
    assert_eq!(Arc::strong_count(&bytes), 1);
}

/// Activations and states after a few steps of the first `count` neurons of a layer.
fn trained(layer: &Layer, count: usize, source: &Batches) -> (Vec<Array2<f32>>, Vec<NeuronState>) {
    let mut neurons = Neurons::initial(layer, 0, 0..count, 7, SGD);
    let mut all = Vec::new();
    for (number, (index, rows)) in (1..).zip([(0, 30), (1, 30), (2, 20)]) {
        let inputs = source.inputs(batch(index, rows));
        let (pass, activations) = neurons.forward(&inputs, true);
        let errors = activations.mapv(|a| 0.1 * a - 0.01);
        let (errors, _) = neurons.deltas(number, &pass, errors);
        let learning_rate = 0.1;
        let step = Step {
            learning_rate,
            number,
        };
        neurons.update(step, &errors, &inputs);
        all.push(activations.as_ref().clone());
    }
    (all, neurons.snapshot())
}

#[test]
fn neurons_have_the_same_bits_from_bytes_and_from_panels_however_many_they_are() {
    let dataset = Arc::new(bytes());
    let source = Batches::new(dataset.clone(), 7, 30, true);
    let lean = Batches::lean(dataset, 7, 30, true);
    let layer = classifier(7, &[FEATURES, 70, 2]).layers.remove(0);
    let (_, whole) = trained(&layer, 70, &source);
    for count in [1, 2, 3, 7, 8, 32, 33, 70] {
        let (activations, states) = trained(&layer, count, &lean);
        assert_eq!(
            (activations, states.clone()),
            trained(&layer, count, &source)
        );
        assert_eq!(states, whole[..count], "{count} neurons");
    }
}

#[test]
fn an_empty_part_has_an_empty_batch() {
    let mut dataset = bytes();
    dataset.split = Split::default();
    let lean = Batches::lean(Arc::new(dataset), 7, 30, true);
    let inputs = lean.inputs(batch(0, 0));
    assert_eq!((inputs.n_rows(), inputs.n_features()), (0, FEATURES));
    let layer = classifier(7, &[FEATURES, 3, 2]).layers.remove(0);
    let neurons = Neurons::initial(&layer, 0, 0..1, 7, SGD);
    assert_eq!(neurons.forward(&inputs, true).1.dim(), (1, 0));
}
