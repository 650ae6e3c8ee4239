//! Commands that train runs: processes of their own, which go on when this one has ended.
//!
//! Beside the runs a directory `.console` has a directory a run: the topology file that the run was created from,
//! the command's output, and the request. No run can have that name.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::run_dir::RunDir;

const FOLDER: &str = ".console";
const TOPOLOGY: &str = "topology.yaml";
const LOG: &str = "log";
const REQUEST: &str = "request.json";
/// The most of a log that is read, from its end.
const MAX_LOG: u64 = 256 << 10;

/// The commands that were started here, and what is beside each run.
pub struct Commands {
    program: PathBuf,
    config: Config,
    /// Processes that were started here, by run.
    children: Mutex<HashMap<String, Child>>,
    /// Held while a run is created or removed.
    pub changes: tokio::sync::Mutex<()>,
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
            children: Mutex::default(),
            changes: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
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
        let child = start().map_err(|error: io::Error| unwritten(&folder, &error))?;
        self.lock().insert(run.to_owned(), child);
        Ok(())
    }

    /// State of the command of a run.
    pub fn state(&self, run: &str) -> CommandState {
        let mut children = self.lock();
        if let Some(child) = children.get_mut(run) {
            match child.try_wait() {
                Ok(None) => return CommandState::Working,
                // 130: stopped by somebody, with the run committed.
                Ok(Some(status)) if status.success() || status.code() == Some(130) => {
                    children.remove(run);
                    return CommandState::Over;
                }
                Ok(Some(_)) | Err(_) => {}
            }
        }
        drop(children);
        // One that another process of this console has started is known by its last words.
        match failure(&self.log(run).unwrap_or_default()) {
            Some(error) => CommandState::Failed(error),
            None => CommandState::Over,
        }
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
    let at = log.rfind("error: ")?;
    let starts_line = at == 0 || log.as_bytes()[at - 1] == b'\n';
    starts_line.then(|| log[at + "error: ".len()..].trim_end().to_owned())
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
    }
}
