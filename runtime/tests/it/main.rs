//! Tests of the runtime that need no services.

mod actor;
mod infra;
mod inspect;
mod store;
mod store_contract;
mod store_wire;
mod storekeeper;
mod tasks;
mod transport_contract;
