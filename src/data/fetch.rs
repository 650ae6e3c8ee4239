//! Fetching one file: the first mirror that answers with the right bytes wins.
//!
//! The bytes go to a temporary name in the same directory, are checked there, and only then get
//! their name, so that a file with its name is always whole. Tested in `data/tests/fetch.rs` against a
//! server on the loopback interface.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ureq::Agent;

/// Limits on the time that fetching waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Limit for a connection.
    pub connect: Duration,
    /// Limit for the next bytes, at any time.
    pub read: Duration,
    /// Limit for a whole file.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// Fetches files over HTTPS.
#[derive(Clone, Debug)]
pub struct Fetcher {
    agent: Agent,
}

/// Error of fetching a file. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No mirror answered with the right bytes.
    #[error(
        "fetch `{file}`: {} (with no network, put {} into `{}`, or name the directory that has \
         them with `--data-dir` or `CUTTLEFISH_DATA_DIR`)",
        AttemptList(attempts),
        NameList(files),
        directory.display()
    )]
    Mirrors {
        /// The file.
        file: String,
        /// All files of the data set.
        files: Vec<String>,
        /// The directory that they belong in.
        directory: PathBuf,
        /// The failure of each mirror.
        attempts: Vec<Attempt>,
    },
    /// The file could not be written.
    #[error("write `{}`: {source} (name a directory that can be written with `--data-dir`)", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Failure of one mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The URL that was requested.
    pub url: String,
    /// Reason why it was of no use.
    pub reason: String,
}

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Name of the file, at the mirrors and on disk.
    pub file: &'a str,
    /// Addresses of directories that have it, each with a slash at the end.
    pub mirrors: &'a [&'a str],
    /// The directory that it is put in.
    pub directory: &'a Path,
    /// The largest size.
    pub limit: u64,
}

/// Cause of a failed download: the mirror, or this machine.
enum FetchFailure {
    Mirror(String),
    Disk(PathBuf, io::Error),
}

impl Fetcher {
    /// HTTPS only, with the default deadlines.
    pub fn new() -> Self {
        let config = Self::config(Timeouts::default()).https_only(true);
        Self {
            agent: config.build().new_agent(),
        }
    }

    /// Plain HTTP and no proxy: for servers on the loopback interface, in tests.
    #[cfg(test)]
    pub(super) fn loopback(timeouts: Timeouts) -> Self {
        let config = Self::config(timeouts).proxy(None);
        Self {
            agent: config.build().new_agent(),
        }
    }

    fn config(timeouts: Timeouts) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
        Agent::config_builder()
            .timeout_connect(Some(timeouts.connect))
            .timeout_recv_response(Some(timeouts.read))
            .timeout_per_read(Some(timeouts.read))
            .timeout_global(Some(timeouts.total))
            .user_agent(concat!("cuttlefish/", env!("CARGO_PKG_VERSION")))
    }

    /// Fetches a file; `check` looks at its bytes on disk before it gets its name.
    ///
    /// `files` are the names of the whole data set, for the error's text.
    pub fn fetch(
        &self,
        download: &Download<'_>,
        files: &[String],
        check: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, Error> {
        let write_error = |path: &Path, source| Error::Write {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(download.directory).map_err(|e| write_error(download.directory, e))?;
        let mut attempts = Vec::new();
        for mirror in download.mirrors {
            let url = format!("{mirror}{}", download.file);
            let part = PartialFile::new(download.directory, download.file);
            let result = self
                .download(&url, &part.0, download.limit)
                .and_then(|()| check(&part.0).map_err(FetchFailure::Mirror));
            match result {
                Ok(()) => {
                    let path = download.directory.join(download.file);
                    fs::rename(&part.0, &path).map_err(|e| write_error(&path, e))?;
                    return Ok(path);
                }
                Err(FetchFailure::Disk(path, source)) => return Err(Error::Write { path, source }),
                Err(FetchFailure::Mirror(reason)) => {
                    tracing::warn!(url, reason, "mirror failed");
                    attempts.push(Attempt { url, reason });
                }
            }
        }
        Err(Error::Mirrors {
            file: download.file.to_owned(),
            files: files.to_vec(),
            directory: download.directory.to_owned(),
            attempts,
        })
    }

    fn download(&self, url: &str, to: &Path, limit: u64) -> Result<(), FetchFailure> {
        let mirror = |error: &dyn fmt::Display| FetchFailure::Mirror(error.to_string());
        let disk = |error| FetchFailure::Disk(to.to_owned(), error);
        tracing::info!(url, "fetching");
        let mut response = self.agent.get(url).call().map_err(|e| mirror(&e))?;
        let expected = response.body().content_length();
        if let Some(bytes) = expected.filter(|&bytes| bytes > limit) {
            let reason = format!("it has {bytes} bytes, the limit is {limit}");
            return Err(FetchFailure::Mirror(reason));
        }
        let mut reader = response.body_mut().as_reader();
        let mut file = File::create(to).map_err(disk)?;
        let mut buffer = vec![0; 64 << 10];
        let mut bytes = 0;
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(mirror(&error)),
            };
            bytes += n as u64;
            if bytes > limit {
                let reason = format!("it has more than {limit} bytes, the limit");
                return Err(FetchFailure::Mirror(reason));
            }
            file.write_all(&buffer[..n]).map_err(disk)?;
        }
        if let Some(expected) = expected.filter(|&expected| expected != bytes) {
            let reason = format!("it ends after {bytes} of {expected} bytes");
            return Err(FetchFailure::Mirror(reason));
        }
        file.sync_all().map_err(disk)?;
        tracing::info!(url, bytes, "fetched");
        Ok(())
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

/// A temporary name that is gone when the value is, unless it was renamed.
struct PartialFile(PathBuf);

impl PartialFile {
    /// Two processes, and two threads of one, may fetch the same file: each has its own name.
    fn new(directory: &Path, file: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(directory.join(format!(".{file}.{}-{count}.part", process::id())))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

struct AttemptList<'a>(&'a [Attempt]);

impl fmt::Display for AttemptList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Attempt { url, reason }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}`{url}`: {reason}")?;
        }
        Ok(())
    }
}

struct NameList<'a>(&'a [String]);

impl fmt::Display for NameList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            let separator = match i {
                0 => "",
                _ if i + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}
