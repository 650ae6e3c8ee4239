//! What travels between the trainer, the synapses and the neurons.

pub mod message;

pub use message::{Envelope, Message, TickHeader, Work};
