//! The contract of a transport, and the transport in memory held to it.

use std::sync::{Arc, Mutex};

use cuttlefish::transport::memory::Rejection;
use cuttlefish::transport::{Error, Mailbox, MemoryTransport, Transport};
use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::protocol::{Envelope, Message};

/// A mailbox of a few places that is never emptied.
#[derive(Default)]
struct Box3(Mutex<Vec<u64>>);

impl Mailbox for Box3 {
    fn offer(&self, envelope: Envelope) -> Result<(), Rejection> {
        let mut messages = self.0.lock().unwrap();
        if messages.len() == 3 {
            return Err(Rejection::Full);
        }
        messages.push(envelope.generation.0);
        Ok(())
    }
}

/// A message that is told from others by its generation.
fn message(number: u64) -> Envelope {
    Envelope {
        generation: Generation(number),
        message: Message::Hello {
            from: Address::Trainer,
        },
    }
}

const ADDRESSES: [Address; 5] = [
    Address::Trainer,
    Address::Synapse(0),
    Address::Unit { layer: 0, index: 0 },
    Address::Unit { layer: 0, index: 1 },
    Address::Unit { layer: 1, index: 0 },
];

fn connected() -> (MemoryTransport, Vec<Arc<Box3>>) {
    let boxes: Vec<Arc<Box3>> = ADDRESSES.iter().map(|_| Arc::default()).collect();
    let transport = MemoryTransport::default();
    let routes = ADDRESSES.iter().zip(&boxes);
    transport.connect(routes.map(|(address, b)| (*address, b.clone() as Arc<dyn Mailbox>)));
    (transport, boxes)
}

fn received(boxes: &[Arc<Box3>]) -> Vec<Vec<u64>> {
    boxes.iter().map(|b| b.0.lock().unwrap().clone()).collect()
}

#[test]
fn a_message_reaches_its_receiver_and_nobody_else() {
    let (transport, boxes) = connected();
    for (number, address) in (1..).zip(ADDRESSES) {
        transport.send(address, message(number)).unwrap();
    }
    assert_eq!(received(&boxes), [[1], [2], [3], [4], [5]]);
}

#[test]
fn a_message_to_a_layer_reaches_each_of_its_units() {
    let (transport, boxes) = connected();
    transport.send(Address::Layer(0), message(7)).unwrap();
    assert_eq!(received(&boxes), [vec![], vec![], vec![7], vec![7], vec![]]);
}

#[test]
fn a_full_queue_refuses_and_the_rest_of_the_layer_is_served() {
    let (transport, boxes) = connected();
    let unit = ADDRESSES[2];
    for number in 1..=3 {
        transport.send(unit, message(number)).unwrap();
    }
    assert_eq!(
        transport.send(unit, message(4)),
        Err(Error::Full { to: unit })
    );
    let result = transport.send(Address::Layer(0), message(5));
    assert_eq!(result, Err(Error::Full { to: unit }));
    assert_eq!(received(&boxes)[2..4], [vec![1, 2, 3], vec![5]]);
}

#[test]
fn who_is_not_there_cannot_be_reached() {
    let (transport, _) = connected();
    for to in [
        Address::Synapse(9),
        Address::Layer(9),
        Address::Unit { layer: 0, index: 9 },
    ] {
        assert_eq!(transport.send(to, message(1)), Err(Error::Unknown { to }));
    }
    let unconnected = MemoryTransport::default();
    let to = Address::Trainer;
    assert_eq!(unconnected.send(to, message(1)), Err(Error::Unknown { to }));
}
