//! The expansion of a graph: what `cuttlefish plan` shows, computed without doing any of it.

use serde::Serialize;

use super::data_shape::DataShape;
use super::excerpt::Excerpt;
use super::graph::Graph;
use super::names;
use super::roster::{ActorCounts, Roster};
use super::traffic::{Traffic, traffic};
use crate::data::{Augmentation, Feed};
use crate::ids::Address;
use crate::layers::Layer;

/// Bytes of a neuron's state that one item of the store takes: 400 KB less room for the names
/// and the small attributes beside it.
pub const ITEM_BYTES: usize = 396 * 1024;

/// Parts and cost of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the run.
    pub run: String,
    /// Features of one row.
    pub inputs: usize,
    /// The layers, input side first.
    pub layers: Vec<LayerPlan>,
    /// Sums over the layers.
    pub totals: Totals,
    /// Actors by kind: one container each when deployed.
    pub actors: ActorCounts,
    /// Way in which units of the first layer come by their inputs.
    pub feed: Feed,
    /// Messages of one training tick with a full batch.
    pub traffic: Vec<Traffic>,
    /// All of them together.
    pub per_tick: PerTick,
    /// Epochs, cut into ticks.
    pub ticks: Ticks,
    /// Augmentation of training images in every epoch; `None` leaves them as they are.
    pub augmentation: Option<Augmentation>,
    /// Memory of all actors together, in bytes.
    pub memory: Memory,
    /// Names that are created at the broker; `None` for a run in one process.
    pub broker: Option<BrokerPlan>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerPlan {
    /// Its name.
    pub name: String,
    /// Neurons.
    pub neurons: usize,
    /// Units that host them.
    pub units: usize,
    /// Neurons of each unit; the last one may have fewer.
    pub neurons_per_unit: usize,
    /// Inputs of each neuron.
    pub fan_in: usize,
    /// Trainable numbers.
    pub parameters: usize,
    /// Moving averages of normalizations.
    pub non_trainable_parameters: usize,
    /// Bytes of weights and optimizer state, a bias for every neuron included.
    pub state_bytes: usize,
    /// Items of the store for each of the two commit slots.
    pub store_items: usize,
}

/// Sums over the layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Neurons.
    pub neurons: usize,
    /// Units.
    pub units: usize,
    /// Trainable numbers.
    pub parameters: usize,
    /// Moving averages of normalizations.
    pub non_trainable_parameters: usize,
    /// Bytes of weights and optimizer state.
    pub state_bytes: usize,
    /// Items of the store for each of the two commit slots.
    pub store_items: usize,
}

/// Sums of a training tick's messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PerTick {
    /// Deliveries.
    pub deliveries: u64,
    /// Bytes of values.
    pub value_bytes: u64,
    /// Bytes of whole messages, as the codec writes them.
    pub wire_bytes: u64,
}

/// Ticks of the parts of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ticks {
    /// Rows of a tick; the last tick of a part may have fewer.
    pub batch_size: usize,
    /// Epochs, unless training stops early.
    pub epochs: u32,
    /// Training ticks of an epoch.
    pub train_per_epoch: u64,
    /// Validation ticks of an epoch.
    pub validation_per_epoch: u64,
    /// Ticks of the one evaluation on the test rows.
    pub test: u64,
    /// All ticks of the run.
    pub total: u64,
}

/// An estimate of what all actors together hold, in bytes, without what a process itself needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// Weights and optimizer state.
    pub state_bytes: u64,
    /// Values of the two ticks that are in flight at most: what each unit was given and answered,
    /// and what each synapse gathers, with the weights that contributions carry.
    pub in_flight_bytes: u64,
    /// Maps that filters keep before pooling: activations and deltas of this tick and of the last one.
    pub map_bytes: u64,
}

/// Names that are created at the broker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokerPlan {
    /// Exchanges.
    pub exchanges: Named,
    /// Queues.
    pub queues: Named,
    /// Bindings of queues to exchanges.
    pub bindings: usize,
}

/// Number of names, with some of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// Number of names.
    pub count: usize,
    /// Some names.
    pub examples: Vec<String>,
}

impl Plan {
    /// Expands a graph. `deployed` says whether units talk through a broker, `feed` how those of
    /// the first layer come by their inputs.
    pub fn new(graph: &Graph, shape: &DataShape, deployed: bool, feed: Feed) -> Self {
        let roster = Roster::new(graph);
        let moments = graph.training.optimizer.moments();
        let layers: Vec<LayerPlan> = graph
            .layers
            .iter()
            .map(|layer| LayerPlan::new(layer, moments))
            .collect();
        let totals = Totals::of(&layers);
        let traffic = traffic(graph, shape, feed);
        let per_tick = PerTick::of(&traffic);
        // Data that the first layer reads by itself is in memory, but in no message.
        let read = match feed {
            Feed::Broadcast => 0,
            Feed::Reference => {
                let value_bytes = if deployed { shape.value_bytes } else { 4 };
                layers[0].units * graph.training.batch_size * graph.inputs * value_bytes
            }
        };
        Self {
            run: graph.name.clone(),
            inputs: graph.inputs,
            actors: roster.counts(),
            memory: Memory {
                state_bytes: totals.state_bytes as u64,
                in_flight_bytes: 2 * (per_tick.value_bytes + read as u64),
                map_bytes: graph
                    .layers
                    .iter()
                    .map(|layer| layer.map_bytes(graph.training.batch_size))
                    .sum(),
            },
            ticks: Ticks::new(graph, shape),
            augmentation: graph.training.augmentation,
            feed,
            broker: deployed.then(|| BrokerPlan::new(graph, roster)),
            layers,
            totals,
            traffic,
            per_tick,
        }
    }
}

impl Totals {
    /// Sums over some layers.
    pub(super) fn of<'a>(layers: impl IntoIterator<Item = &'a LayerPlan>) -> Self {
        let mut totals = Self::default();
        for layer in layers {
            totals.neurons += layer.neurons;
            totals.units += layer.units;
            totals.parameters += layer.parameters;
            totals.non_trainable_parameters += layer.non_trainable_parameters;
            totals.state_bytes += layer.state_bytes;
            totals.store_items += layer.store_items;
        }
        totals
    }
}

impl PerTick {
    /// Sums over some kinds of messages.
    pub(super) fn of<'a>(traffic: impl IntoIterator<Item = &'a Traffic>) -> Self {
        let mut sum = Self::default();
        for kind in traffic {
            sum.deliveries += kind.deliveries;
            sum.value_bytes += kind.value_bytes;
            sum.wire_bytes += kind.wire_bytes;
        }
        sum
    }
}

impl LayerPlan {
    fn new(layer: &Layer, moments: usize) -> Self {
        let neuron_bytes = 4 * (layer.numbers() + layer.optimized_numbers() * moments);
        Self {
            name: layer.name.clone(),
            neurons: layer.units,
            units: layer.unit_ranges().len(),
            neurons_per_unit: layer.neurons_per_unit,
            fan_in: layer.fan_in,
            parameters: layer.parameters(),
            non_trainable_parameters: layer.non_trainable_parameters(),
            state_bytes: layer.units * neuron_bytes,
            store_items: layer.units * neuron_bytes.div_ceil(ITEM_BYTES),
        }
    }
}

impl Ticks {
    fn new(graph: &Graph, shape: &DataShape) -> Self {
        let batch_size = graph.training.batch_size;
        let ticks = |rows: usize| rows.div_ceil(batch_size) as u64;
        let train_per_epoch = ticks(shape.train_rows);
        let validation_per_epoch = ticks(shape.validation_rows);
        let epochs = graph.training.epochs;
        Self {
            batch_size,
            epochs,
            train_per_epoch,
            validation_per_epoch,
            test: ticks(shape.test_rows),
            total: u64::from(epochs) * (train_per_epoch + validation_per_epoch)
                + ticks(shape.test_rows),
        }
    }
}

impl BrokerPlan {
    fn new(graph: &Graph, roster: Roster<'_>) -> Self {
        let run = graph.name.as_str();
        let mut exchanges = vec![names::exchange(run)];
        let mut examples = vec![roster.actor(Address::Trainer).queues.inbound];
        let Excerpt { first, last, .. } = Excerpt::of(graph.layers.len());
        for layer in first.chain(last) {
            let of = &graph.layers[layer];
            exchanges.push(names::layer_exchange(run, &of.name));
            let unit = |index| roster.actor(Address::Unit { layer, index }).queues;
            let last = unit(of.unit_ranges().len() - 1);
            examples.push(unit(0).inbound);
            examples.extend(last.out.into_iter().chain(last.back));
            let above = roster.get(Address::Synapse(layer));
            examples.extend(above.map(|synapse| synapse.queues.inbound));
        }
        let (mut queues, mut fanned_out) = (0, 0);
        for actor in roster.actors() {
            queues += actor.queues.iter().count();
            fanned_out += usize::from(actor.fan_out.is_some());
        }
        Self {
            exchanges: Named {
                count: 1 + graph.layers.len(),
                examples: exchanges,
            },
            queues: Named {
                count: queues,
                examples,
            },
            // Every queue is bound to the run's exchange, inbound ones to their layer's as well.
            bindings: queues + fanned_out,
        }
    }
}
