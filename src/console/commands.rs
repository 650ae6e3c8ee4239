//! Commands that train runs: processes of their own, which go on when this one has ended.
//!
//! The topology file that a run was created from, the command's output, and the request are kept in the run's
//! directory, and go with it. Until the run has come up they are in `.console/RUN` beside the runs, from where the
//! command takes them; those of a run that never comes up stay there. No run can have that name.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cuttlefish_core::digest::sha256;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::config::{Config, TOKEN_VARIABLE};
use crate::deploy::TargetKind;
use crate::run_dir::{RunDir, is_at};

const FOLDER: &str = ".console";
const TOPOLOGY: &str = "topology.yaml";
const LOG: &str = "log";
const REQUEST: &str = "request.json";
/// The most of a log that is read, from its end.
const MAX_LOG: u64 = 256 << 10;
/// Word before an error that a command prints.
const ERROR: &str = "error: ";
/// Exit code of a command that somebody has stopped.
const INTERRUPTED: i32 = 130;

/// The commands that were started here, and what is beside each run.
pub struct Commands {
    program: PathBuf,
    config: Config,
    /// Processes that were started here, by run.
    started: Mutex<HashMap<String, Started>>,
    /// Held while a run is created, stopped, gone on with or removed; by the work, which goes on when its client
    /// has left.
    pub changes: Arc<tokio::sync::Mutex<()>>,
}

/// A process that was started here.
#[derive(Clone)]
struct Started {
    process: u32,
    /// Its status, once it has ended.
    ended: Arc<OnceLock<Option<ExitStatus>>>,
    /// Its output, open, so that no other file can be taken for it.
    log: Arc<File>,
}

/// The request that a run was created by, so that it can be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationRequest {
    /// The key that the client chose.
    pub key: Option<String>,
    /// SHA-256 of the request's content.
    pub sha256: String,
    /// The target.
    pub target: String,
}

/// State of the command of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It works.
    Working,
    /// It has failed, and has said why.
    Failed(String),
    /// It has ended as it should, or was never started from here.
    Over,
}

impl CreationRequest {
    /// The request of this content.
    pub fn new(key: Option<String>, content: &str, target: TargetKind) -> Self {
        Self {
            key,
            sha256: sha256(content),
            target: target.word().to_owned(),
        }
    }
}

impl Commands {
    /// Commands of this program.
    pub fn new(program: PathBuf, config: Config) -> Self {
        Self {
            program,
            config,
            started: Mutex::default(),
            changes: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Started>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topology file that a run was created from, or is to be.
    pub fn topology(&self, run: &str) -> PathBuf {
        let own = RunDir::existing(&self.config.runs_dir, run).map(|dir| dir.console());
        let own = own.map(|console| console.join(TOPOLOGY)).ok();
        // A replacement that has not come up says nothing of the run that is there.
        own.filter(|path| path.exists())
            .unwrap_or_else(|| self.folder(run).join(TOPOLOGY))
    }

    /// The topology file of a run that is created now.
    pub fn new_topology(&self, run: &str) -> PathBuf {
        self.waiting(run).join(TOPOLOGY)
    }

    /// The request that a run was created by.
    pub fn request(&self, run: &str) -> Option<CreationRequest> {
        let text = fs::read_to_string(self.folder(run).join(REQUEST)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Directory of what is kept of a run that has not come up.
    fn waiting(&self, run: &str) -> PathBuf {
        self.config.runs_dir.join(FOLDER).join(run)
    }

    /// Directory of what is kept of a run. Where a run is there, one that has not come up counts as long as its command
    /// works, or if that was the last to have to do with the run.
    fn folder(&self, run: &str) -> PathBuf {
        let waiting = self.waiting(run);
        let Ok(dir) = RunDir::existing(&self.config.runs_dir, run) else {
            return waiting;
        };
        let printed_at = fs::metadata(waiting.join(LOG)).and_then(|log| log.modified());
        let is_newer = |at| dir.taken_at().is_none_or(|taken_at| taken_at <= at);
        let counts = printed_at.is_ok_and(|at| self.is_working(run) || is_newer(at));
        if counts { waiting } else { dir.console() }
    }

    fn is_working(&self, run: &str) -> bool {
        let started = self.lock().get(run).cloned();
        started.is_some_and(|started| started.ended.get().is_none())
    }

    /// Names of runs that were created here, whether or not they have come up.
    pub fn created(&self) -> Vec<String> {
        let entries = fs::read_dir(self.config.runs_dir.join(FOLDER));
        let names = entries.into_iter().flatten();
        names
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| RunDir::new(&self.config.runs_dir, name).is_ok())
            .collect()
    }

    /// Keeps a topology file and the request for a run, and starts the command that makes and trains it: `arguments`
    /// with the directories of this console.
    ///
    /// # Errors
    /// When they cannot be written, or it cannot be started.
    pub fn create(
        &self,
        run: &str,
        topology: &str,
        request: &CreationRequest,
        arguments: &[&str],
    ) -> Result<(), Problem> {
        let folder = self.waiting(run);
        let keep = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(TOPOLOGY), topology)?;
            let request = serde_json::to_string(request)?;
            fs::write(folder.join(REQUEST), request)
        };
        keep().map_err(|error| unwritten(&folder, &error))?;
        self.start(run, &folder, |command| {
            command.args(arguments).arg("--console-files").arg(&folder);
        })
    }

    /// Starts a command on a run that is there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn go_on(&self, run: &str, arguments: &[&str]) -> Result<(), Problem> {
        let dir = RunDir::existing(&self.config.runs_dir, run)?;
        self.remove_waiting(run);
        self.start(run, &dir.console(), |command| {
            command.args(arguments);
        })
    }

    fn start(
        &self,
        run: &str,
        folder: &Path,
        say: impl FnOnce(&mut Command),
    ) -> Result<(), Problem> {
        let start = || {
            fs::create_dir_all(folder)?;
            let path = folder.join(LOG);
            let output = File::create(&path)?;
            let mut command = Command::new(&self.program);
            say(&mut command);
            command
                .arg("--runs-dir")
                .arg(&self.config.runs_dir)
                .env_remove(TOKEN_VARIABLE)
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                // Ctrl-C in this process's terminal is not for it.
                .process_group(0);
            if self.config.data_dir_is_chosen {
                command.arg("--data-dir").arg(&self.config.data_dir);
            }
            Ok((File::open(&path)?, command.spawn()?))
        };
        let (log, mut child) = start().map_err(|error: io::Error| unwritten(folder, &error))?;
        let started = Started {
            process: child.id(),
            ended: Arc::default(),
            log: Arc::new(log),
        };
        let ended = started.ended.clone();
        self.lock().insert(run.to_owned(), started);
        // A process that nobody waits for stays in the system's table.
        let wait = move || {
            // Set once, here.
            let _ = ended.set(child.wait().ok());
        };
        let waiter = std::thread::Builder::new().name("command".to_owned());
        waiter
            .spawn(wait)
            .map_err(|error| unwritten(folder, &error))?;
        Ok(())
    }

    /// State of the command of a run.
    pub fn state(&self, run: &str) -> CommandState {
        if self.is_working(run) {
            return CommandState::Working;
        }
        let log = self.folder(run).join(LOG);
        let started = self.lock().get(run).cloned();
        // One whose run is gone has nothing to do with the next of its name.
        let started = started.filter(|started| is_at(&started.log, &log));
        let status = started.as_ref().and_then(|started| *started.ended.get()?);
        let status = status.filter(|status| !status.success());
        // Stopped by somebody, with the run committed or nothing made.
        let is_interrupted = |status: &ExitStatus| {
            status.code() == Some(INTERRUPTED) || status.signal() == Some(Signal::INT.as_raw())
        };
        if status.as_ref().is_some_and(is_interrupted) {
            return CommandState::Over;
        }
        // One that another process of this console has started is known by its last words.
        let words = failure(&self.log(run).unwrap_or_default());
        match words.or(status.map(|status| format!("its command has ended with {status}"))) {
            Some(error) if status.is_some() || started.is_none() => CommandState::Failed(error),
            _ => CommandState::Over,
        }
    }

    /// Asks the command of a run to stop, as Ctrl-C does; false where none works.
    pub fn interrupt(&self, run: &str) -> bool {
        let started = self.lock().get(run).cloned();
        let working = started.filter(|started| started.ended.get().is_none());
        let process = working.and_then(|started| Pid::from_raw(started.process.try_into().ok()?));
        process.is_some_and(|process| kill_process(process, Signal::INT).is_ok())
    }

    /// The end of what the command of a run has printed; None where none was started here.
    pub fn log(&self, run: &str) -> Option<String> {
        let mut file = File::open(self.folder(run).join(LOG)).ok()?;
        let length = file.metadata().ok()?.len();
        let from = length.saturating_sub(MAX_LOG);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Forgets a run that is removed.
    pub fn forget(&self, run: &str) {
        self.lock().remove(run);
        self.remove_waiting(run);
    }

    fn remove_waiting(&self, run: &str) {
        // Files that cannot be removed are overwritten by the next run of that name.
        let _ = fs::remove_dir_all(self.waiting(run));
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Problem {
    Problem::new(
        actix_web::http::StatusCode::INSUFFICIENT_STORAGE,
        format_args!("failed to use `{}`: {error}", path.display()),
    )
}

/// The error that a command has ended with, if it has printed one.
fn failure(log: &str) -> Option<String> {
    let begins = log.starts_with(ERROR).then_some(0);
    let at = log
        .rfind(&format!("\n{ERROR}"))
        .map(|at| at + 1)
        .or(begins)?;
    Some(log[at + ERROR.len()..].trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_follows_the_word_at_the_start_of_a_line() {
        assert_eq!(
            failure("epoch 1/3\nerror: failed to read\nmore\n").as_deref(),
            Some("failed to read\nmore")
        );
        assert_eq!(failure("the mean error: 3\n"), None);
        assert_eq!(failure(""), None);
        assert_eq!(
            failure("error: a: error: b").as_deref(),
            Some("a: error: b")
        );
    }
}
