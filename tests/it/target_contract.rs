//! The contract of a target, for this process. `tests/live` has the others.

use cuttlefish::config::Config;
use cuttlefish::deploy::Options;

#[path = "../support/target_contract.rs"]
mod contract;

#[test]
fn this_process_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    let dir = |name: &str| Some(home.path().join(name));
    let config = Config::new(dir("data"), dir("runs"), |_| None);
    actix_rt::System::new().block_on(async {
        contract::check(&config, || Options::Local).await;
    });
}
