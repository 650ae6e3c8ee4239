//! The console as a program uses it: over its sockets.

mod data;
mod description;
mod doors;
mod events;
mod limits;
mod removed;
mod runs;
mod starting;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-the-tests";
/// Far beyond what anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A console with directories of its own; both go with it.
struct Console {
    home: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Text of a problem document.
    #[track_caller]
    fn problem(&self, status: u16) -> String {
        let document = self.json(status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(document["status"], status);
        document["detail"].as_str().expect("a detail").to_owned()
    }
}

impl Console {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), &[])
    }

    fn start_in(home: tempfile::TempDir, more: &[&str]) -> Self {
        let mut child = command(&home)
            .args(["console", "--listen", "127.0.0.1:0", "--no-open"])
            .args(more)
            .env("CUTTLEFISH_CONSOLE_TOKEN", TOKEN)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        let address = line.split("http://").nth(1).expect("a link");
        let address = address.split('/').next().expect("an address");
        Self {
            address: address.parse().expect("an address of numbers"),
            home,
            child,
        }
    }

    /// Kills the process, and starts another one on the same directories.
    fn killed_and_started_again(self) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut killed = self;
        let home = std::mem::replace(&mut killed.home, home);
        drop(killed);
        Self::start_in(home, &[])
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.request("POST", path, &headers, body.to_string().as_bytes())
    }

    fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], b"")
    }

    /// Status of a removal once the run's command has ended, a moment after its last commit.
    fn remove(&self, path: &str) -> u16 {
        let began = Instant::now();
        loop {
            let status = self.delete(path).status;
            if status != 409 || began.elapsed() > PATIENCE {
                return status;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A request below `/api/v1` with the token.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend(headers);
        self.raw(method, &format!("/api/v1{path}"), &all, body)
    }

    /// A request with these headers, and `Host`.
    fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method != "GET" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(head.as_bytes()).expect("it reads");
        // One that refuses a body may have closed before all of it was sent.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        parse(&bytes)
    }

    /// Waits until a run has this state, and returns it.
    #[track_caller]
    fn wait_for(&self, run: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let document = self.get(&format!("/runs/{run}")).json(200);
            if document["state"] == state {
                return document;
            }
            assert_ne!(document["state"], "failed", "{document}");
            assert!(began.elapsed() < PATIENCE, "not {state}: {document}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stdout of a command on the same directories, which must end well.
    #[track_caller]
    fn command(&self, args: &[&str]) -> String {
        let output: Output = command(&self.home).args(args).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cuttlefish"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CUTTLEFISH_RUNS_DIR", home.path().join("runs"))
        .env("CUTTLEFISH_DATA_DIR", home.path().join("data"))
        .stdin(Stdio::null());
    command
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<(String, String)> = lines.map(header).collect();
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &bytes[end + 4..];
    Answer {
        status: status.expect("a status"),
        headers,
        body: match is_chunked {
            true => unchunked(body),
            false => body.to_vec(),
        },
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let Some(chunk) = body.get(end + 2..end + 2 + size) else {
            break;
        };
        whole.extend(chunk);
        body = &body[(end + 2 + size + 2).min(body.len())..];
    }
    whole
}

/// The digits example under another name, for so many epochs.
fn digits(name: &str, epochs: u32) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topology/digits.yaml");
    let text = std::fs::read_to_string(path).expect("the example");
    text.replace("name: digits", &format!("name: {name}"))
        .replace("epochs: 60", &format!("epochs: {epochs}"))
}

/// A request that creates a local run of a topology.
fn new_run(topology: &str) -> Value {
    json!({"topology": topology, "target": "local"})
}
