//! Early stopping of a trial: its values go to rungs of the store, whose order decides.

use async_trait::async_trait;
use cuttlefish_core::protocol::EpochRecord;
use cuttlefish_core::sweep::{Decision, Goal, Metric, Report, StoppingRule, decide, is_rung};

use super::Error;
use super::definition::Definition;
use super::task::TaskId;
use super::trial::{Judge, epoch_value};
use crate::store::DynamoStore;

/// Judge of one task, by the tasks of other trials with its seed and fold.
pub struct RungJudge<'a> {
    rule: Option<&'a StoppingRule>,
    metric: Metric,
    goal: Goal,
    task: TaskId,
    store: &'a DynamoStore,
    best: f64,
    sum: f64,
    epochs: u32,
    error: Option<Error>,
}

impl<'a> RungJudge<'a> {
    /// The judge of a task.
    pub fn new(definition: &'a Definition, task: TaskId, store: &'a DynamoStore) -> Self {
        Self {
            rule: definition.sweep().early_stopping.as_ref(),
            metric: definition.metric,
            goal: definition.goal,
            task,
            store,
            best: f64::INFINITY,
            sum: 0.0,
            epochs: 0,
            error: None,
        }
    }

    /// Error that kept it from judging.
    pub fn error(self) -> Option<Error> {
        self.error
    }

    /// Takes an epoch into account; its value, as it is and so that smaller is better.
    fn count(&mut self, record: &EpochRecord) -> Option<(f64, f64)> {
        let validation = record.validation.as_ref()?;
        let (value, goal) = epoch_value(self.metric, self.goal, validation);
        let lower = goal.score(value);
        // A value that is no number is worse than any.
        self.best = self.best.min(lower);
        self.sum += lower;
        self.epochs += 1;
        Some((value, lower))
    }

    async fn decide(&self, rule: &StoppingRule, epoch: u32, lower: f64) -> Result<Decision, Error> {
        let rung = format!("{:03}.{:03}.{epoch:07}", self.task.seed, self.task.fold);
        let name = self.task.name();
        let mean = self.sum / f64::from(self.epochs);
        let entry = format!("{name} {lower} {} {mean}", self.best);
        let entries = self.store.report_to_rung(&rung, &name, &entry).await?;
        let reports: Vec<Report> = entries.iter().filter_map(|entry| parse(entry)).collect();
        Ok(decide(rule, epoch, &reports))
    }
}

/// Entry of a rung, as [`RungJudge`] writes it.
fn parse(entry: &str) -> Option<Report> {
    let mut words = entry.split(' ');
    let task = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Report {
        task,
        value: number()?,
        best: number()?,
        mean: number()?,
    })
}

#[async_trait(?Send)]
impl Judge for RungJudge<'_> {
    async fn stops(&mut self, record: &EpochRecord) -> Option<f64> {
        let (value, lower) = self.count(record)?;
        let rule = self.rule.filter(|rule| is_rung(rule, record.epoch))?;
        match self.decide(rule, record.epoch, lower).await {
            Ok(Decision::Stop) => Some(value),
            Ok(Decision::Continue) => None,
            Err(error) => {
                self.error = Some(error);
                // The task is tried again by somebody who reaches the store.
                Some(value)
            }
        }
    }
}
