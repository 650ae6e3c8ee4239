//! Directories of this machine's runs: each with a lock, the document that says on which target the run is,
//! and what is drawn from it; that of a local run with its store's file too.
//!
//! The store is the truth: how far a run is, its weights, and the record of what it was started
//! with. The lock says whether a process works on it.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record;
use crate::store::{DEFAULT_TABLE, DynamoStore, embedded};

/// The document that says on which target a run is, and how.
const DOCUMENT: &str = "run.json";
/// Documents of earlier versions of this program, by target: the first that is there says it.
pub const DOCKER_DOCUMENT: &str = "deployment.json";
/// See [`DOCKER_DOCUMENT`]; manifests for ECS still bring it along.
pub const ECS_DOCUMENT: &str = "ecs.json";
/// The store of a local run, with what SQLite keeps beside it.
const STORE: &str = "store.db";
const LOCK: &str = "lock";
/// What the console keeps of a run that it has begun: its topology file, and the output of its command.
const CONSOLE: &str = "console";

/// Tries to take a lock, and the pause between them: a look at a run holds its lock for a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Error of a run's directory. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No run of that name.
    #[error("find run `{run}` in `{}` (`cuttlefish ps` lists the runs)", runs_dir.display())]
    Unknown {
        /// The name.
        run: String,
        /// The directory in which it was looked for.
        runs_dir: PathBuf,
    },
    /// The name cannot be one of a run.
    #[error("use `{run}` as the name of a run (lower-case letters, digits and dashes, at most 40)")]
    Name {
        /// The name.
        run: String,
    },
    /// A path that cannot be written into a record.
    #[error("use `{}`: the path is not UTF-8 (use another directory)", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A run of that name is there already.
    #[error(
        "start run `{run}`: it exists already{place} (go on with `--resume {run}`, replace it with \
         `--overwrite`, or give this one another name with `--set name=...`)"
    )]
    Exists {
        /// The name.
        run: String,
        /// Target of the run, in words that go on the sentence; empty where it is the requested one.
        place: &'static str,
    },
    /// A process works on the run.
    #[error("use run `{run}`: process {process} is working on it (stop that one first)")]
    Locked {
        /// The name.
        run: String,
        /// The owner's process, as the lock says it.
        process: String,
    },
    /// The operating system refused.
    #[error("use `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A run whose process ended before the run was recorded.
    #[error(
        "read run `{run}`: it was ended while it began, and nothing was committed (begin it anew with \
         `cuttlefish train FILE`, or remove what is left of it with `cuttlefish down {run}`)"
    )]
    NeverBegun {
        /// The name.
        run: String,
    },
    /// The directory is there, but not what a run leaves behind.
    #[error("read run `{run}`: {problem} (remove what is left of it with `cuttlefish down {run}`)")]
    Broken {
        /// The name.
        run: String,
        /// The problem.
        problem: String,
    },
    /// A document that says where the run is, and cannot be read: what to remove with the run is unknown.
    #[error(
        "read run `{run}`: `{}`: {problem} (mend the file; or, once the run has no containers or services \
         any more, remove the directory)",
        path.display()
    )]
    Document {
        /// The name.
        run: String,
        /// The document.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

impl From<record::Error> for Error {
    fn from(error: record::Error) -> Self {
        match error {
            record::Error::NotUtf8 { path } => Self::NotUtf8 { path },
            record::Error::Broken { run, problem } => Self::Broken { run, problem },
            record::Error::Store(error) => Self::Store(error),
        }
    }
}

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    name: String,
    path: PathBuf,
}

/// Held while a process works on a run.
#[derive(Debug)]
pub struct Lock {
    // Unlocked by closing the file, whatever ends the process.
    _file: File,
}

impl RunDir {
    /// The directory that a run of this name has or would have.
    pub fn new(runs_dir: &Path, name: &str) -> Result<Self, Error> {
        if runs_dir.to_str().is_none() {
            return Err(Error::NotUtf8 {
                path: runs_dir.to_owned(),
            });
        }
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_fine) {
            return Err(Error::Name {
                run: name.to_owned(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            path: runs_dir.join(name),
        })
    }

    /// The directory of a run that exists.
    pub fn existing(runs_dir: &Path, name: &str) -> Result<Self, Error> {
        let run = Self::new(runs_dir, name)?;
        if !run.exists() {
            return Err(Error::Unknown {
                run: name.to_owned(),
                runs_dir: runs_dir.to_owned(),
            });
        }
        Ok(run)
    }

    /// All runs, by name.
    pub fn list(runs_dir: &Path) -> Result<Vec<Self>, Error> {
        let entries = match fs::read_dir(runs_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io(runs_dir, source)),
        };
        let mut runs: Vec<Self> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| Self::existing(runs_dir, &name).ok())
            .collect();
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(runs)
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if the run exists.
    pub fn exists(&self) -> bool {
        [STORE, DOCUMENT, DOCKER_DOCUMENT, ECS_DOCUMENT]
            .iter()
            .any(|file| self.path.join(file).exists())
    }

    /// True if the directory has the store of a local run.
    pub fn has_store(&self) -> bool {
        self.path.join(STORE).exists()
    }

    /// Creates the directory unless it is there.
    pub fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.path).map_err(|source| io(&self.path, source))
    }

    /// Takes the run for this process.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join(LOCK);
        for attempt in 1.. {
            let file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|source| match source.kind() {
                    // Another process has removed the run.
                    ErrorKind::NotFound => self.unknown(),
                    _ => io(&path, source),
                })?;
            match file.try_lock() {
                // A run that was removed meanwhile took its lock file with it, and a lock on that
                // one would keep nobody out.
                Ok(()) if is_at(&file, &path) => return sign(file, &path),
                Ok(()) => {}
                Err(TryLockError::Error(source)) => return Err(io(&path, source)),
                // Somebody may only be looking whether the lock is held.
                Err(TryLockError::WouldBlock) if attempt < LOCK_TRIES => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked {
                        run: self.name.clone(),
                        process: owner(file),
                    });
                }
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        unreachable!("the loop ends by returning")
    }

    fn unknown(&self) -> Error {
        Error::Unknown {
            run: self.name.clone(),
            runs_dir: self.path.parent().unwrap_or(&self.path).to_owned(),
        }
    }

    /// The process that works on the run, if one does. Changes nothing.
    pub fn worker(&self) -> Option<String> {
        let file = File::open(self.path.join(LOCK)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(owner(file)),
            _ => None,
        }
    }

    /// The run's store, created unless it is there.
    pub async fn store(&self) -> Result<DynamoStore, Error> {
        let store = self.existing_store()?;
        store.ensure_table().await?;
        Ok(store)
    }

    /// The run's store as it is.
    pub fn existing_store(&self) -> Result<DynamoStore, Error> {
        let client = embedded::open(&self.path.join(STORE))?;
        Ok(DynamoStore::new(client, DEFAULT_TABLE, &self.name)?)
    }

    /// The document of the run, written by this version of the program, if there is one.
    pub fn document<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.read_json(DOCUMENT)
    }

    /// A document of the run, if the file is there.
    pub fn read_json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, Error> {
        let path = self.path.join(file);
        let json = match fs::read_to_string(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io(&path, source)),
        };
        serde_json::from_str(&json)
            .map(Some)
            .map_err(|error| Error::Document {
                run: self.name.clone(),
                path,
                problem: error.to_string(),
            })
    }

    /// Keeps the document of the run, whole or not at all; those of earlier versions go.
    pub fn keep_document(&self, document: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_string_pretty(document).unwrap_or_default();
        let path = self.path.join(DOCUMENT);
        let temporary = path.with_extension("part");
        fs::write(&temporary, json)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| io(&path, source))?;
        remove_file(&self.path.join(DOCKER_DOCUMENT))?;
        remove_file(&self.path.join(ECS_DOCUMENT))
    }

    /// Directory of what the console keeps of the run; it goes with the run, whoever removes that.
    pub fn console(&self) -> PathBuf {
        self.path.join(CONSOLE)
    }

    /// Takes over what the console has kept elsewhere until the run was there.
    pub fn take_console(&self, from: &Path) -> Result<(), Error> {
        let to = self.console();
        match fs::remove_dir_all(&to) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(io(&to, source)),
            _ => {}
        }
        fs::rename(from, &to).map_err(|source| io(from, source))
    }

    /// Time at which a process has last taken the run for itself.
    pub fn taken_at(&self) -> Option<SystemTime> {
        fs::metadata(self.path.join(LOCK)).ok()?.modified().ok()
    }

    /// Empties the directory, for another run of the same name. The lock stays.
    pub fn clear(&self, _lock: &Lock) -> Result<(), Error> {
        // First what makes it a run, so that a removal that is cut short leaves nothing half alive.
        for file in [STORE, DOCUMENT, DOCKER_DOCUMENT, ECS_DOCUMENT] {
            remove_file(&self.path.join(file))?;
        }
        let entries = fs::read_dir(&self.path).map_err(|source| io(&self.path, source))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if entry.file_name() == LOCK {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(|source| io(&path, source))?;
            } else {
                remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the directory. The caller holds its lock, and has removed what the run has elsewhere.
    pub fn remove(&self, lock: &Lock) -> Result<(), Error> {
        self.clear(lock)?;
        fs::remove_dir_all(&self.path).map_err(|source| io(&self.path, source))
    }
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(path, error)),
        _ => Ok(()),
    }
}

/// Writes this process into a lock file, for the messages of others.
fn sign(mut file: File, path: &Path) -> Result<Lock, Error> {
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|source| io(path, source))?;
    Ok(Lock { _file: file })
}

/// The process that holds a lock file, as the file says it.
fn owner(mut file: File) -> String {
    let mut process = String::new();
    // Only for the message: an unreadable lock is still a lock.
    let _ = file.read_to_string(&mut process);
    if process.is_empty() {
        process.push('?');
    }
    process
}

/// True if an open file is still the one that its path leads to.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(at_path)) => (open.dev(), open.ino()) == (at_path.dev(), at_path.ino()),
        _ => false,
    }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}
