//! A plan as a text for people.

use std::fmt;
use std::ops::Range;

use super::excerpt::Excerpt;
use super::plan::{PerTick, Plan, Totals};
use super::traffic::Traffic;
use crate::data::Feed;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let non_trainable = match self.totals.non_trainable_parameters {
            0 => String::new(),
            numbers => format!(" and {} non-trainable", grouped(numbers as u64)),
        };
        writeln!(
            f,
            "run {}: {} inputs, {} neurons in {} layers, {} parameters{non_trainable}\n",
            self.run,
            grouped(self.inputs as u64),
            grouped(self.totals.neurons as u64),
            self.layers.len(),
            grouped(self.totals.parameters as u64),
        )?;
        table(f, &self.layer_rows())?;
        writeln!(f, "\nactors    {}", self.actors)?;
        let ticks = &self.ticks;
        writeln!(
            f,
            "ticks     {} in all: {} epochs of {} training and {} validation ticks, and {} test ticks",
            grouped(ticks.total),
            ticks.epochs,
            grouped(ticks.train_per_epoch),
            grouped(ticks.validation_per_epoch),
            grouped(ticks.test),
        )?;
        if let Some(augmentation) = &self.augmentation {
            writeln!(f, "images    {augmentation}")?;
        }
        let maps = match self.memory.map_bytes {
            0 => String::new(),
            bytes => format!(", {} of maps before pooling", size(bytes)),
        };
        writeln!(
            f,
            "memory    {} of state, {} in flight{maps}",
            size(self.memory.state_bytes),
            size(self.memory.in_flight_bytes)
        )?;
        write!(f, "\none training tick of {} rows", ticks.batch_size)?;
        if let (Feed::Reference, Some(first)) = (self.feed, self.layers.first()) {
            write!(f, ", which {} reads by itself", first.name)?;
        }
        write!(f, "\n\n")?;
        table(f, &self.traffic_rows())?;
        if let Some(broker) = &self.broker {
            writeln!(
                f,
                "\nbroker    {} bindings",
                grouped(broker.bindings as u64)
            )?;
            for (word, named) in [("exchanges", &broker.exchanges), ("queues", &broker.queues)] {
                let some = if named.examples.len() < named.count {
                    ", for example"
                } else {
                    ""
                };
                writeln!(f, "\n{} {word}{some}", grouped(named.count as u64))?;
                for name in &named.examples {
                    writeln!(f, "  {name}")?;
                }
            }
        }
        Ok(())
    }
}

impl Plan {
    fn layer_rows(&self) -> Vec<Vec<String>> {
        let heads = [
            "layer",
            "neurons",
            "units",
            "per unit",
            "fan-in",
            "parameters",
            "state",
            "store items",
        ];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        let layers = Excerpt::of(self.layers.len());
        rows.extend(layers.rows(
            |layer| {
                let layer = &self.layers[layer];
                let of_each = [layer.neurons_per_unit, layer.fan_in].map(|n| grouped(n as u64));
                sums(layer.name.clone(), of_each, &Totals::of([layer]))
            },
            |between| {
                let between = &self.layers[between];
                let title = format!("... {} more", grouped(between.len() as u64));
                sums(title, Default::default(), &Totals::of(between))
            },
        ));
        rows.push(sums("total".to_owned(), Default::default(), &self.totals));
        rows
    }

    fn traffic_rows(&self) -> Vec<Vec<String>> {
        let heads = ["messages", "deliveries", "values", "on the wire"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        let by_layer = self.traffic.chunk_by(|one, next| one.layer == next.layer);
        let by_layer: Vec<&[Traffic]> = by_layer.collect();
        let of_layer = |layer: usize| {
            let kinds = by_layer[layer].iter();
            let row = |of: &Traffic| {
                let title = format!("{} {}", of.layer, of.kind.word());
                delivered(title, &PerTick::of([of]))
            };
            kinds.map(row).collect()
        };
        let of_layers = |between: Range<usize>| {
            let layers = &by_layer[between];
            let title = format!("... of {} more", grouped(layers.len() as u64));
            let all = layers.iter().copied().flatten();
            vec![delivered(title, &PerTick::of(all))]
        };
        let layers: Vec<Vec<_>> = Excerpt::of(by_layer.len()).rows(of_layer, of_layers);
        rows.extend(layers.into_iter().flatten());
        rows.push(delivered("total".to_owned(), &self.per_tick));
        rows
    }
}

/// Row of one layer or of several.
fn sums(title: String, of_each: [String; 2], totals: &Totals) -> Vec<String> {
    let [per_unit, fan_in] = of_each;
    vec![
        title,
        grouped(totals.neurons as u64),
        grouped(totals.units as u64),
        per_unit,
        fan_in,
        grouped(totals.parameters as u64),
        size(totals.state_bytes as u64),
        format!("2 x {}", grouped(totals.store_items as u64)),
    ]
}

/// Row of one kind of messages or of several.
fn delivered(title: String, sum: &PerTick) -> Vec<String> {
    vec![
        title,
        grouped(sum.deliveries),
        size(sum.value_bytes),
        size(sum.wire_bytes),
    ]
}

/// Columns two blanks apart: the first to the left, the others to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    for row in rows {
        write!(f, "  {:<width$}", row[0], width = widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// 1234567 as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes with a unit: `1.5 MiB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{value:.1} {unit}"),
    }
}
