//! Tests that need no services.

mod store;
mod store_contract;
mod store_wire;
