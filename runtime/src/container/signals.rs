//! Signals that tell a container's process to end.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signal to end a process. A trainer commits either way; its exit code tells those who start
/// what has ended whether it is to stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGINT: a person wants the run to stop.
    Interrupt,
    /// SIGTERM: its container is stopped, with others or alone.
    Terminate,
}

impl EndSignal {
    /// Exit code of a process that has ended as it was told.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::SUCCESS,
            // Exit code that shells make of SIGTERM.
            Self::Terminate => ExitCode::from(128 + 15),
        }
    }
}

/// Stream of such signals.
pub struct EndSignals {
    interrupts: Signal,
    terminations: Signal,
}

impl EndSignals {
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
    pub async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.interrupts.recv() => EndSignal::Interrupt,
            _ = self.terminations.recv() => EndSignal::Terminate,
        }
    }
}
