//! The format of messages: the bytes of every kind, the way back, and bytes that lie.

mod golden;
mod hostile;
mod messages;
mod round_trip;

use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::protocol::codec::{self, Limits};

/// Room for the messages of these tests.
const LIMITS: Limits = Limits {
    max_layers: 4,
    max_neurons: 40,
    max_rows: 36,
    max_positions: 3,
    max_features: 50,
};

fn encoded(envelope: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(envelope, &mut bytes);
    bytes
}

/// Decodes within [`LIMITS`].
fn decoded(bytes: &[u8]) -> Result<Envelope, codec::Error> {
    codec::decode(bytes, &LIMITS)
}
