//! What happens to a run, as a stream.

use super::*;

/// A stream that is read line by line.
struct Events {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Events {
    fn open(console: &Console, run: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(console.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut head = format!(
            "GET /api/v1/runs/{run}/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n",
            console.address
        );
        if let Some(last) = last {
            head += &format!("last-event-id: {last}\r\n");
        }
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .expect("it reads");
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next().expect("a line").expect("a status");
        assert!(status.contains(" 200 "), "{status}");
        Self { lines }
    }

    fn next(&mut self) -> Event {
        let (mut id, mut kind) = (String::new(), String::new());
        loop {
            let line = self
                .lines
                .next()
                .expect("the stream is open")
                .expect("a line");
            if let Some(value) = line.strip_prefix("id: ") {
                id = value.to_owned();
            } else if let Some(value) = line.strip_prefix("event: ") {
                kind = value.to_owned();
            } else if let Some(value) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(value).expect("JSON");
                return Event { id, kind, data };
            }
        }
    }

    fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let is_it = event.kind == kind;
            events.push(event);
            if is_it {
                return events;
            }
        }
    }
}

#[test]
fn events_tell_the_whole_training_and_go_on_where_a_reader_left() {
    let console = Console::start();
    let mut new = new_run(&digits("told", 400));
    new["neurons_per_unit"] = json!(1);
    console.post("/runs", &new).json(202);
    let mut first = Events::open(&console, "told", None);
    let events = first.until("epoch");
    assert_eq!(events[0].kind, "run", "{events:?}");
    let left = events.last().expect("an event");
    let told = left.data["epoch"].as_u64().expect("a number");
    drop(first);

    let mut second = Events::open(&console, "told", Some(&left.id));
    let mut third = Events::open(&console, "told", None);
    let rest = second.until("end");
    let end = &rest.last().expect("an event").data;
    assert_eq!(end["state"], "complete", "{end}");
    let epochs: Vec<u64> = rest
        .iter()
        .filter(|event| event.kind == "epoch")
        .map(|event| event.data["epoch"].as_u64().expect("a number"))
        .collect();
    assert_eq!(epochs, Vec::from_iter(told + 1..=400), "each of them, once");
    let speed = |event: &&Event| event.data["samples_per_second"].as_f64() > Some(0.0);
    let statuses = rest.iter().filter(|event| event.kind == "status");
    assert!(statuses.filter(speed).count() > 0, "{rest:?}");
    let actors = third.until("end");
    let actors = actors.iter().rfind(|event| event.kind == "actors");
    let actors = &actors.expect("the actors").data["actors"];
    assert_eq!(actors.as_array().map(Vec::len), Some(1 + 1 + 138));
}

#[test]
fn a_run_that_is_removed_ends_its_stream() {
    let console = Console::start();
    console
        .post("/runs", &new_run(&digits("gone", 1)))
        .json(202);
    console.wait_for("gone", "complete");
    let mut events = Events::open(&console, "gone", None);
    assert_eq!(events.next().data["state"], "complete");
    // Who comes late hears of the end too.
    assert_eq!(events.next().kind, "end");
    assert_eq!(console.remove("/runs/gone"), 204);
    let end = events.until("end").pop().expect("an event");
    assert_eq!(end.data["state"], "removed");
    console.get("/runs/gone/events").problem(404);
    console.get("/runs/Wrong/events").problem(422);
}
