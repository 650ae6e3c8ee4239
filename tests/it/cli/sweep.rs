//! Sweeps in one process: the same table on every way, and what goes wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{TestProgram, signal, start, text};

/// A sweep of small networks on digits, with these lines more in its `sweep` section.
fn file(program: &TestProgram, name: &str, sweep: &str) -> String {
    let text = format!(
        "name: {name}\nseed: 3\ndata: {{source: digits, validation_split: 0.2}}\nnetwork:\n  layers:\n  - repeat: \
         1\n    layers:\n    - {{type: dense, name: hidden, units: 8, activation: relu}}\n  - {{type: dense, name: \
         digit, units: 10, activation: softmax}}\n  loss: sparse_categorical_crossentropy\ntraining:\n  epochs: \
         4\n  optimizer: {{type: sgd, learning_rate: 0.05}}\nsweep:\n{sweep}"
    );
    let path = program.home.path().join(format!("{name}.yaml"));
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

const THREE_PARAMETERS: &str = "  max_trials: 8
  seeds: 2
  parameters:
    network.layers[0].repeat: {space: randint, lower: 1, upper: 4}
    network.layers[hidden].units: {space: choice, categories: [4, 8, 16]}
    training.optimizer.learning_rate: {space: loguniform, lower: 0.01, upper: 0.5}
";

fn table(document: &Value) -> String {
    document["table_sha256"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

#[test]
fn the_table_is_the_same_however_many_train_and_its_winner_trains_to_its_weights() {
    let mut tables = Vec::new();
    for slots in ["1", "3"] {
        let program = TestProgram::new();
        let file = file(&program, "table", THREE_PARAMETERS);
        let document = program.json(&["sweep", &file, "--slots", slots, "--json"]);
        assert_eq!(document["trials"], 8, "{document}");
        assert_eq!(document["failed"], 0, "{document}");
        assert!(document["best"][0]["deviation"].is_f64(), "{document}");
        let winner = program
            .home
            .path()
            .join("winner.yaml")
            .display()
            .to_string();
        program.ok(&["export", "table", "--winner", "-o", &winner]);
        let trained = program.json(&["train", &winner, "--json"]);
        assert_eq!(
            trained["weights_sha256"], document["winner"]["weights_sha256"],
            "the file is the trial"
        );
        assert_eq!(
            trained["test"]["accuracy"],
            document["winner"]["test"]["accuracy"]
        );
        let rows = program.ok(&["trials", "table", "--csv"]);
        assert_eq!(rows.lines().count(), 1 + 8 * 2, "{rows}");
        tables.push(table(&document));
    }
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn a_sweep_that_is_killed_goes_on_to_the_same_table() {
    let undisturbed = TestProgram::new();
    let path = file(&undisturbed, "killed", THREE_PARAMETERS);
    let expected = table(&undisturbed.json(&["sweep", &path, "--json"]));
    let program = TestProgram::new();
    let path = file(&program, "killed", THREE_PARAMETERS);
    let mut n_killed = 0;
    for pause in (0..12).map(|n| Duration::from_millis(120 + 90 * n)) {
        let mut process = program
            .command(&["sweep", &path, "--quiet"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(pause);
        n_killed += u32::from(process.try_wait().expect("a process").is_none());
        process.kill().expect("SIGKILL");
        process.wait().expect("it ends");
    }
    assert!(n_killed > 0, "it was never killed while it worked");
    let document = program.json(&["sweep", &path, "--json"]);
    assert_eq!(table(&document), expected);
    // Gone on with once more, it has nothing to do.
    assert_eq!(table(&program.json(&["sweep", &path, "--json"])), expected);
}

#[test]
fn a_trial_that_fails_costs_one_trial_and_is_named() {
    let program = TestProgram::new();
    let sweep = "  search: {type: grid}
  parameters:
    training.optimizer.learning_rate: {space: choice, categories: [0.05, 1.0e+30, -1]}
";
    let file = file(&program, "poison", sweep);
    let document = program.json(&["sweep", &file, "--json"]);
    assert_eq!(
        (&document["trials"], &document["failed"]),
        (&3.into(), &2.into())
    );
    assert_eq!(document["winner"]["trial"], 0);
    let rows = program.ok(&["trials", "poison", "--csv"]);
    let lines: Vec<&str> = rows.lines().collect();
    assert!(
        lines[2].contains("failed: ") && lines[2].contains("finite"),
        "{rows}"
    );
    assert!(
        lines[3].contains("failed: ") && lines[3].contains("learning_rate"),
        "{rows}"
    );
}

#[test]
fn folds_validate_every_row_and_early_stopping_saves_epochs() {
    let program = TestProgram::new();
    let folds = "  folds: 3
  search: {type: grid}
  metric: f1
  parameters:
    network.layers[hidden].units: {space: choice, categories: [4, 16]}
";
    let document = program.json(&["sweep", &file(&program, "folds", folds), "--json"]);
    let winner = program
        .home
        .path()
        .join("folds-best.yaml")
        .display()
        .to_string();
    program.ok(&["export", "folds", "--winner", "-o", &winner]);
    let trained = program.json(&["train", &winner, "--json"]);
    assert_eq!(
        trained["weights_sha256"],
        document["winner"]["weights_sha256"]
    );
    let rows = program.ok(&["trials", "folds", "--json"]);
    assert_eq!(rows.lines().count(), 6);
    assert_eq!(document["metric"], "f1");
    let early = "  max_trials: 12
  early_stopping: {type: asha, reduction_factor: 2}
  parameters:
    training.optimizer.learning_rate: {space: loguniform, lower: 0.0001, upper: 0.3}
";
    let path = file(&program, "early", early);
    let document = program.json(&["sweep", &path, "--slots", "2", "--json"]);
    let stopped = document["stopped_early"].as_u64().expect("a number");
    assert!((1..12).contains(&stopped), "{document}");
    assert!(document["epochs"].as_u64() < Some(12 * 4), "{document}");
    // Decisions are in the store: gone on with, they are what they were.
    let again = program.json(&["sweep", &path, "--json"]);
    assert_eq!(table(&again), table(&document));
}

#[test]
fn learning_search_tries_the_same_however_many_train() {
    let tpe = "  max_trials: 10
  search: {type: tpe, startup_trials: 4, cohort: 2}
  parameters:
    training.optimizer.learning_rate: {space: loguniform, lower: 0.001, upper: 0.5}
";
    let tables: Vec<String> = ["1", "4"]
        .iter()
        .map(|slots| {
            let program = TestProgram::new();
            let path = file(&program, "tpe", tpe);
            table(&program.json(&["sweep", &path, "--slots", slots, "--json"]))
        })
        .collect();
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn what_cannot_be_swept_is_said_and_changes_nothing() {
    let program = TestProgram::new();
    let no_sweep = format!("{}/topology/digits.yaml", env!("CARGO_MANIFEST_DIR"));
    let (code, said) = program.fails(&["sweep", &no_sweep]);
    assert!(code == 2 && said.contains("`sweep:`"), "{said}");
    let cases = [
        (
            "typo",
            "  parameters:\n    training.epoch: {space: choice, categories: [1, 2]}\n",
            "epoch",
        ),
        (
            "value",
            "  parameters:\n    network.layers[hidden].units: {space: choice, categories: [0, -3]}\n",
            "network.layers[hidden].units",
        ),
        (
            "metric",
            "  metric: mse\n  parameters:\n    training.epochs: {space: choice, categories: [1, 2]}\n",
            "mse",
        ),
        (
            "bounds",
            "  parameters:\n    training.epochs: {space: randint, lower: 5, upper: 5}\n",
            "bounds.yaml:",
        ),
    ];
    for (name, sweep, expected) in cases {
        let path = file(&program, name, sweep);
        let (code, said) = program.fails(&["sweep", &path]);
        assert!(
            code == 2 && said.contains(expected),
            "{name}: {code}: {said}"
        );
    }
    let (code, said) = program.fails(&["trials", "nobody"]);
    assert!(code == 4 && said.contains("nobody"), "{said}");
    let grid = "  search: {type: grid}\n  parameters:\n    training.epochs: {space: choice, categories: [1, 2]}\n";
    let path = file(&program, "one", grid);
    program.ok(&["sweep", &path, "--quiet"]);
    let (code, said) = program.fails(&["sweep", &path, "--set", "seed=4"]);
    assert!(code == 4 && said.contains("--overwrite"), "{said}");
    program.ok(&["sweep", &path, "--set", "seed=4", "--overwrite", "--quiet"]);
    let taken: PathBuf = program.home.path().join("taken.yaml");
    fs::write(&taken, "mine").expect("a file");
    let taken = taken.display().to_string();
    let (_, said) = program.fails(&["export", "one", "--winner", "-o", &taken]);
    assert!(said.contains("--overwrite"), "{said}");
}

/// A table of two classes, and a sweep over it.
fn table_file(program: &TestProgram, name: &str, n_rows: usize) -> String {
    let row = |n: usize| {
        format!(
            "{},{},{}\n",
            n % 7,
            n % 5,
            if n % 7 > 3 { "yes" } else { "no" }
        )
    };
    let table: String = (0..n_rows).map(row).collect();
    program.write("table.csv", &format!("a,b,c\n{table}"));
    program.write(
        &format!("{name}.yaml"),
        &format!(
            "name: {name}\ndata: {{source: csv, path: table.csv, target: c, validation_split: 0.3}}\nnetwork:\n  \
             layers: [{{type: dense, name: out, units: 2, activation: softmax}}]\n  loss: \
             sparse_categorical_crossentropy\ntraining: {{epochs: 2}}\nsweep:\n  search: {{type: grid}}\n  \
             parameters:\n    training.batch_size: {{space: choice, categories: [8, 16]}}\n"
        ),
    )
}

#[test]
fn a_sweep_is_of_its_data_and_its_winner_finds_them_from_anywhere() {
    let program = TestProgram::new();
    table_file(&program, "data", 200);
    let here = |args: &[&str]| {
        let mut command = program.command(args);
        command
            .current_dir(program.home.path())
            .output()
            .expect("it starts")
    };
    let swept = here(&["sweep", "data.yaml", "--quiet"]);
    assert!(swept.status.success(), "{}", text(&swept.stderr));
    let winner = program.home.path().join("elsewhere");
    fs::create_dir(&winner).expect("a directory");
    let winner = winner.join("winner.yaml").display().to_string();
    program.ok(&["export", "data", "--winner", "-o", &winner]);
    program.ok(&["train", &winner, "-q"]);
    table_file(&program, "data", 210);
    let again = here(&["sweep", "data.yaml", "--quiet"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("data of sweep `data` have changed"));
}

#[test]
fn many_data_sets_and_many_refused_trials_are_no_obstacle() {
    let program = TestProgram::new();
    let many = "  max_trials: 90
  parameters:
    data.validation_split: {space: uniform, lower: 0.1, upper: 0.3}
";
    let path = file(&program, "many", many);
    let document = program.json(&["sweep", &path, "--json", "--set", "training.epochs=1"]);
    assert_eq!(
        (&document["trials"], &document["failed"]),
        (&90.into(), &0.into())
    );
    let refused = "  max_trials: 300000
  max_time: 1
  parameters:
    network.layers[digit].units: {space: randint, lower: 10, upper: 1000000}
";
    let path = file(&program, "refused", refused);
    let began = std::time::Instant::now();
    let output = program.output(&["sweep", &path, "--quiet"]);
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn ctrl_c_is_not_held_against_a_trial() {
    let program = TestProgram::new();
    let one = "  max_trials: 1
  parameters:
    training.optimizer.learning_rate: {space: loguniform, lower: 0.01, upper: 0.5}
";
    let path = file(&program, "patient", one);
    let epochs = ["--set", "training.epochs=30000"];
    for _ in 0..11 {
        let args = [&["sweep", &path, "--quiet"][..], &epochs].concat();
        let process = start(
            &program,
            &args.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        );
        std::thread::sleep(Duration::from_millis(400));
        signal(&process, "-INT");
        process.wait_with_output().expect("it ends");
    }
    let rows = program.ok(&["trials", "patient", "--csv"]);
    assert_eq!(rows.lines().count(), 1, "nothing is decided yet: {rows}");
}

#[test]
fn ctrl_c_stops_and_the_same_command_goes_on() {
    let program = TestProgram::new();
    let path = file(
        &program,
        "stopped",
        &THREE_PARAMETERS.replace("max_trials: 8", "max_trials: 400"),
    );
    let process = start(&program, &["sweep", &path, "--quiet"].map(str::to_owned));
    std::thread::sleep(Duration::from_secs(2));
    signal(&process, "-INT");
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the same command goes on"));
    let rows = program.ok(&["trials", "stopped", "--csv"]);
    assert!(rows.lines().count() > 1, "what was done is kept");
}
