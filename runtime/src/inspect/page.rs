//! The page for people: one self-contained document, made anew for each look.
//!
//! It loads nothing but pictures of this server, runs no script, and asks to be loaded again every
//! few seconds. Where the token came in the address, every address on the page carries it on.

mod chart;
mod synapse;
mod trainer;
mod unit;

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::Verdict;
use cuttlefish_core::view::{TrainerPhase, UnitState, View};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::About;
use super::reading::Reading;
use crate::host::End;
use crate::numbers::{duration, size, thousands};

/// Seconds after which a browser loads the page again.
const REFRESH: u32 = 5;

/// Colours and type of the pages, which the console has too.
pub const THEME: &str = include_str!("page/theme.css");

const STYLE: &str = include_str!("page/style.css");

/// The page of a reading.
pub struct Page<'a> {
    /// Its content.
    pub reading: &'a Reading<'a>,
    /// The token, if it came in the address.
    pub token: Option<&'a str>,
    /// The first neuron to show.
    pub from: Option<usize>,
}

/// State of the machine in a word, with its colour.
struct Status {
    class: &'static str,
    text: String,
}

fn status(reading: &Reading<'_>) -> Status {
    let (class, text) = match (
        &reading.view,
        reading.run().and_then(|run| run.end.as_ref()),
    ) {
        (Err(_), _) => ("bad", "no answer"),
        (_, Some(End::Failed(_) | End::StoreFailed(_))) => ("bad", "failed"),
        (_, Some(End::Finished(outcome))) => match outcome.verdict {
            Verdict::Completed => ("good", "completed"),
            Verdict::Stopped => ("calm", "stopped"),
        },
        _ if reading.health.is_err() => ("bad", "unwell"),
        (Ok(View::Unit(unit)), _) => match unit.state {
            UnitState::Blank => ("calm", "waiting for the trainer"),
            UnitState::Restoring => ("calm", "restoring"),
            UnitState::Running => ("good", "running"),
        },
        (Ok(View::Synapse(synapse)), _) if synapse.generation == Generation(0) => {
            ("calm", "waiting for the trainer")
        }
        (Ok(View::Synapse(_)), _) => ("good", "running"),
        (Ok(View::Trainer(trainer)), _) => match trainer.phase {
            TrainerPhase::Opening => ("calm", "opening the run"),
            TrainerPhase::Gathering => ("calm", "gathering"),
            TrainerPhase::Running => ("good", "running"),
            TrainerPhase::Over => ("calm", "over"),
        },
    };
    Status {
        class,
        text: text.to_owned(),
    }
}

/// One sentence on who this is.
fn role(about: &About) -> String {
    let name = |layer: usize| format!("<b>{}</b>", escaped(&about.layers[layer].name));
    match (about.address, about.neurons, about.layer()) {
        (Address::Unit { layer, .. }, Some(neurons), Some(of)) => {
            let which = if neurons.count == 1 {
                format!("Neuron {}", neurons.first)
            } else {
                let last = neurons.first + neurons.count - 1;
                format!("Neurons {} to {last}", neurons.first)
            };
            format!("{which} of the {} of layer {}", of.units, name(layer))
        }
        (Address::Synapse(below), ..) => format!(
            "The synapse between the layers {} and {}",
            name(below),
            name(below + 1)
        ),
        _ => "The trainer: it feeds batches, computes the loss and keeps the ledger".to_owned(),
    }
}

/// The network from its inputs to its outputs, and where this is in it.
fn network(about: &About) -> String {
    let mut text = String::from("<ol class=\"network\">\n");
    let inputs = thousands(about.inputs as u64);
    text += &format!("<li><b>inputs</b> {inputs}</li>\n");
    for (index, layer) in about.layers.iter().enumerate() {
        let here = match about.address {
            Address::Unit { layer, .. } => layer == index,
            Address::Synapse(below) => index == below || index == below + 1,
            _ => false,
        };
        text += &format!(
            "<li{}><b>{}</b> {} {}</li>\n",
            if here { " class=\"here\"" } else { "" },
            escaped(&layer.name),
            thousands(layer.units as u64),
            escaped(&layer.activation),
        );
    }
    text + "</ol>\n"
}

fn footer(page: &Page<'_>) -> String {
    let Reading {
        about,
        link,
        process,
        ..
    } = page.reading;
    let mut facts = vec![format!("up {}", duration(about.started.elapsed()))];
    if let Some(memory) = process.memory {
        let resident = format!("{} in memory", size(memory.resident));
        facts.push(match memory.private {
            Some(private) => format!("{resident}, {} of it its own", size(private)),
            None => resident,
        });
    }
    if let Some(link) = link {
        facts.push(format!("broker: {}", escaped(&link.state.to_string())));
        facts.push(format!(
            "{} messages ({}) sent, {} ({}) received",
            thousands(link.messages_sent),
            size(link.bytes_sent),
            thousands(link.messages_received),
            size(link.bytes_received),
        ));
    }
    let mut links = vec![("metrics", "/metrics"), ("health", "/healthz")];
    match about.address {
        Address::Trainer => links.insert(0, ("run as JSON", "/run")),
        Address::Unit { .. } => links.insert(0, ("neurons as JSON", "/neurons")),
        _ => {}
    }
    let links: Vec<String> = links
        .iter()
        .map(|(text, path)| page.anchor(path, "", text))
        .collect();
    format!(
        "<footer>\n<p>{}</p>\n<p>{}</p>\n<p>Loads itself again every {REFRESH} seconds.</p>\n</footer>\n",
        facts.join(" · "),
        links.join(" · ")
    )
}

impl Page<'_> {
    /// The whole document.
    pub fn render(&self) -> String {
        let Reading {
            about,
            view,
            health,
            ..
        } = self.reading;
        let status = status(self.reading);
        let mut body = String::new();
        if let Err(reason) = health {
            body += &notice(reason);
        }
        match view {
            Ok(View::Unit(view)) => body += &unit::render(self, view),
            Ok(View::Synapse(view)) => body += &synapse::render(self, view),
            Ok(View::Trainer(view)) => body += &trainer::render(self, view),
            Err(problem) => body += &notice(problem),
        }
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"refresh\" content=\"{REFRESH}\">\n\
             <title>{name} · {run}</title>\n<style>\n{THEME}{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<p class=\"run\">{run}</p>\n\
             <h1>{name} <span class=\"status {class}\">{text}</span></h1>\n<p class=\"what\">{what}</p>\n\
             {network}</header>\n<main>\n{body}</main>\n{footer}</body>\n</html>\n",
            name = escaped(&about.name),
            run = escaped(&about.run),
            class = status.class,
            text = escaped(&status.text),
            what = role(about),
            network = network(about),
            footer = footer(self),
        )
    }

    /// An address of this server, with the token if the page came with one.
    fn address(&self, path: &str, query: &str) -> String {
        let token = self.token.map(|token| {
            let token = utf8_percent_encode(token, NON_ALPHANUMERIC);
            format!("token={token}")
        });
        let parts: Vec<&str> = [query, token.as_deref().unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let mark = if parts.is_empty() { "" } else { "?" };
        escaped(&format!("{path}{mark}{}", parts.join("&")))
    }

    fn anchor(&self, path: &str, query: &str, text: &str) -> String {
        format!("<a href=\"{}\">{text}</a>", self.address(path, query))
    }
}

/// Something that people must not miss.
fn notice(text: &str) -> String {
    format!("<p class=\"notice\">{}</p>\n", escaped(text))
}

/// A number with its name, and what else is to be said of it.
fn tile(name: &str, value: &str, note: &str) -> String {
    format!(
        "<div class=\"tile\"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>\n"
    )
}

fn tiles(tiles: &[String]) -> String {
    // In rows of equal length.
    let class = if tiles.len() == 4 { "four" } else { "six" };
    format!(
        "<section class=\"tiles {class}\">\n{}</section>\n",
        tiles.concat()
    )
}

/// Bar that shows a part of a whole.
fn meter(part: usize, whole: usize) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    format!("<span class=\"meter\"><span style=\"width:{share:.1}%\"></span></span>")
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        let text = escaped("<a href='x' title=\"&\">");
        assert_eq!(text, "&lt;a href=&#39;x&#39; title=&quot;&amp;&quot;&gt;");
    }
}
