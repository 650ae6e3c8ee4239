//! Events of a run on stderr: a bar on a terminal, plain lines elsewhere; and Ctrl-C, on its way to the run.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Failure, tell};
use crate::deploy::TargetKind;
use crate::monitor::{Interrupter, Monitor, RunEvent};
use crate::report::progress_bar::ProgressDisplay;

/// Time between two plain lines of the same kind.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Display of a run's events for people.
pub struct Screen {
    is_quiet: bool,
    is_terminal: bool,
    /// The run's target, for the words about Ctrl-C.
    target: TargetKind,
    state: Mutex<ScreenState>,
}

#[derive(Default)]
struct ScreenState {
    steps: Option<Steps>,
    /// The display of a training that is followed.
    training: Option<ProgressDisplay>,
}

/// Steps of a kind under way.
struct Steps {
    bar: Option<ProgressBar>,
    what: String,
    done: usize,
    total: usize,
    last_update: Instant,
}

impl Screen {
    /// A monitor whose events are shown, except the quiet ones if `is_quiet`. From now on Ctrl-C and SIGTERM
    /// are wishes to stop.
    pub fn listening(is_quiet: bool, target: TargetKind) -> Result<Monitor, Failure> {
        let screen = Arc::new(Self {
            is_quiet,
            is_terminal: std::io::stderr().is_terminal(),
            target,
            state: Mutex::default(),
        });
        let display = screen.clone();
        let (monitor, interrupter) = Monitor::new(move |event| display.show(event));
        screen.listen(interrupter)?;
        Ok(monitor)
    }

    /// A monitor for work that Ctrl-C ends as it ends every process.
    pub fn monitor(target: TargetKind) -> Monitor {
        let screen = Self {
            is_quiet: false,
            is_terminal: std::io::stderr().is_terminal(),
            target,
            state: Mutex::default(),
        };
        Monitor::new(move |event| screen.show(event)).0
    }

    /// Hears signals on a thread of its own: the others may be computing, or reading a large file.
    fn listen(self: Arc<Self>, interrupter: Interrupter) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let guard = runtime.enter();
        let mut interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminations = signal(SignalKind::terminate()).map_err(failed)?;
        drop(guard);
        let hear = async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                self.handle_interrupt(&interrupter);
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread
            .spawn(move || runtime.block_on(hear))
            .map(drop)
            .map_err(failed)
    }

    fn handle_interrupt(&self, interrupter: &Interrupter) {
        let times = interrupter.interrupt();
        if self.state().training.is_some() {
            // The run says what becomes of it.
            return;
        }
        if times > 1 {
            std::process::exit(Exit::Interrupted as i32);
        }
        self.note("stopping; press Ctrl-C again to leave everything as it is now");
    }

    fn show(&self, event: RunEvent) {
        match event {
            RunEvent::Note(text) => self.note(&text),
            RunEvent::StepsBegun { what, total } => self.begin(what, total),
            RunEvent::StepDone { name } => self.done(name),
            RunEvent::StepsEnded => self.end(),
            RunEvent::TrainingBegun { epochs } => {
                let view = ProgressDisplay::new(self.is_terminal, self.is_quiet, epochs);
                self.state().training = Some(view);
            }
            RunEvent::TrainingEnded => {
                if let Some(mut view) = self.state().training.take() {
                    view.finish();
                }
            }
            RunEvent::Resumed(from) => self.note(&format!(
                "resumed after tick {}, commit {}",
                from.tick, from.number
            )),
            RunEvent::EpochFinished { record, rows, took } => {
                if let Some(view) = &mut self.state().training {
                    view.epoch(&record, rows, took);
                }
            }
            RunEvent::Rewound { to, reason } => self.note(&format!(
                "back to commit {} (tick {}): {reason}",
                to.number, to.tick
            )),
            RunEvent::BeyondInFlightBound { at, tick, applied } => self.note(&format!(
                "{at} was sent tick {tick} while it stood at {applied}"
            )),
            RunEvent::Stopping => self.note(match self.target {
                TargetKind::Local => "committing; press Ctrl-C again to stop at once",
                TargetKind::Docker => "committing; press Ctrl-C again to leave the run alone",
                TargetKind::Ecs => "committing; press Ctrl-C again to leave that to the trainer",
            }),
            RunEvent::Training(status) => {
                if let Some(view) = &mut self.state().training {
                    view.update(&status);
                }
            }
        }
    }

    fn note(&self, text: &str) {
        let mut state = self.state();
        if let Some(view) = &mut state.training {
            view.note(text);
        } else if self.is_quiet {
        } else if let Some(Steps { bar: Some(bar), .. }) = &state.steps {
            // Below what is said, not in the middle of it.
            bar.suspend(|| tell(text));
        } else {
            tell(text);
        }
    }

    fn begin(&self, what: String, total: usize) {
        if self.is_quiet {
            return;
        }
        let bar = self.is_terminal.then(|| {
            let bar = ProgressBar::new(total as u64);
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.set_prefix(what.clone());
            bar.tick();
            bar
        });
        self.state().steps = Some(Steps {
            bar,
            what,
            done: 0,
            total,
            last_update: Instant::now(),
        });
    }

    fn done(&self, name: String) {
        let mut state = self.state();
        let Some(steps) = &mut state.steps else {
            return;
        };
        steps.done += 1;
        if let Some(bar) = &steps.bar {
            bar.set_message(name);
            bar.inc(1);
        } else if steps.last_update.elapsed() >= LINE_INTERVAL {
            steps.tell();
            steps.last_update = Instant::now();
        }
    }

    fn end(&self) {
        let Some(steps) = self.state().steps.take() else {
            return;
        };
        match &steps.bar {
            Some(bar) => bar.finish_and_clear(),
            None if steps.total > 0 => steps.tell(),
            None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, ScreenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steps {
    fn tell(&self) {
        tell(format_args!("{}: {}/{}", self.what, self.done, self.total));
    }
}
