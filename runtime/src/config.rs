//! The environment of a container, which nothing else here reads: who it is, and where its secrets and its
//! data set are.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};

use cuttlefish_core::data::Feed;

use crate::store::DEFAULT_TABLE;

/// Environment of a container: no secrets, where those can be files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerConfig {
    /// The run.
    pub run: String,
    /// Its name within the run: `trainer`, `synapse.hidden-digit`, `hidden.003`; or the first part of
    /// several names, `hidden`, of which it becomes the one that is missing.
    pub actor: String,
    /// The table of the store. Where that is, the AWS variables say.
    pub table: String,
    /// Secrets, which it must not show.
    pub secrets: SecretSource,
    /// The prepared data set, unless batches come in messages.
    pub data: Option<DataPlace>,
    /// Way of the batches to the first layer, for the trainer.
    pub feed: Feed,
    /// True where its snapshots of the run are also kept in the store, for those who cannot reach it.
    pub shows_in_store: bool,
    /// The run's record, for the container that writes it to the store.
    pub record: Option<PathBuf>,
    /// The port of the inspection.
    pub port: u16,
}

/// Place of a container's prepared data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataPlace {
    /// File, which is mapped.
    File(PathBuf),
    /// Store of the run.
    Store,
}

/// Source of a container's secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Files of their names in a directory.
    Dir(PathBuf),
    /// Variables, which a platform fills in that has no files for them.
    Variables {
        /// The broker's address.
        broker: String,
        /// Token of the inspection.
        token: String,
    },
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dir(dir) => write!(f, "Dir({})", dir.display()),
            Self::Variables { .. } => f.write_str("Variables"),
        }
    }
}

impl SecretSource {
    /// The broker's address with user and password.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn broker(&self) -> std::io::Result<String> {
        match self {
            Self::Dir(dir) => read(&dir.join("broker")),
            Self::Variables { broker, .. } => Ok(broker.clone()),
        }
    }

    /// Token of the inspection.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn token(&self) -> std::io::Result<String> {
        match self {
            Self::Dir(dir) => read(&dir.join("token")),
            Self::Variables { token, .. } => Ok(token.clone()),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let named = |error: std::io::Error| {
        let problem = format!("failed to read `{}`: {error}", path.display());
        std::io::Error::new(error.kind(), problem)
    };
    std::fs::read_to_string(path).map_err(named)
}

/// The value of [`ContainerConfig::FEED`] that is not the default.
pub const BROADCAST: &str = "broadcast";

/// The variable in which a platform without files for secrets has the certificates to trust, as PEM.
pub const CERTIFICATES: &str = "CUTTLEFISH_SECRET_CERTIFICATES";

/// Puts those certificates where the clients of broker and store look for them.
///
/// # Errors
/// When there is no memory for them.
///
/// # Safety
/// No other thread may read or write the environment meanwhile.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub unsafe fn trust_certificates() -> std::io::Result<()> {
    let Some(pem) = std::env::var_os(CERTIFICATES) else {
        return Ok(());
    };
    let fd = rustix::fs::memfd_create(c"certificates", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(pem.as_encoded_bytes())?;
    // It is there as long as the process.
    let path = format!("/proc/self/fd/{}", file.into_raw_fd());
    // SAFETY: as the caller promises.
    unsafe { std::env::set_var("SSL_CERT_FILE", path) };
    Ok(())
}

/// The value of variables that name the run's store instead of a path.
pub const IN_STORE: &str = "store";

impl ContainerConfig {
    /// Variables of containers, in the order of the fields.
    pub const RUN: &str = "CUTTLEFISH_RUN";
    /// See [`Self::actor`].
    pub const ACTOR: &str = "CUTTLEFISH_ACTOR";
    /// The name of the pod, where [`Self::ACTOR`] is the first unit of those that a StatefulSet hosts.
    /// The pod's ordinal, with which its name ends, counts from there.
    pub const POD: &str = "CUTTLEFISH_POD";
    /// See [`Self::table`].
    pub const TABLE: &str = "CUTTLEFISH_TABLE";
    /// The directory of [`Self::secrets`].
    pub const SECRETS_DIR: &str = "CUTTLEFISH_SECRETS_DIR";
    /// The broker's address, where there is no such directory.
    pub const SECRET_BROKER: &str = "CUTTLEFISH_SECRET_BROKER";
    /// Token of the inspection, where there is no such directory.
    pub const SECRET_TOKEN: &str = "CUTTLEFISH_SECRET_TOKEN";
    /// See [`Self::data`]: a path, or [`IN_STORE`].
    pub const DATA: &str = "CUTTLEFISH_DATA";
    /// See [`Self::shows_in_store`]: [`IN_STORE`], or nothing.
    pub const SHOW: &str = "CUTTLEFISH_SHOW";
    /// See [`Self::feed`].
    pub const FEED: &str = "CUTTLEFISH_FEED";
    /// See [`Self::record`].
    pub const RECORD: &str = "CUTTLEFISH_RECORD";
    /// See [`Self::port`].
    pub const PORT: &str = "CUTTLEFISH_PORT";

    /// The port unless another one is configured.
    pub const DEFAULT_PORT: u16 = 8080;

    /// The name under which containers reach the machine that they are on.
    pub const HOST: &str = "host.docker.internal";

    /// Reads the variables.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn new(environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let text = |name: &str| match environment(name).map(OsString::into_string) {
            Some(Ok(value)) if !value.is_empty() => Ok(Some(value)),
            Some(Err(_)) => Err(format!("{name} is not UTF-8")),
            _ => Ok(None),
        };
        let required = |name: &str| text(name)?.ok_or_else(|| format!("{name} is not set"));
        let port = match text(Self::PORT)? {
            None => Self::DEFAULT_PORT,
            Some(port) => port
                .parse()
                .map_err(|_| format!("{} is `{port}`, not a port", Self::PORT))?,
        };
        let feed = match text(Self::FEED)?.as_deref() {
            None => Feed::Reference,
            Some(BROADCAST) => Feed::Broadcast,
            Some(other) => return Err(format!("{} is `{other}`, not `{BROADCAST}`", Self::FEED)),
        };
        let actor = required(Self::ACTOR)?;
        let actor = match text(Self::POD)? {
            None => actor,
            Some(pod) => unit_of_pod(&actor, &pod).ok_or_else(|| {
                format!(
                    "{} is `{pod}` and {} is `{actor}`, of which one does not end with a number",
                    Self::POD,
                    Self::ACTOR
                )
            })?,
        };
        Ok(Self {
            run: required(Self::RUN)?,
            actor,
            table: text(Self::TABLE)?.unwrap_or_else(|| DEFAULT_TABLE.to_owned()),
            secrets: match text(Self::SECRETS_DIR)? {
                Some(dir) => SecretSource::Dir(dir.into()),
                None => SecretSource::Variables {
                    broker: required(Self::SECRET_BROKER).map_err(|problem| {
                        format!("neither is {} set: {problem}", Self::SECRETS_DIR)
                    })?,
                    token: required(Self::SECRET_TOKEN)?,
                },
            },
            data: text(Self::DATA)?.map(|place| match place.as_str() {
                IN_STORE => DataPlace::Store,
                path => DataPlace::File(path.into()),
            }),
            shows_in_store: text(Self::SHOW)?.as_deref() == Some(IN_STORE),
            feed,
            record: text(Self::RECORD)?.map(PathBuf::from),
            port,
        })
    }

    /// Reads the variables of this process.
    ///
    /// # Errors
    /// If a variable is missing or wrong, as [`Self::new`] says.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Result<Self, String> {
        Self::new(|name| std::env::var_os(name))
    }
}

/// The unit that a pod hosts whose StatefulSet begins with unit `first`: with zeros in front of its
/// number, as all units of a layer have them.
fn unit_of_pod(first: &str, pod: &str) -> Option<String> {
    let (layer, number) = first.rsplit_once('.')?;
    let (_, ordinal) = pod.rsplit_once('-')?;
    let (first, ordinal): (usize, usize) = (number.parse().ok()?, ordinal.parse().ok()?);
    let width = number.len();
    Some(format!("{layer}.{:0width$}", first.checked_add(ordinal)?))
}

/// Environment of the container of a run's own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database's file.
    pub file: PathBuf,
    /// Holds the access key that clients must have.
    pub access_key_file: Option<PathBuf>,
    /// The port.
    pub port: u16,
}

impl StoreConfig {
    /// See [`Self::file`].
    pub const FILE: &str = "CUTTLEFISH_STORE_FILE";
    /// See [`Self::access_key_file`].
    pub const ACCESS_KEY_FILE: &str = "CUTTLEFISH_STORE_ACCESS_KEY_FILE";
    /// The port unless another one is configured.
    pub const DEFAULT_PORT: u16 = 8000;

    /// Reads the variables.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Result<Self, String> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Ok(Self {
            file: path(Self::FILE).ok_or_else(|| format!("{} is not set", Self::FILE))?,
            access_key_file: path(Self::ACCESS_KEY_FILE),
            port: Self::DEFAULT_PORT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(first: &str, pod: &str) -> Result<String, String> {
        let variables = |name: &str| match name {
            ContainerConfig::ACTOR => Some(first.into()),
            ContainerConfig::POD => Some(pod.into()),
            _ => Some("x".into()),
        };
        let variables = |name: &str| match name {
            ContainerConfig::PORT | ContainerConfig::FEED => None,
            name => variables(name),
        };
        ContainerConfig::new(variables).map(|config| config.actor)
    }

    #[test]
    fn a_pod_learns_from_its_ordinal_which_unit_it_is() {
        for (first, pod, expected) in [
            ("hidden.000", "cf-digits-hidden-0", "hidden.000"),
            ("hidden.000", "cf-digits-hidden-7", "hidden.007"),
            ("hidden.000", "cf-digits-hidden-127", "hidden.127"),
            ("digit.0", "cf-digits-digit-9", "digit.9"),
            ("conv-2_b.00", "cf-a-1-conv-2-b-11", "conv-2_b.11"),
            ("trainer", "", "trainer"),
        ] {
            assert_eq!(actor(first, pod).as_deref(), Ok(expected), "{pod}");
        }
        for (first, pod) in [
            ("trainer", "cf-digits-trainer-0"),
            ("hidden.000", "hidden"),
            ("hidden.000", "cf-digits-hidden-x"),
            ("hidden.000", "cf-digits-hidden-"),
            ("hidden.x", "cf-digits-hidden-1"),
        ] {
            let problem = actor(first, pod).unwrap_err();
            assert!(problem.contains("CUTTLEFISH_POD is"), "{problem}");
        }
    }
}
