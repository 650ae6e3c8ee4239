//! The trainer: how far the run is, how well it learns, and what happened.

use cuttlefish_core::data::Part;
use cuttlefish_core::protocol::{EpochRecord, Evaluation, Event};
use cuttlefish_core::view::{TrainerPhase, TrainerView};

use super::{Seen, chart, escaped, meter, notice, tile, tiles};
use crate::host::{End, Note, RunSnapshot};
use crate::numbers::{duration, figure, percent, thousands};

/// Epochs in the table, the newest first.
const MAX_EPOCHS: usize = 8;

/// Neurons in the table of probabilities.
const MAX_PROBABILITIES: usize = 32;

/// Notes in the list, the newest first.
const MAX_NOTES: usize = 12;

pub fn render(seen: &Seen<'_>, trainer: &TrainerView) -> String {
    let nothing = RunSnapshot::default();
    let look = seen.look.unwrap_or(&nothing);
    let epochs = epochs(trainer, look);
    let mut text = String::new();
    match &look.end {
        Some(End::Failed(fault)) => text += &notice(&fault.to_string()),
        Some(End::StoreFailed(reason)) => text += &notice(reason),
        Some(End::Finished(_)) | None => {}
    }
    text += &tiles(&[
        epoch_tile(seen, look),
        tick_tile(trainer, look),
        loss_tile(look),
        quality_tile(look),
        commit_tile(trainer, look),
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
    text + &learning(&epochs) + &probabilities(seen, trainer) + &happened(&look.notes)
}

/// Epochs of the run: those that the ledger remembers, and what this trainer has seen beyond them.
fn epochs<'a>(trainer: &'a TrainerView, look: &'a RunSnapshot) -> Vec<&'a EpochRecord> {
    let history = match &look.end {
        Some(End::Finished(outcome)) => &outcome.ledger.progress.history,
        _ => &trainer.history,
    };
    let known = history.last().map_or(0, |record| record.epoch);
    let newer = look.epochs().filter(|record| record.epoch > known);
    history.iter().chain(newer).collect()
}

fn part_words(part: Part) -> &'static str {
    match part {
        Part::Train => "training rows so far",
        Part::Validation => "validation rows so far",
        Part::Test => "test rows",
    }
}

fn epoch_tile(seen: &Seen<'_>, look: &RunSnapshot) -> String {
    let epoch = match look.newest_tick() {
        Some(newest) => newest.epoch.to_string(),
        None => "–".to_owned(),
    };
    tile("epoch", &epoch, &format!("of {}", seen.about.epochs))
}

fn tick_tile(trainer: &TrainerView, look: &RunSnapshot) -> String {
    let tick = match look.newest_tick() {
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

fn loss_tile(look: &RunSnapshot) -> String {
    match look.newest_tick() {
        Some(newest) => tile(
            "loss",
            &figure(newest.running.loss),
            part_words(newest.part),
        ),
        None => tile("loss", "–", ""),
    }
}

fn quality_tile(look: &RunSnapshot) -> String {
    let Some(newest) = look.newest_tick() else {
        return tile("accuracy", "–", "");
    };
    let known = |quality: Quality| {
        let value = (quality.written)((quality.of)(newest.running)?);
        Some(tile(quality.name, &value, part_words(newest.part)))
    };
    known(ACCURACY).or_else(|| known(ERROR)).unwrap_or_default()
}

fn commit_tile(trainer: &TrainerView, look: &RunSnapshot) -> String {
    let ended = match &look.end {
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

/// What a person calls good, how it is found, and how it is written.
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
fn probabilities(seen: &Seen<'_>, trainer: &TrainerView) -> String {
    let (Some(layer), Some(batch)) = (seen.about.layers.last(), &trainer.probabilities) else {
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
    let all = seen.anchor("/probabilities", "", "all of them as JSON");
    text + &format!("</table>\n<p class=\"links\">{all}</p>\n</article>\n")
}

/// What happened, without what happens all the time.
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
