//! Many containers at a daemon that fails at some of them: a fake one, on a socket of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use bollard::API_DEFAULT_VERSION;
use serde_json::{Value, json};

use super::desired::Role;
use super::*;

const RUN: &str = "digits";
const OWNER: &str = "us";

/// State of a daemon, and requests that it still refuses.
#[derive(Default)]
struct Daemon {
    containers: Vec<String>,
    networks: Vec<String>,
    /// Status and message by the request's method and last word, and how often.
    refusals: BTreeMap<String, (u32, u16, &'static str)>,
    /// Requests that change something, in order.
    requests: Vec<String>,
}

const ZOMBIE: &str =
    "cannot remove container: could not kill: PID 4711 is zombie and can not be killed";

impl Daemon {
    fn refuse(&mut self, request: &str, times: u32, status: u16, message: &'static str) {
        self.refusals
            .insert(request.to_owned(), (times, status, message));
    }

    fn answer(&mut self, method: &str, address: &str) -> (u16, Value) {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let words: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        let named = query.split('&').find_map(|part| part.strip_prefix("name="));
        let (of, name) = match words[..] {
            ["containers", name, "start"] => ("start", name),
            ["containers", "create"] => ("create", named.unwrap_or_default()),
            [.., name] => (words[0], name),
            [] => ("", ""),
        };
        if method != "GET" {
            let request = format!("{method} {of} {name}");
            self.requests.push(request.clone());
            if let Some((times, status, message)) = self.refusals.get_mut(&request)
                && *times > 0
            {
                *times -= 1;
                return (*status, json!({"message": message}));
            }
        }
        let labels = json!({label::RUN: RUN, label::OWNER: OWNER});
        match (method, of) {
            ("GET", "containers") => {
                let containers = self.containers.iter();
                let listed = containers.map(
                    |name| json!({"Id": name, "Names": [format!("/{name}")], "Labels": labels}),
                );
                (200, listed.collect())
            }
            ("GET", "networks") => {
                let networks = self.networks.iter();
                let listed = networks.map(|name| json!({"Name": name, "Labels": labels}));
                (200, listed.collect())
            }
            ("POST", "create") => {
                self.containers.push(name.to_owned());
                (201, json!({"Id": name, "Warnings": []}))
            }
            ("DELETE", "containers") => {
                self.containers.retain(|one| one != name);
                (204, Value::Null)
            }
            ("DELETE", "networks") => {
                self.networks.retain(|one| one != name);
                (204, Value::Null)
            }
            _ => (204, Value::Null),
        }
    }
}

fn serve(stream: UnixStream, daemon: &Mutex<Daemon>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut head, mut length) = (String::new(), 0);
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let mut words = head.split_whitespace();
        let (method, address) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (status, answer) = daemon.lock().unwrap().answer(method, address);
        let body = match answer {
            Value::Null => String::new(),
            answer => answer.to_string(),
        };
        let length = match status {
            204 => String::new(),
            _ => format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ),
        };
        write!(stream, "HTTP/1.1 {status} x\r\n{length}\r\n{body}")?;
    }
}

/// A daemon, and a client of it. The directory has its socket.
fn start(daemon: Daemon) -> (Docker, Arc<Mutex<Daemon>>, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = Arc::new(Mutex::new(daemon));
    let served = daemon.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = served.clone();
            std::thread::spawn(move || serve(stream, &served));
        }
    });
    let path = path.to_str().unwrap();
    let client = bollard::Docker::connect_with_unix(path, 60, API_DEFAULT_VERSION).unwrap();
    (Docker { client }, daemon, home)
}

fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("cf.digits.hidden.{n:02}"))
        .collect()
}

fn creation(name: &str) -> Action {
    Action::Create {
        container: Box::new(Container {
            name: name.to_owned(),
            actor: name.to_owned(),
            role: Role::UNIT,
            image: "image:1".to_owned(),
            command: Vec::new(),
            environment: Vec::new(),
            mounts: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            cpu: 0.1,
            memory: None,
            open_files: None,
            user: None,
            actor_fingerprint: String::new(),
        }),
        instead_of: Vec::new(),
    }
}

#[tokio::test]
async fn containers_that_cannot_be_removed_at_once_keep_no_other() {
    let mut daemon = Daemon {
        containers: names(40),
        ..Daemon::default()
    };
    daemon.refuse("DELETE containers cf.digits.hidden.09", 1, 500, ZOMBIE);
    daemon.refuse(
        "DELETE containers cf.digits.hidden.13",
        u32::MAX,
        500,
        ZOMBIE,
    );
    let (docker, daemon, _home) = start(daemon);
    let removed = docker.remove_containers(RUN, OWNER, &|_| {}).await;
    assert_eq!(daemon.lock().unwrap().containers, ["cf.digits.hidden.13"]);
    let error = removed.unwrap_err().to_string();
    assert!(
        error.starts_with("remove 1 of 40 containers: cf.digits.hidden.13: ")
            && error.ends_with("is zombie and can not be killed"),
        "{error}"
    );
    // Said again, it works.
    daemon.lock().unwrap().refusals.clear();
    docker.remove_containers(RUN, OWNER, &|_| {}).await.unwrap();
    assert_eq!(daemon.lock().unwrap().containers, [""; 0]);
}

#[tokio::test]
async fn a_container_that_does_not_start_at_once_is_made_again() {
    let mut daemon = Daemon::default();
    let busy = "context deadline exceeded";
    daemon.refuse("POST start cf.digits.hidden.02", 1, 500, busy);
    let (docker, daemon, _home) = start(daemon);
    let actions = names(12).iter().map(|name| creation(name)).collect();
    docker
        .apply(actions, RUN, OWNER, &|_| {}, &|| true)
        .await
        .unwrap();
    let daemon = daemon.lock().unwrap();
    let mut made = daemon.containers.clone();
    made.sort();
    assert_eq!(made, names(12));
    let of_it = daemon.requests.iter().filter(|one| one.ends_with(".02"));
    let of_it: Vec<_> = of_it
        .map(|one| one.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let again = [
        "POST create",
        "POST start",
        "DELETE containers",
        "POST create",
        "POST start",
    ];
    assert_eq!(of_it, again);
}

#[tokio::test]
async fn where_no_container_can_be_made_the_others_are_not_tried() {
    let mut daemon = Daemon::default();
    for name in names(40) {
        let full = "write /var/lib/docker: no space left on device";
        daemon.refuse(&format!("POST create {name}"), u32::MAX, 500, full);
    }
    let (docker, daemon, _home) = start(daemon);
    let actions = names(40).iter().map(|name| creation(name)).collect();
    let applied = docker.apply(actions, RUN, OWNER, &|_| {}, &|| true).await;
    assert!(
        matches!(applied, Err(Error::DiskFull { .. })),
        "{applied:?}"
    );
    assert!(daemon.lock().unwrap().requests.len() <= 2 * AT_ONCE);
}

#[tokio::test]
async fn a_network_whose_containers_are_counted_late_is_removed_and_another_one_meanwhile() {
    let mut daemon = Daemon {
        networks: vec!["cf.digits".to_owned(), "cf.digits.1".to_owned()],
        ..Daemon::default()
    };
    let counted = "error while removing network: network cf.digits has active endpoints";
    daemon.refuse("DELETE networks cf.digits", 1, 403, counted);
    let (docker, daemon, _home) = start(daemon);
    docker.remove_networks(RUN, OWNER).await.unwrap();
    let daemon = daemon.lock().unwrap();
    assert_eq!(daemon.networks, [""; 0]);
    let order = [
        "DELETE networks cf.digits",
        "DELETE networks cf.digits.1",
        "DELETE networks cf.digits",
    ];
    assert_eq!(daemon.requests, order);
}
