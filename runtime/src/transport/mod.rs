//! The port that carries messages between the actors of a run.
//!
//! A transport may lose, repeat, delay and reorder messages: the machines are made for that. What
//! it must not do is change or invent one, or block its caller. Its contract is tested in
//! `tests/it/transport_contract.rs`.

pub mod amqp;
mod link;
pub mod memory;
pub mod tasks;

use cuttlefish_core::ids::Address;
use cuttlefish_core::protocol::Envelope;

pub use link::{Count, Link, LinkState, LinkView};
pub use memory::{Mailbox, MemoryTransport};

/// Sends messages; cheap to share.
pub trait Transport: Send + Sync {
    /// Sends a message to one actor, or to every unit of a layer. Returns at once.
    ///
    /// # Errors
    /// The message is lost for the receivers that the error names. A caller may go on: what is
    /// lost is computed again after a rewind.
    fn send(&self, to: Address, envelope: Envelope) -> Result<(), Error>;
}

/// Reason why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The receiver's queue has reached its bound.
    #[error("deliver to {to}: its queue is full")]
    Full {
        /// The receiver.
        to: Address,
    },
    /// Nobody has that address.
    #[error("deliver to {to}: no such actor in this run")]
    Unknown {
        /// The receiver.
        to: Address,
    },
    /// The broker takes no messages for now.
    #[error("deliver to {to}: the broker takes no messages (its memory or disk is full)")]
    Blocked {
        /// The receiver.
        to: Address,
    },
    /// The receiver has ended.
    #[error("deliver to {to}: it has ended")]
    Closed {
        /// The receiver.
        to: Address,
    },
}
