//! Rendering for ECS.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

/// Output of the AWS CLI that describes a stack.
fn stack_file(program: &TestProgram) -> String {
    let output = |(key, value): (&str, &str)| json!({"OutputKey": key, "OutputValue": value});
    let outputs = [
        ("Cluster", "neurons"),
        ("Capacity", "FARGATE"),
        ("Subnets", "subnet-1,subnet-2"),
        ("SecurityGroup", "sg-1"),
        ("TaskRole", "arn:aws:iam::1:role/task"),
        ("ExecutionRole", "arn:aws:iam::1:role/execution"),
        ("LogGroup", "/cuttlefish"),
        ("Table", "networks"),
        ("TrainerBrokerSecret", "arn:trainer"),
        ("ActorBrokerSecret", "arn:actor"),
        ("CertificatesSecret", "arn:certificates"),
        ("TokenSecret", "arn:token"),
    ];
    let stack = json!({
        "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/here/0",
        "StackName": "here",
        "Outputs": outputs.map(output),
    });
    program.write("stack.json", &json!({"Stacks": [stack]}).to_string())
}

/// Says what it is called with, and answers as if there were nothing, or `FOUND`. What is like `FAILS` fails.
const AWS: &str = r#"#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in $FAILS) echo "An error occurred" >&2; exit 254 ;; esac
case "$FOUND $1 $2" in
    "DENIED ecs describe-services" | "TAKEN dynamodb put-item") echo "An error occurred" >&2; exit 254 ;;
esac
case "$1 $2" in
    "--version ") echo "aws-cli/$VERSION" ;;
    "ecs describe-services") if [ -e "$CALLS.$6" ]; then echo INACTIVE; else echo "${FOUND:-None}"; fi ;;
    "ecs delete-service") : >"$CALLS.$6" ;;
    "ecs run-task") echo task-1 ;;
    "ecs describe-tasks") echo 0 ;;
    "ecs list-task-definitions") echo "arn:$4:1" ;;
    "dynamodb scan")
        { [ -e "$CALLS.scanned" ] && [ "$FAILS" = never ]; } || seq 60 | sed 's/.*/digits#0#&\ta/'
        : >"$CALLS.scanned" ;;
esac
"#;

/// Runs a rendered script with [`AWS`], and returns how it went and what that was called with.
fn script(
    program: &TestProgram,
    dir: &Path,
    args: &[&str],
    found: &str,
    version: &str,
) -> (Output, String) {
    script_with(
        program,
        dir,
        args,
        &[("FOUND", found), ("VERSION", version)],
    )
}

/// Runs a rendered script with [`AWS`] in this environment.
fn script_with(
    program: &TestProgram,
    dir: &Path,
    args: &[&str],
    environment: &[(&str, &str)],
) -> (Output, String) {
    let aws = program.write("aws", AWS);
    // Nothing is known of an earlier run.
    let calls_dir = tempfile::tempdir().unwrap();
    let calls = calls_dir.path().join("calls");
    std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&calls, "").unwrap();
    let output = Command::new(dir.join(args[0]))
        .args(&args[1..])
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", program.home.path().display()),
        )
        .env("CALLS", &calls)
        .env("FAILS", "never")
        .envs(environment.iter().copied())
        .output()
        .expect("a script of bash");
    (output, std::fs::read_to_string(&calls).unwrap())
}

#[test]
fn a_directory_for_ecs_has_requests_scripts_and_no_secret() {
    let program = TestProgram::new();
    let stack = stack_file(&program);
    let more = [&IMAGE[..], &["--stack-file", &stack]].concat();
    let (dir, output) = render(&program, "ecs", "deploy", &more);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("4 services with 140 tasks"), "{stderr}");
    assert!(output.stdout.is_empty());
    let expected = [
        "README.md",
        "apply",
        "ecs.json",
        "remove",
        "run.sh",
        "services",
        "store",
        "task-definitions",
        "template.json",
        "unwire.json",
    ];
    assert_eq!(names(&dir), expected);
    assert_eq!(
        names(&dir.join("store")),
        ["data.000000.json", "look.json", "record.json"]
    );
    let services = [
        "cf_digits_synapse.json",
        "cf_digits_trainer.json",
        "cf_digits_unit_digit.json",
        "cf_digits_unit_hidden.json",
    ];
    assert_eq!(names(&dir.join("services")), services);
    assert_eq!(names(&dir.join("task-definitions")), services);
    let record = std::fs::read_to_string(dir.join("store/record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["TableName"], "networks");
    assert_eq!(record["Item"]["pk"]["S"], "digits#run");
    let here = env!("CARGO_MANIFEST_DIR");
    assert!(
        !record.to_string().contains(here),
        "no directory of this machine"
    );

    let (_, refused) = render(&program, "ecs", "deploy", &more);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--overwrite"));
    let settings = || std::fs::read_to_string(dir.join("run.sh")).unwrap();
    let before = settings();
    let (_, output) = render(
        &program,
        "ecs",
        "deploy",
        &[&more[..], &["--overwrite"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(settings(), before, "a run that is up stays its own");
}

#[test]
fn the_scripts_for_ecs_make_what_is_missing_and_remove_what_is_theirs() {
    let program = TestProgram::new();
    let stack = stack_file(&program);
    let more = [&IMAGE[..], &["--stack-file", &stack]].concat();
    let (dir, output) = render(&program, "ecs", "deploy", &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let settings = std::fs::read_to_string(dir.join("run.sh")).unwrap();
    let owner = settings.split("owner='").nth(1).unwrap();
    let owner = owner.split('\'').next().unwrap();

    let (output, calls) = script(&program, &dir, &["apply"], "", "2.9.19");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stored = calls.find("store/record.json").expect(&calls);
    let registration = calls.find("register-task-definition").expect(&calls);
    assert!(stored < registration, "{calls}");
    let look_file = calls.find("store/look.json").expect(&calls);
    assert!(look_file < registration, "{calls}");
    assert!(!calls.contains("--endpoint-url"), "{calls}");
    assert_eq!(calls.matches("ecs create-service").count(), 4, "{calls}");
    let (_, calls) = script(&program, &dir, &["apply", "--store-only"], "", "2.9.19");
    assert!(!calls.contains("ecs create-service"), "{calls}");
    let ours = format!("ACTIVE\t{owner}");
    let (output, calls) = script(&program, &dir, &["apply"], &ours, "2.9.19");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!calls.contains("create-service"), "{calls}");
    assert!(!calls.contains("look.json"), "a trainer is there: {calls}");

    let (output, calls) = script(&program, &dir, &["remove"], &ours, "2.9.19");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(calls.matches("ecs delete-service").count(), 4, "{calls}");
    let unwired = calls.find("ecs run-task").expect(&calls);
    let retired = calls.find("deregister-task-definition").expect(&calls);
    assert!(unwired < retired, "{calls}");
    assert!(!calls.contains("dynamodb"), "the weights stay: {calls}");
    let (_, calls) = script(
        &program,
        &dir,
        &["remove", "--weights"],
        "INACTIVE",
        "2.9.19",
    );
    assert_eq!(calls.matches("dynamodb scan").count(), 2, "{calls}");
    let batches: Vec<&str> = calls.split("batch-write-item").skip(1).collect();
    let sizes = batches
        .iter()
        .map(|one| one.matches("DeleteRequest").count());
    assert_eq!(sizes.collect::<Vec<_>>(), [25, 25, 10], "{calls}");
    let key = r#"{"Key": {"pk": {"S": "digits#0#60"}, "sk": {"S": "a"}}}"#;
    assert!(batches[2].contains(key), "{calls}");
    assert!(!calls.contains("delete-service"), "{calls}");

    for (args, found, version, expected) in [
        (
            &["apply"][..],
            "ACTIVE\tsomebody",
            "2.9.19",
            "another run digits",
        ),
        (
            &["remove"],
            "ACTIVE\tsomebody",
            "2.9.19",
            "another run digits",
        ),
        (&["apply"], "DRAINING\tOWNER", "2.9.19", "try again"),
        (
            &["apply", "--store-only"],
            "DRAINING\tOWNER",
            "2.9.19",
            "try again",
        ),
        (&["apply"], "DENIED", "2.9.19", "An error occurred"),
        (&["remove", "--weights"], "DENIED", "2.9.19", "occurred"),
        (&["apply"], "TAKEN", "2.9.19", "another run digits"),
        (&["remove", "--weights"], "TAKEN", "2.9.19", "another run"),
        (&["apply"], "", "1.46.2", "version 2"),
        (&["apply", "--weights"], "", "2.9.19", "`--weights`"),
        (&["remove", "--all"], "", "2.9.19", "`--all`"),
    ] {
        let found = found.replace("OWNER", owner);
        let (output, calls) = script(&program, &dir, args, &found, version);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
        for changed in ["create-service", "delete-service", "batch-write-item"] {
            assert!(!calls.contains(changed), "{args:?}: {calls}");
        }
    }
}

#[test]
fn what_the_script_for_ecs_cannot_remove_is_named_and_keeps_no_other_from_being_removed() {
    let program = TestProgram::new();
    let stack = stack_file(&program);
    let more = [&IMAGE[..], &["--stack-file", &stack]].concat();
    let (dir, output) = render(&program, "ecs", "deploy", &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let settings = std::fs::read_to_string(dir.join("run.sh")).unwrap();
    let owner = settings.split("owner='").nth(1).unwrap();
    let ours = format!("ACTIVE\t{}", owner.split('\'').next().unwrap());
    let fail = |args: &[&str], found: &str, fails: &str| {
        let environment = [("FOUND", found), ("VERSION", "2.9.19"), ("FAILS", fails)];
        let (output, calls) = script_with(&program, &dir, args, &environment);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{fails}: {stderr}");
        assert!(stderr.contains("of run digits is left:"), "{stderr}");
        (stderr, calls)
    };
    let weights = &["remove", "--weights"];

    let (stderr, calls) = fail(weights, &ours, "ecs delete-service *hidden*");
    assert!(
        stderr.contains("\n  service cf_digits_unit_hidden\n"),
        "{stderr}"
    );
    assert_eq!(calls.matches("ecs delete-service").count(), 4, "{calls}");
    assert_eq!(calls.matches("ecs list-tasks").count(), 3, "{calls}");
    for later in ["run-task", "deregister", "scan"] {
        assert!(!calls.contains(later), "tasks may still be there: {calls}");
    }

    let (stderr, calls) = fail(weights, "INACTIVE", "ecs deregister* *hidden*");
    assert!(
        stderr.contains("  task definition arn:cf_digits_unit_hidden:1\n"),
        "{stderr}"
    );
    assert_eq!(
        calls.matches("deregister-task-definition").count(),
        4,
        "{calls}"
    );
    assert!(calls.contains("batch-write-item"), "{calls}");

    let (stderr, calls) = fail(weights, "INACTIVE", "dynamodb batch-write-item *");
    assert!(
        stderr.contains("  60 items of table networks\n"),
        "{stderr}"
    );
    assert_eq!(calls.matches("dynamodb scan").count(), 6, "{calls}");
    assert!(stderr.contains("call this again"), "{stderr}");
}

#[test]
fn what_ecs_needs_and_what_is_for_others_is_said() {
    let program = TestProgram::new();
    let stack = stack_file(&program);
    let empty = program.write("empty.json", "{\"Stacks\": []}");
    let before = names(program.home.path());
    let with = |more: &[&'static str]| [&IMAGE[..], more].concat();
    for (to, more, code, expected) in [
        (
            "ecs",
            vec!["--stack-file", &stack],
            2,
            "name it with --image",
        ),
        ("ecs", with(&[]), 2, "--stack-file"),
        (
            "ecs",
            [&IMAGE[..], &["--stack-file", &empty]].concat(),
            1,
            "0 stacks",
        ),
        ("ecs", with(&["--stack-file", "absent"]), 1, "read `absent`"),
        (
            "ecs",
            with(&["--stack", "a", "--stack-file", "b"]),
            2,
            "--stack-file",
        ),
        ("ecs", with(&["--data", "reference"]), 2, "share no disk"),
        (
            "ecs",
            with(&["--broker-image", "b"]),
            2,
            "--broker-image is not for",
        ),
        (
            "ecs",
            vec!["--program", "p"],
            2,
            "--program is not for `--to ecs`",
        ),
        (
            "compose",
            with(&["--stack", "a"]),
            2,
            "--stack is not for `--to compose`",
        ),
        (
            "kubernetes",
            with(&["--stack-file", "a"]),
            2,
            "--stack-file is not for",
        ),
    ] {
        let (_, output) = render(&program, to, "deploy", &more);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{to} {more:?}: {stderr}");
        assert!(stderr.contains(expected), "{to} {more:?}: {stderr}");
        assert_eq!(names(program.home.path()), before, "{to} {more:?}");
    }
}
