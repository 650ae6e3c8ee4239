//! Tests with a real broker, a real store and real containers. `scripts/test` starts what they need
//! and says so in `CUTTLEFISH_LIVE`; without it they skip, and say that they do.
//!
//! They run one after the other: each has the machine to itself.

mod alarm;
mod api;
mod bad_cases;
mod chaos;
mod claim;
mod compose;
mod console;
mod convolutions;
mod daemon;
mod documents;
mod doors;
mod ecs;
mod ecs_manifests;
mod emulator;
mod encrypted;
mod given_services;
mod killed_command;
mod library;
mod life;
mod poison;
mod reach;
mod release;
mod support;
mod sweep;
mod tables;
mod target_contract;
mod transport;
