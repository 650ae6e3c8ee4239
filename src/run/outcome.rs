//! Results of a training that was followed to its end, and its curves beside the run.

use std::path::PathBuf;

use cuttlefish_core::data::Task;
use cuttlefish_core::network::digest;
use cuttlefish_core::protocol::{EpochRecord, Progress, Totals, Verdict};
use cuttlefish_core::topology::Graph;
use serde_json::{Value, json};

use super::{Error, Run};
use crate::deploy::TargetKind;
use crate::host::End;
use crate::monitor::Monitor;
use crate::report::plot;

/// Results of a training.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// Name of the run.
    pub run: String,
    /// Target that it was trained on.
    pub target: TargetKind,
    /// Completed, or stopped because somebody asked for it.
    pub verdict: Verdict,
    /// Position in the schedule, with every epoch's metrics.
    pub progress: Progress,
    /// The task, for the words of its metrics; without right answers.
    pub task: Task,
    /// Weights and biases of the network.
    pub parameters: usize,
    /// SHA-256 over every neuron's weights, then bias, in layer and neuron order.
    pub weights_sha256: String,
    /// Figures of the run, over all its trainers.
    pub totals: Totals,
    /// File with the curves; None before the first epoch has ended.
    pub curves: Option<PathBuf>,
}

impl TrainingResult {
    /// Training rows in a second.
    pub fn samples_per_second(&self) -> f64 {
        match self.totals.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.totals.rows as f64 / seconds,
        }
    }

    /// The results as a JSON document.
    pub fn document(&self) -> Value {
        let last = self.progress.history.last();
        json!({
            "run": self.run,
            "target": self.target.word(),
            "verdict": self.verdict,
            "ticks": self.progress.tick,
            "epochs": last.map_or(0, |epoch| epoch.epoch),
            "samples_per_second": self.samples_per_second(),
            "wall_seconds": self.totals.elapsed.as_secs_f64(),
            "train": last.map(|epoch| &epoch.train),
            "validation": last.and_then(|epoch| epoch.validation.as_ref()),
            "test": self.progress.test,
            "weights_sha256": self.weights_sha256,
            "rewinds": self.totals.rewinds,
        })
    }
}

impl Run {
    /// The results of a training that was followed to its end.
    pub(super) async fn training_result(
        &self,
        end: End,
        graph: &Graph,
        monitor: &Monitor,
    ) -> Result<TrainingResult, Error> {
        let outcome = match end {
            End::Finished(outcome) => *outcome,
            End::Failed(fault) => return Err(Error::Fault(fault)),
            End::StoreFailed(problem) => {
                let hint = match self.kind() {
                    TargetKind::Local => format!(
                        "\ngo on from the last commit with `cuttlefish train --resume {}`",
                        self.name()
                    ),
                    TargetKind::Docker | TargetKind::Ecs => String::new(),
                };
                return Err(Error::StoreLost { problem, hint });
            }
        };
        let saved = self.saved().await?;
        let progress = outcome.ledger.progress;
        Ok(TrainingResult {
            run: self.name().to_owned(),
            target: self.kind(),
            verdict: outcome.verdict,
            curves: self
                .draw_curves(&progress.history)
                .unwrap_or_else(|problem| {
                    // What was trained is not lost for that.
                    monitor.note(format!("failed to draw the curves: {problem}"));
                    None
                }),
            progress,
            task: saved.record.rows.task(),
            parameters: graph.parameters(),
            weights_sha256: digest(saved.states().await?.iter().flatten()),
            totals: outcome.totals,
        })
    }

    /// Draws the curves into the run's directory.
    fn draw_curves(&self, history: &[EpochRecord]) -> Result<Option<PathBuf>, String> {
        if history.is_empty() {
            return Ok(None);
        }
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let path = self.dir.path().join("curves.svg");
        let svg = plot::svg(self.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(&path, svg).map_err(|e| failed(&e))?;
        let png = plot::png(self.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(self.dir.path().join("curves.png"), png).map_err(|e| failed(&e))?;
        Ok(Some(path))
    }
}
