//! Rules of a synapse: what it does, and what it leaves alone.

use std::sync::Arc;

use cuttlefish_core::ids::{CommitPoint, Tick};
use cuttlefish_core::protocol::Message;
use cuttlefish_core::synapse::Synapse;
use ndarray::Array2;

use super::test_machine::TestMachine;
use super::{NOTHING, case, header};

fn activation(tick: u64, first: usize) -> Message {
    Message::Activation {
        header: header(tick, None),
        first,
        values: Arc::new(Array2::ones((1, 2))),
    }
}

fn contribution(tick: u64, first: usize) -> Message {
    Message::Contribution {
        tick: Tick(tick),
        next: Some(header(tick + 1, None)),
        first,
        deltas: Arc::new(Array2::ones((1, 2))),
        weights: Arc::new(Array2::ones((1, 2))),
    }
}

fn synapse() -> TestMachine<Synapse> {
    let mut synapse = TestMachine::new(Synapse::new(case().graph, 0));
    synapse.hears(
        5,
        Message::Rewind(CommitPoint::default()),
        ["trainer: Ready@5"],
    );
    synapse
}

#[test]
fn a_synapse_ignores_messages_of_an_older_generation() {
    let mut synapse = synapse();
    synapse.hears(5, activation(1, 0), NOTHING);
    synapse.hears(4, Message::Rewind(CommitPoint::default()), NOTHING);
    synapse.hears(4, activation(1, 1), NOTHING);
    synapse.hears(5, activation(1, 1), ["layer 1: Forward 1@5"]);
    synapse.hears(5, contribution(1, 0), NOTHING);
    synapse.hears(4, contribution(1, 1), NOTHING);
}

#[test]
fn a_synapse_forgets_what_it_gathered_in_an_older_generation() {
    let mut synapse = synapse();
    synapse.hears(5, activation(1, 0), NOTHING);
    synapse.hears(5, contribution(1, 0), NOTHING);
    synapse.hears(6, activation(1, 1), NOTHING);
    synapse.hears(6, contribution(1, 1), NOTHING);
    synapse.hears(6, activation(1, 0), ["layer 1: Forward 1@6"]);
    // A tick that was handed on in one generation is handed on again in the next.
    synapse.hears(7, activation(1, 0), NOTHING);
    synapse.hears(7, activation(1, 1), ["layer 1: Forward 1@7"]);
}

#[test]
fn a_synapse_hands_a_tick_on_once_however_often_it_comes() {
    let mut synapse = synapse();
    let down = [
        "unit 0.0: Backward 1, then 2@5",
        "unit 0.1: Backward 1, then 2@5",
    ];
    synapse.hears(5, activation(1, 0), NOTHING);
    synapse.hears(5, activation(1, 0), NOTHING);
    synapse.hears(5, activation(1, 1), ["layer 1: Forward 1@5"]);
    synapse.hears(5, contribution(1, 1), NOTHING);
    synapse.hears(5, contribution(1, 1), NOTHING);
    synapse.hears(5, contribution(1, 0), down);
    for neuron in [0, 1, 0, 1] {
        synapse.hears(5, activation(1, neuron), NOTHING);
        synapse.hears(5, contribution(1, neuron), NOTHING);
    }
    let errors = Arc::new(Array2::ones((2, 2)));
    let tick = Tick(2);
    let propagated = Message::Propagated {
        tick,
        next: Some(header(3, None)),
        errors,
    };
    let down = [
        "unit 0.0: Backward 2, then 3@5",
        "unit 0.1: Backward 2, then 3@5",
    ];
    synapse.hears(5, propagated.clone(), down);
    synapse.hears(5, propagated, NOTHING);
}
