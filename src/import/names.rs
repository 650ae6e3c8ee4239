//! Names of tensors: which layout they are of, and what PyTorch's modules are called in a file.

use std::collections::{BTreeMap, BTreeSet};

use cuttlefish_core::layers::LayerSpec;
use cuttlefish_core::topology::Graph;

use super::{Error, Tensors, name_list};
use crate::layout::{Layout, TensorPlace, torch};

/// Last parts of the names of PyTorch's tensors.
const TORCH_ENDS: [&str; 5] = [
    "weight",
    "bias",
    "running_mean",
    "running_var",
    super::TORCH_COUNT,
];

/// The layout of tensors by their names: PyTorch's end in `.weight` and the like, Keras's have a slash.
pub(super) fn layout(tensors: &Tensors) -> Result<Layout, Error> {
    let is_torch = |name: &str| module_of(name).is_some() && !name.contains('/');
    let names = || tensors.by_name.keys().map(String::as_str);
    let torch = names().filter(|name| is_torch(name)).count();
    let keras = names().filter(|name| name.contains('/')).count();
    match (keras, torch) {
        (_, 0) => Ok(Layout::Keras),
        (0, _) => Ok(Layout::Torch),
        _ => Err(Error::Layout(name_list(names()))),
    }
}

/// The module that a tensor of PyTorch is of.
fn module_of(name: &str) -> Option<&str> {
    let (module, end) = name.rsplit_once('.')?;
    TORCH_ENDS.contains(&end).then_some(module)
}

/// Names the tensors as the file does: modules by their numbers in a `Sequential` of the same layers, by the
/// names of the layers, or, if the file has as many numbered modules as the network, in the order of their
/// numbers, since others may stand between them.
pub(super) fn as_in_file(
    places: &mut [TensorPlace],
    graph: &Graph,
    layers: &[LayerSpec],
    tensors: &Tensors,
) {
    let expected = expected_modules(graph, layers);
    let found: BTreeSet<&str> = tensors
        .by_name
        .keys()
        .filter_map(|name| module_of(name))
        .collect();
    let by_number: BTreeMap<u64, &str> = found
        .iter()
        .filter_map(|module| Some((module.parse().ok()?, *module)))
        .collect();
    let has_all = |names: &[&str]| names.iter().all(|name| found.contains(name));
    let numbers: Vec<&str> = expected.iter().map(|(number, _)| number.as_str()).collect();
    let titles: Vec<&str> = expected.iter().map(|(_, title)| title.as_str()).collect();
    // A normalization without a name has that of its layer.
    let differ = titles.iter().collect::<BTreeSet<_>>().len() == titles.len();
    let names: Vec<&str> = if has_all(&numbers) {
        return;
    } else if differ && has_all(&titles) {
        titles
    } else if by_number.len() == expected.len() {
        by_number.into_values().collect()
    } else {
        return;
    };
    let renamed: BTreeMap<&str, &str> = numbers.into_iter().zip(names).collect();
    for place in places {
        let (module, end) = place.name.rsplit_once('.').unwrap_or_default();
        if let Some(name) = renamed.get(module) {
            place.name = format!("{name}.{end}");
        }
    }
}

/// Modules with tensors, in their order: the number of each in a `Sequential`, and the name of the layer.
fn expected_modules(graph: &Graph, layers: &[LayerSpec]) -> Vec<(String, String)> {
    let mut modules = Vec::new();
    for (layer, numbers) in graph.layers.iter().zip(torch::modules(layers)) {
        modules.push((numbers.weights.to_string(), layer.name.clone()));
        if let (Some(number), Some(normalization)) = (numbers.normalization, &layer.normalization) {
            modules.push((number.to_string(), normalization.name.clone()));
        }
    }
    modules
}
