//! Shape of a data set: what the checks need to know about it.

use crate::data::{Dataset, TargetStatistics, Task};

/// Shape of a data set: features, rows and task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataShape {
    /// Features of one row.
    pub features: usize,
    /// Height and width, where rows are images. Their channels follow from the features.
    pub image: Option<(usize, usize)>,
    /// Bytes of one feature where rows are kept and sent as they are: 1 or 4.
    pub value_bytes: usize,
    /// Task to be learned.
    pub task: TaskShape,
    /// Rows that change the weights.
    pub train_rows: usize,
    /// Rows that are looked at after each epoch.
    pub validation_rows: usize,
    /// Rows that are looked at once, at the end.
    pub test_rows: usize,
}

impl DataShape {
    /// Channels of the images that rows are; 1 where they are none.
    pub fn channels(&self) -> usize {
        let area = self.image.map_or(0, |(height, width)| height * width);
        self.features.checked_div(area).unwrap_or(1).max(1)
    }

    /// Bytes of the whole data set: of each row its values, its right answer and its number.
    pub fn bytes(&self) -> u64 {
        let rows = self.train_rows + self.validation_rows + self.test_rows;
        rows as u64 * (self.features * self.value_bytes + 8) as u64
    }
}

/// Task to be learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskShape {
    /// One of several classes.
    Classification {
        /// Number of classes.
        classes: usize,
    },
    /// One number.
    Regression {
        /// Statistics of its targets, for their scaling; `None` leaves them as they are.
        targets: Option<TargetStatistics>,
    },
}

impl From<&Dataset> for DataShape {
    fn from(data: &Dataset) -> Self {
        Self {
            features: data.features,
            image: data.image,
            value_bytes: data.values.value_bytes(),
            task: match &data.task {
                Task::Classification { class_names, .. } => TaskShape::Classification {
                    classes: class_names.len(),
                },
                Task::Regression { targets, .. } => TaskShape::Regression {
                    targets: TargetStatistics::of(targets, &data.split.train),
                },
            },
            train_rows: data.split.train.len(),
            validation_rows: data.split.validation.len(),
            test_rows: data.split.test.len(),
        }
    }
}
