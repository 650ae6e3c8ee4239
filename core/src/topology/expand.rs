//! Layers of a file one by one: those of a repeated block as often as it is there, each with the path at which it
//! is written.

use super::report::Report;
use super::spec::{LayerEntry, LayerSpec};

/// Most layers of a network, of whatever kind, those of repeated blocks counted as often as they are there.
pub const MAX_LAYERS: usize = 4096;
/// Characters of a layer's name, as its pattern says.
const MAX_NAME: usize = 40;

/// The layers of a network, input side first.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpandedLayers {
    layers: Vec<LayerSpec>,
    /// Path of each in the file.
    paths: Vec<String>,
}

impl ExpandedLayers {
    /// The layers that a file's entries say. A name in a block gets the numbers of its repetitions, from 1:
    /// `hidden-1`, `hidden-2`, and within two blocks `hidden-1-1`.
    ///
    /// Reports names that become too long by that. Of a network with too many layers, which is reported as well,
    /// each block is there once, so that other problems are found.
    pub fn new(entries: &[LayerEntry], report: &mut Report<'_>) -> Self {
        let count = count(entries);
        if count > MAX_LAYERS {
            let message = format!("the network has {count} layers");
            report.add("network.layers", message, &format!("at most {MAX_LAYERS}"));
        }
        let mut expanded = Self::default();
        expanded.add(entries, "network.layers", "", count <= MAX_LAYERS, report);
        expanded
    }

    /// Adds the layers of a list at `path`; `suffix` is what names get at their ends.
    fn add(
        &mut self,
        entries: &[LayerEntry],
        path: &str,
        suffix: &str,
        repeats: bool,
        report: &mut Report<'_>,
    ) {
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match entry {
                LayerEntry::Layer(layer) => self.push(layer.clone(), path, suffix, report),
                LayerEntry::Repeat(block) => {
                    let times = if repeats { block.repeat } else { 1 };
                    for number in 1..=times {
                        let (path, suffix) =
                            (format!("{path}.layers"), format!("{suffix}-{number}"));
                        self.add(&block.layers, &path, &suffix, repeats, report);
                    }
                }
            }
        }
    }

    fn push(&mut self, mut layer: LayerSpec, path: String, suffix: &str, report: &mut Report<'_>) {
        if let Some(name) = layer.name_mut() {
            name.push_str(suffix);
            if name.len() > MAX_NAME {
                let message = format!("with the number of its repetition the name is `{name}`");
                let help = format!("at most {MAX_NAME} characters: make it shorter");
                report.add(&format!("{path}.name"), message, &help);
            }
        }
        self.layers.push(layer);
        self.paths.push(path);
    }

    /// The layers.
    pub fn layers(&self) -> &[LayerSpec] {
        &self.layers
    }

    /// Path of the layer at `position`.
    pub fn path(&self, position: usize) -> &str {
        &self.paths[position]
    }
}

/// Layers that a list stands for.
fn count(entries: &[LayerEntry]) -> usize {
    let counts = entries.iter().map(|entry| match entry {
        LayerEntry::Layer(_) => 1,
        LayerEntry::Repeat(block) => count(&block.layers).saturating_mul(block.repeat),
    });
    counts.fold(0, usize::saturating_add)
}

/// True for the path of a layer in a block, or of a key of such a layer: each repetition would say the same of it.
pub(super) fn is_in_block(path: &str) -> bool {
    path.contains("].layers[")
}
