//! A run on Amazon ECS, as an emulator shows it: its services start real containers on this machine's
//! Docker, and replace those that are killed.

use std::process::Command;

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::Management;
use serde_json::Value;

use crate::support::{Live, digest, docker, live, service, text, wait_until};

/// An emulator with a stack, stopped when dropped.
struct Emulator {
    environment: Vec<(String, String)>,
}

fn script(args: &[&str]) -> String {
    let output = Command::new("scripts/ecs-emulator").args(args).output();
    let output = output.expect("the emulator's script starts");
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    text(&output.stdout)
}

impl Emulator {
    fn start(stack: &str, broker: &str) -> Self {
        script(&["start"]);
        let environment = script(&["env"])
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let emulator = Self { environment };
        script(&["stack", stack, broker]);
        emulator
    }

    /// The program, with the emulator as its AWS.
    fn command(&self, live: &Live, args: &[&str]) -> Command {
        let mut command = live.command(args);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// What it tells people, and what it prints.
    fn ok(&self, live: &Live, args: &[&str]) -> (String, String) {
        let output = self.command(live, args).output().expect("the program");
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        (stderr, text(&output.stdout))
    }

    fn json(&self, live: &Live, args: &[&str]) -> Value {
        let (_, stdout) = self.ok(live, args);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}"))
    }

    fn fails(&self, live: &Live, args: &[&str]) -> String {
        let output = self.command(live, args).output().expect("the program");
        assert!(!output.status.success(), "{args:?} must fail");
        text(&output.stderr)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = Command::new("scripts/ecs-emulator").arg("stop").status();
    }
}

/// Numbers of the running containers of a service.
fn tasks(service: &str) -> Vec<String> {
    let filter = format!("label=com.amazonaws.ecs.task-definition-family={service}");
    docker(&["ps", "-q", "--filter", &filter])
}

#[test]
fn a_run_on_ecs_has_the_bits_of_the_local_one_whatever_is_killed_or_changed_there() {
    let Some(live) = live() else { return };
    let url = service("CUTTLEFISH_BROKER");
    let broker = Broker::parse(&url, None).unwrap();
    let seen_by_tasks = broker.at("host.docker.internal", broker.port());
    let emulator = Emulator::start("here", &seen_by_tasks.secret_url());
    let file = live.file("onecs", "");
    let image = live.ok(&["image", "build"]);
    let image = image.trim();
    let on_ecs = ["--target", "ecs", "--stack", "here", "--image", image];

    let without = ["up", &file, "--target", "ecs", "--image", image];
    let problem = emulator.fails(&live, &without);
    assert!(problem.contains("name it with --stack"), "{problem}");
    let problem = emulator.fails(&live, &[&without[..], &["--stack", "elsewhere"]].concat());
    assert!(problem.contains("read stack `elsewhere`"), "{problem}");
    assert_eq!(live.ok(&["ps", "--json"]).trim(), "[]", "nothing is left");

    let forever = ["--set", "training.epochs=1000000"];
    let up = [&["up", &file][..], &on_ecs, &forever].concat();
    let (told, _) = emulator.ok(&live, &up);
    assert!(told.contains("4 services changed"), "{told}");
    let ps = || emulator.json(&live, &["ps", "onecs", "--json"]);
    wait_until("every task runs", || {
        let services = ps()["services"].as_array().cloned().unwrap_or_default();
        services.iter().all(|one| one["tasks"] == one["running"])
    });
    let epoch = || {
        let runs = emulator.json(&live, &["ps", "--json"]);
        runs[0]["epoch"].as_u64().expect("an epoch")
    };
    let goes_on = |what: &str| {
        let before = epoch();
        wait_until(what, || epoch() > before + 1);
    };
    goes_on("the run trains");

    // Nobody of ours replaces them, and one becomes exactly who is missing.
    for service in ["unit_hidden", "unit_digit", "synapse", "trainer"] {
        let service = format!("cf_onecs_{service}");
        let before = tasks(&service);
        docker(&["kill", &before[0]]);
        wait_until("ECS has replaced it", || {
            let now = tasks(&service);
            now.len() == before.len() && !now.contains(&before[0])
        });
        goes_on("the run goes on");
    }

    let (told, _) = emulator.ok(&live, &up);
    assert!(told.contains("nothing to change"), "{told}");
    let cluster = ps()["cluster"].as_str().expect("a name").to_owned();
    script(&["scale", &cluster, "cf_onecs_unit_digit", "3"]);
    let differs = ps()["differs"].clone();
    let n_digits = tasks("cf_onecs_unit_digit").len();
    assert_eq!(
        differs[0]
            .as_str()
            .map(|text| text.contains("tasks instead of 3")),
        Some(true),
        "{differs} of {n_digits}"
    );
    let larger = ["--set", "deployment.resources.memory=80MiB"];
    let (told, _) = emulator.ok(&live, &[&up[..], &larger].concat());
    assert!(
        told.contains("update cf_onecs_unit_hidden: memory 80 MiB"),
        "{told}"
    );
    assert!(told.contains("instead of 3"), "{told}");
    assert!(!told.contains("update cf_onecs_trainer"), "{told}");
    wait_until("the change is made", || {
        ps()["differs"] == serde_json::json!([])
    });
    goes_on("the changed run goes on");

    let epochs = (epoch() + 60).to_string();
    let resume = [
        "train", "--resume", "onecs", "--json", "-q", "--epochs", &epochs,
    ];
    let trained = emulator.json(&live, &resume);
    let local = live.local_digest(&file, &["--epochs", &epochs]);
    assert_eq!(digest(&trained), local, "the bits after {epochs} epochs");
    let (_, told) = emulator.ok(&live, &["digest", "onecs"]);
    assert!(told.contains(&local), "{told}");

    let problem = live.fails(&["up", &file]).1;
    assert!(
        problem.contains("onecs"),
        "a run on Docker of this name: {problem}"
    );
    emulator.ok(&live, &["down", "onecs"]);
    for service in ["unit_hidden", "unit_digit", "synapse", "trainer"] {
        assert_eq!(tasks(&format!("cf_onecs_{service}")), [""; 0]);
    }
    let api = service("CUTTLEFISH_BROKER_API");
    let left = Management::new(Some(&api), &broker).queues("/", "cf.onecs.");
    assert_eq!(left.unwrap().len(), 0, "queues");
    assert!(!live.path("runs/onecs").exists(), "its directory");
}
