//! x

pub mod export;
pub mod report;
pub mod store;
