//! Checked-in files that hold expected values.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Compares a value with `tests/snapshots/NAME`.
#[track_caller]
pub fn assert_snapshot(name: &str, mut value: Value) {
    value.sort_all_objects();
    assert_text(name, &format!("{value:#}\n"));
}

/// Compares a text with `tests/snapshots/NAME`. What is there now is left beside the build, so that
/// it can be looked at and, when it is right, be checked in.
#[track_caller]
pub fn assert_text(name: &str, actual: &str) {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let expected = expected.join(name);
    if fs::read_to_string(&expected).is_ok_and(|text| text == actual) {
        return;
    }
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(found.parent().unwrap()).unwrap();
    fs::write(&found, actual).unwrap();
    let (expected, found) = (expected.display(), found.display());
    let diff = format!("diff -u {expected} {found}");
    let difference = Command::new("sh").args(["-c", &diff]).output();
    let difference = difference.map_or_else(
        |_| diff,
        |difference| text(&difference.stdout) + &text(&difference.stderr),
    );
    panic!("out of date, if this is right: cp {found} {expected}\n{difference}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
