//! The log, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log: `levels` says what, like `warn,cuttlefish=info`.
///
/// # Panics
/// If `levels` is no such text, or something is logged already.
pub fn init(levels: &str) {
    let levels: Targets = levels.parse().expect("levels by target");
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(levels)
        .init();
}
