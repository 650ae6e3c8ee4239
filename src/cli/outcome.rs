//! What people are told at the end of a run.

use std::path::PathBuf;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::network::digest;
use cuttlefish_core::topology::Graph;
use cuttlefish_core::trainer::{EpochRecord, Outcome, Verdict};
use serde_json::json;

use super::{Exit, Failure, print, print_json, tell};
use crate::report::{plot, summary};
use crate::runs::{RunDir, SavedRun};

/// A run that ended well, to be told about.
pub struct Finished<'a> {
    pub run: &'a RunDir,
    pub target: &'static str,
    /// The run as its store has it.
    pub saved: SavedRun,
    pub graph: &'a Graph,
    pub dataset: &'a Dataset,
    pub outcome: &'a Outcome,
}

impl Finished<'_> {
    /// Draws the curves and prints the summary, or one JSON document.
    pub async fn report(&self, as_json: bool) -> Result<Exit, Failure> {
        let progress = &self.outcome.ledger.progress;
        let name = self.run.name();
        let plot = self.plot(&progress.history)?;
        let sha256 = digest(self.saved.states().await?.iter().flatten());
        let totals = &self.outcome.totals;
        let seconds = totals.elapsed.as_secs_f64();
        // No time has passed where a run that has ended, of an older program, is resumed.
        let speed = totals.rows as f64 / seconds.max(f64::EPSILON);
        if as_json {
            let last = progress.history.last();
            print_json(&json!({
                "run": name,
                "target": self.target,
                "verdict": self.outcome.verdict,
                "ticks": progress.tick,
                "epochs": last.map_or(0, |epoch| epoch.epoch),
                "samples_per_second": speed,
                "wall_seconds": seconds,
                "train": last.map(|epoch| &epoch.train),
                "validation": last.and_then(|epoch| epoch.validation.as_ref()),
                "test": progress.test,
                "weights_sha256": sha256,
                "rewinds": totals.rewinds,
            }))?;
        } else {
            let mut text = summary::summary(progress, &self.dataset.task);
            text.push_str(&format!(
                "\n{} parameters, {} ticks in {seconds:.1} s, {speed:.0} samples/s\n",
                self.graph.parameters(),
                progress.tick,
            ));
            text.push_str(&format!("weights sha256 {sha256}\n"));
            if let Some(plot) = plot {
                text.push_str(&format!("curves {}\n", plot.display()));
            }
            print(&text)?;
        }
        if self.outcome.verdict == Verdict::Stopped {
            tell(format_args!(
                "stopped after tick {}; go on with `cuttlefish train --resume {name}`",
                progress.tick
            ));
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Ok)
    }

    /// Draws the curves next to the run.
    fn plot(&self, history: &[EpochRecord]) -> Result<Option<PathBuf>, Failure> {
        if history.is_empty() {
            return Ok(None);
        }
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failed,
                format_args!("failed to draw the curves: {error}"),
            )
        };
        let path = self.run.path().join("curves.svg");
        let svg = plot::svg(self.run.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(&path, svg).map_err(|e| failed(&e))?;
        let png = plot::png(self.run.name(), history).map_err(|e| failed(&e))?;
        std::fs::write(self.run.path().join("curves.png"), png).map_err(|e| failed(&e))?;
        Ok(Some(path))
    }
}
