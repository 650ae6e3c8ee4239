//! Keys of image data of people's own: IDX files, NumPy arrays, directories of picture files.
//!
//! The keys, and the rules about them that no schema can state. What the files hold is not known here.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::Report;
use super::spec::Data;
use super::spec::default;
use super::split_keys::SplitKeys;
use crate::data::{Augmentation, SplitRules, TargetScaling, TestRows, ValidationRows};

/// Keys of a pair of IDX files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdxSource {
    /// File of the images, relative to the topology file; gzipped or not.
    pub images: String,
    /// File of the labels, a number for each image.
    pub labels: String,
    /// File of images that test; a share of the others by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<String>,
    /// File of the labels of the images that test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<String>,
    /// Names of the classes, in the order of their numbers; the numbers by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// Scaling of right answers that are numbers, fitted on the training rows; by default `standard`, and `min_max`
    /// where the output layer's activation does not reach every number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scaling: Option<TargetScaling>,
    /// Keys that all sources of images of one's own have.
    #[serde(flatten)]
    pub split: OwnSplit,
    /// Keys of the split that every source has.
    #[serde(flatten)]
    pub split_keys: SplitKeys,
}

/// Keys of NumPy arrays in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NpzSource {
    /// File of the arrays, relative to the topology file.
    pub path: String,
    /// Name of the array of rows or images; `x` by default, or `x_train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Name of the array of right answers, whole numbers for classes and others for numbers to predict; `y`
    /// by default, or `y_train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Name of the array of rows that test; `x_test` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_test: Option<String>,
    /// Name of the array of their right answers; `y_test` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_test: Option<String>,
    /// File with arrays of the same names whose rows test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_path: Option<String>,
    /// Place of the channels in arrays of four dimensions.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Names of the classes, in the order of their numbers; the numbers by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// Scaling of right answers that are numbers, fitted on the training rows; by default `standard`, and `min_max`
    /// where the output layer's activation does not reach every number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scaling: Option<TargetScaling>,
    /// Keys that all sources of images of one's own have.
    #[serde(flatten)]
    pub split: OwnSplit,
    /// Keys of the split that every source has.
    #[serde(flatten)]
    pub split_keys: SplitKeys,
}

/// Keys of a directory of picture files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesSource {
    /// Directory with a directory of PNG or JPEG files for each class, relative to the topology file.
    pub path: String,
    /// Directory of the same form with images that test; a share of the others by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_path: Option<String>,
    /// Height and width that every image has to have; those of the first one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 1, max = 65536)))]
    pub image_size: Option<[usize; 2]>,
    /// Channels that images are converted to; by default they stay as they are, and have to be alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_mode: Option<ColorMode>,
    /// Keys that all sources of images of one's own have.
    #[serde(flatten)]
    pub split: OwnSplit,
    /// Keys of the split that every source has.
    #[serde(flatten)]
    pub split_keys: SplitKeys,
}

/// Keys that all sources of images of one's own have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnSplit {
    /// Share of all rows that test where no others do; 0.2 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub test_split: Option<f64>,
    /// Share of the other rows that validate.
    #[serde(default = "default::validation_split")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_split: f64,
    /// Changes of training images in every epoch; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

impl Default for OwnSplit {
    fn default() -> Self {
        Self {
            test_split: None,
            validation_split: default::validation_split(),
            augmentation: None,
        }
    }
}

impl OwnSplit {
    /// Share of all rows that test, where no others do.
    pub fn test_share(&self) -> f64 {
        self.test_split.unwrap_or_else(default::test_split)
    }

    /// Rules by which rows become parts, where no others test.
    pub fn rules(&self, keys: SplitKeys) -> SplitRules {
        let validation = ValidationRows::Drawn(self.validation_split);
        keys.rules(TestRows::Drawn(self.test_share()), validation)
    }
}

/// Place of the channels of images in an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// Height, width, channels: as Keras has images.
    #[default]
    ChannelsLast,
    /// Channels, height, width: as PyTorch has images.
    ChannelsFirst,
}

/// Channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColorMode {
    /// One channel, of brightness.
    Grayscale,
    /// Three channels: red, green and blue.
    Rgb,
}

impl Data {
    /// A pair of IDX files: images, and their labels.
    pub fn idx(images: impl Into<String>, labels: impl Into<String>) -> Self {
        Self::Idx(IdxSource {
            images: images.into(),
            labels: labels.into(),
            test_images: None,
            test_labels: None,
            class_names: None,
            target_scaling: None,
            split: OwnSplit::default(),
            split_keys: SplitKeys::default(),
        })
    }

    /// NumPy arrays `x` and `y`, or those of Keras's data sets, in an npz file.
    pub fn npz(path: impl Into<String>) -> Self {
        Self::Npz(NpzSource {
            path: path.into(),
            x: None,
            y: None,
            x_test: None,
            y_test: None,
            test_path: None,
            data_format: DataFormat::default(),
            class_names: None,
            target_scaling: None,
            split: OwnSplit::default(),
            split_keys: SplitKeys::default(),
        })
    }

    /// A directory with a directory of PNG or JPEG files for each class.
    pub fn images(path: impl Into<String>) -> Self {
        Self::Images(ImagesSource {
            path: path.into(),
            test_path: None,
            image_size: None,
            color_mode: None,
            split: OwnSplit::default(),
            split_keys: SplitKeys::default(),
        })
    }

    /// Split and augmentation of a source of images of one's own.
    pub(super) fn own_split(&self) -> Option<&OwnSplit> {
        match self {
            Self::Idx(source) => Some(&source.split),
            Self::Npz(source) => Some(&source.split),
            Self::Images(source) => Some(&source.split),
            _ => None,
        }
    }

    /// Paths of files and directories, to be relative to another directory than the topology file's.
    pub fn paths_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Csv(table) => vec![&mut table.path],
            Self::Idx(source) => [&mut source.images, &mut source.labels]
                .into_iter()
                .chain(&mut source.test_images)
                .chain(&mut source.test_labels)
                .collect(),
            Self::Npz(source) => std::iter::once(&mut source.path)
                .chain(&mut source.test_path)
                .collect(),
            Self::Images(source) => std::iter::once(&mut source.path)
                .chain(&mut source.test_path)
                .collect(),
            Self::Digits(_) | Self::Mnist(_) | Self::FashionMnist(_) => Vec::new(),
        }
    }

    /// Paths and names of the file, with their keys.
    fn own_words(&self) -> Vec<(&'static str, Option<&str>)> {
        match self {
            Self::Idx(source) => vec![
                ("images", Some(source.images.as_str())),
                ("labels", Some(source.labels.as_str())),
                ("test_images", source.test_images.as_deref()),
                ("test_labels", source.test_labels.as_deref()),
            ],
            Self::Npz(source) => vec![
                ("path", Some(source.path.as_str())),
                ("x", source.x.as_deref()),
                ("y", source.y.as_deref()),
                ("x_test", source.x_test.as_deref()),
                ("y_test", source.y_test.as_deref()),
                ("test_path", source.test_path.as_deref()),
            ],
            Self::Images(source) => vec![
                ("path", Some(source.path.as_str())),
                ("test_path", source.test_path.as_deref()),
            ],
            _ => Vec::new(),
        }
    }

    fn class_names(&self) -> Option<&[String]> {
        match self {
            Self::Idx(source) => source.class_names.as_deref(),
            Self::Npz(source) => source.class_names.as_deref(),
            _ => None,
        }
    }
}

/// Rules about the keys of a source of images of one's own that need only the file.
pub(super) fn check(data: &Data, report: &mut Report<'_>) {
    let Some(split) = data.own_split() else {
        return;
    };
    let words = data.own_words();
    for (key, word) in &words {
        if *word == Some("") {
            let help = "write a name, or leave the key out";
            report.add(&format!("data.{key}"), "the text is empty", help);
        }
    }
    let has = |wanted: &str| {
        let mut words = words.iter();
        words.any(|(key, word)| *key == wanted && word.is_some())
    };
    for (one, other) in [("test_images", "test_labels"), ("x_test", "y_test")] {
        for (one, other) in [(one, other), (other, one)] {
            if has(one) && !has(other) {
                let message = format!("`{one}` without `{other}`");
                report.add(&format!("data.{one}"), message, "name both, or neither");
            }
        }
    }
    let tests = ["test_images", "x_test", "test_path"];
    if split.test_split.is_some()
        && let Some(key) = tests.into_iter().find(|key| has(key))
    {
        let message = format!("`{key}` names the rows that test");
        report.add("data.test_split", message, "leave one of the two out");
    }
    let mut names = HashSet::new();
    for (index, name) in data.class_names().into_iter().flatten().enumerate() {
        if !names.insert(name) {
            let message = format!("another class has the name `{name}` too");
            let path = format!("data.class_names[{index}]");
            report.add(&path, message, "names of classes must differ");
        }
    }
}
