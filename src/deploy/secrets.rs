//! The secrets of a deployed run: files that only their readers can read, never variables, labels
//! or arguments.
//!
//! ```text
//! secrets/actor/     broker, token, aws-credentials,      mounted into units, synapses, the probe
//!                    ca-certificates.pem
//! secrets/trainer/   the same, with a user that may wire  mounted into the trainer
//! secrets/store/     access-key                           mounted into the run's store
//! secrets/broker/    rabbitmq.conf, definitions.json      mounted into the run's broker
//! secrets/           admin, broker-ca.pem, token          for the command alone
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use cuttlefish_core::digest::hexadecimal;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::Error;
use super::docker::own_services::SecretFile;

/// The user and group of containers when the command runs as root, which they should not.
const NOBODY: u32 = 65532;

/// User and group of containers when the command runs as root, in Docker's form.
pub fn nobody() -> String {
    format!("{NOBODY}:{NOBODY}")
}

/// Secrets of a run: their directory, and the user who reads them.
#[derive(Clone, Debug)]
pub struct Secrets {
    dir: PathBuf,
    reader: (u32, u32),
    is_root: bool,
}

impl Secrets {
    /// The secrets in `dir` that this process writes.
    pub fn ours(dir: PathBuf) -> Self {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        Self::new(dir, (user.as_raw(), group.as_raw()))
    }

    /// The secrets in `dir`. `caller` is user and group of the process that writes them.
    pub fn new(dir: PathBuf, caller: (u32, u32)) -> Self {
        let is_root = caller.0 == 0;
        Self {
            dir,
            reader: if is_root { (NOBODY, NOBODY) } else { caller },
            is_root,
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// User and group that containers run as, in Docker's form.
    pub fn user(&self) -> String {
        format!("{}:{}", self.reader.0, self.reader.1)
    }

    /// Content of the file `name`.
    pub fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.dir.join(name);
        fs::read_to_string(&path).map_err(Error::file("read", &path))
    }

    /// The random number in the file `name`, drawn unless it is there.
    pub fn number(&self, name: &str) -> Result<String, Error> {
        match self.read(name) {
            Ok(number) if !number.is_empty() => Ok(number),
            _ => {
                let number = random()?;
                self.write(name, &number)?;
                Ok(number)
            }
        }
    }

    /// Writes files for their readers.
    pub fn write_all(&self, files: &[SecretFile]) -> Result<(), Error> {
        for file in files {
            if file.is_public {
                self.write_public(&file.name, &file.content)?;
            } else {
                self.write(&file.name, &file.content)?;
            }
        }
        Ok(())
    }

    /// Writes the file `name`, which only the containers' user can read.
    pub fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        self.write_with_mode(name, content, 0o400)
    }

    /// Writes the file `name`, which everybody can read who gets to its directory: for programs
    /// whose user we do not choose. Holds no secret in clear.
    pub fn write_public(&self, name: &str, content: &str) -> Result<(), Error> {
        self.write_with_mode(name, content, 0o444)
    }

    fn write_with_mode(&self, name: &str, content: &str, mode: u32) -> Result<(), Error> {
        let path = self.dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|text| text == content) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.dir).to_owned();
        let temporary = path.with_extension("part");
        let write = || -> std::io::Result<()> {
            self.make_dir(&self.dir.clone())?;
            self.make_dir(&parent)?;
            let _ = fs::remove_file(&temporary);
            let mut file = fs::File::options()
                .create_new(true)
                .write(true)
                .mode(mode)
                .open(&temporary)?;
            file.write_all(content.as_bytes())?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            self.hand_over(&temporary)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(Error::file("write", &path))
    }

    /// Makes a directory that only the containers' user can look into.
    pub fn make_dir(&self, path: &Path) -> std::io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        self.hand_over(path)
    }

    /// Gives a file to the containers' user.
    pub fn hand_over(&self, path: &Path) -> std::io::Result<()> {
        if self.is_root {
            chown(path, Some(self.reader.0), Some(self.reader.1))?;
        }
        Ok(())
    }
}

/// 128 random bits from the operating system, in hexadecimal.
pub fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    let drawn = OsRng.try_fill_bytes(&mut bytes);
    drawn.map_err(|error| {
        Error::Unusable(format!(
            "the operating system gave no random numbers: {error}"
        ))
    })?;
    Ok(hexadecimal(&bytes))
}
