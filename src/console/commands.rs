//! Commands that train runs: processes of their own, which go on when this one has ended.
//!
//! Beside the runs a directory `.console` has a directory a run: the topology file that the run was created from,
//! the command's output, and the request. No run can have that name.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::config::{Config, TOKEN_VARIABLE};
use crate::deploy::TargetKind;
use crate::run_dir::RunDir;

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
        let digest = Sha256::digest(content);
        Self {
            key,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
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

    /// The topology file of a run that was created here.
    pub fn topology(&self, run: &str) -> PathBuf {
        folder(&self.config, run).join(TOPOLOGY)
    }

    /// The request that a run was created by.
    pub fn request(&self, run: &str) -> Option<CreationRequest> {
        let text = fs::read_to_string(folder(&self.config, run).join(REQUEST)).ok()?;
        serde_json::from_str(&text).ok()
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

    /// Keeps a topology file and the request for a run.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(
        &self,
        run: &str,
        topology: &str,
        request: &CreationRequest,
    ) -> Result<(), Problem> {
        let folder = folder(&self.config, run);
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(TOPOLOGY), topology)?;
            fs::write(folder.join(LOG), "")?;
            let request = serde_json::to_string(request)?;
            fs::write(folder.join(REQUEST), request)
        };
        write().map_err(|error| unwritten(&folder, &error))
    }

    /// Starts a command on a run: `arguments` with the directories of this console.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, run: &str, arguments: &[&str]) -> Result<(), Problem> {
        let folder = folder(&self.config, run);
        let start = || {
            fs::create_dir_all(&folder)?;
            let log = File::create(folder.join(LOG))?;
            let mut command = Command::new(&self.program);
            command
                .args(arguments)
                .arg("--runs-dir")
                .arg(&self.config.runs_dir)
                .env_remove(TOKEN_VARIABLE)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                // Ctrl-C in this process's terminal is not for it.
                .process_group(0);
            if self.config.data_dir_is_chosen {
                command.arg("--data-dir").arg(&self.config.data_dir);
            }
            command.spawn()
        };
        let mut child = start().map_err(|error: io::Error| unwritten(&folder, &error))?;
        let started = Started {
            process: child.id(),
            ended: Arc::default(),
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
            .map_err(|error| unwritten(&folder, &error))?;
        Ok(())
    }

    /// State of the command of a run.
    pub fn state(&self, run: &str) -> CommandState {
        let started = self.lock().get(run).cloned();
        let ended = match &started {
            Some(started) => started.ended.get(),
            None => Some(&None),
        };
        let Some(status) = ended else {
            return CommandState::Working;
        };
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
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(folder(&self.config, run).join(LOG)).ok()?;
        let length = file.metadata().ok()?.len();
        let from = length.saturating_sub(MAX_LOG);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Removes what is beside a run.
    pub fn forget(&self, run: &str) {
        self.lock().remove(run);
        // What cannot be removed is overwritten by the next run of that name.
        let _ = fs::remove_dir_all(folder(&self.config, run));
    }
}

fn folder(config: &Config, run: &str) -> PathBuf {
    config.runs_dir.join(FOLDER).join(run)
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
