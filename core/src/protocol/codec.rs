//! An [`Envelope`] as bytes, and back. What the bytes mean is up to the machines.
//!
//! Everything is little-endian and has a fixed place; nothing is optional, padded or behind the
//! end. Each message has one encoding: bytes that decode are the bytes that encoding the result
//! gives. Fields that a message does not use are zero. `tests/codec` holds every kind to its bytes.
//!
//! # Every message: 16 bytes
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | magic, `CTLF` |
//! | 4 | u8 | version, 2 |
//! | 5 | u8 | kind |
//! | 6 | u16 | flags, 0: none is defined |
//! | 8 | u64 | generation |
//!
//! # Then, by kind
//!
//! | kind | message | fixed fields | bytes with header | payload |
//! |---|---|---|---|---|
//! | 1 | `Rewind` | commit | 32 | |
//! | 2 | `Hello` | from: address | 28 | |
//! | 3 | `Ready` | from: address | 28 | |
//! | 4 | `Unable` | from: address, length: u32 | 32 | problem, UTF-8, 4 KiB at most |
//! | 5 | `Committed` | from: address, commit | 44 | |
//! | 6 | `Forward` | tick header, encoding: u8, 3 bytes 0, features: u32, rows: u32 | 72 | the values in the encoding |
//! | 7 | `Activation` | tick header, first: u32, neurons: u32, rows: u32 | 72 | values `[neurons, rows]` |
//! | 8 | `Backward` | tick: u64, next, first: u32, neurons: u32, rows: u32 | 80 | errors `[neurons, rows]` |
//! | 9 | `Contribution` | tick: u64, next, first: u32, neurons: u32, rows: u32, fan_in: u32 | 84 | deltas `[neurons, rows]`, weights `[neurons, fan_in]` |
//! | 10 | `Propagated` | tick: u64, next, fan_in: u32, rows: u32 | 76 | errors `[fan_in, rows]` |
//! | 11 | `Diverged` | from: address, neuron: u32, tick: u64 | 40 | |
//!
//! Of a convolution, `neurons` of an activation and of errors counts outputs (`first` always counts neurons),
//! `rows` of a contribution is places of the map times rows of the batch, and `fan_in` of what is propagated is
//! features, not weights.
//!
//! Matrices are f32, row by row. Their bits survive as they are: a NaN is the machines' to report.
//!
//! | part | bytes | fields |
//! |---|---|---|
//! | commit | 16 | number: u64, tick: u64 |
//! | address | 12 | who: u8 (0 trainer, 1 synapse, 2 unit, 3 layer), 3 bytes 0, layer: u32, index: u32 |
//! | tick header | 44 | tick: u64, mark: u64, step: u64, learning rate: f32, epoch: u32, batch: u32, rows: u32, part: u8 (0 train, 1 validation, 2 test), work: u8 (0 evaluate, 1 train), marked: u8 (0 no, 1 yes), 1 byte 0 |
//! | next | 44 | the header of the tick that follows, or zeros: none comes with this one |
//!
//! | encoding of `Forward`'s values | payload |
//! |---|---|
//! | 0, none | the unit reads the batch by itself; features and rows are 0 |
//! | 1, f32 | `[features, rows]` |
//! | 2, u8 | scale: f32, finite and not 0; then one byte a value, `[rows, features]`, each standing for `byte * scale` |

mod address;
mod check;
mod error;
mod read;
mod write;

pub use error::Error;

use super::{Envelope, Message};
use read::Reader;
use write::Writer;

/// The first bytes of every message.
pub const MAGIC: [u8; 4] = *b"CTLF";

/// The version of the format that this build writes, and the only one that it reads.
pub const VERSION: u8 = 2;

/// Bytes of a problem's text: a longer one is cut when it is sent, and refused when it comes.
pub const MAX_PROBLEM_LEN: usize = 4096;

/// The highest generation, tick, step or commit number, so that counting on cannot overflow.
pub const MAX_COUNTER: u64 = i64::MAX as u64;

/// Bytes of each kind without its payload.
pub mod fixed_len {
    /// What every message starts with.
    pub const HEADER: usize = 16;
    /// `Rewind`
    pub const REWIND: usize = HEADER + COMMIT;
    /// `Hello`
    pub const HELLO: usize = HEADER + ADDRESS;
    /// `Ready`
    pub const READY: usize = HEADER + ADDRESS;
    /// `Unable`
    pub const UNABLE: usize = HEADER + ADDRESS + 4;
    /// `Committed`
    pub const COMMITTED: usize = HEADER + ADDRESS + COMMIT;
    /// `Forward`; the whole of it when the values are not inside.
    pub const FORWARD: usize = HEADER + TICK_HEADER + 12;
    /// What u8 values in a `Forward` begin with.
    pub const SCALE: usize = 4;
    /// `Activation`
    pub const ACTIVATION: usize = HEADER + TICK_HEADER + 12;
    /// `Backward`
    pub const BACKWARD: usize = HEADER + TICK_HEADER + 20;
    /// `Contribution`
    pub const CONTRIBUTION: usize = HEADER + TICK_HEADER + 24;
    /// `Propagated`
    pub const PROPAGATED: usize = HEADER + TICK_HEADER + 16;
    /// `Diverged`
    pub const DIVERGED: usize = HEADER + ADDRESS + 12;

    const COMMIT: usize = 16;
    const ADDRESS: usize = 12;
    pub(super) const TICK_HEADER: usize = 44;
}

mod kind {
    pub const REWIND: u8 = 1;
    pub const HELLO: u8 = 2;
    pub const READY: u8 = 3;
    pub const UNABLE: u8 = 4;
    pub const COMMITTED: u8 = 5;
    pub const FORWARD: u8 = 6;
    pub const ACTIVATION: u8 = 7;
    pub const BACKWARD: u8 = 8;
    pub const CONTRIBUTION: u8 = 9;
    pub const PROPAGATED: u8 = 10;
    pub const DIVERGED: u8 = 11;
}

mod tag {
    pub const PART_TRAIN: u8 = 0;
    pub const PART_VALIDATION: u8 = 1;
    pub const PART_TEST: u8 = 2;

    pub const EVALUATE: u8 = 0;
    pub const TRAIN: u8 = 1;

    pub const UNMARKED: u8 = 0;
    pub const MARKED: u8 = 1;

    pub const BY_REFERENCE: u8 = 0;
    pub const F32: u8 = 1;
    pub const U8: u8 = 2;
}

/// The largest sizes that a run's messages can have: what its plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Layers with weights.
    pub max_layers: u32,
    /// Outputs of a layer for one row; no layer has more neurons.
    pub max_neurons: u32,
    /// Rows of a batch.
    pub max_rows: u32,
    /// Sums of a neuron for one row: 1 for a dense layer, places of a filter's map otherwise.
    pub max_positions: u32,
    /// Features of a layer's inputs; no neuron has a larger fan-in.
    pub max_features: u32,
}

/// How many bytes [`encode`] adds.
pub fn encoded_len(envelope: &Envelope) -> usize {
    let (fixed, values) = match &envelope.message {
        Message::Rewind(_) => (fixed_len::REWIND, 0),
        Message::Hello { .. } => (fixed_len::HELLO, 0),
        Message::Ready { .. } => (fixed_len::READY, 0),
        Message::Unable { problem, .. } => {
            return fixed_len::UNABLE + write::cut(problem).len();
        }
        Message::Committed { .. } => (fixed_len::COMMITTED, 0),
        Message::Diverged { .. } => (fixed_len::DIVERGED, 0),
        Message::Forward { inputs, .. } => {
            let values = inputs.as_ref().map_or(0, |i| i.n_features() * i.n_rows());
            if inputs.as_ref().is_some_and(|i| i.bytes().is_some()) {
                return fixed_len::FORWARD + fixed_len::SCALE + values;
            }
            (fixed_len::FORWARD, values)
        }
        Message::Activation { values, .. } => (fixed_len::ACTIVATION, values.len()),
        Message::Backward { errors, .. } => (fixed_len::BACKWARD, errors.len()),
        Message::Contribution {
            deltas, weights, ..
        } => (fixed_len::CONTRIBUTION, deltas.len() + weights.len()),
        Message::Propagated { errors, .. } => (fixed_len::PROPAGATED, errors.len()),
    };
    fixed + 4 * values
}

/// Appends a message to a buffer, which grows once at most.
///
/// It cannot fail: a message that makes no sense (no neurons, a learning rate that is not finite,
/// an index beyond u32) gives bytes that [`decode`] refuses. A problem's text is cut to
/// [`MAX_PROBLEM_LEN`].
pub fn encode(envelope: &Envelope, buffer: &mut Vec<u8>) {
    let len = encoded_len(envelope);
    let start = buffer.len();
    buffer.reserve(len);
    Writer(buffer).envelope(envelope);
    debug_assert_eq!(buffer.len() - start, len, "the length is exact");
}

/// The message that the bytes are, exactly: none may be missing, none left over.
///
/// Every size is held against the limits and against the bytes that are there before memory is
/// taken for it.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Envelope, Error> {
    Reader::new(bytes, limits).envelope()
}
