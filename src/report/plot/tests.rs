use super::*;

fn evaluation(loss: f64, accuracy: Option<f64>) -> Evaluation {
    Evaluation {
        loss,
        accuracy,
        mse: None,
        mae: None,
        r2: None,
        confusion: None,
    }
}

/// A curve as training has it, with the noise of mini-batches.
fn history(epochs: u32, validated: bool, classes: bool) -> Vec<EpochRecord> {
    let record = |epoch: u32| {
        let x = f64::from(epoch) / f64::from(epochs) * 20.0;
        let noise = f64::from(epoch * 7919 % 13) / 13.0 - 0.5;
        let loss = 0.9 / (x + 0.8) + 0.01 * noise;
        let accuracy = |loss: f64| classes.then(|| (1.0 - loss / 3.2).clamp(0.0, 1.0));
        let worse = loss * 0.9 + 0.04 + 0.0015 * x + 0.02 * noise;
        EpochRecord {
            epoch,
            learning_rate: 0.1,
            train: evaluation(loss, accuracy(loss)),
            validation: validated.then(|| evaluation(worse, accuracy(worse))),
        }
    };
    (1..=epochs).map(record).collect()
}

/// Every picture must be complete, and free of numbers that are none.
fn check(name: &str, history: &[EpochRecord]) -> String {
    let text = svg(name, history).unwrap();
    assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
    assert!(!text.contains("NaN") && !text.contains("inf\""), "{name}");
    let picture = png(name, history).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels[..3], [255, 255, 255], "{name} is on white");
    let blue = pixels.chunks(3).filter(|pixel| *pixel == [37, 99, 235]);
    assert!(blue.count() > 50, "{name} has a curve");
    text
}

#[test]
fn a_classifier_has_two_panels_with_legends() {
    let text = check("mnist-mlp", &history(20, true, true));
    assert!(text.contains(r#"viewBox="0 0 9600 4000""#));
    assert!(text.contains(r#"<svg width="960" height="400""#));
    for word in [
        "mnist-mlp",
        "loss",
        "accuracy",
        "train 0.0",
        "validation 0.09",
        "epoch",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn numbers_have_one_panel() {
    let text = check("house-prices", &history(12, false, false));
    assert!(text.contains(r#"width="640""#));
    assert!(!text.contains("accuracy") && !text.contains("validation"));
}

#[test]
fn one_epoch_is_a_dot() {
    let text = check("one-epoch", &history(1, true, true));
    assert!(text.contains("<circle"));
}

#[test]
fn ten_thousand_epochs_are_thinned() {
    let text = check("long", &history(10_000, true, true));
    assert!(text.len() < 200_000, "{} bytes", text.len());
    assert!(!text.contains("<circle"));
}

#[test]
fn equal_and_perfect_values_can_be_drawn() {
    let mut history = history(5, true, true);
    for epoch in &mut history {
        epoch.train = evaluation(0.0, Some(1.0));
        epoch.validation = Some(evaluation(0.0, Some(1.0)));
    }
    check("equal", &history);
}

#[test]
fn what_is_no_number_is_left_out() {
    let mut history = history(6, true, true);
    history[2].train.loss = f64::NAN;
    history[3].train.loss = f64::INFINITY;
    history[4].train.loss = f64::MAX;
    check("not-finite", &history);
    for epoch in &mut history {
        epoch.train = evaluation(f64::NAN, None);
        epoch.validation = None;
    }
    assert!(matches!(svg("x", &history), Err(Error::Empty)));
    assert!(matches!(png("x", &[]), Err(Error::Empty)));
}

#[test]
fn a_name_cannot_break_the_document() {
    let text = svg("<script>&\"", &history(3, false, false)).unwrap();
    assert!(!text.contains("<script>"), "{text}");
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    let history = history(20, true, true);
    assert_eq!(svg("a", &history).unwrap(), svg("a", &history).unwrap());
    assert_eq!(png("a", &history).unwrap(), png("a", &history).unwrap());
}
