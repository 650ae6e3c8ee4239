//! What a run's store says of it.

pub mod record;
pub mod saved;

pub use record::Record;
pub use saved::SavedRun;
