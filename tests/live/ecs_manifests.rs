//! A run that is rendered for Amazon ECS, and brought up by the AWS CLI without the program.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::emulator::{Emulator, STACK, tasks};
use crate::support::{Live, live, text, wait_until};

const SERVICES: [&str; 4] = ["trainer", "synapse", "unit_hidden", "unit_digit"];

/// The AWS CLI of version 2.
const AWS: &str = "/usr/bin/aws";

/// A rendered directory, and the emulator that it is for.
struct Bundle<'a> {
    dir: PathBuf,
    emulator: &'a Emulator,
    /// Directory in which [`AWS`] is called as at the emulator.
    bin: PathBuf,
}

impl<'a> Bundle<'a> {
    fn render(live: &Live, emulator: &'a Emulator, name: &str, args: &[&str]) -> Self {
        let dir = live.path(name);
        let into = dir.to_str().expect("a plain path");
        let render = ["render", "--to", "ecs", "--stack", STACK, "--into", into];
        let (stderr, _) = emulator.ok(live, &[&render[..], args].concat());
        assert!(stderr.contains("4 services with 24 tasks"), "{stderr}");
        Self {
            dir,
            emulator,
            bin: with_aws(live),
        }
    }

    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(&self.dir)
            .envs(self.emulator.environment())
            // The directory says by itself where the table is.
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()));
        command
    }

    /// Output of one of its scripts.
    fn script(&self, name: &str, args: &[&str]) -> String {
        let output = self.command(&self.dir.join(name), args).output();
        let output = output.expect("the script starts");
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{name} {args:?}: {stderr}");
        text(&output.stdout)
    }

    fn script_fails(&self, name: &str, args: &[&str]) -> String {
        let output = self.command(&self.dir.join(name), args).output();
        let output = output.expect("the script starts");
        assert!(!output.status.success(), "{name} {args:?} must fail");
        text(&output.stderr)
    }

    fn aws(&self, args: &[&str]) -> String {
        let output = self.command(&self.bin.join("aws"), args).output();
        let output = output.expect("the AWS CLI starts");
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        text(&output.stdout)
    }
}

/// A directory in which `aws` is [`AWS`] at the emulator, also where it is of before 2.13 and does not know
/// the variable. For DynamoDB it has to be told.
fn with_aws(live: &Live) -> PathBuf {
    assert!(Path::new(AWS).exists(), "{AWS} (apt-get install awscli)");
    let dir = live.path("bin");
    std::fs::create_dir_all(&dir).expect("a directory");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != dynamodb ] || unset AWS_ENDPOINT_URL\n\
         exec {AWS} ${{AWS_ENDPOINT_URL:+--endpoint-url \"$AWS_ENDPOINT_URL\"}} \"$@\"\n"
    );
    std::fs::write(dir.join("aws"), script).expect("a file");
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.join("aws"), all).expect("our own file");
    dir
}

/// The digest that the trainer's log has, as soon as it has one.
fn digest(run: &str) -> String {
    let mut digest = None;
    wait_until("the trainer's log has the digest", || {
        for trainer in tasks(&format!("cf_{run}_trainer")) {
            let logs = Command::new("docker").args(["logs", &trainer]).output();
            let logs = logs.expect("the Docker client starts");
            let log = text(&logs.stdout) + &text(&logs.stderr);
            let at = log.rsplit_once("weights_sha256=\"").map(|(_, rest)| rest);
            digest = at.map(|rest| rest[..64].to_owned());
        }
        digest.is_some()
    });
    digest.expect("was waited for")
}

fn all_tasks(run: &str) -> Vec<String> {
    let services = SERVICES.iter();
    services
        .flat_map(|service| tasks(&format!("cf_{run}_{service}")))
        .collect()
}

#[test]
fn a_rendered_run_trains_on_ecs_by_the_aws_cli_alone_to_the_local_digest() {
    let Some(live) = live() else { return };
    let emulator = Emulator::start();
    let file = live.file("given", "");
    let local = live.local_digest(&file, &[]);
    let image = live.ok(&["image", "build"]);
    let image = image.trim();
    let bundle = Bundle::render(&live, &emulator, "rendered", &[&file, "--image", image]);
    // That has changed nothing.
    let families = ["ecs", "list-task-definition-families", "--status", "ACTIVE"];
    assert!(!bundle.aws(&families).contains("cf_given"));

    let stdout = bundle.script("apply", &[]);
    assert!(stdout.contains("creating cf_given_unit_hidden"), "{stdout}");
    assert_eq!(digest("given"), local, "the bits");
    let before = all_tasks("given");
    assert_eq!(before.len(), 24);
    let stdout = bundle.script("apply", &[]);
    assert!(stdout.contains("cf_given_unit_hidden is there"), "{stdout}");
    assert_eq!(all_tasks("given"), before, "a run that is up goes on");

    // It is what `up` would have made.
    let run = live.path("runs/given");
    std::fs::create_dir_all(&run).expect("a directory");
    std::fs::copy(bundle.dir.join("ecs.json"), run.join("ecs.json")).expect("a file");
    let ps = emulator.json(&live, &["ps", "given", "--json"]);
    assert_eq!(ps["differs"], json!([]));
    let (_, stdout) = emulator.ok(&live, &["digest", "given"]);
    assert_eq!(stdout.trim(), local);

    let other = another_run_of_the_name_is_refused(&live, &emulator, &file, image);

    // Taken down and brought up again it is where it was.
    bundle.script("remove", &[]);
    let problem = other.script_fails("remove", &["--weights"]);
    assert!(problem.contains("another run given"), "{problem}");
    assert_eq!(all_tasks("given"), [""; 0]);
    assert_eq!(emulator.queues("given"), 0, "queues");
    bundle.script("remove", &[]);
    bundle.script("apply", &[]);
    assert_eq!(digest("given"), local, "the bits that were there");
    bundle.script("remove", &["--weights"]);
    assert_eq!(all_tasks("given"), [""; 0]);
    assert_eq!(emulator.queues("given"), 0, "queues");
    let problem = emulator.fails(&live, &["digest", "given"]);
    assert!(problem.contains("given"), "{problem}");
    assert!(!bundle.aws(&families).contains("cf_given"));
}

/// One whose seed is another, and so its record.
fn another_run_of_the_name_is_refused<'a>(
    live: &Live,
    emulator: &'a Emulator,
    file: &str,
    image: &str,
) -> Bundle<'a> {
    let args = [file, "--image", image, "--set", "seed=8"];
    let other = Bundle::render(live, emulator, "other", &args);
    let problem = other.script_fails("apply", &[]);
    assert!(problem.contains("another run given"), "{problem}");
    let problem = other.script_fails("remove", &[]);
    assert!(problem.contains("belongs to another run"), "{problem}");
    other
}

/// They do not train there: the emulator's CloudFormation loses the names of a container's secrets.
#[test]
fn cloudformation_makes_the_same_services() {
    let Some(live) = live() else { return };
    let emulator = Emulator::start();
    let file = live.file("formed", "");
    let args = [file.as_str(), "--image", "neurons:1"];
    let bundle = Bundle::render(&live, &emulator, "rendered", &args);
    let stack = ["--stack-name", "cuttlefish-formed"];
    let template = ["--template-file", "template.json"];
    let deploy = ["cloudformation", "deploy"];
    bundle.aws(&[&deploy[..], &stack, &template].concat());
    let read = |file: &str| {
        let text = std::fs::read_to_string(bundle.dir.join(file)).expect(file);
        serde_json::from_str::<Value>(&text).expect(file)
    };
    for service in SERVICES {
        let service = format!("cf_formed_{service}");
        let request = read(&format!("services/{service}.json"));
        let cluster = request["cluster"].as_str().expect("a name");
        let describe = ["ecs", "describe-services", "--output", "json", "--cluster"];
        let answer = bundle.aws(&[&describe[..], &[cluster, "--services", &service]].concat());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let described = &answer["services"][0];
        for part in [
            "desiredCount",
            "launchType",
            "networkConfiguration",
            "deploymentConfiguration",
        ] {
            assert_eq!(described[part], request[part], "{part} of {service}");
        }
        let definition = described["taskDefinition"].as_str().expect("an ARN");
        let describe = ["ecs", "describe-task-definition", "--task-definition"];
        let answer = bundle.aws(&[&describe[..], &[definition, "--output", "json"]].concat());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let (described, request) = (
            &answer["taskDefinition"],
            read(&format!("task-definitions/{service}.json")),
        );
        for part in ["family", "cpu", "memory", "networkMode", "taskRoleArn"] {
            assert_eq!(described[part], request[part], "{part} of {service}");
        }
        let (described, request) = (
            &described["containerDefinitions"][0],
            &request["containerDefinitions"][0],
        );
        for part in [
            "image",
            "command",
            "environment",
            "logConfiguration",
            "user",
        ] {
            assert_eq!(described[part], request[part], "{part} of {service}");
        }
    }
    bundle.aws(&[&["cloudformation", "delete-stack"][..], &stack].concat());
}
