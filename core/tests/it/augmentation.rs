//! Augmented training images: a pure function of (seed, epoch, row), and as they are where it is off.

use std::sync::Arc;

use cuttlefish_core::data::augmentation::{Augmenter, Elastic};
use cuttlefish_core::data::{Augmentation, BatchRef, BatchSource, Batches, Dataset, Feed, Part};

use crate::simulator::random::CalmFate;
use crate::simulator::world::World;
use crate::support::{Case, byte_noise, classifier, normalize};

const SIDES: [usize; 2] = [9, 7];
const PIXELS: usize = SIDES[0] * SIDES[1];

const OFF: Augmentation = Augmentation {
    shift: 0,
    rotate: 0.0,
    elastic: None,
};
const ALL: Augmentation = Augmentation {
    shift: 2,
    rotate: 15.0,
    elastic: Some(Elastic {
        alpha: 8.0,
        sigma: 2.0,
    }),
};

fn images() -> Dataset {
    Dataset {
        image: Some((SIDES[0], SIDES[1])),
        ..byte_noise(3, PIXELS, 2, [20, 5, 5])
    }
}

/// An image of which no two pixels are the same.
fn image() -> Vec<u8> {
    (1..=PIXELS as u8).collect()
}

fn augmented(how: Augmentation, seed: u64, epoch: u32, row: u32) -> Vec<u8> {
    let mut result = vec![0; PIXELS];
    Augmenter::new(how, seed, SIDES).apply(epoch, row, &image(), &mut result);
    result
}

fn batch(part: Part, epoch: u32, index: u32, rows: u32) -> BatchRef {
    BatchRef {
        part,
        epoch,
        index,
        rows,
    }
}

#[test]
fn an_image_depends_on_seed_epoch_and_row_and_on_nothing_else() {
    let one = augmented(ALL, 1, 2, 3);
    assert_eq!(one, augmented(ALL, 1, 2, 3));
    assert_ne!(one, image());
    for (seed, epoch, row) in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
        assert_ne!(one, augmented(ALL, seed, epoch, row));
    }
    // A batch is of its epoch.
    let files = Batches::lean(Arc::new(images()), 7, 4, false).augmented(Some(ALL));
    let first = |epoch| {
        files
            .inputs(batch(Part::Train, epoch, 0, 4))
            .bytes()
            .unwrap()
            .row(0)
            .to_vec()
    };
    assert_ne!(first(1), first(2));
    // Whatever batch its row is in, and at whatever place.
    let dataset = Arc::new(images());
    let small = Batches::lean(dataset.clone(), 7, 4, true).augmented(Some(ALL));
    let large = Batches::lean(dataset, 7, 20, true).augmented(Some(ALL));
    let whole = large.inputs(batch(Part::Train, 2, 0, 20));
    for index in 0..5 {
        let part = small.inputs(batch(Part::Train, 2, index, 4));
        for row in 0..4 {
            let place = index as usize * 4 + row;
            let (part, whole) = (part.bytes().unwrap(), whole.bytes().unwrap());
            assert_eq!(part.row(row), whole.row(place));
        }
    }
}

#[test]
fn the_bytes_are_those_of_every_machine() {
    let mut result = vec![0; 12];
    let image = [0, 10, 200, 30, 40, 250, 60, 70, 80, 90, 100, 110];
    Augmenter::new(ALL, 7, [3, 4]).apply(1, 5, &image, &mut result);
    assert_eq!(result, [126, 130, 69, 47, 133, 141, 89, 79, 43, 47, 26, 0]);
}

#[test]
fn those_who_keep_bytes_have_the_numbers_of_those_who_do_not() {
    let dataset = Arc::new(images());
    let lean = Batches::lean(dataset.clone(), 7, 20, true).augmented(Some(ALL));
    let source = Batches::new(dataset, 7, 20, true).augmented(Some(ALL));
    let batch = batch(Part::Train, 1, 0, 20);
    assert!(lean.inputs(batch).bytes().is_some());
    assert_eq!(lean.inputs(batch).samples(), source.inputs(batch).samples());
}

#[test]
fn what_is_off_changes_nothing_and_neither_do_rows_that_validate_or_test() {
    assert_eq!(augmented(OFF, 1, 1, 1), image());
    let still = Elastic {
        alpha: 0.0,
        sigma: 4.0,
    };
    let still = Augmentation {
        elastic: Some(still),
        ..OFF
    };
    assert_eq!(augmented(still, 1, 1, 1), image());
    let dataset = Arc::new(images());
    let plain = Batches::lean(dataset.clone(), 7, 20, true);
    let none = Batches::lean(dataset.clone(), 7, 20, true).augmented(None);
    let all = Batches::lean(dataset, 7, 20, true).augmented(Some(ALL));
    let rows = |batches: &Batches, part, rows| {
        let inputs = batches.inputs(batch(part, 1, 0, rows));
        let bytes = inputs.bytes().unwrap().clone();
        (0..rows as usize)
            .map(|row| bytes.row(row).to_vec())
            .collect::<Vec<_>>()
    };
    for (part, count) in [(Part::Train, 20), (Part::Validation, 5), (Part::Test, 5)] {
        let as_they_are = rows(&plain, part, count);
        assert_eq!(rows(&none, part, count), as_they_are);
        assert_eq!(rows(&all, part, count) == as_they_are, part != Part::Train);
    }
}

#[test]
fn a_shift_takes_whole_pixels_and_every_one_up_to_the_largest() {
    let shifted = |down: i32, across: i32| -> Vec<u8> {
        let pixel = |pixel: i32| {
            let (y, x) = (pixel / 7 - down, pixel % 7 - across);
            let is_inside = (0..9).contains(&y) && (0..7).contains(&x);
            if is_inside {
                image()[(y * 7 + x) as usize]
            } else {
                0
            }
        };
        (0..PIXELS as i32).map(pixel).collect()
    };
    let how = Augmentation { shift: 2, ..OFF };
    let mut seen = vec![0; 25];
    for row in 0..500 {
        let picture = augmented(how, 1, 1, row);
        let place = (0..25).find(|place| picture == shifted(place / 5 - 2, place % 5 - 2));
        seen[place.expect("a shift by at most two pixels") as usize] += 1;
    }
    assert!(seen.iter().all(|&times| times >= 5), "{seen:?}");
}

#[test]
fn a_rotation_leaves_the_middle_where_it_is_and_turns_both_ways() {
    let how = Augmentation {
        rotate: 90.0,
        ..OFF
    };
    // A bar from the middle to the right: its outer end is above or below the middle afterwards.
    let mut bar = vec![0; PIXELS];
    bar[4 * 7 + 3..4 * 7 + 7].fill(200);
    let (mut above, mut below) = (0, 0);
    for row in 0..200 {
        let mut result = vec![0; PIXELS];
        Augmenter::new(how, 1, SIDES).apply(1, row, &bar, &mut result);
        assert_eq!(result[4 * 7 + 3], 200);
        let sum = |rows: std::ops::Range<usize>| -> u32 {
            result[rows.start * 7..rows.end * 7]
                .iter()
                .map(|&v| u32::from(v))
                .sum()
        };
        match sum(0..4).cmp(&sum(5..9)) {
            std::cmp::Ordering::Less => below += 1,
            std::cmp::Ordering::Greater => above += 1,
            std::cmp::Ordering::Equal => {}
        }
    }
    assert!(above > 70 && below > 70, "{above} {below}");
}

/// With alpha 34 and sigma 4, pixels move by 1 to 2 of their widths: the figure for handwriting.
#[test]
fn an_elastic_distortion_moves_neighbours_alike() {
    const SIDE: usize = 28;
    let ramp: Vec<u8> = (0..SIDE * SIDE)
        .map(|pixel| (pixel % SIDE * 9) as u8)
        .collect();
    let elastic = Elastic {
        alpha: 34.0,
        sigma: 4.0,
    };
    let how = Augmentation {
        elastic: Some(elastic),
        ..OFF
    };
    let augmenter = Augmenter::new(how, 1, [SIDE, SIDE]);
    let (mut moved, mut apart, mut pixels) = (0.0, 0.0, 0);
    for row in 0..50 {
        let mut result = vec![0; SIDE * SIDE];
        augmenter.apply(1, row, &ramp, &mut result);
        // The ramp says from where a pixel of the inner part has come.
        let by = |y: usize, x: usize| f64::from(result[y * SIDE + x]) / 9.0 - x as f64;
        for y in 8..20 {
            for x in 8..20 {
                moved += by(y, x).powi(2);
                apart += (by(y, x) - by(y, x + 1)).powi(2);
                pixels += 1;
            }
        }
    }
    let root = |sum: f64| (sum / f64::from(pixels)).sqrt();
    assert!((1.0..2.0).contains(&root(moved)), "{}", root(moved));
    assert!(root(apart) < 0.5, "{}", root(apart));
}

#[test]
fn a_run_has_the_same_bits_however_its_rows_come_and_others_than_without() {
    let run = |case: &Case| {
        World::new(case, CalmFate)
            .run()
            .expect("a calm run ends")
            .weights
    };
    let mut graph = classifier(7, &[PIXELS, 5, 2]);
    normalize(&mut graph, 0);
    let plain = run(&Case::new(graph.clone(), images()));
    graph.training.augmentation = Some(ALL);
    let case = Case::new(graph, images());
    let whole = run(&case.grouped(usize::MAX));
    assert_ne!(whole, plain);
    for case in [case.clone(), case.lean()] {
        for feed in [Feed::Reference, Feed::Broadcast] {
            assert_eq!(run(&case.grouped(1).fed(feed)), whole);
        }
    }
}

#[test]
fn all_channels_of_an_image_are_moved_alike() {
    let channels: Vec<u8> = [image(), image(), image()].concat();
    let mut result = vec![0; channels.len()];
    Augmenter::new(ALL, 1, SIDES).apply(2, 3, &channels, &mut result);
    assert_eq!(result, augmented(ALL, 1, 2, 3).repeat(3));
}
