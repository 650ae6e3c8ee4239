//! Contract of every store. A backend passes when each of these functions returns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange, Tick};
use cuttlefish_core::protocol::{Ledger, NeuronState, Progress, Totals};
use cuttlefish_runtime::store::{Error, Store, WriteReply};

/// A place that keeps stores of several runs.
pub trait StoreBackend {
    /// The store of a run that nothing was written to.
    fn store(&self, run: &str) -> Arc<dyn Store>;

    /// Changes a bit of what is stored for a neuron.
    async fn damage(&self, run: &str, layer: usize, neuron: usize, commit: CommitPoint);
}

pub const ONE: Generation = Generation(1);
pub const TWO: Generation = Generation(2);

pub fn commit(number: u64) -> CommitPoint {
    CommitPoint {
        number,
        tick: Tick(10 * number),
    }
}

pub fn neurons(first: usize, count: usize) -> NeuronRange {
    NeuronRange {
        layer: 1,
        first,
        count,
    }
}

/// States that tell their neuron and `salt` apart from all others.
pub fn states(range: NeuronRange, salt: u64, weights: usize) -> Vec<NeuronState> {
    let values = |neuron: usize, offset: f32| {
        (0..weights)
            .map(|i| (neuron * 1000 + i) as f32 + salt as f32 / 8.0 + offset)
            .collect()
    };
    range
        .indices()
        .map(|neuron| NeuronState {
            weights: values(neuron, 0.0),
            moments: values(neuron, 0.5),
        })
        .collect()
}

pub fn ledger(number: u64) -> Ledger {
    let mut progress = Progress::start(10);
    progress.tick = commit(number).tick;
    progress.tally.loss = 1.0 / 3.0 + number as f64;
    Ledger {
        commit: commit(number),
        progress,
        totals: Totals {
            rows: 10 * number,
            rewinds: number,
            elapsed: Duration::from_millis(number),
            generation: Some(Generation(number)),
        },
    }
}

/// Writes a commit and says how that ended.
pub async fn write(
    store: &dyn Store,
    generation: Generation,
    range: NeuronRange,
    number: u64,
    states: &[NeuronState],
) -> WriteReply {
    let written = store.write_commit(generation, range, commit(number), states);
    written.await.unwrap()
}

fn refused(newest: Generation) -> WriteReply {
    WriteReply::Refused { newest }
}

pub async fn generations_drawn_at_once_are_all_different(backend: &impl StoreBackend) {
    let store = backend.store("race");
    let mut draws = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        draws.spawn(async move { store.begin_generation().await.unwrap().0 });
    }
    let drawn: BTreeSet<_> = draws.join_all().await.into_iter().collect();
    assert_eq!(drawn, (1..=16).map(Generation).collect());
    assert_eq!(store.begin_generation().await.unwrap().0, Generation(17));
}

pub async fn a_run_is_unknown_until_a_generation_is_drawn(backend: &impl StoreBackend) {
    let store = backend.store("new");
    assert_eq!(store.read_ledger().await.unwrap(), None);
    assert_eq!(store.begin_generation().await.unwrap(), (ONE, None));
    assert_eq!(store.read_ledger().await.unwrap(), Some((ONE, None)));
}

pub async fn only_the_newest_generation_writes_the_ledger(backend: &impl StoreBackend) {
    let store = backend.store("fence");
    store.begin_generation().await.unwrap();
    let first = store.write_ledger(ONE, &ledger(1)).await.unwrap();
    assert_eq!(first, WriteReply::Accepted);
    let repeated = store.write_ledger(ONE, &ledger(1)).await.unwrap();
    assert_eq!(repeated, WriteReply::Accepted);

    let begun = store.begin_generation().await.unwrap();
    assert_eq!(begun, (TWO, Some(ledger(1))));
    let zombie = store.write_ledger(ONE, &ledger(2)).await.unwrap();
    assert_eq!(zombie, refused(TWO));
    // It was there before the second generation was drawn: no need to call it lost.
    let known = store.write_ledger(ONE, &ledger(1)).await.unwrap();
    assert_eq!(known, WriteReply::Accepted);
    let stored = store.read_ledger().await.unwrap();
    assert_eq!(stored, Some((TWO, Some(ledger(1)))));
}

pub async fn a_generation_that_was_never_drawn_writes_no_ledger(backend: &impl StoreBackend) {
    let store = backend.store("undrawn");
    let written = store.write_ledger(ONE, &ledger(1)).await.unwrap();
    assert_eq!(written, refused(Generation(0)));
    assert_eq!(store.read_ledger().await.unwrap(), None);
}

pub async fn a_ledger_that_would_not_read_back_is_not_written(backend: &impl StoreBackend) {
    let store = backend.store("nan");
    store.begin_generation().await.unwrap();
    for loss in [f64::NAN, f64::INFINITY] {
        let mut ledger = ledger(1);
        ledger.progress.best = Some(loss);
        let error = store.write_ledger(ONE, &ledger).await.unwrap_err();
        assert!(matches!(error, Error::UnwritableLedger), "{error}");
    }
}

pub async fn a_slot_of_a_newer_generation_refuses_older_ones(backend: &impl StoreBackend) {
    let store = backend.store("zombie");
    let range = neurons(0, 3);
    let newer = states(range, 2, 4);
    let write = async |generation, number, states: &[NeuronState]| {
        write(&*store, generation, range, number, states).await
    };
    assert_eq!(write(TWO, 1, &newer).await, WriteReply::Accepted);
    assert_eq!(write(TWO, 1, &newer).await, WriteReply::Accepted);
    // Even with what is there already, and even with a later commit.
    assert_eq!(write(ONE, 1, &newer).await, refused(TWO));
    assert_eq!(write(ONE, 3, &states(range, 1, 4)).await, refused(TWO));
    assert_eq!(store.read_commit(range, commit(1)).await.unwrap(), newer);
}

pub async fn a_request_that_lands_late_does_not_bring_an_old_commit_back(
    backend: &impl StoreBackend,
) {
    let store = backend.store("late");
    let range = neurons(0, 2);
    let written =
        async |number| write(&*store, ONE, range, number, &states(range, number, 4)).await;
    assert_eq!(written(1).await, WriteReply::Accepted);
    assert_eq!(written(3).await, WriteReply::Accepted);
    assert_eq!(written(1).await, refused(ONE));
    let stored = store.read_commit(range, commit(3)).await.unwrap();
    assert_eq!(stored, states(range, 3, 4));
}

pub async fn a_rewound_run_writes_an_earlier_commit_over_a_later_one(backend: &impl StoreBackend) {
    let store = backend.store("rewound");
    let range = neurons(0, 2);
    for (generation, number) in [(ONE, 3), (TWO, 1)] {
        let states = states(range, number, 4);
        let written = write(&*store, generation, range, number, &states).await;
        assert_eq!(written, WriteReply::Accepted);
    }
    let stored = store.read_commit(range, commit(1)).await.unwrap();
    assert_eq!(stored, states(range, 1, 4));
}

pub async fn two_slots_do_not_disturb_each_other(backend: &impl StoreBackend) {
    let store = backend.store("slots");
    let range = neurons(0, 3);
    for number in 1..=6 {
        let written = write(&*store, ONE, range, number, &states(range, number, 4)).await;
        assert_eq!(written, WriteReply::Accepted);
        for present in [number.max(2) - 1, number] {
            let stored = store.read_commit(range, commit(present)).await.unwrap();
            assert_eq!(stored, states(range, present, 4));
        }
    }
}

pub async fn a_commit_reads_back_with_any_grouping(backend: &impl StoreBackend) {
    let store = backend.store("groups");
    let written = states(neurons(0, 40), 1, 4);
    for (first, count) in [(0, 10), (10, 1), (11, 29)] {
        let group = &written[first..first + count];
        let reply = store.write_commit(ONE, neurons(first, count), commit(1), group);
        assert_eq!(reply.await.unwrap(), WriteReply::Accepted);
    }
    for (first, count) in [(0, 40), (3, 1), (2, 7), (9, 3), (0, 0)] {
        let read = store.read_commit(neurons(first, count), commit(1)).await;
        assert_eq!(read.unwrap(), written[first..first + count]);
    }
}

pub async fn what_cannot_be_read_is_named(backend: &impl StoreBackend) {
    let store = backend.store("named");
    let range = neurons(0, 5);
    let written = write(&*store, ONE, range, 1, &states(range, 1, 4)).await;
    assert_eq!(written, WriteReply::Accepted);

    let read = async |range, number| {
        let error = store.read_commit(range, commit(number)).await.unwrap_err();
        assert!(!error.retryable());
        error.to_string()
    };
    let missing = read(neurons(4, 2), 1).await;
    assert!(
        missing.starts_with("layer 1, neuron 5: nothing is stored for commit 1 (tick 10)"),
        "{missing}"
    );
    let other_slot = read(neurons(2, 1), 2).await;
    assert!(other_slot.contains("nothing is stored for commit 2 (tick 20)"));
    let other = read(neurons(2, 1), 3).await;
    assert!(
        other.starts_with(
            "layer 1, neuron 2: expected commit 3 of tick 30, found commit 1 of tick 10"
        ),
        "{other}"
    );
    backend.damage("named", 1, 3, commit(1)).await;
    let damaged = read(range, 1).await;
    assert!(
        damaged.starts_with("layer 1, neuron 3: commit 1 (tick 10) is damaged: its content has"),
        "{damaged}"
    );
}

pub async fn a_neuron_larger_than_an_item_round_trips(backend: &impl StoreBackend) {
    let store = backend.store("large");
    let range = neurons(0, 2);
    for number in 1..=3 {
        let states = states(range, number, 150_000);
        let written = write(&*store, ONE, range, number, &states).await;
        assert_eq!(written, WriteReply::Accepted);
        let read = store.read_commit(range, commit(number)).await.unwrap();
        assert!(read == states);
    }
    let zombie = write(&*store, Generation(0), range, 3, &states(range, 9, 150_000)).await;
    assert_eq!(zombie, refused(ONE));
    let read = store.read_commit(range, commit(3)).await.unwrap();
    assert!(read == states(range, 3, 150_000));
}

pub async fn bits_of_odd_floats_survive(backend: &impl StoreBackend) {
    let store = backend.store("bits");
    let odd = [0x8000_0000, 1, 0x7fc0_0001, 0xffa1_2345, 0xff80_0000];
    let values = odd.map(f32::from_bits).to_vec();
    let state = NeuronState {
        weights: values.clone(),
        moments: values,
    };
    let written = write(&*store, ONE, neurons(0, 1), 1, &[state]).await;
    assert_eq!(written, WriteReply::Accepted);
    let read = store.read_commit(neurons(0, 1), commit(1)).await.unwrap();
    let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
    assert_eq!(bits(&read[0].weights), odd);
    assert_eq!(bits(&read[0].moments), odd);
}

pub async fn a_record_is_kept(backend: &impl StoreBackend) {
    let store = backend.store("record");
    assert_eq!(store.get_record().await.unwrap(), None);
    for record in ["name: first", "name: second\n# ü"] {
        store.put_record(record).await.unwrap();
        assert_eq!(store.get_record().await.unwrap().as_deref(), Some(record));
    }
    assert_eq!(store.read_ledger().await.unwrap(), None);
    let error = store.put_record(&"x".repeat(500_000)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

pub async fn removing_a_run_leaves_its_namesakes_alone(backend: &impl StoreBackend) {
    let range = neurons(0, 40);
    let names = ["a", "a-b", "ab", "b"];
    for name in names {
        let store = backend.store(name);
        store.begin_generation().await.unwrap();
        store.put_record(name).await.unwrap();
        for number in 1..=2 {
            let written = write(&*store, ONE, range, number, &states(range, 1, 4)).await;
            assert_eq!(written, WriteReply::Accepted);
        }
    }
    let removed = backend.store("a");
    assert_eq!(removed.remove_run().await.unwrap(), 82);
    assert_eq!(removed.remove_run().await.unwrap(), 0);
    assert_eq!(removed.read_ledger().await.unwrap(), None);
    assert_eq!(removed.get_record().await.unwrap(), None);
    assert!(removed.read_commit(neurons(0, 1), commit(1)).await.is_err());
    for name in &names[1..] {
        let store = backend.store(name);
        assert_eq!(store.get_record().await.unwrap().as_deref(), Some(*name));
        assert!(store.read_commit(range, commit(2)).await.is_ok());
    }
}
