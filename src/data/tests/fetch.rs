//! Fetching, against a server on the loopback interface that behaves well or badly.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::data::fetch::{Download, Error, Fetcher, Timeouts};

/// Answer of the server to a request.
#[derive(Clone)]
pub enum ServerAnswer {
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// 200 that announces more bytes than it sends.
    Truncated(Vec<u8>),
    /// 200 with these bytes, and no word on how many they are.
    Unannounced(Vec<u8>),
    /// 404.
    NotFound,
    /// Nothing, with the connection left open.
    Silence,
    /// A head and some bytes, then nothing.
    Stall,
}

/// Serves `answers`, one a connection, and returns the address with a slash at the end.
pub fn serve(answers: Vec<ServerAnswer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open = Vec::new();
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                request.push(byte[0]);
            }
            let head = |length| {
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
            };
            let _ = match answer {
                ServerAnswer::Body(body) => {
                    stream.write_all(&[head(body.len()).as_bytes(), &body].concat())
                }
                ServerAnswer::Truncated(body) => {
                    stream.write_all(&[head(body.len() + 9).as_bytes(), &body].concat())
                }
                ServerAnswer::Unannounced(body) => stream.write_all(
                    &[b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &body[..]].concat(),
                ),
                ServerAnswer::NotFound => stream.write_all(
                    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                ),
                ServerAnswer::Silence => {
                    open.push(stream);
                    continue;
                }
                ServerAnswer::Stall => {
                    let result = stream.write_all(&[head(100).as_bytes(), b"abc"].concat());
                    open.push(stream.try_clone().unwrap());
                    result
                }
            };
        }
        // Silent connections stay open for longer than any test waits.
        thread::sleep(Duration::from_secs(60));
        drop(open);
    });
    address
}

/// A fetcher that gives up soon.
pub fn fetcher() -> Fetcher {
    Fetcher::loopback(Timeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_millis(300),
        total: Duration::from_secs(10),
    })
}

fn fetch(mirrors: &[&str], directory: &Path) -> Result<Vec<u8>, Error> {
    let download = Download {
        file: "some.gz",
        mirrors,
        directory,
        limit: 100,
    };
    let check = |path: &Path| match fs::read(path).unwrap().as_slice() {
        b"right" => Ok(()),
        _ => Err("wrong bytes".to_owned()),
    };
    let files = ["some.gz".to_owned(), "other.gz".to_owned()];
    fetcher()
        .fetch(&download, &files, check)
        .map(|path| fs::read(path).unwrap())
}

/// The one mirror fails for `reason`, and nothing is left behind.
#[track_caller]
fn check_failure(answer: ServerAnswer, reason: &str) {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let error = fetch(&[&serve(vec![answer])], dir.path()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    let Error::Mirrors { attempts, .. } = &error else {
        panic!("{error}");
    };
    assert!(attempts[0].reason.contains(reason), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn right_bytes_get_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("not/there/yet");
    let mirror = serve(vec![ServerAnswer::Body(b"right".to_vec())]);
    assert_eq!(fetch(&[&mirror], &inside).unwrap(), b"right");
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);
}

#[test]
fn next_mirror_is_asked_when_one_fails() {
    let dir = tempfile::tempdir().unwrap();
    let bad = serve(vec![ServerAnswer::NotFound]);
    let good = serve(vec![ServerAnswer::Body(b"right".to_vec())]);
    assert_eq!(fetch(&[&bad, &good], dir.path()).unwrap(), b"right");
}

#[test]
fn each_failure_is_named_and_leaves_nothing_behind() {
    check_failure(ServerAnswer::NotFound, "404");
    check_failure(ServerAnswer::Body(b"wrong".to_vec()), "wrong bytes");
    check_failure(
        ServerAnswer::Body(vec![0; 101]),
        "it has 101 bytes, the limit is 100",
    );
    check_failure(
        ServerAnswer::Unannounced(vec![0; 101]),
        "it has more than 100 bytes, the limit",
    );
    check_failure(ServerAnswer::Truncated(b"rig".to_vec()), "");
    check_failure(ServerAnswer::Silence, "timeout");
    check_failure(ServerAnswer::Stall, "timeout");
}

#[test]
fn error_says_what_to_do_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mirror = format!("http://127.0.0.1:{port}/");
    let text = fetch(&[&mirror], dir.path()).unwrap_err().to_string();
    let start = format!("fetch `some.gz`: `{mirror}some.gz`: ");
    let end = format!(
        " (with no network, put `some.gz` and `other.gz` into `{}`, or name the directory that \
         has them with `--data-dir` or `CUTTLEFISH_DATA_DIR`)",
        dir.path().display()
    );
    assert!(text.starts_with(&start) && text.ends_with(&end), "{text}");
}

#[test]
fn directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = fetch(&["http://127.0.0.1:1/"], &file.join("below")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
}

#[test]
fn plain_http_is_refused_outside_tests() {
    let dir = tempfile::tempdir().unwrap();
    let download = Download {
        file: "some.gz",
        mirrors: &["http://127.0.0.1:1/"],
        directory: dir.path(),
        limit: 100,
    };
    let error = Fetcher::new()
        .fetch(&download, &[], |_| Ok(()))
        .unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
}
