//! Splits into training, validation and test rows: by shares and by folds, with and without regard to classes.

use cuttlefish_core::data::{Folds, Split, SplitError, SplitRules, Task, TestRows, ValidationRows};

/// Rows of classes in the order of a file that was sorted by class, as files often are.
fn classes(counts: &[usize]) -> Task {
    let rows = |(class, &count): (usize, &usize)| std::iter::repeat_n(class as u32, count);
    Task::Classification {
        class_names: (0..counts.len()).map(|class| format!("c{class}")).collect(),
        labels: counts.iter().enumerate().flat_map(rows).collect(),
    }
}

fn numbers(rows: usize) -> Task {
    Task::Regression {
        target_name: "y".to_owned(),
        targets: vec![0.0; rows],
    }
}

fn fold(count: u32, fold: u32) -> ValidationRows {
    ValidationRows::Fold(Folds { count, fold })
}

fn rules(test: TestRows, validation: ValidationRows, stratify: bool) -> SplitRules {
    SplitRules {
        test,
        validation,
        stratify,
    }
}

/// Rows of a part that are of each class.
fn counts(part: &[u32], task: &Task) -> Vec<usize> {
    let Task::Classification {
        class_names,
        labels,
    } = task
    else {
        panic!("classes are counted");
    };
    let mut counts = vec![0; class_names.len()];
    for &row in part {
        counts[labels[row as usize] as usize] += 1;
    }
    counts
}

/// Checks that every row is in one part, in file order.
#[track_caller]
fn check_parts(split: &Split, rows: usize) {
    let parts = [&split.train, &split.validation, &split.test];
    for part in parts {
        assert!(part.is_sorted(), "file order");
    }
    let mut all: Vec<u32> = parts.into_iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
}

#[test]
fn splits_of_today_stay_as_they_are() {
    for rows in [0, 1, 9, 1000, 1797] {
        let task = numbers(rows);
        for (test, validation) in [(0.2, 0.1), (0.0, 0.3), (0.9, 0.9), (0.5, 0.0)] {
            let drawn = rules(
                TestRows::Drawn(test),
                ValidationRows::Drawn(validation),
                false,
            );
            let split = Split::by_rules(drawn, &task).unwrap();
            assert_eq!(split, Split::fixed(rows, test, validation));
            let last = rules(
                TestRows::Last(rows / 3),
                ValidationRows::Last(validation),
                false,
            );
            let split = Split::by_rules(last, &task).unwrap();
            let train_rows = rows - rows / 3;
            let expected = Split::with_test_set(train_rows, rows / 3, validation);
            assert_eq!(split, expected);
        }
    }
    // What earlier versions drew.
    let split = Split::fixed(20, 0.2, 0.25);
    assert_eq!(split.test, [3, 4, 9, 19]);
    assert_eq!(split.validation, [6, 10, 14, 15]);
}

#[test]
fn each_row_that_does_not_test_validates_in_one_fold() {
    let task = classes(&[50, 30, 23]);
    for stratify in [false, true] {
        for test in [TestRows::Drawn(0.2), TestRows::Last(5), TestRows::Last(0)] {
            let split = |n| Split::by_rules(rules(test, fold(7, n), stratify), &task).unwrap();
            let folds: Vec<Split> = (1..=7).map(split).collect();
            let mut validation: Vec<u32> = Vec::new();
            for fold in &folds {
                check_parts(fold, 103);
                assert_eq!(fold.test, folds[0].test, "the same rows test");
                validation.extend(&fold.validation);
            }
            validation.sort_unstable();
            let mut rest = [folds[0].train.clone(), folds[0].validation.clone()].concat();
            rest.sort_unstable();
            assert_eq!(validation, rest);
            let sizes: Vec<usize> = folds.iter().map(|fold| fold.validation.len()).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}

#[test]
fn folds_leave_the_test_rows_as_they_are() {
    let split = rules(TestRows::Drawn(0.2), fold(5, 2), false);
    let split = Split::by_rules(split, &numbers(1000)).unwrap();
    assert_eq!(split.test, Split::fixed(1000, 0.2, 0.1).test);
    let spread = split.validation.windows(2).any(|w| w[1] - w[0] > 1);
    assert!(spread, "spread over the file");
}

#[test]
fn stratified_folds_have_every_class_alike() {
    let task = classes(&[50, 0, 11, 7, 203]);
    for test in [TestRows::Drawn(0.0), TestRows::Last(3)] {
        let of_fold = |n| {
            let split = Split::by_rules(rules(test, fold(7, n), true), &task).unwrap();
            counts(&split.validation, &task)
        };
        let folds: Vec<Vec<usize>> = (1..=7).map(of_fold).collect();
        for class in 0..5 {
            let sizes = folds.iter().map(|fold| fold[class]);
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(most - least <= 1, "class {class}: {folds:?}");
        }
    }
}

#[test]
fn stratified_shares_are_shares_of_every_class() {
    let task = classes(&[500, 0, 50, 33, 1]);
    let drawn = rules(TestRows::Drawn(0.2), ValidationRows::Drawn(0.1), true);
    let split = Split::by_rules(drawn, &task).unwrap();
    check_parts(&split, 584);
    // Of 584 rows 116 test. Their classes would be 99.3, 9.9, 6.6 and 0.2 of these.
    assert_eq!(counts(&split.test, &task), [99, 0, 10, 7, 0]);
    // Of the other 468 rows 46 validate: 39.4, 3.9, 2.6 and 0.1.
    assert_eq!(counts(&split.validation, &task), [39, 0, 4, 3, 0]);
    let spread = split.test.windows(2).any(|w| w[1] - w[0] > 1);
    assert!(spread, "spread over the file");
    let last = rules(TestRows::Last(84), ValidationRows::Last(0.1), true);
    let sorted = Split::by_rules(last, &classes(&[300, 200, 84])).unwrap();
    let expected: Vec<u32> = (270..300).chain(480..500).collect();
    assert_eq!(sorted.validation, expected, "the last ones of each class");
    assert_eq!(sorted.test, (500..584).collect::<Vec<_>>());
}

#[test]
fn rows_that_cannot_be_split_as_asked_are_refused() {
    let problem = |rules: SplitRules, task: &Task| Split::by_rules(rules, task).unwrap_err();
    let whole = TestRows::Drawn(0.0);
    let text = |rules: SplitRules, task: &Task| problem(rules, task).to_string();
    assert_eq!(
        text(rules(TestRows::Last(2), fold(5, 1), false), &numbers(6)),
        "4 rows that do not test cannot be cut into 5 folds (use at most 4)"
    );
    let share = ValidationRows::Drawn(0.1);
    assert_eq!(
        text(rules(whole, share, true), &numbers(6)),
        "`y` is a number to predict, and `stratify` divides the rows of classes (leave `stratify` out)"
    );
    assert_eq!(
        text(rules(whole, fold(5, 1), true), &classes(&[9, 0, 4, 9])),
        "class `c2` has 4 rows that do not test, and each of 5 folds needs one (use fewer folds, or leave `stratify` out)"
    );
    for (count, number) in [(5, 0), (5, 6), (0, 0), (0, 1)] {
        let folds = Folds {
            count,
            fold: number,
        };
        let found = problem(rules(whole, fold(count, number), false), &numbers(9));
        assert_eq!(found, SplitError::NoSuchFold { folds });
    }
    // As many rows as folds are enough.
    for n in 1..=4 {
        let task = classes(&[4, 9]);
        let split = Split::by_rules(rules(whole, fold(4, n), true), &task).unwrap();
        assert_eq!(counts(&split.validation, &task)[0], 1);
    }
}
