//! Evaluation of a run's weights on a part of its data.

use std::sync::Arc;

use cuttlefish_core::data::{Batches, Part, Task};
use cuttlefish_core::network::Network;
use cuttlefish_core::protocol::Evaluation;

use super::prepare::dataset_of;
use super::{Error, Run};
use crate::config::Config;

/// Metrics of a part of a run's data, and the task that they are of.
#[derive(Clone, Debug)]
pub struct PartEvaluation {
    /// The metrics.
    pub evaluation: Evaluation,
    /// The task.
    pub task: Task,
}

impl Run {
    /// Evaluates the weights of the last commit; the initial ones before the first.
    ///
    /// # Errors
    /// When the data cannot be read, has changed, or has no rows in that part.
    pub async fn evaluate(&self, part: Part, config: &Config) -> Result<PartEvaluation, Error> {
        let saved = self.saved().await?;
        let dataset = Arc::new(dataset_of(&saved.record, config)?);
        let graph = &saved.graph;
        let network = Network::restore(graph, &saved.states().await?)
            .map_err(|problem| Error::Corrupt(problem.to_string()))?;
        let batch_size = graph.training.batch_size;
        let batches = Batches::new(dataset.clone(), graph.seed, batch_size, false);
        let evaluation = network
            .evaluate(&batches, part, &dataset.task)
            .ok_or_else(|| Error::NoRows {
                run: self.name().to_owned(),
                part: part_name(part),
            })?;
        Ok(PartEvaluation {
            evaluation,
            task: dataset.task.clone(),
        })
    }
}

/// A part's name in words.
pub fn part_name(part: Part) -> &'static str {
    match part {
        Part::Test => "test",
        Part::Validation => "validation",
        Part::Train => "training",
    }
}
