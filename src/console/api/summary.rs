//! A run as the API shows it.

use std::time::Duration;

use cuttlefish_core::data::Task;
use cuttlefish_core::protocol::{EpochRecord, Evaluation, Event};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::console::commands::{CommandState, Commands};
use crate::console::problem::Problem;
use crate::data::encoder::{Encoder, Encoding};
use crate::host::RunSnapshot;
use crate::record::SavedRun;
use crate::run::status::{RunState, RunStatus};
use crate::run::{Error, Run, recorded_layers};
use crate::run_dir;

/// A run in a list.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// Word of its target.
    pub target: String,
    /// `starting`, `running`, `stopped`, `complete`, `failed` or `unreadable`.
    pub state: &'static str,
    /// The last epoch that is finished.
    pub epoch: u32,
    /// Epochs that it is to have, at most.
    pub epochs: u32,
    /// Tick of its last commit, or the newest one.
    pub tick: u64,
    /// Loss of the training rows in that epoch.
    pub loss: Option<f64>,
    /// Share of them that were classified rightly.
    pub accuracy: Option<f64>,
    /// Loss of the validation rows after it.
    pub validation_loss: Option<f64>,
    /// Share of those that were classified rightly.
    pub validation_accuracy: Option<f64>,
    /// Why it failed, or cannot be read.
    pub detail: Option<String>,
}

/// A run that is looked at.
#[derive(JsonSchema, Serialize)]
pub struct RunDocument {
    #[serde(flatten)]
    /// Summary, as in a list.
    pub summary: RunSummary,
    history: Vec<EpochRow>,
    layers: Vec<LayerSummary>,
    task: Value,
    parameters: usize,
    #[schemars(with = "Option<Value>")]
    test: Option<Evaluation>,
    weights_sha256: Option<String>,
    rewinds: u64,
    samples_per_second: Option<f64>,
    image: Option<[usize; 3]>,
    /// Columns that the target is predicted from, of a table.
    columns: Option<Vec<ColumnSummary>>,
}

/// A column of the table that a run learns from.
#[derive(JsonSchema, Serialize)]
struct ColumnSummary {
    name: String,
    /// Mean of the training rows, of a column of numbers.
    mean: Option<f64>,
    /// Categories that training has seen; empty for numbers and dates.
    categories: Vec<String>,
}

/// Figures of an epoch.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct EpochRow {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    learning_rate: f32,
    loss: f64,
    accuracy: Option<f64>,
    validation_loss: Option<f64>,
    validation_accuracy: Option<f64>,
}

#[derive(JsonSchema, Serialize)]
struct LayerSummary {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    neurons: usize,
    fan_in: usize,
    activation: String,
    has_logits: bool,
    neurons_per_unit: usize,
    map: Option<[usize; 2]>,
}

impl From<&EpochRecord> for EpochRow {
    fn from(record: &EpochRecord) -> Self {
        let validation = record.validation.as_ref();
        Self {
            epoch: record.epoch,
            learning_rate: record.learning_rate,
            loss: record.train.loss,
            accuracy: record.train.accuracy,
            validation_loss: validation.map(|figures| figures.loss),
            validation_accuracy: validation.and_then(|figures| figures.accuracy),
        }
    }
}

impl RunSummary {
    /// A run of which nothing but its name, its target and the state of its command is known.
    pub fn of_command(name: &str, target: &str, command: CommandState) -> Self {
        let (state, detail) = match command {
            CommandState::Working => ("starting", None),
            CommandState::Failed(problem) => ("failed", Some(problem)),
            CommandState::Over => ("stopped", None),
        };
        Self {
            name: name.to_owned(),
            target: target.to_owned(),
            state,
            epoch: 0,
            epochs: 0,
            tick: 0,
            loss: None,
            accuracy: None,
            validation_loss: None,
            validation_accuracy: None,
            detail,
        }
    }

    /// A run with this status, whose command is in that state.
    pub fn new(status: &RunStatus, command: CommandState) -> Self {
        let (state, detail) = match (status.state, command) {
            (RunState::Complete, _) => ("complete", None),
            (RunState::Running, _) => ("running", None),
            (RunState::Stopped, CommandState::Working) => ("starting", None),
            (RunState::Stopped, CommandState::Failed(problem)) => ("failed", Some(problem)),
            (RunState::Stopped, CommandState::Over) => ("stopped", None),
        };
        let row = status.last_epoch.as_ref().map(EpochRow::from);
        Self {
            name: status.run.clone(),
            target: status.target.word().to_owned(),
            state,
            epoch: status.epoch(),
            epochs: status.epochs,
            tick: status.tick.0,
            loss: row.as_ref().map(|row| row.loss),
            accuracy: row.as_ref().and_then(|row| row.accuracy),
            validation_loss: row.as_ref().and_then(|row| row.validation_loss),
            validation_accuracy: row.as_ref().and_then(|row| row.validation_accuracy),
            detail,
        }
    }

    /// True if nobody trains it, or is about to.
    pub fn is_over(&self) -> bool {
        !matches!(self.state, "running" | "starting")
    }

    /// The summary with what the trainer has done since the last commit.
    fn brought_up_to(mut self, snapshot: &RunSnapshot) -> Self {
        if let Some(newest) = snapshot.newest_tick() {
            self.tick = self.tick.max(newest.tick.0);
        }
        if let Some(record) = snapshot.epochs().next_back()
            && record.epoch > self.epoch
        {
            let row = EpochRow::from(record);
            self.epoch = row.epoch;
            self.loss = Some(row.loss);
            self.accuracy = row.accuracy;
            self.validation_loss = row.validation_loss;
            self.validation_accuracy = row.validation_accuracy;
        }
        self
    }
}

/// Summary of a run, whether or not it has come up.
///
/// # Errors
/// When there is none of that name.
pub async fn summary(
    name: &str,
    commands: &Commands,
    config: &Config,
) -> Result<RunSummary, Problem> {
    let command = commands.state(name);
    let status = match Run::open(config, name).await {
        Ok(run) => run.status().await,
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => Ok(RunSummary::new(&status, command)),
        Err(error) => without_status(name, commands, command, error),
    }
}

fn without_status(
    name: &str,
    commands: &Commands,
    command: CommandState,
    error: Error,
) -> Result<RunSummary, Problem> {
    let is_unknown = matches!(
        error,
        Error::Directory(run_dir::Error::Unknown { .. } | run_dir::Error::Name { .. })
    );
    match commands.request(name) {
        // Nobody has begun it, or its command has not come so far.
        Some(request) if command != CommandState::Over => {
            Ok(RunSummary::of_command(name, &request.target, command))
        }
        _ if is_unknown => Err(error.into()),
        request => Ok(RunSummary {
            state: "unreadable",
            detail: Some(error.to_string()),
            ..RunSummary::of_command(
                name,
                &request.map_or(String::new(), |request| request.target),
                CommandState::Over,
            )
        }),
    }
}

/// Summary of a run that has not answered within this time.
pub fn unanswered(name: &str, within: Duration) -> RunSummary {
    RunSummary {
        state: "unreadable",
        detail: Some(format!(
            "its store has not answered within {} s",
            within.as_secs()
        )),
        ..RunSummary::of_command(name, "", CommandState::Over)
    }
}

/// A run with everything that its page shows.
///
/// # Errors
/// When there is none of that name, or it cannot be read.
pub async fn document(
    name: &str,
    commands: &Commands,
    config: &Config,
) -> Result<RunDocument, Problem> {
    let command = commands.state(name);
    let opened = async {
        let run = Run::open(config, name).await?;
        let saved = run.saved().await?;
        Ok((run, saved))
    };
    let (run, saved) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return without_status(name, commands, command, error).map(empty),
    };
    let mut summary = RunSummary::new(&run.status_of(&saved).await, command);
    let snapshot = match summary.state {
        "running" => run.target().snapshot(0).await.ok(),
        _ => None,
    };
    let mut history: Vec<EpochRow> = saved
        .progress()
        .history
        .iter()
        .map(EpochRow::from)
        .collect();
    if let Some(snapshot) = &snapshot {
        summary = summary.brought_up_to(snapshot);
        let last = history.last().map_or(0, |row| row.epoch);
        let newer = snapshot.epochs().filter(|record| record.epoch > last);
        history.extend(newer.map(EpochRow::from));
    }
    let rewound = snapshot.iter().flat_map(|snapshot| &snapshot.notes);
    let rewound = rewound.filter(|note| matches!(note.event, Event::Rewound { .. }));
    let totals = saved.ledger.as_ref().map(|ledger| ledger.totals);
    let seconds = totals.map_or(0.0, |totals| totals.elapsed.as_secs_f64());
    Ok(RunDocument {
        history,
        layers: layers(&run, &saved)?,
        task: task(&saved.record.rows.task()),
        parameters: saved.graph.parameters(),
        test: saved.progress().test,
        weights_sha256: match summary.state {
            "complete" | "stopped" | "failed" => saved.digest().await.ok(),
            _ => None,
        },
        rewinds: totals
            .map_or(0, |totals| totals.rewinds)
            .max(rewound.count() as u64),
        samples_per_second: totals
            .filter(|_| seconds > 0.0)
            .map(|totals| totals.rows as f64 / seconds),
        image: image(&saved),
        columns: saved.record.rows.encoder.as_ref().map(columns),
        summary,
    })
}

fn empty(summary: RunSummary) -> RunDocument {
    RunDocument {
        summary,
        history: Vec::new(),
        layers: Vec::new(),
        task: Value::Null,
        parameters: 0,
        test: None,
        weights_sha256: None,
        rewinds: 0,
        samples_per_second: None,
        image: None,
        columns: None,
    }
}

/// The columns of a table, each once: dates may have several numbers.
fn columns(encoder: &Encoder) -> Vec<ColumnSummary> {
    let mut columns: Vec<ColumnSummary> = Vec::new();
    for column in &encoder.columns {
        if columns.iter().any(|known| known.name == column.name) {
            continue;
        }
        let (mean, categories) = match &column.kind {
            Encoding::Number {
                mean, date: None, ..
            } => (Some(*mean), Vec::new()),
            Encoding::Number { .. } => (None, Vec::new()),
            Encoding::Category { categories, .. } => (None, categories.clone()),
        };
        columns.push(ColumnSummary {
            name: column.name.clone(),
            mean,
            categories,
        });
    }
    columns
}

/// Height, width and channels of the rows, where they are images.
fn image(saved: &SavedRun) -> Option<[usize; 3]> {
    let rows = &saved.record.rows;
    let (height, width) = rows.image?;
    let pixels = height * width;
    Some([height, width, rows.features.checked_div(pixels)?])
}

fn task(task: &Task) -> Value {
    match task {
        Task::Classification { class_names, .. } => {
            json!({"kind": "classes", "names": class_names})
        }
        Task::Regression { target_name, .. } => {
            json!({"kind": "regression", "target": target_name})
        }
    }
}

fn layers(run: &Run, saved: &SavedRun) -> Result<Vec<LayerSummary>, Problem> {
    let grouped = crate::run::recorded_graph(run.name(), &saved.record)?;
    let words: Vec<String> = recorded_layers(run.name(), &saved.record)?
        .iter()
        .filter_map(|layer| {
            let layer = serde_json::to_value(layer).ok()?;
            let has_weights = ["units", "filters"]
                .iter()
                .any(|key| layer.get(key).is_some());
            has_weights.then(|| layer["type"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let one = |(index, layer): (usize, &cuttlefish_core::topology::Layer)| LayerSummary {
        name: layer.name.clone(),
        kind: words.get(index).cloned().unwrap_or_default(),
        neurons: layer.units,
        fan_in: layer.fan_in,
        activation: grouped.activation_words(index),
        has_logits: grouped.has_logits(index),
        neurons_per_unit: layer.neurons_per_unit,
        map: layer.map().map(|map| [map.height, map.width]),
    };
    Ok(grouped.layers.iter().enumerate().map(one).collect())
}
