//! The command's environment, which nothing else here reads: directories of data sets and runs, services.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use cuttlefish_runtime::config::*;

/// Variable with the token of a console, which commands that it starts do not get.
pub const TOKEN_VARIABLE: &str = "CUTTLEFISH_CONSOLE_TOKEN";

/// Directories that the command line or the environment chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Directory of data sets.
    pub data_dir: PathBuf,
    /// True if a person named it, by flag or environment.
    pub data_dir_is_chosen: bool,
    /// Directory of runs.
    pub runs_dir: PathBuf,
    /// Token of the console; None for one that is drawn.
    pub console_token: Option<String>,
    /// Addresses of services, from the environment, for runs in containers.
    pub services: ServiceAddresses,
}

/// Addresses of services that a run finds, and the image of one that it brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAddresses {
    /// Address of a broker, with user and password.
    pub broker: Option<String>,
    /// Address of the broker's management API.
    pub broker_api: Option<String>,
    /// Certificates of the broker's authority.
    pub broker_ca: Option<PathBuf>,
    /// Image of the broker that a run brings along.
    pub broker_image: Option<String>,
    /// Address of a DynamoDB; the SDK reads the same variable.
    pub dynamodb: Option<String>,
    /// The CloudFormation stack of runs on ECS.
    pub stack: Option<String>,
}

impl Config {
    /// Flags win over the environment, which wins over the platform's own directories: data sets
    /// can be fetched again and belong in the cache, trained weights cannot and do not.
    pub fn new(
        data_dir: Option<PathBuf>,
        runs_dir: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let variable = |name: &str| {
            environment(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let text =
            |name: &str| variable(name).and_then(|value| value.into_os_string().into_string().ok());
        let here = PathBuf::from(".cuttlefish");
        let chosen = data_dir.or_else(|| variable("CUTTLEFISH_DATA_DIR"));
        Self {
            data_dir_is_chosen: chosen.is_some(),
            data_dir: chosen
                .or_else(|| dirs::cache_dir().map(|dir| dir.join("cuttlefish")))
                .unwrap_or_else(|| here.clone()),
            runs_dir: runs_dir
                .or_else(|| variable("CUTTLEFISH_RUNS_DIR"))
                .or_else(|| dirs::data_dir().map(|dir| dir.join("cuttlefish").join("runs")))
                .unwrap_or_else(|| here.join("runs")),
            console_token: text(TOKEN_VARIABLE),
            services: ServiceAddresses {
                broker: text("CUTTLEFISH_BROKER"),
                broker_api: text("CUTTLEFISH_BROKER_API"),
                broker_ca: variable("CUTTLEFISH_BROKER_CA"),
                broker_image: text("CUTTLEFISH_BROKER_IMAGE"),
                dynamodb: text("AWS_ENDPOINT_URL_DYNAMODB"),
                stack: text("CUTTLEFISH_STACK"),
            },
        }
    }

    /// Everything in one directory, whatever the environment says: runs in `runs`, data sets in `data`.
    pub fn in_directory(directory: impl AsRef<Path>) -> Self {
        let below = |name| Some(directory.as_ref().join(name));
        Self::new(below("data"), below("runs"), |_| None)
    }

    /// Directory of the data of a run that was started with `recorded`, unless a person now says otherwise.
    pub fn data_dir_of_run<'a>(&'a self, recorded: &'a Path) -> &'a Path {
        if self.data_dir_is_chosen {
            &self.data_dir
        } else {
            recorded
        }
    }

    /// Reads the environment of this process, as [`Config::new`] does.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process(data_dir: Option<PathBuf>, runs_dir: Option<PathBuf>) -> Self {
        Self::new(data_dir, runs_dir, |name| std::env::var_os(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_which_wins_over_the_platform() {
        let variables = |name: &str| Some(OsString::from(format!("/env/{name}")));
        let config = Config::new(Some("/flag".into()), None, variables);
        assert_eq!(config.data_dir, PathBuf::from("/flag"));
        assert_eq!(config.data_dir_of_run(Path::new("/then")), "/flag");
        assert_eq!(config.runs_dir, PathBuf::from("/env/CUTTLEFISH_RUNS_DIR"));
        let empty = Config::new(None, None, |_| Some(OsString::new()));
        assert_eq!(empty, Config::new(None, None, |_| None));
        assert_eq!(empty.data_dir_of_run(Path::new("/then")), "/then");
    }
}
