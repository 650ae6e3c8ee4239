//! Arithmetic whose bits depend on nothing but its inputs: not on the platform's libm, the number
//! of threads, or how neurons are grouped.

pub mod activation;
pub mod bytes;
pub mod conv;
pub mod dropout;
pub mod initializer;
pub mod inputs;
pub mod kernel;
pub mod loss;
pub mod normalization;
pub mod optimizer;
pub mod regularizer;
pub mod schedule;
pub mod storage;
pub mod stream;
mod transpose;

pub use activation::Activation;
pub use bytes::ByteMatrix;
pub use conv::Convolution;
pub use initializer::Initializer;
pub use inputs::{Inputs, Panels};
pub use loss::Loss;
pub use optimizer::{Optimizer, Step};
pub use regularizer::Regularizer;
pub use schedule::Schedule;
pub use storage::Storage;

/// Columns that are computed side by side: one AVX-512 register of f32.
pub const LANES: usize = 16;
