//! Tests that need no services.

mod cli;
mod store;
mod store_contract;
mod store_wire;
mod transport_contract;
