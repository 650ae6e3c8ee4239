//! The program, with runs in a directory of their own, and the eyes to see what it leaves behind.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// The program and what it works with.
pub struct Live {
    home: tempfile::TempDir,
    _machine: MutexGuard<'static, ()>,
}

/// Takes the machine; none, after saying so, where there are no services.
pub fn live() -> Option<Live> {
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
    pub fn told(&self, args: &[&str]) -> String {
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
            if run.path().join("deployment.json").exists() {
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
    let mut found = docker(&[
        "ps",
        "-a",
        "--no-trunc",
        "--filter",
        &filter,
        "--format",
        "{{.Names}} {{.ID}}",
    ]);
    found.sort();
    found
}

/// Nothing of a run is left on the host.
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
