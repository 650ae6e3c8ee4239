use std::sync::{Arc, Mutex};

use super::*;

/// A writer that the test can read.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl SharedBuffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn status() -> TrainingStatus {
    TrainingStatus {
        epoch: 3,
        epochs: 20,
        part: Part::Train,
        index: 119,
        batches: 1_469,
        rows_per_second: 41_044.0,
        loss: 0.1234,
        accuracy: Some(0.9651),
        remaining: Some(Duration::from_secs(80)),
    }
}

fn record() -> EpochRecord {
    let evaluation = |loss, accuracy| Evaluation {
        loss,
        accuracy: Some(accuracy),
        mse: None,
        mae: None,
        r2: None,
        confusion: None,
    };
    EpochRecord {
        epoch: 3,
        learning_rate: 0.1,
        train: evaluation(0.1234, 0.9651),
        validation: Some(evaluation(0.15, 0.958)),
    }
}

#[test]
fn lines_come_at_most_every_ten_seconds_and_at_each_epoch() {
    let written = SharedBuffer::default();
    let mut view = ProgressDisplay::over(Destination::Lines(Box::new(written.clone())), 20);
    let start = view.last_update;
    for tenths in 0..250 {
        view.update_at(&status(), start + Duration::from_millis(100 * tenths));
    }
    view.epoch(&record(), 59_860, Duration::from_millis(1_460));
    view.note("rewound to tick 640: neuron hidden/3 has booted");
    view.finish();
    let line = "epoch  3/20  batch 120/1,469  loss 0.1234  accuracy 96.51 %  \
                41,000 samples/s  1:20 left";
    let epoch = "epoch  3/20  loss 0.1234  accuracy 96.51 %  validation loss 0.1500  \
                 accuracy 95.80 %  41,000 samples/s  1.5 s";
    let note = "rewound to tick 640: neuron hidden/3 has booted";
    assert_eq!(written.text(), format!("{line}\n{line}\n{epoch}\n{note}\n"));
}

#[test]
fn quiet_is_silent() {
    let mut view = ProgressDisplay::new(true, true, 20);
    view.update(&status());
    view.epoch(&record(), 41_000, Duration::from_secs(1));
    view.note("resumed");
    view.finish();
    assert!(matches!(view.output, Destination::Quiet));
}

#[test]
fn a_closed_stderr_does_not_end_training() {
    struct ClosedPipe;
    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut view = ProgressDisplay::over(Destination::Lines(Box::new(ClosedPipe)), 20);
    view.epoch(&record(), 41_000, Duration::from_secs(1));
}

#[test]
fn the_bar_can_be_made() {
    // Panics if the template of the bar is wrong.
    style();
}

#[test]
fn the_bar_moves_on_however_fast_epochs_end() {
    let mut view = ProgressDisplay::over(Destination::Bar(ProgressBar::hidden()), 20);
    let start = view.last_update;
    view.update_at(&status(), start);
    view.epoch(&record(), 41_000, Duration::from_millis(1));
    let next = TrainingStatus {
        epoch: 4,
        ..status()
    };
    view.update_at(&next, start + DRAW_INTERVAL);
    let Destination::Bar(bar) = &view.output else {
        unreachable!("it was made with a bar");
    };
    assert_eq!(bar.prefix(), "epoch  4/20");
}

#[test]
fn other_parts_are_named() {
    let mut status = status();
    assert_eq!(bar_prefix(&status), "epoch  3/20");
    status.part = Part::Validation;
    assert_eq!(bar_prefix(&status), "valid  3/20");
    assert!(line_of(&status).starts_with("epoch  3/20  validation  batch"));
    status.part = Part::Test;
    assert_eq!(bar_prefix(&status), "test");
    assert!(line_of(&status).starts_with("test  batch"));
}

#[test]
fn the_bar_and_its_texts_fit_into_eighty_columns() {
    let message = bar_message(&status());
    assert_eq!(
        message,
        "loss 0.1234  accuracy 96.51 %  1:20 left  41,000/s"
    );
    assert!(bar_prefix(&status()).len() + 1 + 14 + 2 + message.len() <= 80);
}

#[test]
fn regression_shows_its_squared_error_where_the_loss_is_another() {
    let mut record = record();
    record.validation = None;
    record.train.accuracy = None;
    record.train.mse = Some(0.5);
    let line = epoch_line(&record, 20, 1000, Duration::from_millis(20));
    assert_eq!(
        line,
        "epoch  3/20  loss 0.1234  MSE 0.5000  50,000 samples/s  20 ms"
    );
    record.train.mse = Some(record.train.loss);
    let line = epoch_line(&record, 20, 1000, Duration::from_millis(20));
    assert_eq!(line, "epoch  3/20  loss 0.1234  50,000 samples/s  20 ms");
}

#[test]
fn what_is_unknown_is_left_out() {
    let mut status = status();
    status.accuracy = None;
    status.remaining = None;
    assert_eq!(bar_message(&status), "loss 0.1234  41,000/s");
}

#[test]
fn estimates_read_like_a_clock() {
    let clocks = [0, 12, 80, 7_805].map(|seconds| clock(Duration::from_secs(seconds)));
    assert_eq!(clocks, ["0:00", "0:12", "1:20", "2:10:05"]);
}
