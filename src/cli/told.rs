//! What people see while containers come and go: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{Exit, Failure, tell};
use crate::orchestrator::up::Told;

/// Between two plain lines of the same kind.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Tells people on stderr.
pub struct Screen {
    is_quiet: bool,
    is_terminal: bool,
    state: Mutex<State>,
    is_cancelled: AtomicBool,
    listener: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    what: String,
    done: usize,
    total: usize,
    shown: Option<Instant>,
}

impl Screen {
    /// Tells nothing if `is_quiet`.
    pub fn new(is_quiet: bool) -> Self {
        Self {
            is_quiet,
            is_terminal: std::io::stderr().is_terminal(),
            state: Mutex::default(),
            is_cancelled: AtomicBool::new(false),
            listener: Mutex::default(),
        }
    }

    /// From now on Ctrl-C and SIGTERM cancel what is going on; a second one ends the process.
    pub fn listen(self: &Arc<Self>) -> Result<(), Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
        let mut interrupts = listen(SignalKind::interrupt())?;
        let mut terminations = listen(SignalKind::terminate())?;
        let screen = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                if !screen.is_cancelled.swap(true, Ordering::Relaxed) {
                    screen.note("stopping; press Ctrl-C again to leave everything as it is now");
                } else {
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        });
        *self.listener() = Some(task);
        Ok(())
    }

    /// Ends the task that listens for signals: somebody else does from now on.
    pub fn stop_listening(&self) {
        if let Some(task) = self.listener().take() {
            task.abort();
        }
    }

    fn listener(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told for Screen {
    fn note(&self, text: &str) {
        if self.is_quiet {
            return;
        }
        match &self.state().bar {
            // Below what is said, not in the middle of it.
            Some(bar) => bar.suspend(|| tell(text)),
            None => tell(text),
        }
    }

    fn begin(&self, what: &str, total: usize) {
        if self.is_quiet {
            return;
        }
        let mut state = self.state();
        *state = State {
            what: what.to_owned(),
            total,
            shown: Some(Instant::now()),
            ..State::default()
        };
        if self.is_terminal {
            let bar = ProgressBar::new(total as u64);
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.set_prefix(what.to_owned());
            bar.tick();
            state.bar = Some(bar);
        }
    }

    fn done(&self, name: &str) {
        let mut state = self.state();
        state.done += 1;
        if let Some(bar) = &state.bar {
            bar.set_message(name.to_owned());
            bar.inc(1);
        } else if state
            .shown
            .is_some_and(|shown| shown.elapsed() >= LINE_INTERVAL)
        {
            tell(format_args!(
                "{}: {}/{}",
                state.what, state.done, state.total
            ));
            state.shown = Some(Instant::now());
        }
    }

    fn end(&self) {
        let state = std::mem::take(&mut *self.state());
        match state.bar {
            Some(bar) => bar.finish_and_clear(),
            None if state.total > 0 && !self.is_quiet => {
                tell(format_args!(
                    "{}: {}/{}",
                    state.what, state.done, state.total
                ));
            }
            None => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}
