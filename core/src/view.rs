//! Views of a machine, taken at the moment when somebody looks.
//!
//! A view is made from what the machine holds anyway: one that nobody looks at computes no
//! statistics and copies nothing. Looking changes nothing.

use ndarray::ArrayView1;
use serde::Serialize;

use crate::data::Part;
use crate::ids::{CommitPoint, Generation, Tick};
use crate::math::normalization::Normalizer;
use crate::protocol::EpochRecord;

/// Snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// A unit with its neurons.
    Unit(UnitView),
    /// A synapse with what it gathers.
    Synapse(SynapseView),
    /// The trainer with its progress.
    Trainer(TrainerView),
}

/// Messages that a machine has left alone since it last booted, by why: in a container that is each time
/// that its broker or store was lost. None of them changes a result; those of another timeline come
/// with every rewind, foreign ones from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Messages of another timeline: an older one, or one that this machine has not been told of.
    pub stale: u64,
    /// Messages of ticks that are done already.
    pub duplicate: u64,
    /// Messages that nobody who belongs here sends: of another kind, shape or sender, or too far ahead.
    pub foreign: u64,
}

/// A unit with its neurons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitView {
    /// Index of the layer.
    pub layer: usize,
    /// Index of the first neuron within the layer.
    pub first: usize,
    /// The timeline that it knows.
    pub generation: Generation,
    /// Phase of the unit in that timeline.
    pub state: UnitState,
    /// Messages that it has left alone.
    pub dropped: Dropped,
    /// The last tick that it has applied, once it has weights.
    pub tick: Option<Tick>,
    /// Its neurons in order; empty before it has weights.
    pub neurons: Vec<NeuronView>,
}

/// Phase of a unit in its timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    /// No weights, and no request for them.
    Blank,
    /// Waiting for the store.
    Restoring,
    /// Weights that it computes with.
    Running,
}

/// One neuron.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeuronView {
    /// Index within the layer.
    pub index: usize,
    /// The weights without the bias, as the unit's last tick left them.
    pub weights: Vec<f32>,
    /// The bias, 0 for a neuron without one.
    pub bias: f32,
    /// Parameters and statistics of its batch normalization, if there is one.
    pub normalizer: Option<Normalizer>,
    /// Square root of the sum of the squares of the weights.
    pub weight_norm: f64,
    /// The smallest weight.
    pub weight_min: f32,
    /// The largest weight.
    pub weight_max: f32,
    /// Figures of the last training batch of this timeline; `None` before there was one.
    pub last_batch: Option<NeuronBatch>,
}

/// Figures of one neuron for a training batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeuronBatch {
    /// The tick of the batch.
    pub tick: Tick,
    /// Outputs of the neuron.
    #[serde(flatten)]
    pub outputs: Outputs,
    /// Figures of dLoss/dz.
    pub delta: DeltaFigures,
}

/// Outputs of one neuron for a training batch, by what they are. The figures are over all rows, of a
/// filter over all places of its maps; the values are one a row, of a filter its map of the first row.
/// Both are from before pooling (and a normalization behind it) and dropout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outputs {
    /// Values behind the layer's activation.
    Activations {
        /// Figures of them.
        activation: OutputFigures,
        /// The values themselves.
        activations: Vec<f32>,
    },
    /// Sums that the trainer makes probabilities: a softmax takes those of the whole layer, so that no
    /// neuron knows its own probability.
    Logits {
        /// Figures of them.
        logit: OutputFigures,
        /// The values themselves.
        logits: Vec<f32>,
    },
}

/// Figures of the outputs of one neuron over a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutputFigures {
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
    /// Their mean.
    pub mean: f64,
    /// The share that is exactly 0; 1 for a `relu` neuron that no row reaches any more.
    pub zeros_ratio: f64,
}

/// Figures of dLoss/dz of one neuron over the rows of a batch, of a filter over all places of its maps.
///
/// z is the weighted sum of the inputs with the bias. The loss is the mean over the batch's rows,
/// without what a regularizer adds. It is the error that the weights' gradient is computed from, not
/// that gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DeltaFigures {
    /// Their mean.
    pub mean: f64,
    /// Square root of the sum of their squares.
    pub norm: f64,
}

/// A synapse with what it gathers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SynapseView {
    /// Index of the layer below it.
    pub below: usize,
    /// The timeline that it knows.
    pub generation: Generation,
    /// Messages that it has left alone.
    pub dropped: Dropped,
    /// The newest tick of which a message has come.
    pub tick: Option<Tick>,
    /// Activations on their way up, by tick.
    pub activations: Vec<Gathering>,
    /// Contributions on their way down, by tick.
    pub contributions: Vec<Gathering>,
}

/// Progress in gathering the messages of one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gathering {
    /// The tick.
    pub tick: Tick,
    /// Neurons that have not been heard of; 0 once the whole has been handed on.
    pub missing: usize,
    /// Neurons in all.
    pub of: usize,
}

/// The trainer with its progress.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainerView {
    /// The timeline.
    pub generation: Generation,
    /// Phase of the trainer.
    pub phase: TrainerPhase,
    /// Units and synapses that it has not heard to be ready, while it gathers them.
    pub missing: usize,
    /// Units and synapses in all.
    pub members: usize,
    /// Batch that it works on; unknown before the ledger is read, and once the run is over.
    pub progress: Option<ProgressView>,
    /// Epochs of the run so far, thinned out when there are many; empty once the run is over.
    pub history: Vec<EpochRecord>,
    /// The commit point that the ledger names.
    pub committed: Option<CommitPoint>,
    /// The commit point that is ahead of the ledger.
    pub pending: Option<PendingCommit>,
    /// Messages that it has left alone.
    pub dropped: Dropped,
    /// Rows of the run's training ticks, those computed again after a rewind included; unknown before the
    /// ledger is read.
    pub rows: Option<u64>,
    /// Rewinds of the run, those before this trainer included; unknown before the ledger is read.
    pub rewinds: Option<u64>,
    /// Answers to the last training batch, where the last layer hands on logits.
    pub probabilities: Option<ProbabilityView>,
}

/// Probabilities that the trainer has made of the logits of a training batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbabilityView {
    /// The tick of the batch.
    pub tick: Tick,
    /// Figures over the rows of the batch, for each neuron of the last layer.
    pub neurons: Vec<OutputFigures>,
}

/// Phase of a trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainerPhase {
    /// Waiting for the store to give a generation.
    Opening,
    /// Waiting for everybody to restore the commit of the ledger.
    Gathering,
    /// Ticks under way.
    Running,
    /// End of the run, one way or the other.
    Over,
}

/// The place of the next batch, and what is done before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProgressView {
    /// Its epoch, from 1; the last one where it is of the test rows.
    pub epoch: u32,
    /// Its part of the data.
    pub part: Part,
    /// Its number within the part, from 0.
    pub index: u32,
    /// The last tick that has been counted.
    pub tick: Tick,
    /// Optimizer steps so far.
    pub step: u64,
}

/// A commit point that not everybody has written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PendingCommit {
    /// Commit point that is being written.
    pub commit: CommitPoint,
    /// Units that have written theirs.
    pub written: usize,
    /// Units in all.
    pub of: usize,
}

impl View {
    /// The timeline that the machine knows.
    pub fn generation(&self) -> Generation {
        match self {
            Self::Unit(unit) => unit.generation,
            Self::Synapse(synapse) => synapse.generation,
            Self::Trainer(trainer) => trainer.generation,
        }
    }

    /// Messages that the machine has left alone.
    pub fn dropped(&self) -> Dropped {
        match self {
            Self::Unit(unit) => unit.dropped,
            Self::Synapse(synapse) => synapse.dropped,
            Self::Trainer(trainer) => trainer.dropped,
        }
    }

    /// The last tick that the machine has worked on, as far as it knows one.
    pub fn tick(&self) -> Option<Tick> {
        match self {
            Self::Unit(unit) => unit.tick,
            Self::Synapse(synapse) => synapse.tick,
            Self::Trainer(trainer) => trainer.progress.map(|progress| progress.tick),
        }
    }
}

impl NeuronView {
    /// A neuron that has not seen a batch.
    pub fn new(index: usize, weights: &[f32], bias: f32) -> Self {
        Self {
            index,
            weights: weights.to_vec(),
            bias,
            normalizer: None,
            weight_norm: norm(weights),
            weight_min: extreme(weights, f32::min),
            weight_max: extreme(weights, f32::max),
            last_batch: None,
        }
    }
}

impl NeuronBatch {
    /// Figures of a neuron for a batch; `None` if the batch had no rows. Every `step`th output is shown by
    /// itself.
    pub fn new(
        tick: Tick,
        outputs: ArrayView1<'_, f32>,
        step: usize,
        are_logits: bool,
        deltas: ArrayView1<'_, f32>,
    ) -> Option<Self> {
        // A `relu` that is shut says -0, which is nothing that a person needs to see.
        let all: Vec<f32> = outputs.iter().map(|a| a + 0.0).collect();
        let deltas = deltas.to_vec();
        let figures = OutputFigures::new(&all)?;
        let values = all.into_iter().step_by(step).collect();
        Some(Self {
            tick,
            outputs: match are_logits {
                true => Outputs::Logits {
                    logit: figures,
                    logits: values,
                },
                false => Outputs::Activations {
                    activation: figures,
                    activations: values,
                },
            },
            delta: DeltaFigures {
                mean: mean(&deltas),
                norm: norm(&deltas),
            },
        })
    }
}

impl Outputs {
    /// Figures over the batch.
    pub fn figures(&self) -> &OutputFigures {
        let (Self::Activations {
            activation: figures,
            ..
        }
        | Self::Logits { logit: figures, .. }) = self;
        figures
    }

    /// Values that are shown by themselves.
    pub fn values(&self) -> &[f32] {
        let (Self::Activations {
            activations: values,
            ..
        }
        | Self::Logits { logits: values, .. }) = self;
        values
    }
}

impl OutputFigures {
    /// Figures of some values; `None` if there are none.
    pub fn new(values: &[f32]) -> Option<Self> {
        let zeros = values.iter().filter(|&&value| value == 0.0).count();
        (!values.is_empty()).then(|| Self {
            min: extreme(values, f32::min),
            max: extreme(values, f32::max),
            mean: mean(values),
            zeros_ratio: zeros as f64 / values.len() as f64,
        })
    }
}

fn extreme(values: &[f32], pick: fn(f32, f32) -> f32) -> f32 {
    values.iter().copied().reduce(pick).unwrap_or(0.0)
}

fn mean(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64
}

/// Square root of the sum of the squares.
pub fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&v| f64::from(v) * f64::from(v));
    squares.sum::<f64>().sqrt()
}
