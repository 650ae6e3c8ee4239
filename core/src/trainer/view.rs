//! View of the trainer.

use super::{Phase, Trainer, epoch_of, head};
use crate::protocol::Progress;
use crate::view::{
    OutputFigures, PendingCommit, ProbabilityView, ProgressView, TrainerPhase, TrainerView,
};

impl Trainer {
    pub(super) fn show(&self) -> TrainerView {
        let mut view = TrainerView {
            generation: self.generation,
            phase: TrainerPhase::Opening,
            missing: 0,
            members: self.n_members,
            progress: None,
            history: Vec::new(),
            committed: None,
            pending: None,
            dropped: self.dropped,
            probabilities: self.probabilities(),
            rows: self.is_informed().then_some(self.totals.rows),
            rewinds: self.is_informed().then_some(self.totals.rewinds),
        };
        match &self.phase {
            Phase::Opening => {}
            Phase::Gathering { ledger, ready } => {
                view.phase = TrainerPhase::Gathering;
                view.missing = self.n_members - ready.len();
                view.progress = Some(place(&ledger.progress));
                view.history = ledger.progress.history.clone();
                view.committed = Some(ledger.commit);
            }
            Phase::Running(running) => {
                view.phase = TrainerPhase::Running;
                view.progress = Some(place(&running.progress));
                view.history = running.progress.history.clone();
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

    fn probabilities(&self) -> Option<ProbabilityView> {
        let (tick, outputs) = self.last_outputs.as_ref()?;
        if !self.graph.has_logits(self.graph.layers.len() - 1) {
            return None;
        }
        let mut answers = outputs.clone();
        head::answer(self.graph.head, &mut answers);
        let neurons = answers.outer_iter();
        Some(ProbabilityView {
            tick: *tick,
            neurons: neurons
                .map(|neuron| OutputFigures::new(&neuron.to_vec()))
                .collect::<Option<_>>()?,
        })
    }

    /// True once a ledger has told what was before this trainer.
    fn is_informed(&self) -> bool {
        self.generation.0 > 0
    }
}

fn place(progress: &Progress) -> ProgressView {
    ProgressView {
        epoch: epoch_of(progress.part, progress.epoch),
        part: progress.part,
        index: progress.index,
        tick: progress.tick,
        step: progress.step,
    }
}
