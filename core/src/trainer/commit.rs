//! Commit points: from the units' reports to the ledger.

use std::time::Duration;

use super::{Phase, Trainer};
use crate::ids::{Address, CommitPoint, Generation};
use crate::machine::{Effect, Effects, Fault, StoreRequest};
use crate::protocol::{Event, Ledger, Totals};
use crate::topology::Roster;

impl Trainer {
    pub(super) fn committed(
        &mut self,
        now: Duration,
        from: Address,
        commit: CommitPoint,
        effects: &mut dyn Effects,
    ) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        if let Some(pending) = &mut running.pending
            && pending.commit == commit
            && Roster::new(&self.graph).has_member(from)
        {
            pending.written_by.insert(from);
            self.last_heard = now;
            self.write_ledger_if_complete(now, effects);
        }
    }

    pub(super) fn write_ledger_if_complete(&mut self, now: Duration, effects: &mut dyn Effects) {
        let (generation, totals) = (self.generation, self.totals(now));
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let Some(pending) = &mut running.pending else {
            return;
        };
        if pending.requested.is_some() || pending.written_by.len() < self.n_units {
            return;
        }
        if let Some(progress) = &pending.progress {
            let is_newest =
                running.progress.tick == pending.commit.tick && running.unfinished.is_empty();
            let is_last = progress.finished || (self.stop_asked && is_newest);
            let ledger = Box::new(Ledger {
                commit: pending.commit,
                progress: progress.clone(),
                totals: Totals {
                    generation: (!is_last).then_some(generation),
                    ..totals
                },
            });
            pending.requested = Some(ledger.clone());
            effects.push(Effect::Store(StoreRequest::WriteLedger {
                generation,
                ledger,
            }));
        }
    }

    pub(super) fn ledger_written(
        &mut self,
        now: Duration,
        commit: CommitPoint,
        refused_by: Option<Generation>,
        effects: &mut dyn Effects,
    ) {
        if let Some(newest) = refused_by {
            // Generations that we drew ourselves, whose answers were lost, are nobody else's.
            let drawn_since = newest.0.saturating_sub(self.generation.0);
            if drawn_since <= self.unanswered_draws {
                let reason = "an answer of the store was lost".to_owned();
                return self.rewind(now, Some(reason), effects);
            }
            effects.push(Effect::Fail(Fault::Superseded {
                generation: self.generation,
            }));
            self.phase = Phase::Over;
            return;
        }
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let Some(pending) = running.pending.take_if(|pending| pending.commit == commit) else {
            return;
        };
        let Some(ledger) = pending.requested else {
            return;
        };
        running.ledger = *ledger;
        running.commits_since_rewind += 1;
        let took = now.saturating_sub(running.last_mark);
        self.longest_commit = took.max(self.longest_commit * 9 / 10);
        self.fruitless_rewinds = 0;
        self.last_heard = now;
        effects.push(Effect::Report(Event::Committed(commit)));
        self.issue(now, effects);
    }
}
