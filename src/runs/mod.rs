//! Runs of this machine: a directory each, with a lock, what is drawn from the run, and the store's
//! file of a local run or the deployment of one in containers.
//!
//! The store is the truth: how far a run is, its weights, and the record of what it was started
//! with. The lock says whether a process works on it.

pub mod deployment;
pub mod on_ecs;

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use deployment::Deployment;
pub use on_ecs::EcsDeployment;

pub use crate::record::{self, Record, SavedRun};

use crate::store::{DEFAULT_TABLE, DynamoStore, embedded};

/// Tries to take a lock, and the pause between them: a look at a run holds its lock for a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why a run cannot be used. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No run of that name.
    #[error("find run `{run}` in `{}` (`cuttlefish ps` lists the runs)", runs_dir.display())]
    Unknown {
        /// The name.
        run: String,
        /// Where it was looked for.
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
        "start run `{run}`: it exists already (go on with `--resume {run}`, replace it with \
         `--overwrite`, or give this one another name with `--set name=...`)"
    )]
    Exists {
        /// The name.
        run: String,
    },
    /// A process works on the run.
    #[error("use run `{run}`: process {process} is working on it (stop that one first)")]
    Locked {
        /// The name.
        run: String,
        /// What the lock says about its owner.
        process: String,
    },
    /// The operating system refused.
    #[error("use `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The directory is there, but not what a run leaves behind.
    #[error("read run `{run}`: {problem} (remove what is left of it with `cuttlefish down {run}`)")]
    Broken {
        /// The name.
        run: String,
        /// What is wrong.
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the run exists.
    pub fn exists(&self) -> bool {
        self.path.join("store.db").exists() || self.is_deployed() || self.is_on_ecs()
    }

    /// Creates the directory unless it is there.
    pub fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.path).map_err(|source| io(&self.path, source))
    }

    /// Takes the run for this process.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join("lock");
        for attempt in 1.. {
            let file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|source| io(&path, source))?;
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

    /// The process that works on the run, if one does. Changes nothing.
    pub fn worker(&self) -> Option<String> {
        let file = File::open(self.path.join("lock")).ok()?;
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
        let client = embedded::open(&self.path.join("store.db"))?;
        Ok(DynamoStore::new(client, DEFAULT_TABLE, &self.name)?)
    }

    /// The run as its store has it.
    pub async fn saved(&self) -> Result<SavedRun, Error> {
        Ok(SavedRun::read_from(&self.name, self.existing_store()?).await?)
    }

    /// Empties the run, for another one of the same name. Its directory and lock stay.
    pub fn clear(&self, _lock: &Lock) -> Result<(), Error> {
        // The store's file goes first: without it the rest is no run, so that a removal that is
        // cut short leaves nothing half alive.
        for file in [
            "store.db",
            "store.db-wal",
            "store.db-shm",
            "curves.svg",
            "curves.png",
        ] {
            let path = self.path.join(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the run. The caller holds its lock.
    pub fn remove(self, lock: &Lock) -> Result<(), Error> {
        self.clear(lock)?;
        fs::remove_dir_all(&self.path).map_err(|source| io(&self.path, source))
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

/// What a lock file says about the process that holds it.
fn owner(mut file: File) -> String {
    let mut process = String::new();
    // Only for the message: an unreadable lock is still a lock.
    let _ = file.read_to_string(&mut process);
    if process.is_empty() {
        process.push('?');
    }
    process
}

/// Whether an open file is still what its path leads to.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(found)) => (open.dev(), open.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}
