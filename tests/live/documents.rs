//! The book's pages on containers: their console blocks, with a real broker and real containers.

use crate::support::*;

#[path = "../support/console.rs"]
mod console;

#[test]
fn commands_print_what_the_pages_on_containers_show() {
    let Some(_live) = live() else { return };
    let environment = [(
        "CUTTLEFISH_BROKER_IMAGE",
        service("CUTTLEFISH_BROKER_IMAGE"),
    )];
    let mut checked = 0;
    for (path, text) in console::documents() {
        if text.starts_with(console::NEEDS_CONTAINERS) {
            checked += console::check(&path, &text, &environment);
        }
    }
    assert!(checked > 10, "only {checked} commands were found");
}
