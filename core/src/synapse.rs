//! The machine between two layers: gathers one side's messages by neuron, hands the other side one
//! assembled message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, s};

use crate::gather::Gather;
use crate::ids::{Address, Generation, Tick};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::math::{Inputs, Panels};
use crate::protocol::{Envelope, IN_FLIGHT_BOUND, Message, TickHeader};
use crate::scatter::scatter_errors;
use crate::topology::Graph;
use crate::view::{Dropped, Gathering, SynapseView, View};

/// The synapse between layer `below` and the layer above it.
///
/// It has no state that is worth keeping: what it gathers is computed again after a rewind.
pub struct Synapse {
    below: usize,
    graph: Arc<Graph>,
    generation: Generation,
    dropped: Dropped,
    activations: BTreeMap<Tick, Gather<Panels>>,
    contributions: BTreeMap<Tick, Gather<Contributions>>,
}

/// Contributions of the layer above, which the errors of the layer below are computed from.
struct Contributions {
    next: Option<TickHeader>,
    /// `[neurons above, positions * rows]`
    deltas: Array2<f32>,
    /// `[neurons above, fan_in]`
    weights: Array2<f32>,
}

impl Synapse {
    /// The synapse above layer `below`.
    pub fn new(graph: Arc<Graph>, below: usize) -> Self {
        Self {
            below,
            graph,
            generation: Generation(0),
            dropped: Dropped::default(),
            activations: BTreeMap::new(),
            contributions: BTreeMap::new(),
        }
    }

    fn address(&self) -> Address {
        Address::Synapse(self.below)
    }

    fn send(&self, to: Address, message: Message, effects: &mut dyn Effects) {
        effects.push(Effect::send(to, self.generation, message));
    }

    fn message(&mut self, envelope: Envelope, effects: &mut dyn Effects) {
        if envelope.generation < self.generation {
            self.dropped.stale += 1;
            return;
        }
        if envelope.generation > self.generation {
            // Nothing here outlives its generation, so a newer one needs no ceremony.
            self.generation = envelope.generation;
            self.activations.clear();
            self.contributions.clear();
        }
        match envelope.message {
            Message::Rewind(_) => {
                let from = self.address();
                self.send(Address::Trainer, Message::Ready { from }, effects);
            }
            Message::Activation {
                header,
                first,
                values,
            } => self.activation(header, first, &values, effects),
            Message::Contribution {
                tick,
                next,
                first,
                deltas,
                weights,
            } => self.contribution(tick, next, first, &deltas, &weights, effects),
            Message::Propagated { tick, next, errors } => {
                self.pass_back(tick, next, &errors, effects);
            }
            _ => self.dropped.foreign += 1,
        }
    }

    fn activation(
        &mut self,
        header: TickHeader,
        first: usize,
        values: &Array2<f32>,
        effects: &mut dyn Effects,
    ) {
        let layer = &self.graph.layers[self.below];
        let (units, outputs) = (layer.units, layer.outputs());
        let rows = header.batch.rows as usize;
        let count = values.nrows() / outputs;
        if !layer.has_unit(first, count) || values.dim() != (count * outputs, rows) {
            self.dropped.foreign += 1;
            return;
        }
        let whole = count == units;
        let gather = entry(&mut self.activations, header.tick, units, || {
            // A unit that holds the whole layer leaves nothing to gather.
            let gathered = if whole { 0 } else { units * outputs };
            Panels::zeros(gathered, rows)
        });
        let gather = gather.filter(|gather| !gather.has(first, count));
        let Some(gather) = gather else {
            self.dropped.duplicate += 1;
            return;
        };
        let complete = if whole {
            Some(Panels::pack(values.view()))
        } else {
            gather.add(first, count, |panels| {
                for (i, row) in values.outer_iter().enumerate() {
                    panels.set_row(first * outputs + i, &row.to_vec());
                }
            })
        };
        let Some(features) = complete else {
            return;
        };
        self.activations.insert(header.tick, Gather::Done);
        let inputs = Some(Arc::new(Inputs::new(features)));
        let message = Message::Forward { header, inputs };
        self.send(Address::Layer(self.below + 1), message, effects);
    }

    fn contribution(
        &mut self,
        tick: Tick,
        next: Option<TickHeader>,
        first: usize,
        deltas: &Array2<f32>,
        weights: &Array2<f32>,
        effects: &mut dyn Effects,
    ) {
        let above = &self.graph.layers[self.below + 1];
        let (units, fan_in, width) = (above.units, above.fan_in, deltas.ncols());
        let count = deltas.nrows();
        if !above.has_unit(first, count)
            || weights.dim() != (count, fan_in)
            || !width.is_multiple_of(above.positions())
        {
            self.dropped.foreign += 1;
            return;
        }
        let gather = entry(&mut self.contributions, tick, units, || Contributions {
            next,
            deltas: Array2::zeros((units, width)),
            weights: Array2::zeros((units, fan_in)),
        });
        let gather = gather.filter(|gather| !gather.has(first, count));
        let Some(gather) = gather else {
            self.dropped.duplicate += 1;
            return;
        };
        if matches!(gather, Gather::Partial { values, .. } if values.deltas.ncols() != width) {
            self.dropped.foreign += 1;
            return;
        }
        let complete = gather.add(first, count, |gathered| {
            let place = s![first..first + count, ..];
            gathered.deltas.slice_mut(place).assign(deltas);
            gathered.weights.slice_mut(place).assign(weights);
        });
        if let Some(Contributions {
            next,
            deltas,
            weights,
        }) = complete
        {
            let weights = weights.as_slice().expect("a new array is contiguous");
            let above = &self.graph.layers[self.below + 1];
            let errors = Arc::new(above.propagate(weights, fan_in, &deltas));
            self.hand_down(tick, next, &errors, effects);
        }
    }

    fn pass_back(
        &mut self,
        tick: Tick,
        next: Option<TickHeader>,
        errors: &Arc<Array2<f32>>,
        effects: &mut dyn Effects,
    ) {
        if errors.nrows() != self.graph.layers[self.below].features() {
            self.dropped.foreign += 1;
            return;
        }
        if matches!(self.contributions.get(&tick), Some(Gather::Done)) {
            self.dropped.duplicate += 1;
            return;
        }
        self.hand_down(tick, next, errors, effects);
    }

    fn hand_down(
        &mut self,
        tick: Tick,
        next: Option<TickHeader>,
        errors: &Arc<Array2<f32>>,
        effects: &mut dyn Effects,
    ) {
        self.contributions.insert(tick, Gather::Done);
        forget_old(&mut self.contributions);
        let generation = self.generation;
        scatter_errors(
            &self.graph,
            self.below,
            generation,
            (tick, next),
            errors,
            effects,
        );
    }
}

impl Machine for Synapse {
    fn on(&mut self, _now: Duration, input: Input, effects: &mut dyn Effects) {
        match input {
            Input::Boot => {
                let from = self.address();
                self.send(Address::Trainer, Message::Hello { from }, effects);
            }
            Input::Message(envelope) => self.message(envelope, effects),
            Input::Stored(_) | Input::Clock | Input::Stop => {}
        }
    }

    fn view(&self) -> View {
        let layers = &self.graph.layers;
        let activations = gatherings(&self.activations, layers[self.below].units);
        let contributions = gatherings(&self.contributions, layers[self.below + 1].units);
        let newest = |gathers: &[Gathering]| gathers.last().map(|gather| gather.tick);
        View::Synapse(SynapseView {
            below: self.below,
            generation: self.generation,
            dropped: self.dropped,
            tick: newest(&activations).max(newest(&contributions)),
            activations,
            contributions,
        })
    }
}

fn gatherings<T>(gathers: &BTreeMap<Tick, Gather<T>>, of: usize) -> Vec<Gathering> {
    let gathering = |(&tick, gather): (&Tick, &Gather<T>)| Gathering {
        tick,
        missing: gather.missing(),
        of,
    };
    gathers.iter().map(gathering).collect()
}

/// The gathering of a tick, begun if it is new; `None` if the tick is too old to be in flight.
fn entry<T>(
    gathers: &mut BTreeMap<Tick, Gather<T>>,
    tick: Tick,
    neurons: usize,
    empty: impl FnOnce() -> T,
) -> Option<&mut Gather<T>> {
    forget_old(gathers);
    if is_old(gathers, tick) {
        return None;
    }
    Some(
        gathers
            .entry(tick)
            .or_insert_with(|| Gather::new(neurons, empty())),
    )
}

fn is_old<T>(gathers: &BTreeMap<Tick, Gather<T>>, tick: Tick) -> bool {
    let newest = gathers.keys().next_back().map_or(0, |tick| tick.0);
    tick.0 + IN_FLIGHT_BOUND < newest
}

fn forget_old<T>(gathers: &mut BTreeMap<Tick, Gather<T>>) {
    while let Some((&oldest, _)) = gathers.first_key_value()
        && is_old(gathers, oldest)
    {
        gathers.pop_first();
    }
}
