//! The text that Prometheus reads (exposition format 0.0.4).

use cuttlefish_core::data::Part;
use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Evaluation;
use cuttlefish_core::view::{TrainerView, UnitState, UnitView, View};

use super::About;
use super::figures::{LAST_BATCH, PARAMETERS};
use super::reading::Reading;
use crate::host::RunSnapshot;
use crate::transport::{LinkState, LinkView};

/// All metrics of a machine and its process.
pub fn render(reading: &Reading<'_>) -> String {
    let mut text = Text::new(reading.about);
    let answered = f64::from(u8::from(reading.view.is_ok()));
    text.gauge(
        "cuttlefish_answered",
        "Whether the actor answers.",
        answered,
    );
    if let Ok(view) = &reading.view {
        general(&mut text, view);
        match view {
            View::Unit(unit) => neurons(&mut text, unit),
            View::Trainer(trainer) => progress(&mut text, trainer),
            // Others have no figures of their own.
            _ => {}
        }
    }
    if reading.about.address == Address::Trainer {
        learning(&mut text, &reading.snapshot);
    }
    store(&mut text, &reading.snapshot);
    if let Some(link) = &reading.link {
        broker(&mut text, link);
    }
    text.text += &reading.process.metrics();
    text.text
}

/// Metrics with the labels that all of them have.
struct Text {
    text: String,
    labels: String,
}

impl Text {
    fn new(about: &About) -> Self {
        let layer = about.layer().map_or("", |layer| &layer.name);
        let labels = [
            ("run", &*about.run),
            ("layer", layer),
            ("actor", &about.name),
        ]
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        Self {
            text: String::new(),
            labels: labels.join(","),
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &str)>, value: f64) {
        let further = label.map_or(String::new(), |(label, value)| {
            format!(",{label}=\"{}\"", escaped(value))
        });
        self.text += &format!("{name}{{{}{further}}} {}\n", self.labels, number(value),);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, None, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, None, value as f64);
    }
}

fn general(text: &mut Text, view: &View) {
    let generation = view.generation().0 as f64;
    text.gauge(
        "cuttlefish_generation",
        "Number of the timeline that the actor knows.",
        generation,
    );
    if let Some(tick) = view.tick() {
        text.gauge(
            "cuttlefish_tick",
            "Last tick that a unit has applied, a synapse has heard of, or the trainer has counted.",
            tick.0 as f64,
        );
    }
    let dropped = view.dropped();
    let counters = [
        (
            "cuttlefish_messages_foreign_total",
            "Messages left alone since the actor booted because nobody of the run sends such.",
            dropped.foreign,
        ),
        (
            "cuttlefish_messages_stale_total",
            "Messages left alone since the actor booted because they are of another timeline.",
            dropped.stale,
        ),
        (
            "cuttlefish_messages_duplicate_total",
            "Messages left alone since the actor booted because what they are for is done.",
            dropped.duplicate,
        ),
    ];
    for (name, help, count) in counters {
        text.counter(name, help, count);
    }
}

fn neurons(text: &mut Text, unit: &UnitView) {
    let running = f64::from(u8::from(unit.state == UnitState::Running));
    text.gauge(
        "cuttlefish_running",
        "Whether the unit has weights.",
        running,
    );
    for figure in PARAMETERS.iter().chain(&LAST_BATCH) {
        let name = format!("cuttlefish_{}", figure.name);
        text.family(&name, "gauge", figure.help);
        for neuron in &unit.neurons {
            if let Some(value) = (figure.value)(neuron) {
                let index = neuron.index.to_string();
                text.sample(&name, Some(("neuron", &index)), value);
            }
        }
    }
}

fn progress(text: &mut Text, trainer: &TrainerView) {
    let counters = [
        (
            "cuttlefish_rewinds_total",
            "Times that everybody went back to the last commit, since the run began.",
            trainer.rewinds,
        ),
        (
            "cuttlefish_trained_rows_total",
            "Rows of all training ticks since the run began, repeated ones included.",
            trainer.rows,
        ),
    ];
    for (name, help, count) in counters {
        if let Some(count) = count {
            text.counter(name, help, count);
        }
    }
    if let Some(batch) = &trainer.probabilities {
        let name = "cuttlefish_probability_mean";
        let help = "Mean probability that the trainer has made of a neuron's logits over the last training batch.";
        text.family(name, "gauge", help);
        for (neuron, figures) in batch.neurons.iter().enumerate() {
            let neuron = neuron.to_string();
            text.sample(name, Some(("neuron", &neuron)), figures.mean);
        }
    }
    if let Some(commit) = trainer.committed {
        text.gauge(
            "cuttlefish_commit",
            "Number of the commit point that the ledger names.",
            commit.number as f64,
        );
    }
}

fn learning(text: &mut Text, snapshot: &RunSnapshot) {
    if let Some(tick) = snapshot.newest_tick() {
        let epoch = f64::from(tick.epoch);
        text.gauge(
            "cuttlefish_epoch",
            "Epoch of the last tick, for test rows the last epoch.",
            epoch,
        );
        let now = [(tick.part.word(), tick.running)];
        quality(text, "cuttlefish", "the current part so far", &now);
    }
    if let Some(record) = snapshot.epochs().next_back() {
        let mut parts = vec![(Part::Train.word(), &record.train)];
        let validation = record.validation.as_ref();
        parts.extend(validation.map(|validation| (Part::Validation.word(), validation)));
        quality(text, "cuttlefish_epoch", "the last whole epoch", &parts);
    }
}

/// Loss and accuracy of parts of the data.
fn quality(text: &mut Text, prefix: &str, of: &str, parts: &[(&str, &Evaluation)]) {
    let loss = format!("{prefix}_loss");
    text.family(&loss, "gauge", &format!("Mean loss of a row of {of}."));
    for (part, evaluation) in parts {
        text.sample(&loss, Some(("part", part)), evaluation.loss);
    }
    if parts
        .iter()
        .all(|(_, evaluation)| evaluation.accuracy.is_none())
    {
        return;
    }
    let accuracy = format!("{prefix}_accuracy");
    let help = format!("Share of the rows of {of} that were classified rightly.");
    text.family(&accuracy, "gauge", &help);
    for (part, evaluation) in parts {
        if let Some(share) = evaluation.accuracy {
            text.sample(&accuracy, Some(("part", part)), share);
        }
    }
}

fn store(text: &mut Text, snapshot: &RunSnapshot) {
    text.counter(
        "cuttlefish_commits_written_total",
        "Commits written to the store since the process began: of a unit its neurons, of the trainer the ledger.",
        snapshot.commits_written,
    );
    text.counter(
        "cuttlefish_store_failures_total",
        "Tries of store requests that failed since the process began; most are tried again.",
        snapshot.store_failures,
    );
}

fn broker(text: &mut Text, link: &LinkView) {
    let counters = [
        (
            "cuttlefish_messages_sent_total",
            "Messages sent over the broker since the process began.",
            link.messages_sent,
        ),
        (
            "cuttlefish_sent_bytes_total",
            "Their encoded size.",
            link.bytes_sent,
        ),
        (
            "cuttlefish_messages_received_total",
            "Messages received from the broker since the process began, refused ones included.",
            link.messages_received,
        ),
        (
            "cuttlefish_received_bytes_total",
            "Their encoded size.",
            link.bytes_received,
        ),
        (
            "cuttlefish_messages_refused_total",
            "Messages since the process began that were not ours to understand.",
            link.messages_refused,
        ),
        (
            "cuttlefish_broker_sessions_total",
            "Times that the broker was connected to since the process began.",
            link.sessions,
        ),
    ];
    for (name, help, count) in counters {
        text.counter(name, help, count);
    }
    let connected = link.state == LinkState::Connected;
    text.gauge(
        "cuttlefish_broker_connected",
        "Whether the broker is connected and takes messages.",
        f64::from(u8::from(connected)),
    );
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n")
}

/// A number as Prometheus reads it.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let texts = [1.0, 0.25, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(number);
        assert_eq!(texts, ["1", "0.25", "NaN", "+Inf", "-Inf"]);
    }
}
