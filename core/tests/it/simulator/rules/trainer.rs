//! What a trainer does, and what it leaves alone.

mod totals;

use std::sync::Arc;
use std::time::Duration;

use cuttlefish_core::data::Feed;
use cuttlefish_core::ids::{Address, Generation, Tick};
use cuttlefish_core::machine::{Input, StoreReply};
use cuttlefish_core::protocol::Message;
use cuttlefish_core::trainer::{Timing, Trainer};
use ndarray::Array2;

use super::said::Said;
use super::{HIDDEN, NOTHING, case, point};
use crate::support::{Case, noise};

fn opened(generation: u64) -> Input {
    Input::Stored(StoreReply::Generation {
        generation: Generation(generation),
        ledger: None,
    })
}

const MEMBERS: [Address; 5] = [
    HIDDEN,
    Address::Unit { layer: 0, index: 1 },
    Address::Synapse(0),
    Address::Unit { layer: 1, index: 0 },
    Address::Unit { layer: 1, index: 1 },
];

/// What a trainer says when it begins a generation.
fn rewinds(generation: u64) -> Vec<String> {
    let mut members = MEMBERS.to_vec();
    members.sort();
    let rewind = |member| format!("{member}: Rewind@{generation}");
    members.into_iter().map(rewind).collect()
}

/// A trainer that has just booted.
fn opening() -> Said<Trainer> {
    booted(case(), Feed::Reference)
}

fn booted(case: Case, feed: Feed) -> Said<Trainer> {
    let task = case.dataset.task.clone();
    // Every tick is due to be a commit point.
    let timing = Timing {
        first_commit_interval: Duration::ZERO,
        ..Timing::default()
    };
    let trainer = Trainer::new(case.graph, case.batches, &task, timing);
    let mut trainer = Said::new(trainer.with_feed(feed));
    trainer.gets(Input::Boot, ["store: BeginGeneration"]);
    trainer
}

/// A trainer that waits for everybody to be ready in generation 5.
fn gathering() -> Said<Trainer> {
    begun(opening())
}

fn begun(mut trainer: Said<Trainer>) -> Said<Trainer> {
    trainer.gets(opened(5), rewinds(5));
    trainer
}

/// A trainer that has issued tick 1 in generation 5, marked as commit point 1.
fn running() -> Said<Trainer> {
    started(gathering())
}

fn started(mut trainer: Said<Trainer>) -> Said<Trainer> {
    for from in &MEMBERS[1..] {
        trainer.hears(5, Message::Ready { from: *from }, NOTHING);
    }
    trainer.hears(
        5,
        Message::Ready { from: HIDDEN },
        ["report", "layer 0: Forward 1@5"],
    );
    trainer
}

/// What a trainer does with the last output of tick 1.
const TICK_1_DONE: [&str; 3] = [
    "unit 1.0: Backward 1, then 2@5",
    "unit 1.1: Backward 1, then 2@5",
    "report",
];

/// The same where tick 2 does not come with the errors.
const TICK_1_DONE_ALONE: [&str; 3] = ["unit 1.0: Backward 1@5", "unit 1.1: Backward 1@5", "report"];

impl Said<Trainer> {
    /// What the last layer answers to the tick that was issued.
    fn output(&self, first: usize) -> Message {
        Message::Activation {
            header: self.issued.expect("a tick was issued"),
            first,
            values: Arc::new(Array2::ones((1, 2))),
        }
    }
}

#[test]
fn a_trainer_issues_nothing_before_everybody_is_ready_in_its_generation() {
    let mut trainer = gathering();
    trainer.hears(5, Message::Ready { from: HIDDEN }, NOTHING);
    trainer.hears(5, Message::Ready { from: HIDDEN }, NOTHING);
    for from in &MEMBERS[1..] {
        trainer.hears(4, Message::Ready { from: *from }, NOTHING);
        trainer.hears(6, Message::Ready { from: *from }, NOTHING);
    }
}

#[test]
fn who_says_hello_while_the_trainer_gathers_gets_the_rewind_and_must_be_ready_again() {
    let mut trainer = gathering();
    for from in &MEMBERS[..4] {
        trainer.hears(5, Message::Ready { from: *from }, NOTHING);
    }
    trainer.hears(0, Message::Hello { from: HIDDEN }, ["unit 0.0: Rewind@5"]);
    trainer.hears(5, Message::Ready { from: MEMBERS[4] }, NOTHING);
    trainer.hears(
        5,
        Message::Ready { from: HIDDEN },
        ["report", "layer 0: Forward 1@5"],
    );
}

#[test]
fn a_hello_sets_off_a_rewind_unless_it_was_said_before_this_generation() {
    let mut trainer = running();
    trainer.hears(4, Message::Hello { from: HIDDEN }, NOTHING);
    trainer.hears(6, Message::Hello { from: HIDDEN }, NOTHING);
    trainer.hears(
        5,
        Message::Hello { from: HIDDEN },
        ["store: BeginGeneration"],
    );
    let mut trainer = running();
    trainer.hears(
        0,
        Message::Hello { from: HIDDEN },
        ["store: BeginGeneration"],
    );
}

#[test]
fn a_trainer_does_not_go_back_to_a_generation_that_was_answered_late() {
    let mut trainer = running();
    trainer.gets(opened(4), NOTHING);
    trainer.gets(opened(5), NOTHING);
}

#[test]
fn a_trainer_ignores_messages_of_another_generation() {
    let mut trainer = running();
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    trainer.hears(4, outputs[1].clone(), NOTHING);
    trainer.hears(6, outputs[1].clone(), NOTHING);
    trainer.hears(5, outputs[0].clone(), NOTHING);
    assert_eq!(trainer.dropped(), [2, 1, 0]);
    trainer.hears(5, outputs[1].clone(), TICK_1_DONE);
}

/// Its predecessor's queue is what it starts with.
#[test]
fn a_trainer_that_has_just_booted_finds_what_it_hears_stale_and_not_foreign() {
    let outputs = [running().output(0), running().output(1)];
    let mut trainer = opening();
    let hello = Message::Hello { from: HIDDEN };
    for message in outputs.into_iter().chain([hello]) {
        trainer.hears(5, message, NOTHING);
    }
    assert_eq!(trainer.dropped(), [3, 0, 0]);
}

#[test]
fn a_trainer_whose_units_cannot_restore_an_older_generation_goes_on() {
    let mut trainer = gathering();
    let problem = "damaged".to_owned();
    let from = HIDDEN;
    trainer.hears(4, Message::Unable { from, problem }, NOTHING);
}

/// A unit's word that it cannot go on, and how the run ends for it.
fn complaint() -> (Message, Message) {
    let (from, problem) = (HIDDEN, "damaged".to_owned());
    let (neuron, tick) = (0, Tick(1));
    let unable = Message::Unable { from, problem };
    let diverged = Message::Diverged { from, neuron, tick };
    (unable, diverged)
}

#[test]
fn a_run_whose_unit_cannot_go_on_fails_if_no_other_trainer_is_at_work() {
    let (unable, diverged) = complaint();
    for (mut trainer, complaint) in [
        (gathering(), unable.clone()),
        (running(), unable.clone()),
        (running(), diverged.clone()),
    ] {
        trainer.hears(5, complaint, ["store: BeginGeneration"]);
        trainer.gets(opened(6), ["fail"]);
        trainer.hears(6, Message::Hello { from: HIDDEN }, NOTHING);
    }
    for complaint in [unable, diverged] {
        let mut trainer = running();
        trainer.hears(5, complaint, ["store: BeginGeneration"]);
        let mut expected = vec!["report".to_owned()];
        expected.extend(rewinds(7));
        trainer.gets(opened(7), expected);
    }
}

#[test]
fn a_trainer_does_not_listen_to_complaints_of_strangers() {
    let mut trainer = running();
    let from = Address::Unit { layer: 1, index: 7 };
    let problem = "damaged".to_owned();
    trainer.hears(5, Message::Unable { from, problem }, NOTHING);
    for from in [from, Address::Synapse(0), Address::Synapse(1)] {
        let (neuron, tick) = (0, Tick(1));
        trainer.hears(5, Message::Diverged { from, neuron, tick }, NOTHING);
    }
    assert_eq!(trainer.dropped(), [0, 0, 4]);
}

#[test]
fn a_trainer_that_feeds_the_first_layer_sends_the_next_tick_by_itself() {
    let mut trainer = started(begun(booted(case(), Feed::Broadcast)));
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    let said = [&TICK_1_DONE_ALONE[..], &["layer 0: Forward 2@5"]].concat();
    trainer.hears(5, outputs[1].clone(), said);
}

#[test]
fn an_evaluation_comes_with_the_last_errors_before_it_and_the_one_behind_it_by_itself() {
    // A tick of training and two of validation.
    let case = Case::new(case().graph.as_ref().clone(), noise(3, 2, 2, [2, 4, 2]));
    let mut trainer = started(begun(booted(case, Feed::Reference)));
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    let said = [&TICK_1_DONE[..], &["layer 0: Forward 3@5"]].concat();
    trainer.hears(5, outputs[1].clone(), said);
}

#[test]
fn a_tick_that_had_to_wait_for_a_commit_is_sent_by_itself() {
    // A tick of training, and one of test rows: the run's last must be a commit point.
    let mut graph = case().graph.as_ref().clone();
    graph.training.epochs = 1;
    let case = Case::new(graph, noise(3, 2, 2, [2, 0, 2]));
    let mut trainer = started(begun(booted(case, Feed::Reference)));
    let commit = trainer.issued.and_then(|header| header.commit());
    let commit = commit.expect("tick 1 was issued as a commit point");
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    // The second one is of the epoch.
    let said = [&TICK_1_DONE_ALONE[..], &["report"]].concat();
    trainer.hears(5, outputs[1].clone(), said);
    let units = MEMBERS.into_iter().filter(|m| *m != Address::Synapse(0));
    for from in units.skip(1) {
        trainer.hears(5, Message::Committed { from, commit }, NOTHING);
    }
    let from = HIDDEN;
    let said = ["store: WriteLedger 1@5"];
    trainer.hears(5, Message::Committed { from, commit }, said);
    let written = Input::Stored(StoreReply::Ledger {
        generation: Generation(5),
        commit,
        refused_by: None,
    });
    trainer.gets(written, ["report", "layer 0: Forward 2@5"]);
}

#[test]
fn a_trainer_counts_outputs_that_it_leaves_alone() {
    let mut trainer = running();
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(4, outputs[0].clone(), NOTHING);
    trainer.hears(5, outputs[0].clone(), NOTHING);
    trainer.hears(5, outputs[0].clone(), NOTHING);
    assert_eq!(trainer.dropped(), [1, 1, 0]);
    trainer.hears(5, outputs[1].clone(), TICK_1_DONE);
    trainer.hears(5, outputs[1].clone(), NOTHING);
    assert_eq!(trainer.dropped(), [1, 2, 0]);
}

#[test]
fn the_ledger_is_written_when_all_units_have_written_in_this_generation() {
    let mut trainer = running();
    let commit = trainer.issued.and_then(|header| header.commit());
    let commit = commit.expect("tick 1 was issued as a commit point");
    let units = MEMBERS.into_iter().filter(|m| *m != Address::Synapse(0));
    let committed = |from| Message::Committed { from, commit };
    for from in units.clone() {
        trainer.hears(4, committed(from), NOTHING);
    }
    for from in units.clone().skip(1) {
        trainer.hears(5, committed(from), NOTHING);
        trainer.hears(5, committed(from), NOTHING);
    }
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    trainer.hears(5, outputs[1].clone(), TICK_1_DONE);
    trainer.hears(5, committed(HIDDEN), ["store: WriteLedger 1@5"]);
}

fn refused(generation: u64, newest: u64) -> Input {
    Input::Stored(StoreReply::Ledger {
        generation: Generation(generation),
        commit: point(1, 1),
        refused_by: Some(Generation(newest)),
    })
}

#[test]
fn a_trainer_whose_ledger_is_refused_ends() {
    let mut trainer = running();
    trainer.gets(refused(5, 6), ["fail"]);
    trainer.now = Duration::from_secs(1_000_000);
    trainer.gets(Input::Clock, NOTHING);
}

#[test]
fn a_trainer_whose_own_draw_went_unanswered_goes_on() {
    let reported = |generation| [vec!["report".to_owned()], rewinds(generation)].concat();
    let mut trainer = gathering();
    trainer.now = Duration::from_secs(31);
    trainer.gets(Input::Clock, ["store: BeginGeneration"]);
    // Generation 6 may be the one that was just asked for: nobody else need be there.
    trainer.gets(refused(5, 6), ["store: BeginGeneration"]);
    trainer.gets(opened(7), reported(7));
    trainer.gets(refused(7, 8), ["store: BeginGeneration"]);
    trainer.gets(opened(9), reported(9));
    // Generations 10 and 11 are more than one lost answer explains.
    trainer.gets(refused(9, 11), ["fail"]);
}

#[test]
fn silence_beyond_the_deadline_sets_off_a_rewind() {
    let mut trainer = running();
    trainer.now = Duration::from_secs(29);
    trainer.gets(Input::Clock, NOTHING);
    trainer.now = Duration::from_secs(31);
    trainer.gets(Input::Clock, ["store: BeginGeneration"]);
}

#[test]
fn a_commit_that_takes_the_store_long_is_waited_for() {
    let mut trainer = running();
    trainer.gets(Input::Stop, NOTHING);
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    // Nothing more goes out: only the commit of tick 1 is waited for.
    trainer.hears(5, outputs[1].clone(), TICK_1_DONE_ALONE);
    // Ticks are fast, so that 20 of them are long over; the store has 30 s.
    trainer.now = Duration::from_secs(29);
    trainer.gets(Input::Clock, NOTHING);
    trainer.now = Duration::from_secs(31);
    trainer.gets(Input::Clock, ["store: BeginGeneration"]);
}
