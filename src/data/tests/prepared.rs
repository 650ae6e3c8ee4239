//! Prepared data sets: rows that are written are the rows that are mapped.

use cuttlefish_core::data::{Dataset, Labels, Split, Task, Values};
use cuttlefish_core::topology::spec::ImageSource;

use crate::data::{digits, prepared};

fn floats() -> Dataset {
    Dataset {
        name: "table".to_owned(),
        features: 3,
        image: None,
        feature_names: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        values: Values::Floats((0..12).map(|n| n as f32 / 7.0).collect::<Vec<_>>().into()),
        task: Task::Regression {
            target_name: "y".to_owned(),
            targets: vec![0.5, -1.0, 2.0, 0.0],
        },
        split: Split {
            train: vec![0, 2],
            validation: vec![1],
            test: vec![3],
        },
    }
}

/// Contents of a data set, as far as a run can see them.
fn contents(dataset: &Dataset) -> String {
    let values = match &dataset.values {
        Values::Bytes { bytes, scale } => format!("{scale} {:?}", &bytes[..]),
        Values::Floats(values) => format!("{:?}", &values[..]),
    };
    let answers = match dataset.task.labels() {
        Labels::Classes(classes) => format!("{classes:?} {:?}", dataset.task.classes()),
        Labels::Values(values) => format!("{values:?}"),
    };
    let Dataset {
        name,
        features,
        image,
        feature_names,
        split,
        ..
    } = dataset;
    format!("{name} {features} {image:?} {feature_names:?} {split:?} {answers} {values}")
}

#[test]
fn what_is_mapped_is_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.ctlf");
    for dataset in [digits::load(&ImageSource::default()).unwrap(), floats()] {
        prepared::write(&dataset, "its digest", &path).unwrap();
        let mapped = prepared::map(&path).unwrap();
        assert_eq!(mapped.sha256, "its digest");
        assert_eq!(contents(&mapped.dataset), contents(&dataset));
    }
}

#[test]
fn a_cut_longer_or_foreign_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.ctlf");
    prepared::write(&floats(), "x", &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let longer = [&whole[..], &[0]].concat();
    let mut other = whole.clone();
    other[8] = 2;
    let mut beyond = whole.clone();
    // The last number is the test row.
    let last = beyond.len() - 4;
    beyond[last] = 4;
    let cases: [(&[u8], &str); 6] = [
        (&whole[..whole.len() - 1], "the wrong length"),
        (&longer, "the wrong length"),
        (&whole[..20], "its header has the wrong length"),
        (b"not one of ours, whatever it is", "no prepared data set"),
        (&other, "version 2"),
        (&beyond, "rows that it does not have"),
    ];
    for (bytes, problem) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = prepared::map(&path).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
