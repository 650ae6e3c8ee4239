//! The life of a container: its boot, its sessions, its end.
//!
//! | module | responsibility |
//! |---|---|
//! | `boot` | what an actor finds out before its first session |
//! | [`life`] | an actor from its boot to its end, through sessions |
//! | `session` | a session of it: from a connection to the loss of broker or store |
//! | [`source`] | where an actor has its batches from |
//! | `ending` | how a run has ended, in the log |
//! | `pauses` | pauses before something is tried again |
//! | [`signals`] | signals that tell a process to end |
//! | `errands` | short tasks beside the actors: probe, record, receive, unwire |

mod boot;
mod ending;
mod errands;
pub mod life;
mod pauses;
mod session;
pub mod signals;
pub mod source;

use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

pub use self::session::LOOKS_FOR_DATA_EVERY;

use self::errands::{probe, receiver, recorder, unwire};
use self::signals::EndSignal;
use crate::config::{ContainerConfig, StoreConfig, trust_certificates};
use crate::{log, store};

/// Levels of the log: of ours what happens, of libraries what goes wrong. The broker's client calls
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
                Ok(life::run(&config).await?.exit_code())
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
                let signal = recorder::run(&config).await?;
                Ok(signal.map_or(ExitCode::SUCCESS, EndSignal::exit_code))
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
