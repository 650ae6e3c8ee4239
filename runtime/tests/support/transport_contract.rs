//! Contract of every transport. A backend passes when each of these functions returns.

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::{Envelope, Message};
use cuttlefish_runtime::transport::Error;

/// The actors of a network with two units, then one.
pub const ADDRESSES: [Address; 5] = [
    Address::Trainer,
    Address::Synapse(0),
    Address::Unit { layer: 0, index: 0 },
    Address::Unit { layer: 0, index: 1 },
    Address::Unit { layer: 1, index: 0 },
];

/// A transport between [`ADDRESSES`].
pub trait TransportBackend {
    /// Sends as the trainer does.
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), Error>;

    /// The generations of the messages that each has received, in the order of [`ADDRESSES`], once
    /// there are `total` of them.
    async fn received(&mut self, total: usize) -> Vec<Vec<u64>>;
}

/// A message that is told from others by its generation.
pub fn message(number: u64) -> Envelope {
    Envelope {
        generation: Generation(number),
        message: Message::Hello {
            from: Address::Trainer,
        },
    }
}

pub async fn a_message_reaches_its_receiver_and_nobody_else(mut backend: impl TransportBackend) {
    for (number, address) in (1..).zip(ADDRESSES) {
        backend.send(address, message(number)).unwrap();
    }
    assert_eq!(backend.received(5).await, [[1], [2], [3], [4], [5]]);
}

pub async fn a_message_to_a_layer_reaches_each_of_its_units(mut backend: impl TransportBackend) {
    backend.send(Address::Layer(0), message(7)).unwrap();
    // Shows that nothing else is on its way to the others.
    for address in ADDRESSES {
        backend.send(address, message(8)).unwrap();
    }
    let expected = [vec![8], vec![8], vec![7, 8], vec![7, 8], vec![8]];
    assert_eq!(backend.received(7).await, expected);
}

pub async fn messages_of_one_sender_keep_their_order(mut backend: impl TransportBackend) {
    for number in 1..=3 {
        backend.send(Address::Synapse(0), message(number)).unwrap();
    }
    assert_eq!(backend.received(3).await[1], [1, 2, 3]);
}

pub async fn who_is_not_there_cannot_be_reached(backend: impl TransportBackend) {
    for to in [
        Address::Synapse(9),
        Address::Layer(9),
        Address::Unit { layer: 0, index: 9 },
    ] {
        assert_eq!(backend.send(to, message(1)), Err(Error::Unknown { to }));
    }
}
