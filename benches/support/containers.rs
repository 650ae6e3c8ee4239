//! Parts that the benchmarks of training in containers share: the program, as a user runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The program with runs and data of its own.
pub struct BenchProgram<'a> {
    pub runs: &'a Path,
    pub data: &'a Path,
}

impl BenchProgram<'_> {
    /// Stdout of a run of the program.
    pub fn stdout(&self, args: &[&str]) -> anyhow::Result<String> {
        Ok(self.run(args)?.0)
    }

    /// Stdout and stderr of a run of the program.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<(String, String)> {
        let output = Command::new(env!("CARGO_BIN_EXE_cuttlefish"))
            .args(args)
            .env("CUTTLEFISH_RUNS_DIR", self.runs)
            .env("CUTTLEFISH_DATA_DIR", self.data)
            .env_remove("CUTTLEFISH_BROKER")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        if !output.status.success() {
            bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8;
        Ok((text(output.stdout)?, text(output.stderr)?))
    }
}

/// The JSON document that the program has printed.
pub fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).with_context(|| format!("not JSON: {text}"))
}

/// Samples a second in the best epoch, as the lines of the epochs say.
pub fn best_epoch(stderr: &str) -> Option<f64> {
    let speed = |line: &str| {
        let (before, _) = line.split_once(" samples/s")?;
        let number = before.rsplit(' ').next()?.replace(',', "");
        number.parse::<f64>().ok()
    };
    let epochs = stderr.lines().filter(|line| line.starts_with("epoch"));
    epochs.filter_map(speed).reduce(f64::max)
}
