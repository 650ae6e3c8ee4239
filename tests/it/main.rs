//! Tests that need no services.

mod actor;
mod cli;
mod docker;
mod ecs;
mod ecs_manifests;
mod imports;
mod infra;
mod inspect;
mod keras;
mod snapshot;
mod store;
mod store_contract;
mod store_wire;
mod storekeeper;
mod target_contract;
mod transport_contract;
