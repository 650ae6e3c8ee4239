//! The trainer: how far the run is, how well it learns, and what happened.

use cuttlefish_core::data::Part;
use cuttlefish_core::protocol::{EpochRecord, Evaluation, Event};
use cuttlefish_core::view::{TrainerPhase, TrainerView};

use super::{Page, chart, escaped, meter, notice, tile, tiles};
use crate::host::{End, Note, RunSnapshot};
use crate::numbers::{duration, figure, percent, thousands};

/// Epochs in the table, the newest first.
const MAX_EPOCHS: usize = 8;

/// Neurons in the table of probabilities.
const MAX_PROBABILITIES: usize = 32;

/// Notes in the list, the newest first.
const MAX_NOTES: usize = 12;

pub fn render(page: &Page<'_>, trainer: &TrainerView) -> String {
    let run = &page.reading.snapshot;
    let epochs = epochs(trainer, run);
    let mut text = String::new();
    match &run.end {
        Some(End::Failed(fault)) => text += &notice(&fault.to_string()),
        Some(End::StoreFailed(reason)) => text += &notice(reason),
        Some(End::Finished(_)) | None => {}
    }
    text += &tiles(&[
        epoch_tile(page, run),
        tick_tile(trainer, run),
        loss_tile(run),
        quality_tile(run),
        commit_tile(trainer, run),
        tile(
            "generation",
            &trainer.generation.to_string(),
            &counted(trainer.rewinds, "rewinds"),
        ),
    ]);
    if trainer.phase == TrainerPhase::Gathering {
        let ready = trainer.members - trainer.missing;
        text += &format!(
            "<article>\n<h2>Getting ready</h2>\n<p>{ready} of {} units and synapses {}</p>\n</article>\n",
            trainer.members,
            meter(ready, trainer.members)
        );
    }
    text + &learning(&epochs) + &probabilities(page, trainer) + &happened(&run.notes)
}

/// Epochs of the run: those that the ledger remembers, and what this trainer has seen beyond them.
fn epochs<'a>(trainer: &'a TrainerView, run: &'a RunSnapshot) -> Vec<&'a EpochRecord> {
    let history = match &run.end {
        Some(End::Finished(outcome)) => &outcome.ledger.progress.history,
        _ => &trainer.history,
    };
    let known = history.last().map_or(0, |record| record.epoch);
    let newer = run.epochs().filter(|record| record.epoch > known);
    history.iter().chain(newer).collect()
}

fn part_words(part: Part) -> &'static str {
    match part {
        Part::Train => "training rows so far",
        Part::Validation => "validation rows so far",
        Part::Test => "test rows",
    }
}

fn epoch_tile(page: &Page<'_>, run: &RunSnapshot) -> String {
    let epoch = match run.newest_tick() {
        Some(newest) => newest.epoch.to_string(),
        None => "–".to_owned(),
    };
    tile(
        "epoch",
        &epoch,
        &format!("of {}", page.reading.about.epochs),
    )
}

fn tick_tile(trainer: &TrainerView, run: &RunSnapshot) -> String {
    let tick = match run.newest_tick() {
        Some(newest) => thousands(newest.tick.0),
        None => "–".to_owned(),
    };
    tile("tick", &tick, &counted(trainer.rows, "rows trained"))
}

/// A count of the run, once it is known.
fn counted(count: Option<u64>, what: &str) -> String {
    count.map_or(String::new(), |count| {
        format!("{} {what}", thousands(count))
    })
}

fn loss_tile(run: &RunSnapshot) -> String {
    match run.newest_tick() {
        Some(newest) => tile(
            "loss",
            &figure(newest.running.loss),
            part_words(newest.part),
        ),
        None => tile("loss", "–", ""),
    }
}

fn quality_tile(run: &RunSnapshot) -> String {
    let Some(newest) = run.newest_tick() else {
        return tile("accuracy", "–", "");
    };
    let known = |quality: Quality| {
        let value = (quality.written)((quality.of)(newest.running)?);
        Some(tile(quality.name, &value, part_words(newest.part)))
    };
    known(ACCURACY).or_else(|| known(ERROR)).unwrap_or_default()
}

fn commit_tile(trainer: &TrainerView, run: &RunSnapshot) -> String {
    let ended = match &run.end {
        Some(End::Finished(outcome)) => Some(outcome.ledger.commit),
        _ => None,
    };
    let Some(commit) = trainer.committed.or(ended) else {
        return tile("commit", "–", "");
    };
    let note = match trainer.pending {
        Some(pending) => format!(
            "next: {} of {} units have written",
            pending.written, pending.of
        ),
        None => format!("after tick {}", thousands(commit.tick.0)),
    };
    tile("commit", &commit.number.to_string(), &note)
}

/// Measure of how good a network is, with its form in text.
struct Quality {
    name: &'static str,
    of: fn(&Evaluation) -> Option<f64>,
    written: fn(f64) -> String,
}

const ACCURACY: Quality = Quality {
    name: "accuracy",
    of: |evaluation| evaluation.accuracy,
    written: percent,
};

const ERROR: Quality = Quality {
    name: "mean absolute error",
    of: |evaluation| evaluation.mae,
    written: figure,
};

const LOSS: Quality = Quality {
    name: "loss",
    of: |evaluation| Some(evaluation.loss),
    written: figure,
};

fn learning(epochs: &[&EpochRecord]) -> String {
    let Some(last) = epochs.last() else {
        return String::new();
    };
    let quality = match last.train.accuracy {
        Some(_) => ACCURACY,
        None => ERROR,
    };
    format!(
        "<article>\n<h2>Learning</h2>\n<div class=\"curves\">\n{}{}</div>\n\
         <p class=\"key\"><span class=\"train\"></span>training \
         <span class=\"validation\"></span>validation</p>\n{}</article>\n",
        curves(epochs, &LOSS),
        curves(epochs, &quality),
        table(epochs, &quality)
    )
}

fn curves(epochs: &[&EpochRecord], quality: &Quality) -> String {
    let curve = |part: fn(&EpochRecord) -> Option<&Evaluation>| {
        let point = |record: &&EpochRecord| {
            let value = (quality.of)(part(record)?)?;
            Some((f64::from(record.epoch), value))
        };
        epochs.iter().filter_map(point).collect()
    };
    let parts = [
        curve(|record| Some(&record.train)),
        curve(|record| record.validation.as_ref()),
    ];
    chart::curves(quality.name, &parts, quality.written)
}

fn table(epochs: &[&EpochRecord], quality: &Quality) -> String {
    // Of rows that it did not learn from, where there are some.
    let judged = match epochs.last().and_then(|record| record.validation.as_ref()) {
        Some(_) => "validation",
        None => "training",
    };
    let mut text = format!(
        "<table>\n<tr><th>epoch</th><th>learning rate</th><th>training loss</th>\
         <th>validation loss</th><th>{judged} {}</th></tr>\n",
        quality.name
    );
    for record in epochs.iter().rev().take(MAX_EPOCHS) {
        let judged = record.validation.as_ref().unwrap_or(&record.train);
        let dash = || "–".to_owned();
        text += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            record.epoch,
            figure(f64::from(record.learning_rate)),
            figure(record.train.loss),
            record
                .validation
                .as_ref()
                .map_or_else(dash, |v| figure(v.loss)),
            (quality.of)(judged).map_or_else(dash, quality.written),
        );
    }
    text + "</table>\n"
}

/// Probabilities of the last layer's neurons, as a table.
fn probabilities(page: &Page<'_>, trainer: &TrainerView) -> String {
    let (Some(layer), Some(batch)) = (page.reading.about.layers.last(), &trainer.probabilities)
    else {
        return String::new();
    };
    let mut text = format!(
        "<article>\n<h2>Probabilities of {} in the training batch of tick {}</h2>\n<table>\n\
         <tr><th>neuron</th><th>mean</th><th>smallest</th><th>largest</th></tr>\n",
        escaped(&layer.name),
        thousands(batch.tick.0),
    );
    for (neuron, figures) in batch.neurons.iter().enumerate().take(MAX_PROBABILITIES) {
        let [min, max] = [figures.min, figures.max].map(|value| figure(f64::from(value)));
        let mean = figure(figures.mean);
        text += &format!("<tr><td>{neuron}</td><td>{mean}</td><td>{min}</td><td>{max}</td></tr>\n");
    }
    let all = page.anchor("/probabilities", "", "all of them as JSON");
    text + &format!("</table>\n<p class=\"links\">{all}</p>\n</article>\n")
}

/// Notes of a run, without those of what happens all the time.
fn happened(notes: &[Note]) -> String {
    let items: String = notes
        .iter()
        .rev()
        .filter_map(|note| Some((note, sentence(&note.event)?)))
        .take(MAX_NOTES)
        .map(|(note, sentence)| {
            let at = duration(note.at);
            format!("<li><time>{at}</time> {}</li>\n", escaped(&sentence))
        })
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<article>\n<h2>What happened since this trainer began</h2>\n<ol class=\"notes\">\n{items}</ol>\n</article>\n"
    )
}

fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Started { generation, from } if from.is_initial() => {
            format!("generation {generation} began with the initial weights")
        }
        Event::Started { generation, from } => format!(
            "generation {generation} went on after tick {}, commit {}",
            from.tick, from.number
        ),
        Event::Rewound { to, reason, .. } => {
            format!("back to commit {} (tick {}): {reason}", to.number, to.tick)
        }
        Event::BeyondInFlightBound { at, tick, applied } => {
            format!("{at} was sent tick {tick} while it stood at {applied}")
        }
        Event::EpochFinished(_) | Event::Committed(_) | Event::TickFinished { .. } => return None,
    })
}
