//! Access to the inspection: who is answered, and who is not.

use cuttlefish_core::ids::Address;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::{Answer, ask, exchange, get};
use super::run::{RUN, TOKEN};

/// Every kind of address that needs a token.
const PATHS: [&str; 7] = [
    "/",
    "/neurons",
    "/neurons/0",
    "/neurons/0/weights?format=png",
    "/metrics",
    "/run",
    "/nothing",
];

fn in_query(token: &str) -> String {
    format!("token={}", utf8_percent_encode(token, NON_ALPHANUMERIC))
}

fn with_query(path: &str, query: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}{query}")
}

fn authorized(path: &str, value: &str) -> Answer {
    ask(RUN.guarded, "GET", path, &[("Authorization", value)])
}

#[test]
fn without_the_token_nothing_is_told() {
    let wrong = [
        "Bearer wrong".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer {TOKEN}x"),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
    ];
    for path in PATHS {
        let mut answers = vec![
            get(RUN.guarded, path),
            get(RUN.guarded, &with_query(path, "token=")),
            get(RUN.guarded, &with_query(path, &in_query("wrong"))),
        ];
        answers.extend(wrong.iter().map(|value| authorized(path, value)));
        for answer in answers {
            assert_eq!(
                answer.problem(401),
                "a token is needed (`Authorization: Bearer TOKEN`, or `?token=TOKEN` in a browser)"
            );
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn the_token_opens_every_address() {
    for path in PATHS {
        let expected = match path {
            "/run" | "/nothing" => 404,
            _ => 200,
        };
        for value in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN}")] {
            assert_eq!(authorized(path, &value).status, expected, "{path}");
        }
        let answer = get(RUN.guarded, &with_query(path, &in_query(TOKEN)));
        assert_eq!(answer.status, expected, "{path}");
    }
}

#[test]
fn a_header_that_is_wrong_is_not_made_good_by_the_query() {
    let path = with_query("/neurons", &in_query(TOKEN));
    authorized(&path, "Bearer wrong").problem(401);
    let twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")];
    ask(RUN.guarded, "GET", &path, &twice).problem(401);
}

#[test]
fn health_needs_no_token() {
    assert_eq!(get(RUN.guarded, "/healthz").status, 200);
}

#[test]
fn answers_do_not_hold_the_token_of_a_header() {
    for path in PATHS {
        let answer = authorized(path, &format!("Bearer {TOKEN}"));
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains("s3cret"), "{path}: {body}");
    }
}

#[test]
fn other_methods_are_refused() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/", "/healthz", "/neurons/0", "/nothing"] {
            let answer = ask(RUN.unit(0, 0), method, path, &[]);
            assert_eq!(
                answer.problem(405),
                "only GET and HEAD are answered",
                "{method}"
            );
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
}

#[test]
fn a_head_is_told_everything_but_the_body() {
    for path in [
        "/",
        "/healthz",
        "/neurons/2",
        "/neurons/2/weights?format=png",
    ] {
        let (head, full) = (
            ask(RUN.unit(0, 1), "HEAD", path, &[]),
            get(RUN.unit(0, 1), path),
        );
        assert_eq!(head.status, 200);
        assert_eq!(head.body, b"");
        assert_eq!(head.header("content-type"), full.header("content-type"));
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0);
    }
}

#[test]
fn names_that_could_be_anybodys_are_refused() {
    let unit = RUN.unit(0, 0);
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "hidden-0",
        "",
    ] {
        for path in ["/", "/healthz", "/metrics"] {
            let answer = ask(unit, "GET", path, &[("Host", host)]);
            assert!(
                answer
                    .problem(421)
                    .starts_with("requests for this host are not answered"),
                "{host}"
            );
        }
    }
    for host in ["127.0.0.1", "10.0.0.7:9000", "[::1]:80", "localhost:1"] {
        assert_eq!(ask(unit, "GET", "/neurons", &[("Host", host)]).status, 200);
    }
    // A name that was allowed.
    let hosts = [("Host", "hidden-0:8080")];
    assert_eq!(ask(RUN.guarded, "GET", "/healthz", &hosts).status, 200);
}

#[test]
fn a_request_names_one_host() {
    let unit = RUN.unit(0, 0);
    let twice = [("Host", "localhost"), ("Host", "127.0.0.1")];
    assert_eq!(ask(unit, "GET", "/neurons", &twice).status, 400);
    let request = b"GET /neurons HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::parse(&exchange(unit, request)).status, 400);
}

#[test]
fn pages_of_other_servers_are_refused() {
    let unit = RUN.unit(0, 0);
    let own = format!("http://{unit}");
    let neighbour = format!("http://{}", RUN.unit(0, 1));
    for origin in [
        "http://evil.example",
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        &neighbour,
        &own["http://".len()..],
    ] {
        for path in ["/", "/healthz", "/neurons/0"] {
            let answer = ask(unit, "GET", path, &[("Origin", origin)]);
            assert_eq!(
                answer.problem(403),
                "requests of other servers' pages are not answered",
                "{origin}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let answer = ask(unit, "GET", "/neurons/0", &[("Origin", &own)]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn every_answer_keeps_itself_to_itself() {
    let expected = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    let answers = [
        get(RUN.unit(0, 0), "/"),
        get(RUN.unit(0, 0), "/neurons/0/weights?format=png"),
        get(RUN.unit(0, 0), "/nothing"),
        get(RUN.server(Address::Trainer), "/run"),
        get(RUN.guarded, "/"),
        ask(RUN.unit(0, 0), "POST", "/", &[]),
    ];
    for answer in answers {
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value));
        }
    }
}
