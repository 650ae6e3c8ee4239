//! The Docker daemon restarts, and dies: one of the test's own, in a network of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Live, digest, docker, live, setting, text, wait_until};

/// A daemon that others do not notice. What runs in its network reaches the containers' ports.
struct DockerDaemon {
    home: tempfile::TempDir,
    /// Keeps the namespaces as long as the daemon is away.
    holder: ProcessGuard,
    process: ProcessGuard,
}

/// A process that ends with its test.
struct ProcessGuard(Child);

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reason why there can be no such daemon; None where there can.
fn obstacle() -> Option<&'static str> {
    let is_root = rustix::process::geteuid().is_root();
    (!is_root).then_some("only root can start a Docker daemon of its own")
}

impl DockerDaemon {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("daemon.json"), "{}").unwrap();
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c"])
            .arg("ip link set lo up && exec sleep infinity")
            .spawn();
        let holder = ProcessGuard(holder.unwrap());
        let of_holder = format!("/proc/{}/ns/net", holder.0.id());
        wait_until("it has a network of its own", || {
            let network = |path: &str| std::fs::read_link(path).unwrap();
            network(&of_holder) != network("/proc/self/ns/net")
        });
        let process = ProcessGuard(spawn(home.path(), &holder.0));
        let daemon = Self {
            home,
            holder,
            process,
        };
        daemon.wait();
        let image = setting("CUTTLEFISH_BROKER_IMAGE").expect("scripts/test builds an image");
        let saved = daemon.home.path().join("broker.tar");
        docker(&["save", "-o", saved.to_str().unwrap(), &image]);
        daemon.docker(&["load", "-i", saved.to_str().unwrap()]);
        std::fs::remove_file(saved).unwrap();
        daemon
    }

    /// Ends it with a signal, and starts it anew.
    fn restart(&mut self, signal: &str) {
        self.end(signal);
        self.process = ProcessGuard(spawn(self.home.path(), &self.holder.0));
        self.wait();
    }

    fn end(&mut self, signal: &str) {
        let pid = self.process.0.id().to_string();
        // One that has died already is as good.
        let _ = Command::new("kill").args([signal, &pid]).status();
        let _ = self.process.0.wait();
        // The next daemon takes the process of this one for its own as long as there is one.
        let pid = self.home.path().join("exec/containerd/containerd.pid");
        if let Ok(pid) = std::fs::read_to_string(pid) {
            let process = format!("/proc/{}", pid.trim());
            wait_until("its containerd is gone", || {
                !std::path::Path::new(&process).exists()
            });
        }
        let _ = std::fs::remove_file(self.home.path().join("pid"));
    }

    fn address(&self) -> String {
        format!("unix://{}", self.home.path().join("socket").display())
    }

    fn wait(&self) {
        wait_until("the daemon answers", || {
            let status = Command::new("docker")
                .args(["--host", &self.address(), "info"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.unwrap().success()
        });
    }

    fn docker(&self, args: &[&str]) -> Vec<String> {
        docker(&[&["--host", &self.address()][..], args].concat())
    }

    /// The program in this daemon's network.
    fn command(&self, live: &Live, args: &[&str]) -> Command {
        let inner = live.command(args);
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--target", &self.holder.0.id().to_string()])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(inner.get_current_dir().unwrap())
            .env("DOCKER_HOST", self.address())
            .stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn ok(&self, live: &Live, args: &[&str]) -> String {
        let output = self.command(live, args).output().unwrap();
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        text(&output.stdout)
    }

    fn tick(&self, live: &Live, run: &str) -> f64 {
        let output = self.command(live, &["ps", run, "--json"]).output().unwrap();
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let units = listed["actors"].as_array().cloned().unwrap_or_default();
        let trainer = units.iter().find(|one| one["actor"] == "trainer");
        trainer.and_then(|one| one["tick"].as_f64()).unwrap_or(0.0)
    }

    fn goes_on(&self, live: &Live, run: &str, after: &str) {
        let before = self.tick(live, run);
        wait_until(&format!("the run goes on after {after}"), || {
            self.tick(live, run) > before + 100.0
        });
    }
}

fn spawn(home: &Path, holder: &Child) -> Child {
    let driver = docker(&["info", "--format", "{{.Driver}}"]).concat();
    let path = |name: &str| home.join(name).display().to_string();
    Command::new("nsenter")
        .args(["--net", "--mount", "--target", &holder.id().to_string()])
        .arg("dockerd")
        .args(["--config-file", &path("daemon.json")])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
        .args(["--pidfile", &path("pid")])
        .args(["--host", &format!("unix://{}", path("socket"))])
        .args(["--storage-driver", &driver])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(path("log")).unwrap())
        .spawn()
        .unwrap()
}

/// Containers end with their daemon where that is asked to end.
impl Drop for DockerDaemon {
    fn drop(&mut self) {
        let pid = self.process.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.process.0.wait();
    }
}

#[test]
fn a_daemon_that_restarts_or_dies_costs_no_bit() {
    let Some(live) = live() else { return };
    if let Some(obstacle) = obstacle() {
        return eprintln!("skipped: {obstacle}");
    }
    let mut daemon = DockerDaemon::start();
    let file = live.file("daemon", "");
    let up = ["up", &file, "-q", "--neurons-per-unit", "4"];
    let endless = ["--set", "training.epochs=1000000"];
    daemon.ok(&live, &[&up[..], &endless].concat());
    daemon.goes_on(&live, "daemon", "it began");

    // In an orderly way, as with the host: nobody has to do anything.
    daemon.restart("-TERM");
    daemon.goes_on(&live, "daemon", "a restart");

    // The next daemon stops what it finds running, and leaves it so.
    let stderr = live.path("attached");
    let attach = daemon
        .command(&live, &["attach", "daemon"])
        .stderr(std::fs::File::create(&stderr).unwrap())
        .spawn();
    let attach = ProcessGuard(attach.unwrap());
    wait_until("it is attached", || {
        std::fs::read(&stderr).unwrap().len() > 9
    });
    daemon.restart("-KILL");
    daemon.goes_on(&live, "daemon", "a crash");
    drop(attach);

    let listed: Value = serde_json::from_str(&daemon.ok(&live, &["ps", "--json"])).unwrap();
    let epochs = (listed[0]["epoch"].as_u64().unwrap() + 50).to_string();
    let resume = [
        "train", "--resume", "daemon", "--json", "-q", "--epochs", &epochs,
    ];
    let trained = serde_json::from_str(&daemon.ok(&live, &resume)).unwrap();
    let local = live.local_digest(&file, &["--epochs", &epochs]);
    assert_eq!(digest(&trained), local);
    daemon.ok(&live, &["down", "daemon"]);
    assert_eq!(daemon.docker(&["ps", "-aq"]), [""; 0]);
}
