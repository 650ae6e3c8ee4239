//! What people see while containers come and go: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::tell;
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

    /// Notes that a person wants no more; false if that was known.
    pub fn cancel(&self) -> bool {
        !self.is_cancelled.swap(true, Ordering::Relaxed)
    }

    /// Keeps the task that listens for signals until it is to stop.
    pub fn keep_listener(&self, task: JoinHandle<()>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Ends the task that listens for signals: somebody else does from now on.
    pub fn stop_listening(&self) {
        let task = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told for Screen {
    fn note(&self, text: &str) {
        if !self.is_quiet {
            tell(text);
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
