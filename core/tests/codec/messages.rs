//! Messages of every kind: as strategies, and compared by bits.

use std::sync::Arc;

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::ids::{Address, CommitPoint, Generation, Tick};
use cuttlefish_core::math::{ByteMatrix, Inputs, Panels};
use cuttlefish_core::protocol::{Envelope, Message, TickHeader, Work, codec};
use ndarray::Array2;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::LIMITS;

/// Any message within the limits.
pub fn envelope() -> impl Strategy<Value = Envelope> {
    (counter(0), message()).prop_map(|(generation, message)| Envelope {
        generation: Generation(generation),
        message,
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        commit().prop_map(Message::Rewind),
        address().prop_map(|from| Message::Hello { from }),
        address().prop_map(|from| Message::Ready { from }),
        (address(), any::<String>()).prop_map(|(from, problem)| Message::Unable { from, problem }),
        (address(), commit()).prop_map(|(from, commit)| Message::Committed { from, commit }),
        (address(), 0..LIMITS.max_neurons, counter(0)).prop_map(|(from, neuron, tick)| {
            Message::Diverged {
                from,
                neuron: neuron as usize,
                tick: Tick(tick),
            }
        }),
        forward(),
        activation(),
        backward(),
        contribution(),
        propagated(),
    ]
}

fn forward() -> impl Strategy<Value = Message> {
    header().prop_flat_map(|header| {
        let rows = header.batch.rows as usize;
        let features = 1..=LIMITS.max_features as usize;
        let values = features.clone().prop_flat_map(move |features| {
            matrix(features, rows).prop_map(|values| Inputs::new(Panels::pack(values.view())))
        });
        let bytes = features.prop_flat_map(move |features| {
            byte_matrix(rows, features).prop_map(Inputs::from_bytes)
        });
        let inputs = option::of(prop_oneof![values, bytes]);
        inputs.prop_map(move |inputs| Message::Forward {
            header,
            inputs: inputs.map(Arc::new),
        })
    })
}

fn activation() -> impl Strategy<Value = Message> {
    (header(), neurons()).prop_flat_map(|(header, (first, count))| {
        matrix(count, header.batch.rows as usize).prop_map(move |values| Message::Activation {
            header,
            first,
            values: Arc::new(values),
        })
    })
}

fn backward() -> impl Strategy<Value = Message> {
    (turn(), neurons(), rows()).prop_flat_map(|((tick, next), (first, count), rows)| {
        matrix(count, rows).prop_map(move |errors| Message::Backward {
            tick,
            next,
            first,
            errors: Arc::new(errors),
        })
    })
}

fn contribution() -> impl Strategy<Value = Message> {
    let features = 1..=LIMITS.max_features as usize;
    let positions = 1..=LIMITS.max_positions as usize;
    (turn(), neurons(), rows(), positions, features).prop_flat_map(
        |((tick, next), (first, count), rows, positions, features)| {
            let matrices = (matrix(count, positions * rows), matrix(count, features));
            matrices.prop_map(move |(deltas, weights)| Message::Contribution {
                tick,
                next,
                first,
                deltas: Arc::new(deltas),
                weights: Arc::new(weights),
            })
        },
    )
}

fn propagated() -> impl Strategy<Value = Message> {
    let features = 1..=LIMITS.max_features as usize;
    (turn(), features, rows()).prop_flat_map(|((tick, next), features, rows)| {
        matrix(features, rows).prop_map(move |errors| Message::Propagated {
            tick,
            next,
            errors: Arc::new(errors),
        })
    })
}

/// A tick, and perhaps the header of the one after it.
fn turn() -> impl Strategy<Value = (Tick, Option<TickHeader>)> {
    option::of(header()).prop_flat_map(|next| {
        let tick = match next.map(|next| next.tick.0) {
            None => counter(0).boxed(),
            // There is none before the first.
            Some(0) => return Just((Tick(0), None)).boxed(),
            Some(after) => Just(after - 1).boxed(),
        };
        tick.prop_map(move |tick| (Tick(tick), next)).boxed()
    })
}

fn header() -> impl Strategy<Value = TickHeader> {
    let rate = any::<f32>().prop_filter("finite", |rate| rate.is_finite());
    let work = option::of((counter(1), rate)).prop_map(|train| match train {
        None => Work::Evaluate,
        Some((step, learning_rate)) => Work::Train {
            step,
            learning_rate,
        },
    });
    let part = prop::sample::select(vec![Part::Train, Part::Validation, Part::Test]);
    let batch =
        (part, any::<u32>(), any::<u32>(), rows()).prop_map(|(part, epoch, index, rows)| {
            BatchRef {
                part,
                epoch,
                index,
                rows: rows as u32,
            }
        });
    (counter(0), work, batch, option::of(counter(1))).prop_map(|(tick, work, batch, mark)| {
        TickHeader {
            tick: Tick(tick),
            work,
            batch,
            mark,
        }
    })
}

fn counter(from: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        from..1000,
        from..=codec::MAX_COUNTER,
        Just(codec::MAX_COUNTER)
    ]
}

fn commit() -> impl Strategy<Value = CommitPoint> {
    (counter(0), counter(0)).prop_map(|(number, tick)| CommitPoint {
        number,
        tick: Tick(tick),
    })
}

fn address() -> impl Strategy<Value = Address> {
    let (layers, neurons) = (LIMITS.max_layers as usize, LIMITS.max_neurons as usize);
    prop_oneof![
        Just(Address::Trainer),
        (0..layers).prop_map(Address::Synapse),
        (0..layers, 0..neurons).prop_map(|(layer, index)| Address::Unit { layer, index }),
        (0..layers).prop_map(Address::Layer),
    ]
}

/// First neuron of a unit, and the number of its neurons.
fn neurons() -> impl Strategy<Value = (usize, usize)> {
    let max = LIMITS.max_neurons as usize;
    (0..max).prop_flat_map(move |first| (Just(first), 1..=max - first))
}

fn rows() -> impl Strategy<Value = usize> {
    0..=LIMITS.max_rows as usize
}

/// Any bits: numbers, NaNs with any payload, both zeros. Sometimes column by column in memory.
fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f32>> {
    let special = prop::sample::select(vec![0x8000_0000, 0x7fc0_1234, 0xffa0_0001, 0x7f80_0000, 1]);
    let bits = prop_oneof![4 => any::<u32>(), 1 => special];
    (vec(bits, rows * columns), any::<bool>()).prop_map(move |(bits, transposed)| {
        let values = bits.into_iter().map(f32::from_bits).collect();
        if transposed {
            let matrix = Array2::from_shape_vec((columns, rows), values);
            matrix.expect("sizes agree").reversed_axes()
        } else {
            Array2::from_shape_vec((rows, columns), values).expect("sizes agree")
        }
    })
}

/// Any bytes, with a scale that makes numbers of them.
fn byte_matrix(rows: usize, columns: usize) -> impl Strategy<Value = ByteMatrix> {
    let scale = any::<f32>().prop_filter("of use", |scale| scale.is_finite() && *scale != 0.0);
    (scale, vec(any::<u8>(), rows * columns)).prop_map(move |(scale, bytes)| {
        let mut matrix = ByteMatrix::zeros(rows, columns, scale);
        for (row, bytes) in bytes.chunks(columns).enumerate() {
            matrix.row_mut(row).copy_from_slice(bytes);
        }
        matrix
    })
}

/// Everything that a message says, floats as bits.
pub fn facts(envelope: &Envelope) -> String {
    let what = match &envelope.message {
        Message::Forward { header, inputs } => {
            let inputs = inputs.as_ref().map(|inputs| {
                if let Some(matrix) = inputs.bytes() {
                    let scale = matrix.scale().to_bits();
                    let rows: Vec<&[u8]> = (0..matrix.rows()).map(|row| matrix.row(row)).collect();
                    return format!("{:?} {scale:x} {rows:x?}", matrix.columns());
                }
                let shape = (inputs.n_features(), inputs.n_rows());
                bits(&Array2::from_shape_fn(shape, |(feature, row)| {
                    inputs.features().get(feature, row)
                }))
            });
            format!("forward {} {inputs:?}", header_facts(header))
        }
        Message::Activation {
            header,
            first,
            values,
        } => format!(
            "activation {} {first} {}",
            header_facts(header),
            bits(values)
        ),
        Message::Backward {
            tick,
            next,
            first,
            errors,
        } => format!(
            "backward {tick} {} {first} {}",
            next_facts(next),
            bits(errors)
        ),
        Message::Contribution {
            tick,
            next,
            first,
            deltas,
            weights,
        } => format!(
            "contribution {tick} {} {first} {} {}",
            next_facts(next),
            bits(deltas),
            bits(weights)
        ),
        Message::Propagated { tick, next, errors } => {
            format!("propagated {tick} {} {}", next_facts(next), bits(errors))
        }
        // No floats in the others.
        message => format!("{message:?}"),
    };
    format!("{} {what}", envelope.generation)
}

fn next_facts(next: &Option<TickHeader>) -> String {
    next.as_ref().map_or_else(String::new, header_facts)
}

fn header_facts(header: &TickHeader) -> String {
    match header.work {
        Work::Train { learning_rate, .. } => format!("{header:?} {:08x}", learning_rate.to_bits()),
        Work::Evaluate => format!("{header:?}"),
    }
}

fn bits(matrix: &Array2<f32>) -> String {
    let bits: Vec<u32> = matrix.iter().map(|value| value.to_bits()).collect();
    format!("{:?} {bits:x?}", matrix.dim())
}
