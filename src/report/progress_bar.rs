//! A live display of training on stderr: a bar on a terminal, plain lines elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use cuttlefish_core::data::Part;
use cuttlefish_core::protocol::{EpochRecord, Evaluation};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::numbers::{duration, figure, percent, rate, thousands};
use crate::monitor::TrainingStatus;

/// Time between two plain lines of the same epoch.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Time between two drawings of the bar: batches may come far faster than eyes follow.
const DRAW_INTERVAL: Duration = Duration::from_millis(80);

/// Display of a run's progress for people. Writes to stderr only, and nothing at all when quiet.
pub struct ProgressDisplay {
    output: Destination,
    /// Time of the last update, or of the beginning.
    last_update: Instant,
    /// True once a batch was shown.
    started: bool,
    /// Epochs of the run.
    epochs: u32,
}

/// Destination of the display.
enum Destination {
    Quiet,
    Lines(Box<dyn Write + Send>),
    Bar(ProgressBar),
}

impl ProgressDisplay {
    /// A display for a run of `epochs` on stderr: a bar if that `is_terminal`, else lines; nothing if
    /// `quiet`.
    pub fn new(is_terminal: bool, quiet: bool, epochs: u32) -> Self {
        if quiet {
            return Self::over(Destination::Quiet, epochs);
        }
        if is_terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // indicatif makes up its own mind about terminals, and would swallow all lines.
            if !bar.is_hidden() {
                bar.set_style(style());
                return Self::over(Destination::Bar(bar), epochs);
            }
        }
        Self::over(Destination::Lines(Box::new(std::io::stderr())), epochs)
    }

    fn over(output: Destination, epochs: u32) -> Self {
        Self {
            output,
            last_update: Instant::now(),
            started: false,
            epochs,
        }
    }

    /// Shows a status, unless it comes too soon after the last one.
    pub fn update(&mut self, status: &TrainingStatus) {
        self.update_at(status, Instant::now());
    }

    fn update_at(&mut self, status: &TrainingStatus, now: Instant) {
        let interval = match self.output {
            Destination::Quiet => return,
            Destination::Lines(_) => LINE_INTERVAL,
            Destination::Bar(_) if !self.started => Duration::ZERO,
            Destination::Bar(_) => DRAW_INTERVAL,
        };
        if now.duration_since(self.last_update) < interval {
            return;
        }
        self.last_update = now;
        self.started = true;
        match &mut self.output {
            Destination::Quiet => {}
            Destination::Lines(_) => self.line(&line_of(status)),
            Destination::Bar(bar) => {
                bar.set_prefix(bar_prefix(status));
                bar.set_message(bar_message(status));
                bar.set_length(status.batches.into());
                bar.set_position(u64::from(status.index) + 1);
            }
        }
    }

    /// Writes a line about an epoch of `rows` rows that, with its validation, `took` this long.
    pub fn epoch(&mut self, record: &EpochRecord, rows: usize, took: Duration) {
        self.line(&epoch_line(record, self.epochs, rows, took));
        // The next plain line can wait. A bar must move on, however fast epochs end.
        if matches!(self.output, Destination::Lines(_)) {
            self.last_update = Instant::now();
        }
    }

    /// Writes a line about something else, a rewind for example.
    pub fn note(&mut self, text: &str) {
        self.line(text);
    }

    /// Removes the bar; the lines stay.
    pub fn finish(&mut self) {
        if let Destination::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        match &mut self.output {
            Destination::Quiet => {}
            // Training must not die because nobody reads its progress any more.
            Destination::Lines(lines) => drop(writeln!(lines, "{text}")),
            Destination::Bar(bar) => bar.println(text),
        }
    }
}

/// Style of the bar.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {bar:14.cyan/dim}  {wide_msg}")
        .expect("the template is a constant that indicatif can parse")
        .progress_chars("━╸─")
}

/// Text before the bar: `epoch  3/20`, `valid  3/20` during its validation.
fn bar_prefix(status: &TrainingStatus) -> String {
    match status.part {
        Part::Train => epoch_of(status.epoch, status.epochs),
        Part::Validation => epoch_of(status.epoch, status.epochs).replacen("epoch", "valid", 1),
        Part::Test => "test".to_owned(),
    }
}

/// Text after the bar, short enough for a terminal of 80 columns.
fn bar_message(status: &TrainingStatus) -> String {
    let mut text = standing(status);
    if let Some(remaining) = status.remaining {
        text.push_str(&format!("  {} left", clock(remaining)));
    }
    let per_second = rate(status.rows_per_second);
    text.push_str(&format!("  {}", per_second.replacen(" samples", "", 1)));
    text
}

/// Loss, and accuracy for classes.
fn standing(status: &TrainingStatus) -> String {
    let mut text = format!("loss {}", figure(status.loss));
    if let Some(accuracy) = status.accuracy {
        text.push_str(&format!("  accuracy {}", percent(accuracy)));
    }
    text
}

/// A plain line from the middle of a part.
fn line_of(status: &TrainingStatus) -> String {
    let epoch = epoch_of(status.epoch, status.epochs);
    let place = match status.part {
        Part::Train => epoch,
        Part::Validation => format!("{epoch}  validation"),
        Part::Test => "test".to_owned(),
    };
    let mut text = format!(
        "{place}  batch {}/{}  {}  {}",
        thousands(u64::from(status.index) + 1),
        thousands(status.batches.into()),
        standing(status),
        rate(status.rows_per_second)
    );
    if let Some(remaining) = status.remaining {
        text.push_str(&format!("  {} left", clock(remaining)));
    }
    text
}

/// An estimate of time: `1:20`, `2:10:05`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// The line about a whole epoch, in the order that Keras has.
fn epoch_line(record: &EpochRecord, epochs: u32, rows: usize, took: Duration) -> String {
    let mut text = epoch_of(record.epoch, epochs);
    push_figures(&mut text, "", &record.train);
    if let Some(validation) = &record.validation {
        push_figures(&mut text, "validation ", validation);
    }
    let seconds = took.as_secs_f64().max(f64::MIN_POSITIVE);
    text.push_str(&format!("  {}", rate(rows as f64 / seconds)));
    text.push_str(&format!("  {}", duration(took)));
    text
}

/// Difference from the loss, as a share of it, up to which an MSE is the same figure, summed otherwise.
const SAME: f64 = 0.01;

/// Appends loss and accuracy, or loss and MSE where the loss is something else.
fn push_figures(text: &mut String, part: &str, evaluation: &Evaluation) {
    let loss = figure(evaluation.loss);
    text.push_str(&format!("  {part}loss {loss}"));
    if let Some(accuracy) = evaluation.accuracy {
        text.push_str(&format!("  accuracy {}", percent(accuracy)));
    }
    let is_other = |mse: &f64| (mse - evaluation.loss).abs() > SAME * evaluation.loss.abs();
    if let Some(mse) = evaluation.mse.filter(is_other) {
        text.push_str(&format!("  MSE {}", figure(mse)));
    }
}

/// `epoch  3/20`: as wide in every epoch of the run.
fn epoch_of(epoch: u32, epochs: u32) -> String {
    let width = epochs.to_string().len();
    format!("epoch {epoch:>width$}/{epochs}")
}

#[cfg(test)]
mod tests;
