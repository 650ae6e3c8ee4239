//! Results of a sweep as rows: streamed from its store, and their digest.

use cuttlefish_core::digest::hexadecimal;
use cuttlefish_core::sweep::Metric;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::task::{Outcome, TaskId, TaskResult};
use super::trial::value;
use super::{Error, Sweep};

/// Result of one task.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The task.
    #[serde(flatten)]
    pub task: TaskId,
    /// Its result.
    #[serde(flatten)]
    pub result: TaskResult,
    /// Value of the sweep's metric, if the task was trained to its end.
    pub value: Option<f64>,
    /// Number of the attempt that wrote it.
    pub attempt: u64,
}

impl Sweep {
    /// Hands every result to `each`, in the order of their tasks; a page of them is in memory at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn each_row(&self, mut each: impl FnMut(Row)) -> Result<(), Error> {
        let mut problem = None;
        let metric = self.definition.metric;
        let read = self.store.each_task(|stored| {
            let (Some(task), Some(json)) = (TaskId::parse(&stored.task), stored.result) else {
                return;
            };
            match TaskResult::parse(&json) {
                Ok(result) => each(Row {
                    task,
                    value: of(metric, &result),
                    result,
                    attempt: stored.attempt,
                }),
                Err(error) => problem = Some(error),
            }
        });
        read.await?;
        match problem {
            None => Ok(()),
            Some(problem) => Err(Error::Broken {
                sweep: self.dir.name().to_owned(),
                problem,
            }),
        }
    }

    /// SHA-256 over all results in the order of their tasks, without times and workers: the same for every way to
    /// the same results.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn table_sha256(&self) -> Result<String, Error> {
        let mut sha = Sha256::new();
        self.each_row(|row| sha.update(line(&row).to_string()))
            .await?;
        Ok(hexadecimal(&sha.finalize()))
    }
}

/// A row without what differs from one way to it to another.
fn line(row: &Row) -> Value {
    let result = &row.result;
    json!([
        row.task,
        result.values,
        result.outcome,
        result.epochs,
        result.curve
    ])
}

fn of(metric: Metric, result: &TaskResult) -> Option<f64> {
    match &result.outcome {
        Outcome::Completed { loss, scores, .. } => value(metric, *loss, scores),
        Outcome::Stopped { .. } | Outcome::Failed(_) => None,
    }
}
