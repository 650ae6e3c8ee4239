//! What can go wrong with a Docker host. Each text says what to do.

use bollard::errors::Error as ClientError;

use super::desired::{Container, Role};
use crate::attempts::{Failures, Retry, Retryable};

/// Why a container host did not do what it was asked. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No daemon.
    #[error(
        "reach Docker: {source} (is the daemon running, and does /var/run/docker.sock or DOCKER_HOST lead to it?)"
    )]
    Unreachable {
        /// What the client said.
        source: ClientError,
    },
    /// A daemon that we may not use.
    #[error("use Docker: permission denied (join the group `docker`, or run this as its user)")]
    Denied,
    /// A daemon that does not answer.
    #[error("reach Docker: no answer within {seconds} s (is the daemon overloaded?)")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// A daemon that is too old.
    #[error("use Docker: it speaks API {found}, 1.41 is needed (Docker 20.10 or newer)")]
    TooOld {
        /// What it speaks.
        found: String,
    },
    /// A name that somebody else has.
    #[error(
        "use the name `{name}`: there is a {what} of that name that is not this run's (give the run \
         another name with `--set name=...`, or remove it)"
    )]
    Taken {
        /// Container or network.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// An image that is not there.
    #[error("create {container}: there is no image `{image}` ({hint})")]
    NoImage {
        /// Whose.
        container: String,
        /// Which.
        image: String,
        /// Where to get it.
        hint: &'static str,
    },
    /// An image that cannot be had.
    #[error(
        "pull the broker's image `{image}`: {source} (without a registry, build one with \
         `scripts/broker-image` and name it with `--broker-image`, or use a broker that is there \
         with `--broker`)"
    )]
    Pull {
        /// Which.
        image: String,
        /// What the client said.
        source: ClientError,
    },
    /// The host's disk is full.
    #[error(
        "{what}: the disk of Docker is full (free some space: `docker system df` shows what takes it)"
    )]
    DiskFull {
        /// What was being done.
        what: String,
    },
    /// A daemon that may not give a container as many open files as it needs.
    #[error(
        "{what}: Docker may not open as many files as that container needs (raise LimitNOFILE of its \
         service to 65536, or host more neurons in a container with --neurons-per-unit)"
    )]
    Files {
        /// What was being done.
        what: String,
    },
    /// The neuron's program.
    #[error("{problem} ({hint})")]
    Program {
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A container's process that we cannot kill.
    #[error("kill the process of {container}: {problem}")]
    Process {
        /// Whose.
        container: String,
        /// Why not.
        problem: String,
    },
    /// A container's network that we cannot slow down.
    #[error("shape the network of {container}: {problem} (it takes root, `nsenter` and `tc`)")]
    Network {
        /// Whose.
        container: String,
        /// Why not.
        problem: String,
    },
    /// A network that is in use after all containers of the run are gone, as Docker thinks.
    #[error(
        "remove network {network}: Docker counts containers on it (disconnect those that `docker network \
         inspect {network}` names; where it names none it has miscounted, moby/moby#42119, until its daemon is \
         restarted; then do this again)"
    )]
    InUse {
        /// Which.
        network: String,
    },
    /// A command in a container that does not end.
    #[error("{what}: no end within {seconds} s")]
    Endless {
        /// What was being done.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A command in a container that failed.
    #[error("{what}: exit code {code}: {}", written.trim())]
    Command {
        /// What was being done.
        what: String,
        /// What it ended with.
        code: i64,
        /// What it wrote.
        written: String,
    },
    /// Items of many that are left.
    #[error(transparent)]
    Several(Failures),
    /// Anything else that the daemon said.
    #[error("{what}: {source}")]
    Api {
        /// What was being done.
        what: String,
        /// What the client said.
        source: ClientError,
    },
}

impl Error {
    pub(super) fn unreachable(source: ClientError) -> Self {
        if says(&source, "ermission denied") {
            Self::Denied
        } else {
            Self::Unreachable { source }
        }
    }

    pub(super) fn api(what: &str, source: ClientError) -> Self {
        let what = what.to_owned();
        if says(&source, "no space left on device") {
            Self::DiskFull { what }
        } else if says(&source, "setting rlimit") {
            Self::Files { what }
        } else {
            Self::Api { what, source }
        }
    }

    /// Outcome of many items.
    ///
    /// # Errors
    /// When some are left.
    pub fn of_many(
        verb: &str,
        noun: &str,
        total: usize,
        left: Vec<(String, Self)>,
    ) -> Result<(), Self> {
        Failures::outcome(verb, noun, total, left, Self::Several)
    }

    pub(super) fn creating(container: &Container, source: ClientError) -> Self {
        let name = container.name.clone();
        match status(&source) {
            Some(404) if says(&source, "o such image") => Self::NoImage {
                container: name,
                image: container.image.clone(),
                hint: match container.role {
                    Role::Broker => {
                        "pull it, build one with `scripts/broker-image`, name another one with \
                         `--broker-image`, or use a broker that is there with `--broker`"
                    }
                    _ => "build it with `cuttlefish image build`",
                },
            },
            Some(409) => Self::Taken {
                what: "container",
                name,
            },
            _ => Self::api(&format!("create {name}"), source),
        }
    }
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            // A process that does not die at once, a daemon that has too much to do.
            Self::Api { source, .. } => match status(source) {
                Some(400..=408 | 410..=428 | 430..=499) => Retry::Never,
                _ => Retry::Later,
            },
            Self::Endless { .. } => Retry::Later,
            Self::Unreachable { .. }
            | Self::Denied
            | Self::Silent { .. }
            | Self::TooOld { .. }
            | Self::NoImage { .. }
            | Self::DiskFull { .. }
            | Self::Files { .. } => Retry::Stop,
            // After containers, whose ends Docker may count late.
            Self::InUse { .. } => Retry::Later,
            Self::Taken { .. }
            | Self::Pull { .. }
            | Self::Program { .. }
            | Self::Process { .. }
            | Self::Network { .. }
            | Self::Command { .. }
            | Self::Several(_) => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Api { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }
}

/// The HTTP status that the daemon answered with.
fn status(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether it is about something that is not there (any more), or on its way out.
pub(super) fn is_gone(error: &ClientError) -> bool {
    match status(error) {
        Some(404) => true,
        Some(409) => says(error, "already in progress"),
        _ => false,
    }
}

/// Whether it is about a network that has containers, or that Docker thinks has.
pub(super) fn is_in_use(error: &ClientError) -> bool {
    status(error) == Some(403) && says(error, "has active endpoints")
}

/// Whether the error or one of its causes says this.
pub(super) fn says(error: &ClientError, text: &str) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains(text) {
            return true;
        }
        cause = error.source();
    }
    false
}
