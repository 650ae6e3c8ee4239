//! Cuttlefish's arithmetic and decisions: no async, no I/O, no clock, no environment, no logging.

pub mod data;
pub mod digest;
mod gather;
pub mod ids;
pub mod layers;
pub mod machine;
pub mod math;
pub mod network;
pub mod neuron;
pub mod protocol;
mod scatter;
pub mod score;
pub mod sweep;
pub mod synapse;
pub mod topology;
pub mod trainer;
pub mod view;
