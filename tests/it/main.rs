//! Tests that need no services.

mod actor;
mod cli;
mod docker;
mod ecs;
mod inspect;
mod keras;
mod store;
mod store_contract;
mod store_wire;
mod storekeeper;
mod transport_contract;
