//! Crates that the programs are built from, held to `deny.toml`: their licences, their source, and those that are
//! banned. `cargo deny check` says the same and more, where it is installed.

use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

/// Values of a list of strings in `deny.toml`, which has each on a line of its own.
fn list<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let start = text.find(&format!("{key} = [")).expect("the list is there");
    let (list, _) = text[start..].split_once(']').expect("the list ends");
    list.split('"').skip(1).step_by(2).collect()
}

fn packages() -> Vec<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let mut metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata is JSON");
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("metadata lists packages");
    };
    packages
}

#[test]
fn licences_sources_and_bans_hold_for_every_crate() {
    let deny = concat!(env!("CARGO_MANIFEST_DIR"), "/../deny.toml");
    let deny = std::fs::read_to_string(deny).expect("deny.toml is there");
    let (licences, banned) = (list(&deny, "allow"), list(&deny, "deny"));
    let is_allowed = |licence: &LicenseReq| licences.contains(&licence.to_string().as_str());
    let packages = packages();
    assert!(packages.len() > 300, "only {} crates", packages.len());
    let mut problems = Vec::new();
    for package in &packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = text("name");
        let licence = Expression::parse_mode(text("license"), ParseMode::LAX);
        if !licence.is_ok_and(|licence| licence.evaluate(is_allowed)) {
            problems.push(format!("{name}: licence `{}`", text("license")));
        }
        if banned.contains(&name) {
            problems.push(format!("{name} is banned"));
        }
        let source = text("source");
        if !source.is_empty() && source != "registry+https://github.com/rust-lang/crates.io-index" {
            problems.push(format!("{name} comes from {source}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}
