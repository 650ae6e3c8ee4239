//! A container's process: what it does, and how it is told to end.

use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{container, probe, receiver, recorder, unwire};
use crate::config::{ContainerConfig, StoreConfig, trust_certificates};
use crate::{log, store};

/// What is logged: of ours what happens, of libraries what goes wrong. The broker's client calls
/// errors what we wait out, and says it again in what it returns. That there are no certificates is as
/// it should be where nothing speaks TLS.
const LOG: &str =
    "warn,cuttlefish=info,lapin=off,rustls_native_certs=off,aws_smithy_http_client=error";

/// Command of the containers of actors.
pub const ACTOR: &str = "actor";

/// The command that removes a run's queues.
pub const UNWIRE: &str = "unwire";

/// The whole program of a container: `cuttlefish-neuron actor`, `probe`, `receive`, `record`, `store`
/// or `unwire`.
pub fn main() -> ExitCode {
    log::init(LOG);
    // SAFETY: this is the only thread so far.
    if let Err(error) = unsafe { trust_certificates() } {
        tracing::error!("failed to keep the certificates: {error}");
        return ExitCode::FAILURE;
    }
    let role = std::env::args().nth(1).unwrap_or_default();
    let result = actix_rt::System::new().block_on(async {
        match role.as_str() {
            ACTOR => {
                let config = ContainerConfig::from_process().map_err(anyhow::Error::msg)?;
                Ok(container::run(&config).await?.exit_code())
            }
            "probe" => {
                let config = ContainerConfig::from_process().map_err(anyhow::Error::msg)?;
                probe::run(&config).await.map(|()| ExitCode::SUCCESS)
            }
            UNWIRE => {
                let config = ContainerConfig::from_process().map_err(anyhow::Error::msg)?;
                unwire::run(&config).await.map(|()| ExitCode::SUCCESS)
            }
            "record" => {
                let config = ContainerConfig::from_process().map_err(anyhow::Error::msg)?;
                let told = recorder::run(&config).await?;
                Ok(told.map_or(ExitCode::SUCCESS, Request::exit_code))
            }
            "receive" => {
                let config = ContainerConfig::from_process().map_err(anyhow::Error::msg)?;
                receiver::run(&config).map(|()| ExitCode::SUCCESS)
            }
            "store" => {
                let config = StoreConfig::from_process().map_err(anyhow::Error::msg)?;
                serve_store(&config).await.map(|()| ExitCode::SUCCESS)
            }
            _ => bail!(
                "`{role}` is no role of a container (expected actor, probe, receive, record, store or unwire)"
            ),
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a process is told to end. A trainer commits either way; its exit code tells those who start
/// what has ended whether it is to stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A person wants the run to stop (SIGINT).
    Leave,
    /// Its container is stopped, with others or alone (SIGTERM).
    Stop,
}

impl Request {
    /// What the process ends with.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Leave => ExitCode::SUCCESS,
            // What shells make of SIGTERM.
            Self::Stop => ExitCode::from(128 + 15),
        }
    }
}

/// Listens to such requests.
pub struct Requests {
    interrupts: Signal,
    terminations: Signal,
}

impl Requests {
    /// From now on the process ends only when it wants to.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen to signals");
        Ok(Self {
            interrupts: listen(SignalKind::interrupt())?,
            terminations: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupts.recv() => Request::Leave,
            _ = self.terminations.recv() => Request::Stop,
        }
    }
}

/// Serves the embedded store until the process is told to end.
async fn serve_store(config: &StoreConfig) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", config.port))
        .with_context(|| format!("failed to listen on port {}", config.port))?;
    let access_key = match &config.access_key_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("failed to read `{}`", path.display()))?,
        ),
        None => None,
    };
    let access_key = access_key.as_deref().map(str::trim);
    let server = store::serve::serve(listener, &config.file, access_key)?;
    server.await.context("the store's server failed")
}
