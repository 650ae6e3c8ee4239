//! One task trained to its end, its early stop or its fault.

use std::sync::Arc;
use std::time::Duration;

use cuttlefish_core::data::{BatchRef, BatchSource, Batches, Dataset, Labels, Part, Split};
use cuttlefish_core::ids::{CommitPoint, NeuronRange};
use cuttlefish_core::network::{Network, digest};
use cuttlefish_core::protocol::{EpochRecord, Evaluation, Event, NeuronState};
use cuttlefish_core::score::{self, Scores};
use cuttlefish_core::sweep::{Goal, Metric};
use cuttlefish_core::topology::{DataShape, Document, Graph, Grouping};
use cuttlefish_core::trainer::Timing;
use ndarray::{Array2, Axis};
use tokio::sync::mpsc;

use super::scratch::ScratchStore;
use super::task::Outcome;
use crate::deploy::local_run::{ActorThreads, LocalTraining};
use crate::host::{End, EventSink};
use crate::store::Store;

/// Points of a curve that a result keeps at most.
const MAX_POINTS: usize = 100;

/// The network of a task, with the data that it learns from.
pub struct Trial {
    graph: Arc<Graph>,
    dataset: Arc<Dataset>,
}

/// A trained task.
pub struct Trained {
    /// What became of it.
    pub outcome: Outcome,
    /// Its epochs.
    pub history: Vec<EpochRecord>,
    /// Means over the test rows, for a trial that has them.
    pub test: Option<Evaluation>,
}

/// The store of a trial cannot be reached; the text says why.
#[derive(Debug)]
pub struct StoreLost(pub String);

/// Decides after each epoch whether the training goes on.
#[async_trait::async_trait(?Send)]
pub trait Judge {
    /// The value that speaks against going on after an epoch, `None` to go on.
    async fn stops(&mut self, record: &EpochRecord) -> Option<f64>;
}

/// Sends the epochs of a run to whoever judges them.
struct EpochSink(mpsc::UnboundedSender<EpochRecord>);

impl EventSink for EpochSink {
    fn take(&self, _: Duration, event: &Event) {
        if let Event::EpochFinished(record) = event {
            // Nobody judges a run that was let go of.
            let _ = self.0.send(record.clone());
        }
    }
}

impl Trained {
    /// A task that was stopped after the last epoch of its history.
    fn stopped(value: f64, history: Vec<EpochRecord>) -> Self {
        let outcome = match value.is_finite() {
            true => Outcome::Stopped { value },
            false => Outcome::Failed("the metric is no finite number".to_owned()),
        };
        Self {
            outcome,
            history,
            test: None,
        }
    }
}

impl Trial {
    /// The network of a document and its data. Test rows are not for trials.
    ///
    /// # Errors
    /// Lists what does not fit.
    pub fn new(document: &Document, dataset: &Arc<Dataset>) -> Result<Self, String> {
        let mut without_test = Dataset::clone(dataset);
        without_test.split.test.clear();
        Ok(Self {
            dataset: Arc::new(without_test),
            ..Self::with_test_rows(document, dataset)?
        })
    }

    /// The network of a document and its data, which is to be tested at its end.
    ///
    /// # Errors
    /// Lists what does not fit.
    pub fn with_test_rows(document: &Document, dataset: &Arc<Dataset>) -> Result<Self, String> {
        let shape = DataShape::from(&**dataset);
        let graph = document.graph(&shape, Grouping::WholeLayers);
        Ok(Self {
            graph: Arc::new(graph.map_err(|problems| problems.to_string())?),
            dataset: dataset.clone(),
        })
    }

    /// Neurons of each layer.
    pub fn layers(&self) -> Vec<usize> {
        self.graph.layers.iter().map(|layer| layer.units).collect()
    }

    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        self.graph.parameters()
    }

    /// Trains the network, or goes on after these epochs. They are judged again: whoever trained them may have been
    /// lost before it heard.
    ///
    /// # Errors
    /// When the store cannot be reached. What the network or its data are to blame for is an outcome.
    pub async fn train(
        &self,
        store: Arc<ScratchStore>,
        threads: Arc<ActorThreads>,
        earlier: &[EpochRecord],
        judge: &mut dyn Judge,
    ) -> Result<Trained, StoreLost> {
        let mut history = Vec::new();
        for record in earlier {
            let stopped = judge.stops(record).await;
            history.push(record.clone());
            if let Some(value) = stopped {
                return Ok(Trained::stopped(value, history));
            }
        }
        let (sender, mut epochs) = mpsc::unbounded_channel();
        let training = &self.graph.training;
        let batches = Batches::new(
            self.dataset.clone(),
            self.graph.seed,
            training.batch_size,
            training.shuffle,
        );
        let batches: Arc<dyn BatchSource> = Arc::new(batches.augmented(training.augmentation));
        let training = LocalTraining {
            graph: &self.graph,
            batches: &batches,
            task: &self.dataset.task,
            store: store.clone(),
            timing: Timing::default(),
            sinks: vec![Arc::new(EpochSink(sender))],
        };
        let run = training.start(threads);
        let end = loop {
            tokio::select! {
                biased;
                Some(record) = epochs.recv() => {
                    let stopped = judge.stops(&record).await;
                    history.push(record);
                    if let Some(value) = stopped {
                        return Ok(Trained::stopped(value, history));
                    }
                }
                () = run.observer().wait(Duration::from_secs(1)) => {
                    // Epochs that are still to be judged come first.
                    if let Some(end) = run.observer().ended()
                        && epochs.is_empty()
                    {
                        break end;
                    }
                }
            }
        };
        let mut test = None;
        let outcome = match end {
            End::Finished(outcome) => {
                test.clone_from(&outcome.ledger.progress.test);
                history.clone_from(&outcome.ledger.progress.history);
                let states = self.states(&store, outcome.ledger.commit).await;
                match states {
                    Ok(states) => self.outcome(&states, history.last()),
                    Err(error) => return Err(StoreLost(error.to_string())),
                }
            }
            End::Failed(fault) => Outcome::Failed(fault.to_string()),
            End::StoreFailed(problem) => return Err(StoreLost(problem)),
        };
        Ok(Trained {
            outcome,
            history,
            test,
        })
    }

    /// The state of every neuron at a commit, `[layer][neuron]`.
    async fn states(
        &self,
        store: &ScratchStore,
        commit: CommitPoint,
    ) -> Result<Vec<Vec<NeuronState>>, crate::store::Error> {
        if commit.is_initial() {
            return Ok(Network::initial(&self.graph).snapshot());
        }
        let mut states = Vec::new();
        for (layer, count) in self.layers().into_iter().enumerate() {
            let neurons = NeuronRange {
                layer,
                first: 0,
                count,
            };
            states.push(store.read_commit(neurons, commit).await?);
        }
        Ok(states)
    }

    fn outcome(&self, states: &[Vec<NeuronState>], last: Option<&EpochRecord>) -> Outcome {
        let network = match Network::restore(&self.graph, states) {
            Ok(network) => network,
            Err(problem) => return Outcome::Failed(problem),
        };
        let validation = last.and_then(|record| record.validation.as_ref());
        let loss = validation.map(|evaluation| evaluation.loss);
        let Some(loss) = loss.filter(|loss| loss.is_finite()) else {
            let reason = match validation {
                Some(_) => "the loss of the validation rows is no finite number",
                None => "it has no validation rows to be compared by, or no epochs",
            };
            return Outcome::Failed(reason.to_owned());
        };
        Outcome::Completed {
            loss,
            scores: self.scores(&network),
            weights_sha256: digest(states.iter().flatten()),
        }
    }

    /// Scores of the validation rows.
    fn scores(&self, network: &Network<'_>) -> Scores {
        let batch_size = self.graph.training.batch_size;
        let batches = Batches::new(self.dataset.clone(), self.graph.seed, batch_size, false);
        let validation = &self.dataset.split.validation;
        let rows = validation.len();
        let answers: Vec<Array2<f32>> = (0..rows.div_ceil(batch_size))
            .map(|index| {
                network.predict(&batches.inputs(BatchRef {
                    part: Part::Validation,
                    epoch: 1,
                    index: index as u32,
                    rows: batch_size.min(rows - index * batch_size) as u32,
                }))
            })
            .collect();
        let views: Vec<_> = answers.iter().map(|answers| answers.view()).collect();
        let answers: Array2<f32> = ndarray::concatenate(Axis(1), &views).unwrap_or_default();
        match (self.dataset.task.labels(), self.dataset.task.classes()) {
            (Labels::Classes(labels), Some(classes)) => {
                let labels: Vec<u32> = picked(labels, validation);
                score::classification(&labels, classes, answers.view())
            }
            (Labels::Values(targets), _) => {
                let targets: Vec<f32> = picked(targets, validation);
                let answers: Vec<f32> = answers.iter().copied().collect();
                score::regression(&targets, &answers)
            }
            (Labels::Classes(_), None) => Scores::default(),
        }
    }
}

/// Scores of a model that knows no features.
pub fn baseline(dataset: &Dataset) -> Scores {
    let Split {
        train, validation, ..
    } = &dataset.split;
    let classes = dataset.task.classes();
    match dataset.task.labels() {
        Labels::Classes(labels) => score::baseline(
            Labels::Classes(&picked(labels, train)),
            Labels::Classes(&picked(labels, validation)),
            classes,
        ),
        Labels::Values(targets) => score::baseline(
            Labels::Values(&picked(targets, train)),
            Labels::Values(&picked(targets, validation)),
            classes,
        ),
    }
}

fn picked<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| values[row as usize]).collect()
}

/// Value of a metric of a completed task.
pub fn value(metric: Metric, loss: f64, scores: &Scores) -> Option<f64> {
    let value = match metric {
        Metric::Loss => Some(loss),
        Metric::Accuracy => scores.accuracy,
        Metric::BalancedAccuracy => scores.balanced_accuracy,
        Metric::F1 => scores.f1,
        Metric::Auc => scores.auc,
        Metric::LogLoss => scores.log_loss,
        Metric::Mse => scores.mse,
        Metric::Mae => scores.mae,
        Metric::R2 => scores.r2,
    };
    value.filter(|value| value.is_finite())
}

/// Value of a metric after an epoch, and the direction in which it is better; metrics that only a whole table of
/// answers has are watched by their loss.
pub fn epoch_value(metric: Metric, goal: Goal, evaluation: &Evaluation) -> (f64, Goal) {
    let known = match metric {
        Metric::Loss => Some(evaluation.loss),
        Metric::Accuracy => evaluation.accuracy,
        Metric::Mse => evaluation.mse,
        Metric::Mae => evaluation.mae,
        Metric::R2 => evaluation.r2,
        Metric::BalancedAccuracy | Metric::F1 | Metric::Auc | Metric::LogLoss => None,
    };
    known.map_or((evaluation.loss, Goal::Minimize), |value| (value, goal))
}

/// The losses of a history, training and validation rows; at most [`MAX_POINTS`] of them.
pub fn curve(history: &[EpochRecord]) -> Vec<(u32, f64, f64)> {
    let step = history.len().div_ceil(MAX_POINTS).max(1);
    let is_shown = |index: usize| index.is_multiple_of(step) || index + 1 == history.len();
    let point = |record: &EpochRecord| {
        let validation = record.validation.as_ref()?.loss;
        let is_number = record.train.loss.is_finite() && validation.is_finite();
        is_number.then_some((record.epoch, record.train.loss, validation))
    };
    let shown = history
        .iter()
        .enumerate()
        .filter(|(index, _)| is_shown(*index));
    shown.filter_map(|(_, record)| point(record)).collect()
}
