//! The console's API as Schemathesis, which knows nothing but its description, calls it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{live_without_containers, text};

const PACKAGE: &str = "schemathesis==4.32.5";
const TOKEN: &str = "a-token-of-the-tests";

/// A console, which ends with this.
struct Console(Child);

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_operation_fails_or_answers_otherwise_than_described() {
    let Some(live) = live_without_containers() else {
        return;
    };
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let program = home.join("bin/schemathesis");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        let pip = ["install", "--quiet", "--disable-pip-version-check", PACKAGE];
        run(Command::new(home.join("bin/pip")).args(pip));
    }
    // A run, so that there is something to ask.
    live.ok(&["train", "topology/digits.yaml", "--epochs", "2", "--quiet"]);
    let mut console = live.command(&["console", "--listen", "127.0.0.1:0", "--no-open"]);
    let mut console = console
        .env("CUTTLEFISH_CONSOLE_TOKEN", TOKEN)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stderr = console.stderr.take().expect("it is piped");
    let console = Console(console);
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    let link = line.split("on ").nth(1).expect("a link");
    let api = format!("{}/api/v1", link.split("/?").next().expect("an address"));
    let mut call = Command::new(program);
    call.arg("run")
        .arg(format!("{api}/openapi.json"))
        .args(["--url", &api, "--header"])
        .arg(format!("Authorization: Bearer {TOKEN}"))
        // A stream does not end.
        .args(["--exclude-path-regex", "/events$"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--max-examples", "30", "--seed", "7", "--request-timeout", "60"])
        .current_dir(live.path(""));
    run(&mut call);
    drop(console);
}

fn run(command: &mut Command) {
    let output = command.output().expect("python is there");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}
