//! The machines against an independent implementation: plain loops in f64.

mod gradients;
mod plain;
mod training;
