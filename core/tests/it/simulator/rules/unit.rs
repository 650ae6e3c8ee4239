//! Rules of a unit: what it does, and what it leaves alone.

use std::sync::Arc;

use cuttlefish_core::ids::{Address, CommitPoint, Generation, Tick};
use cuttlefish_core::machine::{Input, StoreReply};
use cuttlefish_core::math::{Inputs, Panels};
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::protocol::{IN_FLIGHT_BOUND, Message, NeuronState, TickHeader, Work};
use ndarray::Array2;

use super::test_machine::TestMachine;
use super::{NOTHING, case, header, point};

fn forward(tick: u64) -> Message {
    marked(tick, None)
}

fn marked(tick: u64, mark: Option<u64>) -> Message {
    let values = Panels::pack(Array2::ones((2, 2)).view());
    Message::Forward {
        header: header(tick, mark),
        inputs: Some(Arc::new(Inputs::new(values))),
    }
}

fn backward(tick: u64) -> Message {
    then(tick, None)
}

/// Errors with which the next tick comes.
fn then(tick: u64, next: Option<TickHeader>) -> Message {
    Message::Backward {
        tick: Tick(tick),
        next,
        first: 0,
        errors: Arc::new(Array2::ones((1, 2))),
    }
}

fn restored(generation: u64, weights: f32) -> Input {
    Input::Stored(StoreReply::Commit {
        generation: Generation(generation),
        states: Ok(vec![NeuronState {
            weights: vec![weights; 3],
            moments: vec![0.0; 3],
        }]),
    })
}

fn commit_reply(generation: u64, commit: CommitPoint, accepted: bool) -> Input {
    Input::Stored(StoreReply::Committed {
        generation: Generation(generation),
        commit,
        accepted,
    })
}

/// The first hidden neuron, after a rewind to the initial weights in generation 5.
fn unit() -> TestMachine<Unit> {
    let case = case();
    let mut unit = TestMachine::new(Unit::new(case.graph.clone(), case.batches, 0, 0));
    unit.hears(
        5,
        Message::Rewind(CommitPoint::default()),
        ["trainer: Ready@5"],
    );
    unit
}

#[test]
fn a_unit_ignores_messages_of_an_older_generation() {
    let mut unit = unit();
    unit.hears(4, Message::Rewind(CommitPoint::default()), NOTHING);
    unit.hears(4, forward(1), NOTHING);
    unit.hears(5, marked(1, Some(1)), ["synapse 0|1: Activation 1@5"]);
    unit.hears(4, backward(1), NOTHING);
    unit.hears(5, backward(1), ["store: WriteCommit 1@5"]);
}

#[test]
fn a_unit_does_not_work_for_a_generation_that_it_has_not_restored() {
    let mut unit = unit();
    unit.hears(6, forward(1), ["trainer: Hello@6"]);
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    unit.hears(6, backward(1), ["trainer: Hello@6"]);
}

#[test]
fn a_unit_ignores_what_it_read_for_an_older_generation() {
    let mut unit = unit();
    unit.hears(6, Message::Rewind(point(1, 1)), ["store: ReadCommit 1@6"]);
    unit.hears(7, Message::Rewind(point(2, 2)), ["store: ReadCommit 2@7"]);
    unit.gets(restored(6, 1.0), NOTHING);
    unit.gets(restored(7, 1.0), ["trainer: Ready@7"]);
}

#[test]
fn a_unit_is_ready_once_it_has_restored() {
    let mut unit = unit();
    unit.hears(6, Message::Rewind(point(1, 1)), ["store: ReadCommit 1@6"]);
    unit.hears(6, Message::Rewind(point(1, 1)), NOTHING);
    unit.hears(6, forward(2), ["trainer: Hello@6"]);
    unit.gets(restored(6, 1.0), ["trainer: Ready@6"]);
    unit.hears(6, forward(2), ["synapse 0|1: Activation 2@6"]);
}

#[test]
fn a_unit_reports_writes_of_its_generation_that_were_accepted() {
    let mut unit = unit();
    unit.gets(commit_reply(4, point(1, 1), true), NOTHING);
    unit.gets(commit_reply(4, point(1, 1), false), NOTHING);
    unit.gets(
        commit_reply(5, point(1, 1), true),
        ["trainer: Committed 1@5"],
    );
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    unit.gets(commit_reply(5, point(2, 2), false), NOTHING);
    // A newer timeline owns its neurons: what it holds is of no use.
    unit.hears(5, backward(1), ["trainer: Hello@5"]);
}

#[test]
fn a_unit_answers_a_repeated_rewind_and_keeps_what_it_has_done_since() {
    let mut unit = unit();
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    unit.hears(
        5,
        Message::Rewind(CommitPoint::default()),
        ["trainer: Ready@5"],
    );
    unit.hears(5, backward(1), NOTHING);
    unit.hears(5, forward(2), ["synapse 0|1: Activation 2@5"]);
}

#[test]
fn a_unit_forgets_waiting_ticks_when_it_rewinds() {
    let mut unit = unit();
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    unit.hears(5, marked(2, Some(1)), NOTHING);
    unit.hears(
        6,
        Message::Rewind(CommitPoint::default()),
        ["trainer: Ready@6"],
    );
    unit.hears(6, forward(1), ["synapse 0|1: Activation 1@6"]);
    // The new timeline has not issued tick 2, and may not mark it.
    unit.hears(6, backward(1), NOTHING);
    unit.hears(6, forward(2), ["synapse 0|1: Activation 2@6"]);
    unit.hears(6, backward(2), NOTHING);
}

#[test]
fn a_unit_works_on_ticks_in_their_order_and_once() {
    let mut unit = unit();
    unit.hears(5, forward(2), NOTHING);
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    unit.hears(5, forward(1), NOTHING);
    unit.hears(5, backward(1), ["synapse 0|1: Activation 2@5"]);
    unit.hears(5, forward(1), NOTHING);
    unit.hears(5, backward(1), NOTHING);
}

#[test]
fn the_first_layer_begins_the_tick_that_comes_with_errors_and_the_others_hand_it_down() {
    let mut unit = unit();
    unit.hears(5, marked(1, Some(1)), ["synapse 0|1: Activation 1@5"]);
    let effects = ["store: WriteCommit 1@5", "synapse 0|1: Activation 2@5"];
    let next = Some(header(2, Some(2)));
    unit.hears(5, then(1, next), effects);
    unit.hears(5, then(1, next), NOTHING);
    unit.hears(5, then(2, None), ["store: WriteCommit 2@5"]);
    unit.hears(5, forward(3), ["synapse 0|1: Activation 3@5"]);
    assert_eq!(unit.dropped(), [0, 1, 0]);
    // An evaluation behind it may be there first.
    unit.hears(5, forward(5), NOTHING);
    let effects = [4, 5].map(|tick| format!("synapse 0|1: Activation {tick}@5"));
    let evaluation = TickHeader {
        work: Work::Evaluate,
        ..header(4, None)
    };
    unit.hears(5, then(3, Some(evaluation)), effects);

    let case = case();
    let mut above = TestMachine::new(Unit::new(case.graph.clone(), case.batches.clone(), 1, 0));
    let rewind = Message::Rewind(CommitPoint::default());
    above.hears(5, rewind, ["trainer: Ready@5"]);
    above.hears(5, forward(1), ["trainer: Activation 1@5"]);
    let effects = ["synapse 0|1: Contribution 1, then 2 as commit 2@5"];
    above.hears(5, then(1, next), effects);
    above.hears(5, forward(2), ["trainer: Activation 2@5"]);
    assert_eq!(above.dropped(), [0, 0, 0]);

    let case = case.grouped(2);
    let mut layer = TestMachine::new(Unit::new(case.graph.clone(), case.batches, 1, 0));
    let rewind = Message::Rewind(CommitPoint::default());
    layer.hears(5, rewind, ["trainer: Ready@5"]);
    layer.hears(5, forward(1), ["trainer: Activation 1@5"]);
    let errors = Message::Backward {
        tick: Tick(1),
        next,
        first: 0,
        errors: Arc::new(Array2::ones((2, 2))),
    };
    let effects = ["synapse 0|1: Propagated 1, then 2 as commit 2@5"];
    layer.hears(5, errors, effects);
}

#[test]
fn a_unit_says_hello_to_what_it_cannot_place() {
    let mut unit = unit();
    unit.hears(5, backward(1), ["trainer: Hello@5"]);
    unit.hears(5, forward(IN_FLIGHT_BOUND), NOTHING);
    let beyond = forward(IN_FLIGHT_BOUND + 1);
    unit.hears(5, beyond, ["report", "trainer: Hello@5"]);
}

#[test]
fn a_unit_names_the_neuron_and_tick_at_which_a_number_is_not_finite_and_falls_silent() {
    // The last layer's activation is linear: nothing hides what is too large.
    let case = case();
    let unit = |weights: f32| {
        let unit = Unit::new(case.graph.clone(), case.batches.clone(), 1, 0);
        let mut unit = TestMachine::new(unit);
        unit.hears(6, Message::Rewind(point(1, 1)), ["store: ReadCommit 1@6"]);
        unit.gets(restored(6, weights), ["trainer: Ready@6"]);
        unit
    };
    let mut too_heavy = unit(f32::MAX);
    too_heavy.hears(6, forward(2), ["trainer: Diverged 0 2@6"]);
    too_heavy.hears(6, forward(2), ["trainer: Hello@6"]);

    let mut torn = unit(1.0);
    torn.hears(6, marked(2, Some(2)), ["trainer: Activation 2@6"]);
    let backward = Message::Backward {
        tick: Tick(2),
        next: None,
        first: 0,
        errors: Arc::new(Array2::from_elem((1, 2), f32::MAX)),
    };
    // And no commit of it.
    let effects = ["synapse 0|1: Contribution 2@6", "trainer: Diverged 0 2@6"];
    torn.hears(6, backward, effects);
}

#[test]
fn a_unit_counts_what_it_leaves_alone() {
    let mut unit = unit();
    unit.hears(4, forward(1), NOTHING);
    unit.hears(5, forward(1), ["synapse 0|1: Activation 1@5"]);
    assert_eq!(unit.dropped(), [1, 0, 0]);
    unit.hears(5, forward(1), NOTHING);
    let errors = Arc::new(Array2::ones((1, 3)));
    let (tick, first) = (Tick(1), 0);
    let misshapen = Message::Backward {
        tick,
        next: None,
        first,
        errors,
    };
    assert_eq!(unit.dropped(), [1, 1, 0]);
    unit.hears(5, misshapen, NOTHING);
    let from = Address::Synapse(0);
    unit.hears(5, Message::Ready { from }, NOTHING);
    assert_eq!(unit.dropped(), [1, 1, 2]);
    unit.hears(5, backward(1), NOTHING);
    unit.hears(5, backward(1), NOTHING);
    assert_eq!(unit.dropped(), [1, 2, 2]);
}

#[test]
fn a_unit_does_not_restore_what_is_not_finite() {
    let mut unit = unit();
    unit.hears(6, Message::Rewind(point(1, 1)), ["store: ReadCommit 1@6"]);
    unit.gets(restored(6, f32::NAN), ["trainer: Unable@6"]);
}

#[test]
fn only_the_first_layer_reads_the_data_set() {
    let by_reference = || Message::Forward {
        header: header(1, None),
        inputs: None,
    };
    let case = case();
    for (layer, answer) in [(0, vec!["synapse 0|1: Activation 1@5"]), (1, vec![])] {
        let unit = Unit::new(case.graph.clone(), case.batches.clone(), layer, 0);
        let mut unit = TestMachine::new(unit);
        let rewind = Message::Rewind(CommitPoint::default());
        unit.hears(5, rewind, ["trainer: Ready@5"]);
        unit.hears(5, by_reference(), answer);
    }
}
