//! Tasks of a sweep: one training each, and what came of it.

use cuttlefish_core::score::Scores;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;

/// Place of a task in its sweep: the order of tasks is that of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// Number of the trial, from 0.
    pub trial: u32,
    /// Number of its seed, from 0.
    pub seed: u32,
    /// The fold that validates, from 1; 0 where the file's validation rows do.
    pub fold: u32,
}

impl TaskId {
    /// Name of the task in store and messages; names sort as tasks do.
    pub fn name(self) -> String {
        format!("{:07}.{:03}.{:03}", self.trial, self.seed, self.fold)
    }

    /// The task of a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut numbers = name.split('.').map(|digits| digits.parse().ok());
        let mut number = || numbers.next().flatten();
        let id = Self {
            trial: number()?,
            seed: number()?,
            fold: number()?,
        };
        (id.name() == name).then_some(id)
    }
}

/// A task on its way to a worker, as JSON of a few hundred bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Name of the sweep.
    pub sweep: String,
    /// Key of the sweep: a task of one that was replaced by another of its name has another key.
    pub key: String,
    /// Name of the task.
    pub task: String,
    /// Values of the trial's parameters, by their paths.
    pub values: Vec<(String, Value)>,
    /// SHA-256 of the prepared data set.
    pub data: String,
    /// Time after which it is not begun, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
}

impl Task {
    /// The task as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a task is plain JSON")
    }

    /// The task of a message.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(message: &[u8]) -> Result<(Self, TaskId), Error> {
        let broken = |problem: String| Error::Task { problem };
        let task: Self =
            serde_json::from_slice(message).map_err(|error| broken(error.to_string()))?;
        let id = TaskId::parse(&task.task)
            .ok_or_else(|| broken(format!("`{}` names no task", task.task)))?;
        Ok((task, id))
    }
}

/// Result of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Values of the trial's parameters, by their paths.
    pub values: Vec<(String, Value)>,
    /// What became of it.
    pub outcome: Outcome,
    /// Epochs that were trained.
    pub epochs: u32,
    /// Losses of the epochs, training and validation rows; of many epochs a selection that has the last.
    pub curve: Vec<(u32, f64, f64)>,
    /// Weights and biases of the network.
    pub parameters: usize,
    /// Time that the training took, in seconds.
    pub seconds: f64,
    /// The worker that wrote this.
    pub worker: String,
}

impl TaskResult {
    /// Result of a task that could not even begin.
    pub fn failed(values: &[(String, Value)], reason: String) -> Self {
        Self {
            values: values.to_vec(),
            outcome: Outcome::Failed(reason),
            epochs: 0,
            curve: Vec::new(),
            parameters: 0,
            seconds: 0.0,
            worker: String::new(),
        }
    }

    /// The result as a store keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a result is plain JSON")
    }

    /// The result of a store's JSON.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| format!("a result: {error}"))
    }
}

/// End of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its end.
    Completed {
        /// Mean loss of the validation rows.
        loss: f64,
        /// Scores of the validation rows.
        scores: Scores,
        /// SHA-256 of the weights, as `digest` prints it.
        weights_sha256: String,
    },
    /// Stopped early: others were better at this epoch.
    Stopped {
        /// Value of the sweep's metric there.
        value: f64,
    },
    /// Failed: the reason.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_sort_as_tasks_do_and_lead_back() {
        let id = |trial, seed, fold| TaskId { trial, seed, fold };
        let ids = [
            id(0, 0, 0),
            id(0, 1, 2),
            id(9, 0, 1),
            id(10, 0, 0),
            id(999_999, 999, 100),
        ];
        let names = ids.map(TaskId::name);
        assert!(names.is_sorted());
        assert_eq!(names.map(|name| TaskId::parse(&name)), ids.map(Some));
        for name in ["", "1.2.3", "0000001.000", "0000001.000.000.0", "x.000.000"] {
            assert_eq!(TaskId::parse(name), None, "{name}");
        }
    }
}
