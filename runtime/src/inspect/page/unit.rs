//! A unit: its neurons with their weights and their last batch.

use cuttlefish_core::view::{NeuronView, Outputs, UnitState, UnitView};

use super::{Page, chart, tile, tiles};
use crate::inspect::about::LayerAbout;
use crate::inspect::figures::{Figure, LAST_BATCH, PARAMETERS};
use crate::inspect::picture;
use crate::numbers::{figure, thousands};

/// Neurons on one page: each brings a picture with it.
const MAX_NEURONS: usize = 24;

pub fn render(page: &Page<'_>, unit: &UnitView) -> String {
    let Some(layer) = page.reading.about.layer() else {
        return String::new();
    };
    let generation = unit.generation.to_string();
    let tick = unit.tick.map_or("–".to_owned(), |tick| thousands(tick.0));
    let batch = unit.neurons.iter().find_map(|n| n.last_batch.as_ref());
    let rows = batch.map_or("none yet".to_owned(), |batch| {
        thousands(batch.outputs.values().len() as u64)
    });
    let what = if layer.map.is_some() {
        "places of its first row"
    } else {
        "rows"
    };
    let of = batch.map_or(String::new(), |batch| {
        format!("{what}, tick {}", thousands(batch.tick.0))
    });
    let state = match unit.state {
        UnitState::Blank => "nothing known",
        UnitState::Restoring => "reads the store",
        UnitState::Running => "last one applied",
    };
    let fan_in = thousands(layer.fan_in as u64);
    let weights = if layer.map.is_some() {
        "weights"
    } else {
        "inputs"
    };
    let mut text = tiles(&[
        tile("tick", &tick, state),
        tile("generation", &generation, "of the run"),
        tile("last batch", &rows, &of),
        tile(weights, &fan_in, "of each neuron"),
    ]);
    let visible = visible(page, unit);
    for neuron in visible {
        text += &card(page, layer, neuron);
    }
    text + &page_links(page, unit, visible)
}

/// The neurons from the one that was asked for, as many as one page has room for.
fn visible<'a>(page: &Page<'_>, unit: &'a UnitView) -> &'a [NeuronView] {
    let from = page.from.unwrap_or(unit.first).saturating_sub(unit.first);
    let from = from.min(unit.neurons.len());
    &unit.neurons[from..(from + MAX_NEURONS).min(unit.neurons.len())]
}

/// The way to the neurons that are not on this page.
fn page_links(page: &Page<'_>, unit: &UnitView, visible: &[NeuronView]) -> String {
    let count = unit.neurons.len();
    if count <= MAX_NEURONS {
        return String::new();
    }
    let (first, next) = match (visible.first(), visible.last()) {
        (Some(first), Some(last)) => (first.index, last.index + 1),
        _ => (unit.first, unit.first),
    };
    let mut links = Vec::new();
    if first > unit.first {
        let from = first.saturating_sub(MAX_NEURONS).max(unit.first);
        links.push(page.anchor("/", &format!("from={from}"), "← the ones before"));
    }
    if next < unit.first + count {
        links.push(page.anchor("/", &format!("from={next}"), "the next ones →"));
    }
    format!(
        "<p class=\"more\">{} of {count} neurons. {}</p>\n",
        visible.len(),
        links.join(" · ")
    )
}

fn card(page: &Page<'_>, layer: &LayerAbout, neuron: &NeuronView) -> String {
    let path = format!("/neurons/{}", neuron.index);
    let weights = format!("{path}/weights");
    let (height, width) = layer.picture();
    let mut links = vec![
        page.anchor(&path, "", "state"),
        page.anchor(&weights, "format=json", "weights"),
        page.anchor(&weights, "format=npy", "NumPy"),
        page.anchor(&weights, "format=png", "PNG"),
    ];
    let map = layer.map.filter(|_| neuron.last_batch.is_some());
    let map = map.map_or(String::new(), |(height, width)| {
        let map = format!("{path}/map");
        links.push(page.anchor(&map, "format=npy", "map as NumPy"));
        format!(
            "<figure>\n<img src=\"{source}\" alt=\"what filter {index} has made of the first row of the \
             last batch\" style=\"aspect-ratio:{width}/{height}\">\n<figcaption><span class=\"shape\">\
             {height} × {width} places of the last batch's first row</span></figcaption>\n</figure>\n",
            source = page.address(&map, "format=png"),
            index = neuron.index,
        )
    });
    format!(
        "<article>\n<h2>Neuron {index}</h2>\n<div class=\"neuron\">\n<figure>\n\
         <img src=\"{source}\" alt=\"weights of neuron {index} as a heat map\" \
         style=\"aspect-ratio:{width}/{height}\">\n<figcaption>{legend}</figcaption>\n</figure>\n\
         {map}<div class=\"numbers\">\n{numbers}{batch}</div>\n</div>\n<p class=\"links\">{links}</p>\n\
         </article>\n",
        index = neuron.index,
        source = page.address(&weights, "format=png"),
        legend = legend(&neuron.weights, layer),
        numbers = list(&PARAMETERS, neuron),
        batch = batch(layer, neuron),
        links = links.join(" · "),
    )
}

/// Legend of the heat map's colours.
fn legend(weights: &[f32], layer: &LayerAbout) -> String {
    let strongest = figure(f64::from(picture::strongest(weights)));
    let stops: Vec<String> = picture::STOPS
        .iter()
        .map(|[red, green, blue]| format!("rgb({red} {green} {blue})"))
        .collect();
    let shape = match layer.image {
        Some((height, width)) if layer.map.is_some() => {
            format!("{height} × {width} weights, channel below channel")
        }
        Some((height, width)) => format!("{height} × {width} inputs, one square each"),
        None => format!("{} inputs, row by row", thousands(layer.fan_in as u64)),
    };
    format!(
        "<span class=\"scale\" style=\"background:linear-gradient(90deg,{})\"></span>\
         <span class=\"ends\"><span>-{strongest}</span><span>0</span><span>+{strongest}</span></span>\
         <span class=\"shape\">{shape}</span>",
        stops.join(",")
    )
}

/// Figures with their names.
fn list(figures: &[Figure], neuron: &NeuronView) -> String {
    let rows: String = figures
        .iter()
        .filter_map(|figure| Some((figure.label, figure.text(neuron)?)))
        .map(|(label, value)| format!("<div><dt>{label}</dt><dd>{value}</dd></div>\n"))
        .collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn batch(layer: &LayerAbout, neuron: &NeuronView) -> String {
    let Some(batch) = &neuron.last_batch else {
        return "<p class=\"quiet\">No training batch in this timeline yet.</p>\n".to_owned();
    };
    // A normalization before it is the neuron's own.
    let last = layer.activation.rsplit(", ").next().unwrap_or_default();
    let (title, note) = match &batch.outputs {
        Outputs::Logits { .. } => (
            format!("Logits of the last batch, before the {last}"),
            format!(
                "<p class=\"quiet\">The trainer applies the {last}: its page has this neuron's probabilities.</p>\n"
            ),
        ),
        Outputs::Activations { .. } if layer.map.is_some() => (
            "Activations of the last batch's first row".to_owned(),
            String::new(),
        ),
        Outputs::Activations { .. } => ("Activations of the last batch".to_owned(), String::new()),
    };
    let histogram = chart::histogram(batch.outputs.values());
    list(&LAST_BATCH, neuron) + &format!("<h3>{title}</h3>\n{histogram}{note}")
}
