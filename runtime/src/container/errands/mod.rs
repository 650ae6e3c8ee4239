//! Short tasks of containers that are no actors: each is done once, and its process ends.

pub mod probe;
pub mod receiver;
pub mod recorder;
pub mod unwire;
