//! A 2-2-1 network, so small that everything that can happen to it once or twice can be tried.

use rayon::prelude::*;

use cuttlefish_core::math::Loss;
use cuttlefish_core::protocol::{Envelope, Outcome};
use cuttlefish_core::topology::Head;

use super::random::Calm;
use super::world::{End, Fate, StoreFate, World};
use crate::support::{Case, classifier, noise};

/// A fixed list of misfortunes, otherwise first come, first served.
#[derive(Clone, Copy, Default)]
struct Planned {
    kill: [Option<u64>; 2],
    lose_inbox: bool,
    lose_message: Option<u64>,
    repeat_message: Option<u64>,
    store: Option<(u64, StoreFate)>,
}

impl Fate for Planned {
    fn pick(&mut self, _n: usize) -> usize {
        0
    }

    fn kills(&mut self, effect: u64) -> bool {
        self.kill.contains(&Some(effect))
    }

    fn copies(&mut self, n: u64, _envelope: &Envelope) -> usize {
        if self.lose_message == Some(n) {
            0
        } else if self.repeat_message == Some(n) {
            2
        } else {
            1
        }
    }

    fn store(&mut self, n: u64) -> StoreFate {
        match self.store {
            Some((at, fate)) if at == n => fate,
            _ => StoreFate::Done,
        }
    }

    fn loses_inbox(&mut self) -> bool {
        self.lose_inbox
    }
}

/// 2 inputs, 2 hidden neurons, 1 output; 4 training ticks, a validation and a test tick.
fn tiny() -> Case {
    let mut graph = classifier(3, &[2, 2, 1]);
    graph.loss = Loss::BinaryCrossentropy;
    graph.head = Head::Sigmoid;
    graph.training.epochs = 2;
    Case::new(graph, noise(3, 2, 2, [4, 1, 1]))
}

fn expect_same(case: &Case, wanted: &End, plan: Planned, what: &str) {
    match World::new(case, plan).run() {
        Ok(end) => assert!(end == *wanted, "{what}: other bits"),
        Err(problem) => panic!("{what}: {problem}"),
    }
}

#[test]
fn a_kill_at_any_effect_changes_nothing() {
    let case = tiny();
    let mut world = World::new(&case, Calm);
    let wanted = world.run().expect("an undisturbed run ends");
    let effects = world.statistics.effects;
    for lose_inbox in [false, true] {
        for at in 0..effects {
            let plan = Planned {
                kill: [Some(at), None],
                lose_inbox,
                ..Planned::default()
            };
            expect_same(&case, &wanted, plan, &format!("kill at effect {at}"));
        }
    }
    println!("{effects} effect boundaries, each with its inbox kept and lost");
}

#[test]
fn a_pair_of_kills_at_any_two_effects_changes_nothing() {
    let case = tiny();
    let mut world = World::new(&case, Calm);
    let wanted = world.run().expect("an undisturbed run ends");
    let effects = world.statistics.effects;
    // The second kill may also hit the recovery from the first, which lengthens the run.
    let pairs: u64 = (0..effects)
        .into_par_iter()
        .map(|first| {
            let last = 2 * effects;
            for second in first + 1..last {
                let plan = Planned {
                    kill: [Some(first), Some(second)],
                    lose_inbox: (first + second) % 2 == 0,
                    ..Planned::default()
                };
                expect_same(
                    &case,
                    &wanted,
                    plan,
                    &format!("kills at {first} and {second}"),
                );
            }
            last - first - 1
        })
        .sum();
    println!("{pairs} pairs of kills over {effects} effects");
}

#[test]
fn any_message_lost_or_repeated_and_any_request_half_done_changes_nothing() {
    let case = tiny();
    let mut world = World::new(&case, Calm);
    let wanted = world.run().expect("an undisturbed run ends");
    for n in 0..world.statistics.messages {
        let lost = Planned {
            lose_message: Some(n),
            ..Planned::default()
        };
        expect_same(&case, &wanted, lost, &format!("message {n} lost"));
        let repeated = Planned {
            repeat_message: Some(n),
            ..Planned::default()
        };
        expect_same(&case, &wanted, repeated, &format!("message {n} repeated"));
    }
    for n in 0..world.statistics.requests {
        for fate in [StoreFate::Unanswered, StoreFate::Lost] {
            let plan = Planned {
                store: Some((n, fate)),
                ..Planned::default()
            };
            expect_same(
                &case,
                &wanted,
                plan,
                &format!("store request {n} disturbed"),
            );
        }
    }
}

#[test]
fn every_rewind_is_counted_whoever_was_lost() {
    let case = tiny();
    let mut world = World::new(&case, Calm);
    world.run().expect("an undisturbed run ends");
    let rewinds =
        |outcome: &Option<Outcome>| outcome.as_ref().expect("it has ended").totals.rewinds;
    assert_eq!(rewinds(&world.outcome), 0);
    let mut most = 0;
    for first in 0..world.statistics.effects {
        let plan = Planned {
            // The second one is lost soon after the first, or long after.
            kill: [Some(first), Some(first + 20 + first % 7 * 20)],
            ..Planned::default()
        };
        let mut world = World::new(&case, plan);
        world.run().expect("a run whose machines were lost ends");
        let rewinds = rewinds(&world.outcome);
        // A trainer that is lost before the first commit, or after the last one, loses nothing.
        let counted = world.store.interruptions..world.store.generations();
        assert!(
            counted.contains(&rewinds),
            "kill at {first}: {rewinds} not in {counted:?}"
        );
        most = most.max(rewinds);
    }
    assert!(most >= 2, "{most}");
}
