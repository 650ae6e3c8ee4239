//! The page for people.

use cuttlefish_core::ids::Address;

use super::http::{ask, get};
use super::run::{RUN, TOKEN};

/// The page of a server, with what holds for every page.
fn page(server: std::net::SocketAddr, path: &str) -> String {
    let answer = get(server, path);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let html = answer.text().to_owned();
    assert!(html.starts_with("<!doctype html>"));
    assert!(html.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    // Nothing from elsewhere, and nothing that runs.
    for foreign in [
        "http:", "https:", "//", "<script", "<link", "url(", "@import",
    ] {
        assert!(!html.contains(foreign), "{foreign} in {html}");
    }
    balanced(&html);
    html
}

/// Every element that is opened is closed, in order.
fn balanced(html: &str) {
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "in {html}"),
            None if matches!(name, "!doctype" | "meta" | "img") || tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn the_page_of_a_unit_shows_its_neurons() {
    let html = page(RUN.unit(0, 1), "/");
    for text in [
        "<p class=\"run\">shapes</p>",
        "hidden.1 <span class=\"status good\">running</span>",
        "Neurons 2 to 3 of the 5 of layer <b>hidden</b>",
        "<h2>Neuron 2</h2>",
        "<h2>Neuron 3</h2>",
        "<img src=\"/neurons/3/weights?format=png\"",
        "<svg class=\"histogram\"",
        "Activations of the last batch",
        "B of it its own",
        "broker: connected",
        "<a href=\"/metrics\">",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
    assert!(!html.contains("token"));
    // The output layer's neurons hand on logits.
    let html = page(RUN.unit(1, 0), "/");
    assert!(html.contains("Logits of the last batch, before the softmax"));
    assert!(html.contains("The trainer applies the softmax"));
    assert!(!html.contains("ctivations"));
}

#[test]
fn the_page_can_begin_at_a_neuron() {
    let html = page(RUN.unit(0, 1), "/?from=3");
    assert!(html.contains("<h2>Neuron 3</h2>"));
    assert!(!html.contains("<h2>Neuron 2</h2>"));
    // Beyond the last one there is nothing, and no harm.
    assert!(!page(RUN.unit(0, 1), "/?from=18446744073709551615").contains("<h2>"));
}

#[test]
fn the_page_of_the_trainer_shows_the_run() {
    let html = page(RUN.server(Address::Trainer), "/");
    let test = RUN.outcome.ledger.progress.test.as_ref().unwrap();
    let loss = cuttlefish_runtime::numbers::figure(test.loss);
    for text in [
        "trainer <span class=\"status good\">completed</span>",
        "<span>epoch</span><strong>4</strong><small>of 4</small>",
        &format!("<span>loss</span><strong>{loss}</strong><small>test rows</small>"),
        "<h2>Learning</h2>",
        "<svg class=\"curve\"",
        "generation 1 began with the initial weights",
        "128 rows trained",
        "0 rewinds",
        "<h2>Probabilities of shape in the training batch of tick 19</h2>",
        "<a href=\"/probabilities\">",
        "<th>validation accuracy</th>",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
}

#[test]
fn the_page_of_a_synapse_shows_what_it_gathers() {
    let html = page(RUN.server(Address::Synapse(0)), "/");
    for text in [
        "The synapse between the layers <b>hidden</b> and <b>shape</b>",
        "Up: activations of hidden",
        "Down: contributions of shape",
        "<td>5 of 5</td>",
        "<td>3 of 3</td>",
        "handed on",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
}

#[test]
fn the_links_of_a_page_carry_the_token_of_its_address_on() {
    let html = page(RUN.guarded, "/?token=s3cret%20%26%2Ftoken");
    let addresses: Vec<&str> = html
        .split("href=\"")
        .chain(html.split("src=\""))
        .filter(|part| part.starts_with('/'))
        .map(|part| part.split('"').next().unwrap())
        .collect();
    assert!(addresses.len() > 8, "{addresses:?}");
    for address in addresses {
        let address = address.replace("&amp;", "&");
        let (path, _) = address.split_once('?').unwrap_or((&address, ""));
        assert_eq!(get(RUN.guarded, &address).status, 200, "{address}");
        let expected = if path == "/healthz" { 200 } else { 401 };
        assert_eq!(get(RUN.guarded, path).status, expected, "{address}");
    }
    // A token that came in a header stays there.
    let header = [("Authorization", &*format!("Bearer {TOKEN}"))];
    let answer = ask(RUN.guarded, "GET", "/", &header);
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("token="));
}
