//! Figures of a run, which outlive its trainers.

use std::time::Duration;

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::machine::{Input, StoreReply};
use cuttlefish_core::protocol::{Ledger, Message, Progress, Totals};
use cuttlefish_core::trainer::Trainer;
use cuttlefish_core::view::View;

use super::super::test_machine::TestMachine;
use super::super::{HIDDEN, NOTHING, point};
use super::{MEMBERS, TICK_1_DONE_ALONE, opening, rewinds};

/// The answer to a draw where the ledger of commit 1 has these totals.
fn opened_after(generation: u64, totals: Totals) -> Input {
    Input::Stored(StoreReply::Generation {
        generation: Generation(generation),
        ledger: Some(Box::new(Ledger {
            commit: point(1, 1),
            progress: Progress::start(2),
            totals,
        })),
    })
}

fn rewinds_of(trainer: &TestMachine<Trainer>) -> Option<u64> {
    match trainer.view() {
        View::Trainer(view) => view.rewinds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rewinds_are_counted_over_all_trainers_of_a_run() {
    let totals = |generation| Totals {
        rewinds: 3,
        generation,
        ..Totals::default()
    };
    let mut trainer = opening();
    assert_eq!(rewinds_of(&trainer), None);
    // Generations 5 and 6: one that another trainer began, and this one.
    trainer.gets(opened_after(6, totals(Some(Generation(4)))), rewinds(6));
    assert_eq!(rewinds_of(&trainer), Some(5));
    trainer.now = Duration::from_secs(31);
    trainer.gets(Input::Clock, ["store: BeginGeneration"]);
    let reported = [vec!["report".to_owned()], rewinds(7)].concat();
    let again = opened_after(7, totals(Some(Generation(4))));
    trainer.gets(again, reported.clone());
    assert_eq!(rewinds_of(&trainer), Some(6));
    // A run that was stopped, or whose ledger is an old one, loses nothing when it goes on.
    let mut trainer = opening();
    trainer.gets(opened_after(6, totals(None)), rewinds(6));
    assert_eq!(rewinds_of(&trainer), Some(3));
    trainer.now = Duration::from_secs(31);
    trainer.gets(Input::Clock, ["store: BeginGeneration"]);
    trainer.gets(opened_after(7, totals(None)), reported);
    assert_eq!(rewinds_of(&trainer), Some(4));
}

#[test]
fn a_run_knows_for_how_long_and_on_how_many_rows_its_trainers_have_worked() {
    let mut trainer = opening();
    trainer.now = Duration::from_secs(3);
    let before = Totals {
        rows: 50,
        elapsed: Duration::from_secs(100),
        ..Totals::default()
    };
    trainer.gets(opened_after(5, before), rewinds(5));
    for from in &MEMBERS[1..] {
        trainer.hears(5, Message::Ready { from: *from }, NOTHING);
    }
    trainer.now = Duration::from_secs(5);
    let effects = ["report", "layer 0: Forward 1@5"];
    trainer.hears(5, Message::Ready { from: HIDDEN }, effects);
    trainer.now = Duration::from_secs(9);
    // The commit that a person asks for before leaving.
    trainer.gets(Input::Stop, NOTHING);
    let commit = trainer.issued.and_then(|header| header.commit());
    let commit = commit.expect("tick 1 was issued as a commit point");
    let outputs = [trainer.output(0), trainer.output(1)];
    trainer.hears(5, outputs[0].clone(), NOTHING);
    trainer.hears(5, outputs[1].clone(), TICK_1_DONE_ALONE);
    let units = MEMBERS.into_iter().filter(|m| *m != Address::Synapse(0));
    for from in units.skip(1) {
        trainer.hears(5, Message::Committed { from, commit }, NOTHING);
    }
    let effects = ["store: WriteLedger 2@5"];
    trainer.hears(
        5,
        Message::Committed {
            from: HIDDEN,
            commit,
        },
        effects,
    );
    let ledger = trainer.ledger.take().expect("it was written");
    let expected = Totals {
        rows: 52,
        elapsed: Duration::from_secs(104),
        ..Totals::default()
    };
    assert_eq!(ledger.totals, expected);
    // What the last write takes is in no ledger, and so in no figure.
    trainer.now = Duration::from_secs(11);
    let written = StoreReply::Ledger {
        generation: Generation(5),
        commit,
        refused_by: None,
    };
    trainer.gets(Input::Stored(written), ["report", "finish"]);
    let outcome = trainer.outcome.take().expect("it has ended");
    assert_eq!(outcome.totals, expected);
}

#[test]
fn a_ledger_of_an_older_program_is_read() {
    let ledger = Ledger {
        commit: point(1, 1),
        progress: Progress::start(2),
        totals: Totals::default(),
    };
    let mut json = serde_json::to_value(&ledger).expect("a ledger is written");
    let fields = json.as_object_mut().expect("an object");
    assert!(fields.remove("totals").is_some());
    let read: Ledger = serde_json::from_value(json).expect("it is read");
    assert_eq!(read, ledger);
}
