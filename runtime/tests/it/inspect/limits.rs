//! Slow clients, large requests, and machines that do not answer.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cuttlefish_core::data::Batches;
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::Machine;
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::view::View;
use cuttlefish_runtime::host::RunSnapshot;
use cuttlefish_runtime::inspect::{About, Access, Subject};
use cuttlefish_runtime::transport::Link;

use super::http::{Answer, PATIENCE, ask, connect, exchange, get, read_to_end};
use super::run::{IMAGE, RUN, dataset, graph, serve};

const UNIT: Address = Address::Unit { layer: 0, index: 1 };

/// A unit that is not an actor, and does what the test wants.
struct FakeUnit {
    about: About,
    view: Option<View>,
    /// Time that it takes to show itself.
    delay: Duration,
    asked_at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl FakeUnit {
    fn new(delay: Duration) -> Self {
        let dataset = Arc::new(dataset());
        let graph = Arc::new(graph(&dataset));
        let batches = Batches::new(dataset, 3, 8, true);
        let unit = Unit::new(graph.clone(), Arc::new(batches), 0, 1);
        Self {
            about: About::new(&graph, UNIT, Some(IMAGE), Instant::now()),
            view: Some(unit.view()),
            delay,
            asked_at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Subject for FakeUnit {
    fn about(&self) -> &About {
        &self.about
    }

    async fn view(&self) -> Option<View> {
        let now = self.asked_at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        self.asked_at_once.fetch_sub(1, Ordering::SeqCst);
        self.view.clone()
    }

    fn health(&self) -> Result<(), String> {
        Err("not connected: the broker <is> gone".to_owned())
    }

    fn snapshot(&self, _: u64) -> RunSnapshot {
        RunSnapshot::default()
    }

    fn link(&self) -> Option<&Link> {
        None
    }
}

#[test]
fn what_is_not_well_is_told() {
    let server = serve(Arc::new(FakeUnit::new(Duration::ZERO)), Access::open());
    let answer = get(server, "/healthz");
    assert_eq!(answer.problem(503), "not connected: the broker <is> gone");
    let page = get(server, "/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("the broker &lt;is&gt; gone"));
}

#[test]
fn a_unit_without_weights_says_so() {
    let server = serve(Arc::new(FakeUnit::new(Duration::ZERO)), Access::open());
    let state = get(server, "/neurons/2").json();
    assert_eq!(state["state"], "blank");
    for key in ["tick", "bias", "weight_norm", "last_batch"] {
        assert!(state[key].is_null(), "{key}");
    }
    for format in ["json", "npy", "png"] {
        let answer = get(server, &format!("/neurons/2/weights?format={format}"));
        assert_eq!(
            answer.problem(503),
            "there are no weights yet: the unit is blank (try again in a second)"
        );
    }
    assert!(get(server, "/").text().contains("nothing known"));
}

#[test]
fn a_machine_that_does_not_answer_does_not_hold_up_the_rest() {
    let never = FakeUnit::new(Duration::from_secs(1_000_000));
    let server = serve(Arc::new(never), Access::open());
    let paths = ["/neurons/2", "/metrics", "/"];
    let requests = paths.map(|path| std::thread::spawn(move || get(server, path)));
    assert_eq!(get(server, "/neurons").status, 200);
    assert_eq!(get(server, "/healthz").status, 503);
    assert!(requests.iter().all(|waiting| !waiting.is_finished()));
    let [neuron, metrics, page] = requests.map(|waiting| waiting.join().unwrap());
    assert_eq!(
        neuron.problem(503),
        "no answer within 5 s (it computes, or has ended; try again)"
    );
    // The figures of the process are measured all the same, and the page says what is wrong.
    assert_eq!(metrics.status, 200);
    let labels = "run=\"shapes\",layer=\"hidden\",actor=\"hidden.1\"";
    let unanswered = format!("cuttlefish_answered{{{labels}}} 0\n");
    assert!(metrics.text().contains(&unanswered));
    assert!(metrics.text().contains("process_start_time_seconds "));
    assert_eq!(page.status, 200);
    assert!(page.text().contains("no answer within 5 s"));
}

#[test]
fn a_machine_is_asked_by_one_at_a_time() {
    let odd = Arc::new(FakeUnit::new(Duration::from_millis(20)));
    let server = serve(odd.clone(), Access::open());
    let crowd: Vec<_> = (0..12)
        .map(|_| std::thread::spawn(move || get(server, "/neurons/2").status))
        .collect();
    for one in crowd {
        assert_eq!(one.join().unwrap(), 200);
    }
    assert_eq!(odd.most_at_once.load(Ordering::SeqCst), 1);
}

#[test]
fn a_slow_client_is_cut_off() {
    let mut stream = connect(RUN.unit(0, 0));
    stream.write_all(b"GET /neurons HTTP/1.1\r\nHo").unwrap();
    let answer = read_to_end(&mut stream);
    assert_eq!(Answer::parse(&answer).status, 408);
    // One that says nothing at all is not even answered.
    let mut stream = connect(RUN.unit(0, 0));
    let answer = read_to_end(&mut stream);
    assert!(answer.is_empty() || Answer::parse(&answer).status == 408);
}

#[test]
fn a_connection_serves_several_requests() {
    let server = RUN.unit(0, 0);
    let one = format!("GET /neurons HTTP/1.1\r\nHost: {server}\r\n\r\n");
    let last = format!("GET /neurons HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    let answers = exchange(server, format!("{one}{one}{last}").as_bytes());
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_is_cut_off() {
    let server = RUN.guarded;
    // No token is needed to be answered, and to leave the answers lying.
    let one = format!("GET /neurons HTTP/1.1\r\nHost: {server}\r\n\r\n");
    let mut stream = connect(server);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let requests = one.repeat(1000);
    let error = loop {
        if let Err(error) = stream.write_all(requests.as_bytes()) {
            break error;
        }
    };
    // Not our own patience: the server's.
    let kind = error.kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
}

#[test]
fn a_body_is_refused_and_what_follows_is_not_read_as_a_request() {
    let server = RUN.unit(0, 0);
    let smuggled = format!("GET /healthz HTTP/1.1\r\nHost: {server}\r\n\r\n");
    let bodies = [
        format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        ),
        "Content-Length: 1000000000\r\n\r\n".to_owned(),
    ];
    for body in bodies {
        let request = format!("GET /neurons HTTP/1.1\r\nHost: {server}\r\n{body}");
        let answers = exchange(server, request.as_bytes());
        let text = String::from_utf8_lossy(&answers);
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        let problem = Answer::parse(&answers);
        assert_eq!(problem.problem(413), "a request has no body here");
    }
    assert_eq!(
        ask(server, "GET", "/neurons", &[("Content-Length", "0")]).status,
        200
    );
}

#[test]
fn long_addresses_and_heads_are_refused() {
    let server = RUN.unit(0, 0);
    let longest = format!("/neurons?x={}", "x".repeat(2048 - "/neurons?x=".len()));
    assert_eq!(get(server, &longest).status, 200);
    let answer = get(server, &format!("{longest}x"));
    assert_eq!(
        answer.problem(414),
        "an address has at most 2048 characters here"
    );
    let mut head = format!("GET /neurons HTTP/1.1\r\nHost: {server}\r\n");
    while head.len() < 300_000 {
        head += &format!("X-Filler: {}\r\n", "x".repeat(4000));
    }
    let mut stream = connect(server);
    // The server may close before it has read all of it.
    let _ = stream.write_all((head + "\r\n").as_bytes());
    let answer = read_to_end(&mut stream);
    assert!(
        answer.is_empty() || Answer::parse(&answer).status >= 400,
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn garbage_is_refused() {
    let server = RUN.unit(0, 0);
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\0\0\r\n\r\n",
    ] {
        let answer = exchange(server, garbage);
        assert!(answer.is_empty() || Answer::parse(&answer).status == 400);
    }
    assert_eq!(get(server, "/healthz").status, 200);
}
