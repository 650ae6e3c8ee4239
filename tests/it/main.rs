//! Tests that need no services.

mod cli;
mod console;
mod docker;
mod documents;
mod ecs;
mod ecs_manifests;
mod examples;
mod imports;
mod keras;
mod snapshot;
mod target_contract;
mod torch;
