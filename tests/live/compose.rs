//! A run that is rendered for Docker Compose, and brought up without the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Live, containers, docker, live, text, wait_until};

/// A directory for Compose, whose containers end with it.
struct Project {
    dir: PathBuf,
}

impl Project {
    fn compose(&self, args: &[&str]) -> String {
        let output = Command::new("docker-compose")
            .args(args)
            .current_dir(&self.dir)
            .output()
            .expect("docker-compose starts (apt-get install docker-compose)");
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        text(&output.stdout)
    }

    /// The digest that the trainer's log has, as soon as it has one.
    fn digest(&self) -> String {
        let mut digest = None;
        wait_until("the trainer's log has the digest", || {
            let log = self.compose(&["logs", "--no-color", "trainer"]);
            let at = log.rsplit_once("weights_sha256=\"").map(|(_, rest)| rest);
            digest = at.map(|rest| rest[..64].to_owned());
            digest.is_some()
        });
        digest.expect("was waited for")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let down = Command::new("docker-compose")
            .args(["down", "--timeout", "0"])
            .current_dir(&self.dir)
            .output();
        let _ = down;
    }
}

fn networks(project: &str) -> Vec<String> {
    let filter = format!("label=com.docker.compose.project={project}");
    docker(&["network", "ls", "-q", "--filter", &filter])
}

fn exit_code(container: &str) -> String {
    docker(&["inspect", "-f", "{{.State.ExitCode}}", container]).remove(0)
}

#[test]
fn a_rendered_run_trains_by_compose_alone_to_the_local_digest() {
    let Some(live) = live() else { return };
    let file = live.file("composed", "");
    let local = live.local_digest(&file, &[]);
    let rendered = live.path("rendered");
    let args = [
        "render",
        &file,
        "--to",
        "compose",
        "--neurons-per-unit",
        "8",
    ];
    let into = rendered.to_str().expect("a plain path");
    let stderr = live.stderr(&[&args[..], &["--into", into]].concat());
    // Two units of a layer and two of the other, synapse, trainer, broker, store, record.
    assert!(stderr.contains("9 services"), "{stderr}");
    refuses_what_is_there(&live, &args, &rendered);

    // It can be moved.
    let dir = live.path("moved");
    std::fs::rename(&rendered, &dir).expect("a directory of ours");
    let project = Project { dir };
    project.compose(&["up", "-d"]);
    assert_eq!(project.digest(), local, "the bits");
    assert_eq!(containers("composed").len(), 9);
    wait_until("the record is written", || {
        docker(&["inspect", "-f", "{{.State.Status}}", "cf.composed.record"]) == ["exited"]
    });
    assert_eq!(exit_code("cf.composed.record"), "0");

    // The trainer shows itself on loopback to those who know the token.
    let port = project.compose(&["port", "trainer", "8080"]);
    let token = std::fs::read_to_string(project.dir.join("secrets/token")).expect("a token");
    let url = format!("http://{}/run?token={token}", port.trim());
    let text = ureq::get(&url)
        .call()
        .expect("an answer")
        .body_mut()
        .read_to_string();
    assert!(text.expect("a text").contains("\"finished\""));

    // Taken down and brought up again it is where it was.
    project.compose(&["down"]);
    assert_eq!(containers("composed"), [""; 0]);
    assert_eq!(networks("moved"), [""; 0]);
    project.compose(&["up", "-d"]);
    assert_eq!(project.digest(), local, "the bits that were there");
    wait_until("the record is looked at", || {
        docker(&["inspect", "-f", "{{.State.Status}}", "cf.composed.record"]) == ["exited"]
    });
    assert_eq!(exit_code("cf.composed.record"), "0", "it was there");
    project.compose(&["down"]);
    assert_eq!(containers("composed"), [""; 0]);

    // Its store is that of a local run.
    let run = live.path("runs").join("composed");
    std::fs::create_dir_all(&run).expect("a directory");
    std::fs::copy(project.dir.join("store/store.db"), run.join("store.db")).expect("a file");
    assert_eq!(live.ok(&["digest", "composed"]).trim(), local);
}

/// A directory in which something is that was not rendered is left alone, whatever is wanted; one that was
/// rendered is replaced when that is said.
fn refuses_what_is_there(live: &Live, args: &[&str], dir: &Path) {
    let into = dir.to_str().expect("a plain path");
    let args = [args, &["--into", into]].concat();
    let (code, stderr) = live.fails(&args);
    assert_eq!(code, 2);
    assert!(stderr.contains("--overwrite"), "{stderr}");
    let token = || std::fs::read_to_string(dir.join("secrets/token")).expect("a token");
    let before = token();
    live.stderr(&[&args[..], &["--overwrite"]].concat());
    assert_ne!(token(), before, "another run");
}
