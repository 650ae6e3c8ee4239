//! The program as a person uses it.

mod help;
mod life;
mod own;
mod render;
mod sweep;
mod tables;
mod targets;
mod usage;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Program with runs in a directory of its own, removed with it.
struct TestProgram {
    home: tempfile::TempDir,
}

impl TestProgram {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cuttlefish"));
        command
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CUTTLEFISH_RUNS_DIR", self.home.path().join("runs"))
            .env("CUTTLEFISH_DATA_DIR", self.home.path().join("data"))
            .stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Stdout of a command that must end well.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn json(&self, args: &[&str]) -> Value {
        let stdout = self.ok(args);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}"))
    }

    /// Exit code and stderr of a command that must fail without changing anything.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let before = self.files();
        let output = self.output(args);
        assert_eq!(
            text(&output.stdout),
            "",
            "{args:?}: data is only for success"
        );
        assert_eq!(self.files(), before, "{args:?}: a failure changes nothing");
        (
            output.status.code().expect("an exit code"),
            text(&output.stderr),
        )
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let mut open = vec![self.home.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path.clone());
                }
                paths.push(path);
            }
        }
        paths.sort();
        paths
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).expect("a file in a temporary directory");
        path.to_str().expect("a plain path").to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const DIGITS: &str = "topology/digits.yaml";

/// Arguments of a run that takes a few seconds.
fn long(extra: &[&str]) -> Vec<String> {
    ["train", DIGITS, "--epochs", "1000", "--json"]
        .iter()
        .chain(extra)
        .map(|s| (*s).to_owned())
        .collect()
}

fn start(program: &TestProgram, args: &[String]) -> Child {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = program.command(&args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Waits until the run has committed more than `tick`, and returns how far it is.
fn wait_for_commit_after(program: &TestProgram, run: &str, tick: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let output = program.output(&["ps", run, "--json"]);
        if let Ok(listed) = serde_json::from_slice::<Value>(&output.stdout) {
            let committed = listed[0]["tick"].as_u64().unwrap_or(0);
            if committed > tick {
                return committed;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("run {run} committed nothing after tick {tick}");
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args([name, &pid]).status();
    assert!(status.expect("kill starts").success());
}
