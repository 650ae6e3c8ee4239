//! Numbers that no tensor has: where the file's network had others than the run, its answers were others.

use std::collections::BTreeMap;

use cuttlefish_core::topology::Graph;

use crate::export::metadata::{EPSILONS, LEAKY_RELU_SLOPE};
use crate::layout::Layout;
use crate::layout::constants::{Constants, TORCH_EPSILON, TORCH_SLOPE};

/// Notes about the numbers of the network, a sentence each. What the file does not say was as in
/// PyTorch, probably, if it has that layout.
pub(super) fn notes(
    graph: &Graph,
    layout: Layout,
    metadata: &BTreeMap<String, String>,
) -> Vec<String> {
    let constants = Constants::of(graph);
    let of_file = epsilons(metadata).filter(|found| found.len() == constants.epsilons.len());
    let mut notes = Vec::new();
    for (at, (name, epsilon)) in constants.epsilons.iter().enumerate() {
        let note = match (&of_file, layout) {
            (Some(of_file), _) if of_file[at] != *epsilon => format!(
                "batch normalization `{name}` adds {epsilon} to the variance, and that of the file's network added {0} \
                 (write `epsilon: {0}`)",
                of_file[at]
            ),
            (None, Layout::Torch) if *epsilon != TORCH_EPSILON => format!(
                "batch normalization `{name}` adds {epsilon} to the variance, and PyTorch's adds {TORCH_EPSILON:e} by \
                 default (write `epsilon: 1e-5` if that was so)"
            ),
            _ => continue,
        };
        notes.push(note);
    }
    if let (Some(slope), Layout::Torch) = (constants.leaky_relu_slope, layout)
        && !metadata.contains_key(LEAKY_RELU_SLOPE)
    {
        notes.push(format!(
            "`leaky_relu` has the slope {slope} below 0, and PyTorch's has {TORCH_SLOPE} by default (its answers are \
             others unless it was built with `negative_slope={slope}`)"
        ));
    }
    notes
}

/// Epsilon that the batch normalizations of the file's network added, if the file says so.
fn epsilons(metadata: &BTreeMap<String, String>) -> Option<Vec<f32>> {
    let numbers = metadata.get(EPSILONS)?.split(", ");
    numbers.map(|number| number.parse().ok()).collect()
}
