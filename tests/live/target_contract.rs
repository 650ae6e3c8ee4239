//! The contract of a target, for Docker and for ECS as the emulator shows it.

use std::process::Command;

use cuttlefish::config::Config;
use cuttlefish::deploy::docker::DockerOptions;
use cuttlefish::deploy::{Options, ecs};

use crate::emulator::{Emulator, STACK};
use crate::support::{Live, live, service, setting, text};

#[path = "../support/target_contract.rs"]
mod contract;

/// The directory of the runs, for a test that another one starts in a process of its own.
const RUNS_DIR: &str = "CUTTLEFISH_RUNS_DIR";
const IMAGE: &str = "CUTTLEFISH_TEST_IMAGE";

fn config(runs_dir: impl Into<std::path::PathBuf>) -> Config {
    let runs_dir = runs_dir.into();
    let data_dir = runs_dir.join("../data");
    Config::new(Some(data_dir), Some(runs_dir), |_| None)
}

#[test]
fn docker_keeps_the_contract() {
    let Some(live) = live() else { return };
    let services = DockerOptions {
        broker_image: service("CUTTLEFISH_BROKER_IMAGE"),
        image: Some(neuron_image(&live)),
        ..DockerOptions::default()
    };
    actix_rt::System::new().block_on(async {
        let options = || Options::Docker(Box::new(services.clone()));
        contract::check(&config(live.path("runs")), options).await;
    });
}

/// The clients of AWS take their account from the environment, which a test must not change: so the contract
/// is checked in a process of its own.
#[test]
fn ecs_keeps_the_contract() {
    let Some(live) = live() else { return };
    let emulator = Emulator::start();
    let checked = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "target_contract::ecs_in_a_process_of_its_own"])
        .args(["--ignored", "--nocapture"])
        .envs(emulator.environment())
        .env(RUNS_DIR, live.path("runs"))
        .env(IMAGE, neuron_image(&live))
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&checked.stdout), text(&checked.stderr));
    assert!(checked.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "it was run: {stdout}");
}

#[test]
#[ignore = "the test before starts it with the emulator's account"]
fn ecs_in_a_process_of_its_own() {
    let options = || {
        Options::Ecs(ecs::EcsOptions {
            stack: Some(STACK.to_owned()),
            image: setting(IMAGE),
            endpoint: setting("AWS_ENDPOINT_URL_DYNAMODB"),
        })
    };
    actix_rt::System::new().block_on(async {
        contract::check(&config(service(RUNS_DIR)), options).await;
    });
}

fn neuron_image(live: &Live) -> String {
    live.ok(&["image", "build"]).trim().to_owned()
}
