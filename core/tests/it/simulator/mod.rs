//! The machines over a wire and a store that do everything a real one may do to them.
//!
//! Whatever is lost, repeated, reordered, delayed, refused, half done or killed, a run must end
//! with the bits of an undisturbed one. A failing case prints its seed, and the seed repeats it.

mod exhaustive;
pub mod random;
mod rules;
mod store;
pub mod world;
