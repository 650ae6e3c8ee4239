//! A run in containers, from the pages: it is started, one of its units is killed, and nothing of it is left.

use std::time::Duration;

use serde_json::json;

use super::browser::{Browser, RIGHT};
use super::{Console, MAY_TRAIN, TICKS, axe, remove};
use crate::support::{assert_gone, containers, live, wait_until};

/// Notes every state of cells that the picture of the network was described with, however briefly.
const NOTE_STATES: &str = "
    window.described = new Set();
    new MutationObserver(() => described.add(document.querySelector('#network').ariaLabel))
      .observe(document.querySelector('#network'), {attributes: true, attributeFilter: ['aria-label']});
";

/// Whether the picture shows a network of which every cell runs.
const ALL_RUN: &str = "document.querySelector('#freshness')?.textContent.startsWith('Live') \
     && document.querySelector('#network').ariaLabel.endsWith('coloured by weight norm')";

/// Whether the neurons of one unit were described as none that run.
const SIXTEEN_ARE_AWAY: &str =
    "[...described].some((text) => /; .*\\b16 (dead|restarting|unreachable)/.test(text))";

/// The time in which the picture shows what has happened, and how often that may be missed.
const MOMENTS: Duration = Duration::from_secs(10);
const KILLS: usize = 8;

#[test]
fn a_unit_that_is_killed_from_the_page_is_seen_dead_and_comes_back() {
    let Some(live) = live() else { return };
    let console = Console::start(&live);
    let browser = Browser::start();
    browser.go(&console.link);
    browser.click("#nav-new");
    browser.choose("#example", "digits");
    browser.wait("it can be trained", MAY_TRAIN);
    browser.write("#training-epochs", "10000");
    browser.wait(
        "the form is in the file",
        "document.querySelector('#topology-text').value.includes('epochs: 10000')",
    );
    browser.choose("#target", "docker");
    browser.write("#neurons-per-unit", "16");
    browser.wait(
        "the plan has nine units of them",
        &format!(
            "{MAY_TRAIN} && [...document.querySelectorAll('#plan tbody tr')].map((row) => row.lastChild.textContent).join() === '8,1'"
        ),
    );
    browser.click("#train");
    browser.wait("the run is shown", "location.hash === '#/run/digits'");
    browser.wait("every neuron runs", ALL_RUN);
    assert_eq!(containers("digits").len(), 13);

    browser.keys("#network", &RIGHT.repeat(2));
    browser.wait(
        "its unit can be killed",
        "document.querySelector('#kill-unit')",
    );
    assert_eq!(browser.text("#kill-unit"), "Kill its unit hidden.0");
    browser.script(NOTE_STATES);
    // Docker starts it again within moments, and each time a little later: of one that was back before anybody looked
    // the next death is seen.
    let is_seen = (0..KILLS).any(|_| {
        browser.click("#kill-unit");
        browser.comes_within(MOMENTS, SIXTEEN_ARE_AWAY)
    });
    assert!(is_seen, "its neurons are seen to be away");
    browser.wait("every neuron runs again", ALL_RUN);
    let before = browser.script(TICKS);
    browser.wait(
        "training goes on",
        &format!("(() => {{ {TICKS} }})()[0] > {}", before[0]),
    );
    let problem = browser.script("return document.querySelector('#run-problem').textContent");
    assert_eq!(problem, "");
    the_run_is_pictured(&browser);

    browser.click("#stop");
    browser.wait(
        "it has stopped",
        "document.querySelector('h1 .status')?.textContent === 'stopped'",
    );
    remove(&browser);
    wait_until("it is gone", || !live.path("runs/digits").exists());
    assert_gone(&live, "digits");
    assert_eq!(browser.log(), [""; 0], "the browser's console");
    assert_eq!(browser.script("return location.hash"), json!("#/"));
}

/// A network that lives has more to show than one that is over.
fn the_run_is_pictured(browser: &Browser) {
    for (width, is_dark, name) in [(1440, false, "light"), (360, true, "dark")] {
        browser.darken(is_dark);
        browser.widen(width);
        axe::assert_accessible(browser, &format!("a live run, {name}, {width} px"));
        browser.shot_page(width, &format!("live-{width}-{name}"));
    }
    browser.widen(1440);
}
