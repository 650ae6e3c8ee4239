//! The description of a machine: what stays the same for as long as it runs.

use std::time::Instant;

use cuttlefish_core::ids::{Address, NeuronRange};
use cuttlefish_core::topology::{Graph, Roster};

/// Description of the machine behind a server.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the run.
    pub run: String,
    /// Its address in the run.
    pub address: Address,
    /// Its name, as the broker's dashboard has it: `hidden.003`, `synapse.hidden-digit`, `trainer`.
    pub name: String,
    /// The layers of the network, input side first.
    pub layers: Vec<LayerAbout>,
    /// The neurons that are hosted here; a synapse and the trainer host none.
    pub neurons: Option<NeuronRange>,
    /// Features of one row of the data.
    pub inputs: usize,
    /// Epochs that the run is to have, at most.
    pub epochs: u32,
    /// Start of the process.
    pub started: Instant,
}

/// Description of a layer.
#[derive(Clone, Debug)]
pub struct LayerAbout {
    /// Its name.
    pub name: String,
    /// Neurons.
    pub units: usize,
    /// Weights of each.
    pub fan_in: usize,
    /// Its activation, whoever computes it.
    pub activation: String,
    /// Logits instead of activations: the trainer computes those.
    pub has_logits: bool,
    /// Height and width of the images that it sees, where it sees images; of a filter its kernels, one
    /// below the other.
    pub image: Option<(usize, usize)>,
    /// Height and width of the map that a filter makes, before its pool.
    pub map: Option<(usize, usize)>,
}

impl About {
    /// The machine at `address`. `image` is the height and width of a row, where rows are images.
    pub fn new(
        graph: &Graph,
        address: Address,
        image: Option<(usize, usize)>,
        started: Instant,
    ) -> Self {
        let actor = Roster::new(graph).actor(address);
        Self {
            run: graph.name.clone(),
            address,
            name: actor.name,
            layers: layers(graph, image),
            neurons: actor.neurons,
            epochs: graph.training.epochs,
            inputs: graph.inputs,
            started,
        }
    }

    /// The layer whose neurons are hosted here.
    pub fn layer(&self) -> Option<&LayerAbout> {
        self.neurons.map(|neurons| &self.layers[neurons.layer])
    }
}

impl LayerAbout {
    /// Height and width of the picture of a neuron's weights: those of the images that it sees, or
    /// of an almost square grid that they are written into row by row.
    pub fn picture(&self) -> (usize, usize) {
        self.image.unwrap_or_else(|| {
            let mut width = self.fan_in.isqrt();
            width += usize::from(width * width < self.fan_in);
            (self.fan_in.div_ceil(width.max(1)), width)
        })
    }
}

fn layers(graph: &Graph, image: Option<(usize, usize)>) -> Vec<LayerAbout> {
    let about = |(index, layer): (usize, &cuttlefish_core::topology::Layer)| LayerAbout {
        name: layer.name.clone(),
        units: layer.units,
        fan_in: layer.fan_in,
        activation: graph.activation_words(index),
        has_logits: graph.has_logits(index),
        image: layer.kind.picture().or_else(|| {
            let image = image.filter(|_| index == 0);
            // One channel below the one before.
            image
                .filter(|(height, width)| layer.fan_in.is_multiple_of((height * width).max(1)))
                .map(|(_, width)| (layer.fan_in / width, width))
        }),
        map: layer.map().map(|map| (map.height, map.width)),
    };
    graph.layers.iter().enumerate().map(about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_see_no_image_are_drawn_almost_square() {
        let picture = |fan_in, image| {
            let layer = LayerAbout {
                name: String::new(),
                units: 1,
                fan_in,
                activation: String::new(),
                has_logits: false,
                image,
                map: None,
            };
            layer.picture()
        };
        let shapes = [1, 2, 3, 5, 9, 10, 128].map(|fan_in| picture(fan_in, None));
        let expected = [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (11, 12)];
        assert_eq!(shapes, expected);
        assert_eq!(picture(6, Some((2, 3))), (2, 3));
    }
}
