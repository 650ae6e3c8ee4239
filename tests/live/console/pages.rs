//! Every page, light and dark, narrow and wide: for people who see little or press keys only.

use serde_json::json;

use super::browser::Browser;
use super::{Console, axe, flowers, upload};
use crate::support::live_without_containers;

/// Pages: their names, their addresses, and what is on them as soon as there is something to see.
const PAGES: [(&str, &str, &str); 7] = [
    ("runs", "#/", "document.querySelector('[data-run=digits]')"),
    ("new", "#/new", "document.querySelector('#plan table')"),
    (
        "new-table",
        "#/new/flowers",
        "document.querySelector('#columns table') && document.querySelector('#problems li')",
    ),
    (
        "datasets",
        "#/datasets",
        "document.querySelector('[data-look=flowers]')",
    ),
    (
        "run",
        "#/run/digits",
        "document.querySelector('#curves polyline') && document.querySelector('#test table') \
         && document.querySelector('#freshness').textContent",
    ),
    (
        "neuron",
        "#/run/digits/hidden/3",
        "document.querySelector('#weights')?.ariaLabel.startsWith('64 weights')",
    ),
    (
        "sample",
        "#/run/digits/sample",
        "document.querySelector('#answer .answer') && document.querySelector('#sample canvas')",
    ),
];

#[test]
fn pages_are_accessible_and_as_wide_as_the_window() {
    let Some(live) = live_without_containers() else {
        return;
    };
    let file = live.file("digits", "");
    live.ok(&["train", &file, "--quiet"]);
    let console = Console::start(&live);
    let browser = Browser::start();
    browser.go(&console.link);
    let table = live.path("flowers.csv");
    std::fs::write(&table, flowers()).expect("a file");
    browser.click("#nav-datasets");
    upload(&browser, &table);
    browser.click("[data-look=flowers]");
    browser.wait(
        "it is looked into",
        "document.querySelector('#dataset #columns')",
    );
    axe::assert_accessible(&browser, "a data set that is looked into");
    for is_dark in [false, true] {
        browser.darken(is_dark);
        for (name, address, is_shown) in PAGES {
            browser.script(&format!("location.hash = {}", json!(address)));
            for width in [1440, 360] {
                let scheme = if is_dark { "dark" } else { "light" };
                let what = format!("{name}-{width}-{scheme}");
                browser.widen(width);
                browser.wait(&what, is_shown);
                axe::assert_accessible(&browser, &what);
                browser.shot_page(width, &what);
            }
        }
    }
    assert_eq!(browser.log(), [""; 0], "the browser's console");
}
