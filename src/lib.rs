//! x

pub mod data;
