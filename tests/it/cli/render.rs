//! Runs as manifests.

mod ecs;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// Renders the built-in digits into a directory of that name.
fn render(program: &TestProgram, to: &str, name: &str, more: &[&str]) -> (PathBuf, Output) {
    let into = program.home.path().join(name);
    let path = into.to_str().expect("a plain path").to_owned();
    let args = ["render", DIGITS, "--to", to, "--into", &path];
    let mut command = program.command(&[&args[..], more].concat());
    command.env_remove("CUTTLEFISH_STACK");
    command.env_remove("AWS_ENDPOINT_URL_DYNAMODB");
    (into, command.output().expect("the program starts"))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

const IMAGE: [&str; 2] = ["--image", "neurons:1"];

#[test]
fn a_directory_for_compose_has_everything_and_replaces_nothing_unasked() {
    let program = TestProgram::new();
    let (dir, output) = render(&program, "compose", "deploy", &IMAGE);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("143 services"), "{stderr}");
    assert!(output.stdout.is_empty());
    let expected = [
        ".env",
        "data",
        "docker-compose.yml",
        "record",
        "secrets",
        "store",
    ];
    assert_eq!(names(&dir), expected);
    for (file, mode) in [
        ("secrets/actor/broker", 0o400),
        ("secrets/trainer/token", 0o400),
        ("secrets/broker/definitions.json", 0o444),
        ("record/record.json", 0o400),
    ] {
        let permissions = dir.join(file).metadata().expect(file).permissions().mode();
        assert_eq!(permissions & 0o777, mode, "{file}");
    }
    let record = std::fs::read_to_string(dir.join("record/record.json")).unwrap();
    let here = env!("CARGO_MANIFEST_DIR");
    assert!(!record.contains(here), "no directory of this machine");
    let file = std::fs::read_to_string(dir.join("docker-compose.yml")).unwrap();
    assert!(!file.contains(here) && !file.contains(program.home.path().to_str().unwrap()));
    // Passwords are files.
    let token = std::fs::read_to_string(dir.join("secrets/token")).unwrap();
    assert!(!file.contains(&token));

    let (_, refused) = render(&program, "compose", "deploy", &IMAGE);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--overwrite"));
    std::fs::write(dir.join("notes.txt"), "mine").unwrap();
    let overwrite = [IMAGE[0], IMAGE[1], "--overwrite"];
    let (_, refused) = render(&program, "compose", "deploy", &overwrite);
    assert!(text(&refused.stderr).contains("`notes.txt`"));
    assert_eq!(
        std::fs::read_to_string(dir.join("secrets/token")).unwrap(),
        token
    );
    std::fs::remove_file(dir.join("notes.txt")).unwrap();
    let (_, output) = render(&program, "compose", "deploy", &overwrite);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_ne!(
        std::fs::read_to_string(dir.join("secrets/token")).unwrap(),
        token
    );
    assert_eq!(names(program.home.path()), ["deploy"], "nothing half");
}

#[test]
fn manifests_for_kubernetes_have_small_data_inside_and_say_how_to_give_large() {
    let program = TestProgram::new();
    let (dir, output) = render(&program, "kubernetes", "small", &IMAGE);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("room for 142 pods"), "{stderr}");
    assert!(!stderr.contains("receive"), "{stderr}");
    assert_eq!(names(&dir), ["manifests.yaml"]);

    let mut table = "x,y\n".to_owned();
    for row in 0..20_000 {
        table.push_str(&format!("{},{}\n", row % 97, row % 13));
    }
    program.write("table.csv", &table);
    let file = program.write(
        "large.yaml",
        "name: large\ndata: {source: csv, path: table.csv, target: y, task: regression}\nnetwork:\n  \
         layers: [{type: dense, name: out, units: 1}]\n  loss: mean_squared_error\n",
    );
    let into = program.home.path().join("large");
    let path = into.to_str().unwrap();
    let args = ["render", &file, "--to", "kubernetes", "--into", path];
    let output = program.output(&[&args[..], &IMAGE].concat());
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let command = "kubectl exec -i cf-large-trainer-0 -- /cuttlefish-neuron receive <rows.ctlf";
    assert!(stderr.contains(command), "{stderr}");
    assert_eq!(names(&into), ["manifests.yaml", "rows.ctlf"]);
    let manifests = std::fs::read_to_string(into.join("manifests.yaml")).unwrap();
    assert!(manifests.contains(command), "for those who find the file");

    // Units on several nodes have no file in common.
    let reference = [&IMAGE[..], &["--data", "reference", "--overwrite"]].concat();
    let output = program.output(&[&args[..], &reference].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("leave out `--data reference`"));
    assert_eq!(names(&into), ["manifests.yaml", "rows.ctlf"], "as it was");
}

#[test]
fn what_cannot_be_rendered_is_said_before_anything_is_written() {
    let program = TestProgram::new();
    let long = "name=a-name-of-forty-characters-and-not-fewer";
    let names_too_long = [IMAGE[0], IMAGE[1], "--set", long];
    let cases: [(&str, &[&str], i32, &str); 4] = [
        ("mars", &[], 2, "compose"),
        ("compose", &["--set", "training.epoch=3"], 2, "epochs"),
        ("compose", &["--program", "absent"], 1, "`absent`"),
        ("kubernetes", &names_too_long, 1, "--set name=..."),
    ];
    for (to, more, code, expected) in cases {
        let (_, output) = render(&program, to, "deploy", more);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{to} {more:?}: {stderr}");
        assert!(stderr.contains(expected), "{to} {more:?}: {stderr}");
        assert_eq!(names(program.home.path()), [""; 0], "{to} {more:?}");
    }
}
