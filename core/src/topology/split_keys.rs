//! Keys of the split that every source has: classes that keep their shares, and folds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Place;
use super::report::Report;
use super::spec::{CsvTask, Data, IdxSource, ImagesSource, NpzSource};
use crate::data::{Folds, SplitRules, TestRows, ValidationRows};

/// Keys of the split that every source has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitKeys {
    /// True if training, validation and test rows have the same share of every class; false by default.
    #[serde(default, skip_serializing_if = "is_off")]
    pub stratify: bool,
    /// Fold that validates in place of `validation_split`; the rows that do not test are cut into folds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Folds>,
}

fn is_off(stratify: &bool) -> bool {
    !stratify
}

impl SplitKeys {
    /// Rules of a split whose rows test and, unless there are folds, validate as the source says.
    pub fn rules(self, test: TestRows, validation: ValidationRows) -> SplitRules {
        SplitRules {
            test,
            validation: self.folds.map_or(validation, ValidationRows::Fold),
            stratify: self.stratify,
        }
    }
}

impl Data {
    /// Keys of the split that every source has.
    pub fn split_keys(&self) -> SplitKeys {
        match self {
            Self::Digits(images) | Self::Mnist(images) | Self::FashionMnist(images) => {
                images.split_keys
            }
            Self::Csv(table) => table.split_keys,
            Self::Idx(IdxSource { split_keys, .. })
            | Self::Npz(NpzSource { split_keys, .. })
            | Self::Images(ImagesSource { split_keys, .. }) => *split_keys,
        }
    }

    /// True if the file says that no rows validate.
    pub(super) fn has_no_validation(&self) -> bool {
        self.validation_split() == 0.0 && self.split_keys().folds.is_none()
    }
}

/// Rules about these keys that need only the file.
pub(super) fn check(data: &Data, report: &mut Report<'_>) {
    let SplitKeys { stratify, folds } = data.split_keys();
    if let Data::Csv(table) = data
        && stratify
        && table.task == CsvTask::Regression
    {
        let message = "a regression has no classes";
        report.add("data.stratify", message, "leave it out");
    }
    let Some(Folds { count, fold }) = folds else {
        return;
    };
    if fold > count {
        let message = format!("there are {count} folds, found `{fold}`");
        let help = format!("the last one is `fold: {count}`");
        report.add("data.folds.fold", message, &help);
    }
    // A fold that the command line asks for is meant to take the place of what the file says.
    let validation = report.written(&["data", "validation_split"]);
    let is_asked_for = matches!(report.written(&["data", "folds"]), Some(Place::Override(_)));
    if validation.is_some_and(|place| !is_asked_for || matches!(place, Place::Override(_))) {
        let help = "remove `validation_split`, or remove `folds`";
        report.add(
            "data.validation_split",
            "`folds` says which rows validate",
            help,
        );
    }
}
