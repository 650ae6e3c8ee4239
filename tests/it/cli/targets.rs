//! Every command against a run on every target: a table of exit codes and of what is said. There is no Docker
//! here, and AWS refuses everything, so commands that need them must say so, and change nothing.

use std::io::{Read, Write};
use std::net::TcpListener;

use cuttlefish::config::Config;
use cuttlefish::deploy::docker::deployment::{BrokerPlace, StorePlace};
use cuttlefish::deploy::ecs::stack::Stack;
use cuttlefish::deploy::{Deployment, TargetKind, docker, ecs};
use cuttlefish::record::Record;
use cuttlefish::run::{Overrides, PreparedRun, RunRequest, TopologySource};
use cuttlefish::run_dir::RunDir;
use cuttlefish_core::data::Feed;

use super::*;

/// Expected end of a command: its exit code, and a part of what it prints, on stderr unless it ends well.
type ExpectedExit = (i32, &'static str);

/// States of the run `digits` before a command.
const STATES: [&str; 4] = ["none", "local", "docker", "ecs"];

const NO_RUN: ExpectedExit = (4, "failed to find run `digits`");
const NO_DOCKER: ExpectedExit = (1, "failed to reach Docker");
const NO_AWS: ExpectedExit = (1, "failed to");
const NO_STORE: ExpectedExit = (1, "the store failed");
const LOCAL: ExpectedExit = (4, "it trains in one process");
const ON_ECS: ExpectedExit = (4, "is on ECS");
const EXISTS: ExpectedExit = (4, "it exists already");
const EXISTS_LOCAL: ExpectedExit = (4, "it exists already, in one process");
const EXISTS_DOCKER: ExpectedExit = (4, "it exists already, on Docker");
const EXISTS_ECS: ExpectedExit = (4, "it exists already, on ECS");
const OTHER: ExpectedExit = (4, "leave out `--target`");
const NO_STACK: ExpectedExit = (1, "name it with --stack");
const OK: ExpectedExit = (0, "");

/// A command, with its end for a run in each of [`STATES`].
const TABLE: &[(&str, [ExpectedExit; 4])] = &[
    ("plan FILE", [OK, OK, (0, "on Docker"), (0, "on ECS")]),
    (
        "plan FILE --detailed-exitcode",
        [(2, ""), (2, ""), (2, ""), (2, "")],
    ),
    (
        "plan FILE --detailed-exitcode --epochs 1",
        [(2, ""), OK, (2, ""), (2, "")],
    ),
    (
        "plan FILE --target docker",
        [OK, (0, "in one process"), OK, (0, "on ECS")],
    ),
    (
        "plan FILE --target docker --detailed-exitcode",
        [(2, ""), (2, ""), (2, ""), (2, "")],
    ),
    (
        "plan FILE --target ecs",
        [OK, (0, "in one process"), (0, "on Docker"), (0, "unknown")],
    ),
    (
        "train FILE --target docker --overwrite",
        [NO_DOCKER, NO_DOCKER, NO_DOCKER, NO_DOCKER],
    ),
    (
        "train FILE --target ecs --overwrite --image i",
        [NO_STACK, NO_STACK, NO_STACK, NO_STACK],
    ),
    (
        "train FILE --epochs 1",
        [OK, EXISTS, EXISTS_DOCKER, EXISTS_ECS],
    ),
    (
        "train FILE --epochs 1 --overwrite",
        [OK, OK, NO_DOCKER, NO_AWS],
    ),
    (
        "train FILE --epochs 1 --detach",
        [(2, "--target"), EXISTS, EXISTS_DOCKER, EXISTS_ECS],
    ),
    (
        "train FILE --target docker",
        [NO_DOCKER, EXISTS_LOCAL, NO_DOCKER, EXISTS_ECS],
    ),
    (
        "train FILE --target ecs --image i",
        [NO_STACK, EXISTS_LOCAL, EXISTS_DOCKER, NO_AWS],
    ),
    ("train --resume RUN", [NO_RUN, OK, NO_DOCKER, NO_AWS]),
    (
        "train --resume RUN --target local",
        [NO_RUN, OK, NO_DOCKER, OTHER],
    ),
    (
        "train --resume RUN --target docker",
        [NO_RUN, OTHER, NO_DOCKER, OTHER],
    ),
    (
        "train --resume RUN --target ecs",
        [NO_RUN, OTHER, NO_DOCKER, NO_AWS],
    ),
    ("up FILE", [NO_DOCKER, EXISTS_LOCAL, NO_DOCKER, EXISTS_ECS]),
    (
        "up FILE --target ecs --image i",
        [NO_STACK, EXISTS_LOCAL, EXISTS_DOCKER, NO_AWS],
    ),
    ("attach RUN", [NO_RUN, LOCAL, NO_DOCKER, NO_STORE]),
    ("chaos RUN", [NO_RUN, LOCAL, NO_DOCKER, ON_ECS]),
    ("logs RUN", [NO_RUN, LOCAL, NO_DOCKER, ON_ECS]),
    ("eval RUN", [NO_RUN, OK, NO_DOCKER, NO_STORE]),
    (
        "predict RUN --input ROWS",
        [NO_RUN, (0, "row,line,class"), NO_DOCKER, NO_STORE],
    ),
    (
        "export RUN --format npz -o OUT",
        [NO_RUN, OK, NO_DOCKER, NO_STORE],
    ),
    ("digest RUN", [NO_RUN, OK, NO_DOCKER, NO_STORE]),
    ("inspect RUN", [NO_RUN, OK, NO_DOCKER, NO_STORE]),
    ("inspect RUN/digit/3", [NO_RUN, OK, NO_DOCKER, NO_STORE]),
    (
        "import WEIGHTS --into FILE",
        [OK, EXISTS, EXISTS_DOCKER, EXISTS_ECS],
    ),
    (
        "import WEIGHTS --into FILE --target docker",
        [NO_DOCKER, EXISTS_LOCAL, NO_DOCKER, EXISTS_ECS],
    ),
    (
        "import WEIGHTS --into FILE --target ecs --image i",
        [NO_STACK, EXISTS_LOCAL, EXISTS_DOCKER, EXISTS],
    ),
    (
        "ps",
        [OK, (0, "local"), (0, "unreadable"), (0, "unreadable")],
    ),
    ("ps RUN", [NO_RUN, (0, "local"), NO_DOCKER, NO_AWS]),
    (
        "render FILE --to compose --into OUT --image i",
        [OK, OK, OK, OK],
    ),
    ("down RUN", [NO_RUN, OK, NO_DOCKER, NO_AWS]),
];

#[test]
fn every_command_knows_every_target() {
    let templates = StateTemplates::new();
    let mut problems = String::new();
    for (command, ends) in TABLE {
        for (state, (code, part)) in STATES.iter().zip(ends) {
            let place = templates.copy(state);
            let before = place.program.files();
            let output = place.output(command);
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            let exit = output.status.code();
            let stream = if *code == 0 { &stdout } else { &stderr };
            if exit != Some(*code) || !stream.contains(part) {
                problems.push_str(&format!(
                    "`{command}` with {state}: {exit:?}, not {code} and `{part}`\n{stdout}{stderr}\n"
                ));
            }
            let is_plan = command.starts_with("plan");
            if (is_plan || *code != 0) && place.program.files() != before {
                problems.push_str(&format!("`{command}` with {state} changed something\n"));
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn a_run_of_an_earlier_version_is_found_by_its_documents() {
    let templates = StateTemplates::new();
    for (state, document) in [
        ("docker", "deployment.json"),
        ("ecs", "ecs.json"),
        ("local", ""),
    ] {
        let place = templates.copy(state);
        let dir = place.program.home.path().join("runs/digits");
        let json = std::fs::read_to_string(dir.join("run.json")).unwrap();
        std::fs::remove_file(dir.join("run.json")).unwrap();
        if !document.is_empty() {
            let mut old: Value = serde_json::from_str(&json).unwrap();
            old.as_object_mut().unwrap().remove("target");
            std::fs::write(dir.join(document), old.to_string()).unwrap();
        }
        let run = RunDir::existing(&place.program.home.path().join("runs"), "digits").unwrap();
        let deployment = Deployment::read(&run).unwrap().unwrap();
        assert_eq!(deployment.kind().word(), state);
    }
    let place = templates.copy("local");
    let dir = place.program.home.path().join("runs/digits");
    std::fs::write(dir.join("run.json"), r#"{"target": "moon"}"#).unwrap();
    let output = place.output("digest RUN");
    assert_eq!(output.status.code(), Some(4));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("run.json") && stderr.contains("moon"),
        "{stderr}"
    );
}

/// Directories with a run in each of [`STATES`], to be copied.
struct StateTemplates {
    program: TestProgram,
    /// URL of an AWS that refuses everything.
    aws: String,
}

/// A copy of one of them.
struct StateCopy {
    program: TestProgram,
    aws: String,
}

impl StateTemplates {
    fn new() -> Self {
        let program = TestProgram::new();
        let home = program.home.path().to_owned();
        for state in STATES {
            std::fs::create_dir_all(home.join(state).join("runs")).unwrap();
        }
        let train = ["train", DIGITS, "--epochs", "1", "-q", "--runs-dir"];
        let runs = home.join("local/runs");
        program.ok(&[&train[..], &[runs.to_str().unwrap()]].concat());
        let weights = home.join("weights.safetensors");
        let export = ["export", "digits", "--format", "safetensors", "-o"];
        let args = [
            weights.to_str().unwrap(),
            "--runs-dir",
            runs.to_str().unwrap(),
        ];
        program.ok(&[&export[..], &args].concat());
        let pixels = vec!["0"; 64].join(",");
        std::fs::write(home.join("rows.csv"), format!("{pixels}\n")).unwrap();
        let record = record(&home);
        for deployment in [on_docker(&record), on_ecs(&record)] {
            let runs = home.join(deployment.kind().word()).join("runs");
            let dir = RunDir::new(&runs, "digits").unwrap();
            dir.create().unwrap();
            dir.keep_document(&deployment).unwrap();
            drop(dir.lock().unwrap());
        }
        Self {
            program,
            aws: refusing_aws(),
        }
    }

    fn copy(&self, state: &str) -> StateCopy {
        let program = TestProgram::new();
        copy_all(&self.program.home.path().join(state), program.home.path());
        for file in ["weights.safetensors", "rows.csv"] {
            let from = self.program.home.path().join(file);
            std::fs::copy(from, program.home.path().join(file)).unwrap();
        }
        StateCopy {
            program,
            aws: self.aws.clone(),
        }
    }
}

impl StateCopy {
    /// A command of [`TABLE`], where nothing answers.
    fn output(&self, command: &str) -> Output {
        let home = |name: &str| self.program.home.path().join(name).display().to_string();
        let args: Vec<String> = command
            .split(' ')
            .map(|word| match word {
                "FILE" => DIGITS.to_owned(),
                "ROWS" => home("rows.csv"),
                "WEIGHTS" => home("weights.safetensors"),
                "OUT" => home("out"),
                word => word.replace("RUN", "digits"),
            })
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.program.command(&args);
        command
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env("AWS_ENDPOINT_URL", &self.aws)
            .env("AWS_REGION", "nowhere-1")
            .env("AWS_ACCESS_KEY_ID", "k")
            .env("AWS_SECRET_ACCESS_KEY", "s")
            .output()
            .expect("the program starts")
    }
}

/// An HTTP server that refuses every request as AWS does, in a form that no client repeats.
fn refusing_aws() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 65536]);
                let body = r#"{"__type": "AccessDeniedException", "message": "nobody may"}"#;
                let _ = write!(
                    stream,
                    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
                     connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    url
}

/// The record of the example, as its run would have it.
fn record(home: &Path) -> Record {
    let dir = |name: &str| Some(home.join(name));
    let config = Config::new(dir("data"), dir("none/runs"), |_| None);
    let overrides = Overrides::default();
    let request = RunRequest {
        topology: TopologySource::File(Path::new(DIGITS)),
        overrides: &overrides,
        target: TargetKind::Docker,
        overwrite: false,
    };
    let prepared = actix_rt::System::new().block_on(PreparedRun::from_topology(&request, &config));
    prepared.unwrap().workload.record
}

fn on_docker(record: &Record) -> Deployment {
    Deployment::Docker(Box::new(docker::Deployment::new(
        "owner".to_owned(),
        "cuttlefish-neuron:1".to_owned(),
        BrokerPlace::Companion {
            image: "broker:1".to_owned(),
        },
        StorePlace::Companion,
        "cuttlefish".to_owned(),
        Feed::Reference,
        record.clone(),
    )))
}

fn on_ecs(record: &Record) -> Deployment {
    Deployment::Ecs(Box::new(ecs::Deployment {
        version: 1,
        owner: "owner".to_owned(),
        image: "cuttlefish-neuron:1".to_owned(),
        stack: Stack::planned(),
        region: "nowhere-1".to_owned(),
        endpoint: None,
        record: record.clone(),
        data_bytes: 1,
        awaits_weights: false,
    }))
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
