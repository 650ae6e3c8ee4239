//! What the trainer shows of itself.

use super::{Phase, Progress, Trainer};
use crate::view::{PendingCommit, ProgressView, TrainerPhase, TrainerView};

impl Trainer {
    pub(super) fn show(&self) -> TrainerView {
        let mut view = TrainerView {
            generation: self.generation,
            phase: TrainerPhase::Opening,
            missing: 0,
            members: self.n_members,
            progress: None,
            committed: None,
            pending: None,
            dropped: self.dropped,
            rewinds: self.rewinds,
        };
        match &self.phase {
            Phase::Opening => {}
            Phase::Gathering { ledger, ready } => {
                view.phase = TrainerPhase::Gathering;
                view.missing = self.n_members - ready.len();
                view.progress = Some(place(&ledger.progress));
                view.committed = Some(ledger.commit);
            }
            Phase::Running(running) => {
                view.phase = TrainerPhase::Running;
                view.progress = Some(place(&running.progress));
                view.committed = Some(running.ledger.commit);
                view.pending = running.pending.as_ref().map(|pending| PendingCommit {
                    commit: pending.commit,
                    written: pending.written_by.len(),
                    of: self.n_units,
                });
            }
            Phase::Over => view.phase = TrainerPhase::Over,
        }
        view
    }
}

fn place(progress: &Progress) -> ProgressView {
    ProgressView {
        epoch: progress.epoch,
        part: progress.part,
        index: progress.index,
        tick: progress.tick,
        step: progress.step,
    }
}
