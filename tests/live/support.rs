//! The program with runs in a directory of their own, and checks of what it leaves behind.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish::transport::amqp::Broker;
use serde_json::Value;

/// One test at a time has the machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// A network of 22 neurons on the built-in digits.
pub const SMALL: &str = "
seed: 7
data: {source: digits, validation_split: 0.1}
network:
  layers:
    - {type: dense, name: hidden, units: 12, activation: relu, kernel_initializer: he_normal}
    - {type: dense, name: digit, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
training:
  epochs: 4
  batch_size: 64
  optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9}
";

/// The containers' program is built before a test's patience begins.
static PROGRAM: Once = Once::new();

/// As `up` does in a checkout, where it then finds nothing to do.
fn build_program() {
    let built = Command::new(env!("CARGO_BIN_EXE_cuttlefish"))
        .args(["image", "build"])
        .output();
    assert!(
        built.is_ok_and(|built| built.status.success()),
        "it is built"
    );
}

/// The program and what it works with.
pub struct Live {
    home: tempfile::TempDir,
    _machine: MutexGuard<'static, ()>,
}

/// Takes the machine; none, after saying so, where there are no services.
pub fn live() -> Option<Live> {
    let live = live_without_containers()?;
    PROGRAM.call_once(build_program);
    Some(live)
}

/// Takes the machine for a test that needs the world outside, but no containers.
pub fn live_without_containers() -> Option<Live> {
    if setting("CUTTLEFISH_LIVE").is_none() {
        eprintln!("skipped: no services (scripts/test starts them)");
        return None;
    }
    Some(Live {
        _machine: MACHINE.lock().unwrap_or_else(PoisonError::into_inner),
        home: tempfile::tempdir().expect("a temporary directory"),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by whoever runs them"
)]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Live {
    /// The topology file of [`SMALL`] under a name.
    pub fn file(&self, run: &str, extra: &str) -> String {
        let path = self.home.path().join(format!("{run}.yaml"));
        std::fs::write(&path, format!("name: {run}{SMALL}{extra}")).expect("a file");
        path.to_str().expect("a plain path").to_owned()
    }

    /// Lets other users see what is in the temporary directory.
    pub fn open_to_all(&self) {
        let all = Permissions::from_mode(0o755);
        std::fs::set_permissions(self.home.path(), all).expect("our own directory");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The program without any broker or store but those that its arguments name.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cuttlefish"));
        command
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CUTTLEFISH_RUNS_DIR", self.path("runs"))
            .env_remove("CUTTLEFISH_BROKER")
            .env_remove("CUTTLEFISH_BROKER_API")
            .env_remove("CUTTLEFISH_BROKER_CA")
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .env("AWS_ACCESS_KEY_ID", "k")
            .env("AWS_SECRET_ACCESS_KEY", "s")
            .stdin(Stdio::null());
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Stdout of a command that must end well.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        text(&output.stdout)
    }

    /// Stderr of a command that must end well.
    pub fn stderr(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        stderr
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let stdout = self.ok(args);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}"))
    }

    /// Exit code and stderr of a command that must fail.
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.output(args);
        let stderr = text(&output.stderr);
        assert!(!output.status.success(), "{args:?} must fail: {stderr}");
        (output.status.code().expect("an exit code"), stderr)
    }

    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// The digest of the same file trained in one process.
    pub fn local_digest(&self, file: &str, extra: &[&str]) -> String {
        let mut args = vec![
            "train",
            file,
            "--set",
            "name=local",
            "--overwrite",
            "--json",
            "-q",
        ];
        args.extend(extra);
        digest(&self.json(&args))
    }
}

/// A test that fails leaves no containers behind either.
impl Drop for Live {
    fn drop(&mut self) {
        for run in std::fs::read_dir(self.path("runs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if run.path().join("secrets").exists() {
                let name = run.file_name();
                let _ = self.output(&["down", &name.to_string_lossy()]);
            }
        }
    }
}

pub fn digest(document: &Value) -> String {
    let digest = document["weights_sha256"].as_str();
    digest.unwrap_or_else(|| panic!("{document}")).to_owned()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Stdout of the Docker client, line by line.
pub fn docker(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("the Docker client starts");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Names and numbers of a run's containers.
pub fn containers(run: &str) -> Vec<String> {
    let filter = format!("label=io.cuttlefish.run={run}");
    let mut containers = docker(&[
        "ps",
        "-a",
        "--no-trunc",
        "--filter",
        &filter,
        "--format",
        "{{.Names}} {{.ID}}",
    ]);
    containers.sort();
    containers
}

/// A process that serves at `address` and ends with this.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// `socat` at a free port of `ip`, listening as `listen` says (`TCP-LISTEN`, `OPENSSL-LISTEN`)
    /// with its options, and forwarding to `target`.
    pub fn socat(ip: &str, listen: &str, options: &str, target: SocketAddr) -> Self {
        Self::start(ip, |address| {
            let mut command = Command::new("socat");
            let (ip, port) = (address.ip(), address.port());
            command
                .arg(format!("{listen}:{port},bind={ip},fork,reuseaddr{options}"))
                .arg(format!("TCP:{target}"));
            command
        })
    }

    /// The process that `command` makes for a free port of `ip`, as soon as it serves.
    pub fn start(ip: &str, command: impl Fn(SocketAddr) -> Command) -> Self {
        let free = TcpListener::bind((ip, 0)).expect("an address of this machine");
        let address = free.local_addr().expect("an address");
        drop(free);
        let process = command(address)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            process: process.expect("the server starts"),
            address,
        };
        wait_until("the server serves", || TcpStream::connect(address).is_ok());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Address of a broker that `scripts/services` has started.
pub fn broker_address(broker: &Broker) -> SocketAddr {
    let ip = broker.host().parse().expect("an address of numbers");
    SocketAddr::new(ip, broker.port())
}

/// The setting that `scripts/services env` prints.
pub fn service(name: &str) -> String {
    setting(name).unwrap_or_else(|| panic!("{name}: scripts/test starts services and says where"))
}

/// Asserts that nothing of a run is left on the host.
pub fn assert_gone(live: &Live, run: &str) {
    let filter = format!("label=io.cuttlefish.run={run}");
    assert_eq!(containers(run), [""; 0], "containers");
    assert_eq!(
        docker(&["network", "ls", "-q", "--filter", &filter]),
        [""; 0],
        "networks"
    );
    assert!(!live.path("runs").join(run).exists(), "the run's directory");
}

/// Waits for something that must come true.
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}
