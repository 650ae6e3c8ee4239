//! Protocol: messages between the machines, states and the ledger for the store, events for people.

pub mod codec;
pub mod message;
pub mod metrics;
pub mod progress;
pub mod state;

pub use message::{Envelope, Message, TickHeader, Work};
pub use metrics::{Evaluation, Tally};
pub use progress::{EpochRecord, Event, Ledger, Outcome, Progress, Totals, Verdict};
pub use state::NeuronState;

/// Ticks that a message may be ahead of the last one that a neuron has applied.
///
/// The trainer issues a training tick when the one before has its outputs, and one tick more
/// behind an evaluation, which needs no backward pass. So when tick t has its outputs but a neuron
/// has not yet applied it (it stands at t - 1), t + 1 and t + 2 may be on their way.
pub const IN_FLIGHT_BOUND: u64 = 3;
