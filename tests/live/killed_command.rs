//! The command dies without a word, wherever it is; the same command again does what was wanted.

use std::time::Duration;

use crate::support::{Live, assert_gone, digest, docker, live, wait_until};

/// Kills a command as soon as the run's containers are as `is_time` says. It may have been faster.
fn killed_when(live: &Live, args: &[&str], is_time: impl Fn(usize) -> bool) {
    let mut command = live.start(args);
    wait_until("it is time", || {
        is_time(n_containers()) || command.try_wait().unwrap().is_some()
    });
    let _ = command.kill();
    command.wait().unwrap();
    // Docker finishes what it was asked for.
    std::thread::sleep(Duration::from_millis(500));
}

fn n_containers() -> usize {
    let ids = docker(&["ps", "-aq", "--filter", "label=io.cuttlefish.run=killed"]);
    ids.iter().filter(|line| !line.is_empty()).count()
}

#[test]
fn up_and_down_converge_however_often_they_are_killed() {
    let Some(live) = live() else { return };
    let file = live.file("killed", "");
    let up = ["up", &file, "-q", "--epochs", "40"];
    let directory = live.path("runs/killed");
    killed_when(&live, &up, |_| directory.exists());
    for enough in [1, 2, 3, 8, 15, 25] {
        killed_when(&live, &up, |count| count >= enough);
    }
    live.ok(&up);
    let trained = live.json(&["attach", "killed", "--json", "-q"]);
    let local = live.local_digest(&file, &["--epochs", "40"]);
    assert_eq!(digest(&trained), local);

    for few in [24, 12, 3, 0] {
        killed_when(&live, &["down", "killed"], |count| count <= few);
    }
    if directory.exists() {
        live.ok(&["down", "killed"]);
    }
    assert_gone(&live, "killed");
}
