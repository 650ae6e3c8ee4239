//! Messages between actors of one process: a reference count each, no copy.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Envelope;

use super::{Error, Transport};

/// The bounded queue of one actor. It rejects when it is full instead of waiting, so that two
/// actors that send to each other cannot block each other.
pub trait Mailbox: Send + Sync {
    /// Puts a message at the end of the queue.
    fn offer(&self, envelope: Envelope) -> Result<(), Rejection>;
}

/// Reason why a mailbox did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The mailbox has reached its bound.
    Full,
    /// Its actor has ended.
    Closed,
}

/// Delivers to mailboxes in the same process.
#[derive(Default)]
pub struct MemoryTransport {
    routes: OnceLock<MailboxTable>,
}

/// Mailbox of a unit.
type UnitMailbox = (Address, Arc<dyn Mailbox>);

#[derive(Default)]
struct MailboxTable {
    single: HashMap<Address, Arc<dyn Mailbox>>,
    /// The units of each layer.
    layers: HashMap<usize, Vec<UnitMailbox>>,
}

impl MemoryTransport {
    /// Says once where everybody is; until then nobody can be reached.
    pub fn connect(&self, mailboxes: impl IntoIterator<Item = (Address, Arc<dyn Mailbox>)>) {
        let mut routes = MailboxTable::default();
        for (address, mailbox) in mailboxes {
            if let Address::Unit { layer, .. } = address {
                let units = routes.layers.entry(layer).or_default();
                units.push((address, mailbox.clone()));
            }
            routes.single.insert(address, mailbox);
        }
        // A second call would be a bug of the caller; the first routes stay in force.
        let _ = self.routes.set(routes);
    }
}

impl Transport for MemoryTransport {
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), Error> {
        let unknown = Error::Unknown { to };
        let routes = self.routes.get().ok_or(unknown)?;
        if let Address::Layer(layer) = to {
            let units = routes.layers.get(&layer).ok_or(unknown)?;
            let mut result = Ok(());
            for (unit, mailbox) in units {
                result = result.and(offer(*unit, &**mailbox, envelope.clone()));
            }
            return result;
        }
        offer(to, &**routes.single.get(&to).ok_or(unknown)?, envelope)
    }
}

fn offer(to: Address, mailbox: &dyn Mailbox, envelope: Envelope) -> Result<(), Error> {
    mailbox
        .offer(envelope)
        .map_err(|rejection| match rejection {
            Rejection::Full => Error::Full { to },
            Rejection::Closed => Error::Closed { to },
        })
}
