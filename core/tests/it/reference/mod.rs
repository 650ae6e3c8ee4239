//! The machines against an independent implementation: plain loops in f64.

#![expect(
    clippy::needless_range_loop,
    reason = "loops over indices, as in the formulas, are the point"
)]

mod geometry;
mod gradients;
mod normal;
mod plain;
mod steps;
mod training;
