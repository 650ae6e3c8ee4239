use cuttlefish_core::protocol::EpochRecord;

use super::*;

fn evaluation(loss: f64, confusion: Option<Vec<Vec<u64>>>, accuracy: f64) -> Evaluation {
    Evaluation {
        loss,
        accuracy: Some(accuracy),
        mse: None,
        mae: None,
        r2: None,
        confusion,
    }
}

fn progress(
    train: Evaluation,
    validation: Option<Evaluation>,
    test: Option<Evaluation>,
) -> Progress {
    let mut progress = Progress::start(20);
    progress.step = 9_380;
    progress.record(EpochRecord {
        epoch: 20,
        learning_rate: 0.1,
        train,
        validation,
    });
    progress.test = test;
    progress.finished = true;
    progress
}

fn task(names: impl IntoIterator<Item = impl Into<String>>) -> Task {
    Task::Classification {
        class_names: names.into_iter().map(Into::into).collect(),
        labels: Vec::new(),
    }
}

#[test]
fn classes_get_a_matrix_and_figures_each() {
    let confusion = vec![vec![1_200, 0, 34], vec![1, 10, 0], vec![0, 0, 0]];
    let mut progress = progress(
        evaluation(0.03124, None, 0.9894),
        Some(evaluation(0.045, None, 0.978)),
        Some(evaluation(0.0499, Some(confusion), 0.9718)),
    );
    progress.stopped_early = true;
    let expected = "\
20 epochs, 9,380 steps, stopped early

              loss  accuracy
training    0.0312   98.94 %
validation  0.0450   97.80 %
test        0.0499   97.18 %

confusion of the test rows (down: right class, across: answer)

       cat  dog  emu
cat  1,200    .   34
dog      1   10    .
emu      .    .    .

class  precision   recall  support
cat      99.92 %  97.24 %    1,234
dog     100.00 %  90.91 %       11
emu       0.00 %        -        0
";
    assert_eq!(summary(&progress, &task(["cat", "dog", "emu"])), expected);
}

#[test]
fn long_names_head_rows_and_indices_head_columns() {
    let confusion = vec![vec![3, 1], vec![0, 4]];
    let test = evaluation(0.5, Some(confusion), 0.875);
    let progress = progress(evaluation(0.5, None, 0.5), None, Some(test));
    let names = ["T-shirt/top", "a name that goes on\n and on"];
    let text = summary(&progress, &task(names));
    assert!(
        text.contains(
            "
                             0  1
T-shirt/top               0  3  1
a name that goes on? ...  1  .  4
"
        ),
        "{text}"
    );
}

#[test]
fn many_classes_get_their_worst_pairs() {
    let classes = 30;
    let mut confusion = vec![vec![0; classes]; classes];
    for (class, row) in confusion.iter_mut().enumerate() {
        row[class] = 90;
    }
    confusion[3][5] = 10;
    confusion[7][1] = 1_000;
    let validation = evaluation(0.5, Some(confusion), 0.7);
    let progress = progress(evaluation(0.5, None, 0.5), Some(validation), None);
    let names = (0..classes).map(|class| format!("class {class}"));
    let text = summary(&progress, &task(names));
    let expected = "
classes of the validation rows that were confused most

right class  answer    rows  of the class
class 7      class 1  1,000       91.74 %
class 3      class 5     10       10.00 %

class     precision    recall  support
class 0    100.00 %  100.00 %       90
class 1      8.26 %  100.00 %       90
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn too_many_classes_say_why_there_is_no_matrix() {
    let test = evaluation(0.5, None, 0.5);
    let progress = progress(test.clone(), None, Some(test));
    let names = (0..1_500).map(|class| class.to_string());
    let text = summary(&progress, &task(names));
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "no confusion matrix: 1,500 classes, and one is kept for up to 100"
    );
}

#[test]
fn numbers_get_their_errors() {
    let evaluation = |mse: f64, r2| Evaluation {
        loss: mse,
        accuracy: None,
        mse: Some(mse),
        mae: Some(0.375),
        r2,
        confusion: None,
    };
    let progress = progress(
        evaluation(0.25, Some(0.9)),
        None,
        Some(evaluation(1_234_567.0, None)),
    );
    let task = Task::Regression {
        target_name: "price".to_owned(),
        targets: Vec::new(),
    };
    let expected = "\
20 epochs, 9,380 steps

                 loss          MSE     RMSE     MAE      R2
training       0.2500       0.2500   0.5000  0.3750  0.9000
test      1,234,567.0  1,234,567.0  1,111.1  0.3750       -
";
    assert_eq!(summary(&progress, &task), expected);
}

#[test]
fn a_run_without_epochs_has_a_summary_too() {
    let text = summary(&Progress::start(0), &task(["a", "b"]));
    assert_eq!(text, "0 epochs, 0 steps, not finished\n");
}
