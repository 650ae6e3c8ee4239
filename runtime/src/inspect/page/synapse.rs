//! A synapse: what it gathers.

use cuttlefish_core::view::{Gathering, SynapseView};

use super::{Page, escaped, meter, tile, tiles};
use crate::numbers::thousands;

pub fn render(page: &Page<'_>, synapse: &SynapseView) -> String {
    let layers = &page.reading.about.layers;
    let (below, above) = (&layers[synapse.below], &layers[synapse.below + 1]);
    let tick = synapse
        .tick
        .map_or("–".to_owned(), |tick| thousands(tick.0));
    let generation = synapse.generation.to_string();
    let mut text = tiles(&[
        tile("tick", &tick, "newest one heard of"),
        tile("generation", &generation, "of the run"),
        tile(
            "below",
            &thousands(below.units as u64),
            &format!("neurons of {}", escaped(&below.name)),
        ),
        tile(
            "above",
            &thousands(above.units as u64),
            &format!("neurons of {}", escaped(&above.name)),
        ),
    ]);
    text += &table(
        &format!("Up: activations of {}", escaped(&below.name)),
        &synapse.activations,
    );
    text += &table(
        &format!("Down: contributions of {}", escaped(&above.name)),
        &synapse.contributions,
    );
    text
}

fn table(title: &str, gatherings: &[Gathering]) -> String {
    let mut text = format!("<article>\n<h2>{title}</h2>\n");
    if gatherings.is_empty() {
        return text + "<p class=\"quiet\">Nothing yet.</p>\n</article>\n";
    }
    text +=
        "<table class=\"gathered\">\n<tr><th>tick</th><th>heard of</th><th></th><th></th></tr>\n";
    for gathering in gatherings.iter().rev() {
        let come = gathering.of - gathering.missing;
        let state = match gathering.missing {
            0 => "handed on".to_owned(),
            missing => format!("{missing} missing"),
        };
        text += &format!(
            "<tr><td>{}</td><td>{come} of {}</td><td>{}</td><td>{state}</td></tr>\n",
            thousands(gathering.tick.0),
            gathering.of,
            meter(come, gathering.of),
        );
    }
    text + "</table>\n</article>\n"
}
