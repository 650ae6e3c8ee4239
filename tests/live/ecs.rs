//! A run on Amazon ECS, as an emulator shows it.

use serde_json::json;

use crate::emulator::{Emulator, STACK, script, tasks};
use crate::support::{digest, docker, live, wait_until};

#[test]
fn a_run_on_ecs_has_the_bits_of_the_local_one_whatever_is_killed_or_changed_there() {
    let Some(live) = live() else { return };
    let emulator = Emulator::start();
    let file = live.file("onecs", "");
    let image = live.ok(&["image", "build"]);
    let image = image.trim();
    let on_ecs = ["--target", "ecs", "--stack", STACK, "--image", image];

    let without = ["up", &file, "--target", "ecs", "--image", image];
    let problem = emulator.fails(&live, &without);
    assert!(problem.contains("name it with --stack"), "{problem}");
    let problem = emulator.fails(&live, &[&without[..], &["--stack", "elsewhere"]].concat());
    assert!(problem.contains("read stack `elsewhere`"), "{problem}");
    assert_eq!(live.ok(&["ps", "--json"]).trim(), "[]", "nothing is left");

    let forever = ["--set", "training.epochs=1000000"];
    let up = [&["up", &file][..], &on_ecs, &forever].concat();
    let (stderr, _) = emulator.ok(&live, &up);
    assert!(stderr.contains("4 services changed"), "{stderr}");
    let ps = || emulator.json(&live, &["ps", "onecs", "--json"]);
    wait_until("every task runs", || {
        let services = ps()["services"].as_array().cloned().unwrap_or_default();
        services
            .iter()
            .all(|one| one["desired_tasks"] == one["running_tasks"])
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

    let (stderr, _) = emulator.ok(&live, &up);
    assert!(stderr.contains("nothing to change"), "{stderr}");
    let cluster = ps()["cluster"].as_str().expect("a name").to_owned();
    let elsewhere = json!({"subnets": ["subnet-elsewhere"], "securityGroups": []});
    for (service, change) in [
        ("cf_onecs_unit_digit", json!({"desiredCount": 3})),
        (
            "cf_onecs_synapse",
            json!({"networkConfiguration": {"awsvpcConfiguration": elsewhere}}),
        ),
    ] {
        script(&["update", &cluster, service, &change.to_string()]);
    }
    let differs = ps()["differs"].to_string();
    let n_digits = tasks("cf_onecs_unit_digit").len();
    for expected in ["tasks instead of 3", "instead of subnet-elsewhere"] {
        assert!(differs.contains(expected), "{differs} of {n_digits}");
    }
    let larger = ["--set", "deployment.resources.memory=80MiB"];
    let (stderr, _) = emulator.ok(&live, &[&up[..], &larger].concat());
    assert!(
        stderr.contains("update cf_onecs_unit_hidden: memory 80 MiB"),
        "{stderr}"
    );
    assert!(stderr.contains("instead of 3"), "{stderr}");
    assert!(
        stderr.contains("update cf_onecs_synapse: subnets"),
        "{stderr}"
    );
    assert!(!stderr.contains("update cf_onecs_trainer"), "{stderr}");
    wait_until("the change is made", || ps()["differs"] == json!([]));
    goes_on("the changed run goes on");

    let epochs = (epoch() + 60).to_string();
    let resume = [
        "train", "--resume", "onecs", "--json", "-q", "--epochs", &epochs,
    ];
    let trained = emulator.json(&live, &resume);
    let local = live.local_digest(&file, &["--epochs", &epochs]);
    assert_eq!(digest(&trained), local, "the bits after {epochs} epochs");
    let (_, stdout) = emulator.ok(&live, &["digest", "onecs"]);
    assert!(stdout.contains(&local), "{stdout}");

    let problem = live.fails(&["up", &file]).1;
    assert!(
        problem.contains("onecs"),
        "a run on Docker of this name: {problem}"
    );
    emulator.ok(&live, &["down", "onecs"]);
    for service in ["unit_hidden", "unit_digit", "synapse", "trainer"] {
        assert_eq!(tasks(&format!("cf_onecs_{service}")), [""; 0]);
    }
    assert_eq!(emulator.queues("onecs"), 0, "queues");
    assert!(!live.path("runs/onecs").exists(), "its directory");
}
