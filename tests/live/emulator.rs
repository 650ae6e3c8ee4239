//! Amazon ECS, as an emulator shows it: its services start real containers on this machine's Docker, and
//! replace those that are killed.

use std::process::Command;

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::Management;
use serde_json::Value;

use crate::support::{Live, docker, service, text};

/// The stack that it has.
pub const STACK: &str = "here";

/// An emulator with a stack, stopped when dropped.
pub struct Emulator {
    environment: Vec<(String, String)>,
    broker: Broker,
}

pub fn script(args: &[&str]) -> String {
    let output = Command::new("scripts/ecs-emulator").args(args).output();
    let output = output.expect("the emulator's script starts");
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    text(&output.stdout)
}

impl Emulator {
    pub fn start() -> Self {
        let url = service("CUTTLEFISH_BROKER");
        let broker = Broker::parse(&url, None).unwrap();
        script(&["start"]);
        let environment = script(&["env"])
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let seen_by_tasks = broker.at("host.docker.internal", broker.port());
        let emulator = Self {
            environment,
            broker,
        };
        script(&["stack", STACK, &seen_by_tasks.secret_url()]);
        emulator
    }

    /// Variables that make it the AWS of a program.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.environment.iter();
        variables.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The program, with the emulator as its AWS.
    fn command(&self, live: &Live, args: &[&str]) -> Command {
        let mut command = live.command(args);
        command.envs(self.environment());
        command
    }

    /// Stderr and stdout of the program, which succeeds.
    pub fn ok(&self, live: &Live, args: &[&str]) -> (String, String) {
        let output = self.command(live, args).output().expect("the program");
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        (stderr, text(&output.stdout))
    }

    pub fn json(&self, live: &Live, args: &[&str]) -> Value {
        let (_, stdout) = self.ok(live, args);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}"))
    }

    pub fn fails(&self, live: &Live, args: &[&str]) -> String {
        let output = self.command(live, args).output().expect("the program");
        assert!(!output.status.success(), "{args:?} must fail");
        text(&output.stderr)
    }

    /// Queues of a run at the broker.
    pub fn queues(&self, run: &str) -> usize {
        let api = service("CUTTLEFISH_BROKER_API");
        let management = Management::new(Some(&api), &self.broker);
        let queues = management.queues("/", &format!("cf.{run}."));
        queues.expect("the broker answers").len()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = Command::new("scripts/ecs-emulator").arg("stop").status();
    }
}

/// Numbers of the running containers of a service.
pub fn tasks(service: &str) -> Vec<String> {
    let filter = format!("label=com.amazonaws.ecs.task-definition-family={service}");
    docker(&["ps", "-q", "--filter", &filter])
}
