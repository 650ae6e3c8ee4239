//! The transport in memory, held to the contract of all transports and to its own bound.

use std::sync::{Arc, Mutex};

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Envelope;
use cuttlefish_runtime::transport::memory::Rejection;
use cuttlefish_runtime::transport::{Error, Mailbox, MemoryTransport, Transport};

#[path = "../support/transport_contract.rs"]
mod contract;

use contract::{ADDRESSES, TransportBackend, message};

use crate::store::block_on;

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

struct Memory(MemoryTransport, Vec<Arc<Box3>>);

impl TransportBackend for Memory {
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), Error> {
        self.0.send(to, envelope)
    }

    async fn received(&mut self, _: usize) -> Vec<Vec<u64>> {
        received(&self.1)
    }
}

macro_rules! memory_passes {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let (transport, boxes) = connected();
            block_on(contract::$name(Memory(transport, boxes)));
        }
    )*};
}

memory_passes! {
    a_message_reaches_its_receiver_and_nobody_else
    a_message_to_a_layer_reaches_each_of_its_units
    messages_of_one_sender_keep_their_order
    who_is_not_there_cannot_be_reached
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
fn nobody_can_be_reached_before_all_are_connected() {
    let unconnected = MemoryTransport::default();
    let to = Address::Trainer;
    assert_eq!(unconnected.send(to, message(1)), Err(Error::Unknown { to }));
}
