//! Console blocks of documents, run as a reader runs them.
//!
//! A block begins with ```` ```console ````. Lines that begin with `$ ` are commands; one that ends with `\` goes on in
//! the next line. What follows a command is its output, both streams, as snapbox compares it: `[..]` stands for
//! anything within a line, `...` for any lines, and a last line `? 1` for the exit code, which is 0 otherwise.
//! The commands of a document are one shell session in a directory of its own, which has `topology/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapbox::{Assert, IntoData as _};

/// First line of a document whose commands need Docker and the images of broker and neurons.
pub const NEEDS_CONTAINERS: &str = "<!-- runs with containers -->";

/// A command of a document.
struct Step {
    line: usize,
    command: String,
    output: String,
    exit_code: i32,
}

/// README and the pages of the book, with their text.
pub fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = fs::read_dir(root.join("docs/book")).expect("the book is there");
    let mut paths: Vec<PathBuf> = book
        .map(|entry| entry.expect("an entry of the book").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([root.join("README.md")])
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document is text");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The commands of a document.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
            continue;
        }
        if !is_console {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: number + 1,
                command: command.to_owned(),
                output: String::new(),
                exit_code: 0,
            });
            goes_on = command.ends_with('\\');
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        if goes_on {
            step.command += &format!("\n{line}");
            goes_on = line.ends_with('\\');
        } else if let Some(code) = line.strip_prefix("? ") {
            step.exit_code = code.parse().expect("an exit code is a number");
        } else {
            step.output += &format!("{line}\n");
        }
    }
    steps
}

/// Runs the commands of a document, and compares what they print; returns their number. `environment` is set for
/// all of them.
///
/// # Panics
/// With the differences of all commands.
pub fn check(path: &Path, text: &str, environment: &[(&str, String)]) -> usize {
    let steps = steps(text);
    let scratch = tempfile::tempdir().expect("a directory");
    let home = scratch.path().join("home");
    let work = scratch.path().join("work");
    let outputs = scratch.path().join("outputs");
    for directory in [&home, &work, &outputs] {
        fs::create_dir(directory).expect("a directory");
    }
    copy_topologies(&work.join("topology"));
    let program = Path::new(env!("CARGO_BIN_EXE_cuttlefish"));
    let programs = program.parent().expect("it is in a directory");
    let mut script = format!("PATH={}:$PATH\n", programs.display());
    for (index, step) in steps.iter().enumerate() {
        let output = outputs.join(index.to_string());
        let output = output.display();
        let command = &step.command;
        writeln!(
            script,
            "{{ {command}\n}} >{output} 2>&1 </dev/null\necho $? >{output}.code"
        )
        .expect("a string takes it");
    }
    let status = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&work)
        .env("XDG_DATA_HOME", &home)
        .env("XDG_CACHE_HOME", &home)
        .env_remove("CUTTLEFISH_BROKER")
        .env_remove("CUTTLEFISH_BROKER_API")
        .env_remove("CUTTLEFISH_BROKER_CA")
        .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .status();
    assert!(status.expect("a shell runs").success());
    let differences: Vec<String> = steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| difference(step, &outputs.join(index.to_string())))
        .map(|(line, difference)| format!("{}:{line}: {difference}", path.display()))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    steps.len()
}

/// The line of a command, and how its output differs from the document, if it does.
fn difference(step: &Step, output: &Path) -> Option<(usize, String)> {
    let actual = fs::read_to_string(output).expect("a command's output is text");
    let code = fs::read_to_string(output.with_extension("code")).unwrap_or_default();
    let command = &step.command;
    if code.trim() != step.exit_code.to_string() {
        let code = code.trim();
        return Some((
            step.line,
            format!("`{command}` ended with {code}:\n{actual}"),
        ));
    }
    let assert = Assert::new().normalize_paths(false);
    let compared = assert.try_eq(
        Some(command),
        actual.into_data().raw(),
        (&step.output).into_data(),
    );
    Some((step.line, compared.err()?.to_string()))
}

fn copy_topologies(to: &Path) {
    fs::create_dir(to).expect("a directory");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("topology");
    for entry in fs::read_dir(from).expect("the topologies are there") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}
