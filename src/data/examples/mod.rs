//! Examples: from arrays of rows or images and of their right answers to a data set.
//!
//! What the arrays were read from is only named here. Tested in `data/tests/examples.rs`.

mod problem;

use std::collections::BTreeSet;
use std::path::PathBuf;

use cuttlefish_core::data::{Dataset, Split, SplitRules, Task, TestRows, Values};
use cuttlefish_core::topology::spec::DataFormat;

pub use self::problem::ExamplesProblem;
use super::Error;
use super::array::{Array, ElementType, Numbers, dims_words};
use super::csv::MAX_CLASSES;

/// The largest number of values of all rows together.
pub const MAX_VALUES: usize = 1 << 28;
/// Channels up to which the last dimension but two is taken for channels that were put first.
const FEW_CHANNELS: usize = 4;
/// Brings the largest byte to 1.
const BYTE_SCALE: f32 = 1.0 / 255.0;

/// An array, and where it is from.
#[derive(Clone, Debug)]
pub struct NamedArray {
    /// The file.
    pub path: PathBuf,
    /// Name of the array in the file; empty where it has only one.
    pub name: String,
    /// The array.
    pub array: Array,
}

/// Rows with a right answer each.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Rows `[rows, features]`, images `[rows, height, width]`, or images with channels.
    pub rows: NamedArray,
    /// Right answers, `[rows]`: whole numbers are classes, others are numbers to predict.
    pub answers: NamedArray,
}

/// Form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowShape {
    /// Height and width, where rows are images.
    pub image: Option<(usize, usize)>,
    /// Channels of an image, or features of a row.
    pub channels: usize,
}

impl RowShape {
    /// Values of a row.
    pub fn features(self) -> usize {
        self.image.map_or(1, |(height, width)| height * width) * self.channels
    }

    /// In words: `28 x 28`, or `28 x 28 with 3 channels`.
    pub fn words(self) -> String {
        match (self.image, self.channels) {
            (None, features) => format!("{features} numbers in a row"),
            (Some((height, width)), 1) => format!("images of {height} x {width}"),
            (Some((height, width)), channels) => {
                format!("images of {height} x {width} with {channels} channels")
            }
        }
    }
}

impl NamedArray {
    /// Origin, without its numbers.
    fn clone_head(&self) -> Self {
        let Array { dims, element, .. } = &self.array;
        Self {
            path: self.path.clone(),
            name: self.name.clone(),
            array: Array {
                dims: dims.clone(),
                element: *element,
                numbers: element.no_numbers(),
            },
        }
    }

    fn what(&self) -> String {
        match self.name.as_str() {
            "" => "it".to_owned(),
            name => format!("the array `{name}`"),
        }
    }

    fn error(&self, problem: ExamplesProblem) -> Error {
        Error::Examples {
            path: self.path.clone(),
            problem,
        }
    }

    /// Form of its rows.
    pub fn row_shape(&self, format: DataFormat) -> Result<RowShape, Error> {
        let dims = &self.array.dims;
        let (what, words) = (self.what(), self.array.shape_words());
        let (image, channels) = match (dims.as_slice(), format) {
            ([_, features], _) => (None, *features),
            ([_, height, width], _) => (Some((*height, *width)), 1),
            ([_, channels, height, width], DataFormat::ChannelsFirst) => {
                (Some((*height, *width)), *channels)
            }
            ([_, height, width, channels], DataFormat::ChannelsLast) => {
                if *channels > FEW_CHANNELS && *height <= FEW_CHANNELS {
                    return Err(self.error(ExamplesProblem::Channels { what, dims: words }));
                }
                (Some((*height, *width)), *channels)
            }
            _ => return Err(self.error(ExamplesProblem::Rank { what, dims: words })),
        };
        if self.array.numbers.is_empty() {
            return Err(self.error(ExamplesProblem::Empty { what, dims: words }));
        }
        Ok(RowShape { image, channels })
    }

    /// Checks that its numbers are those of rows.
    fn check_numbers(&self, shape: RowShape) -> Result<(), Error> {
        let what = self.what();
        match &self.array.numbers {
            Numbers::Bytes(_) => Ok(()),
            Numbers::Floats(values) => match values.iter().position(|value| !value.is_finite()) {
                None => Ok(()),
                Some(at) => {
                    let row = at / shape.features();
                    Err(self.error(ExamplesProblem::NotFinite { what, row }))
                }
            },
            Numbers::Integers(_) => {
                let element = self.array.element.name();
                Err(self.error(ExamplesProblem::RowType { what, element }))
            }
        }
    }

    /// Its rows as a network is given them: images channel by channel.
    ///
    /// # Errors
    /// When they are no rows of bytes or finite numbers.
    pub fn into_rows(mut self, format: DataFormat) -> Result<(RowShape, Numbers), Error> {
        let shape = self.row_shape(format)?;
        self.check_numbers(shape)?;
        if shape.image.is_some() && format == DataFormat::ChannelsLast {
            match &mut self.array.numbers {
                Numbers::Bytes(values) => to_planes(values, shape),
                Numbers::Floats(values) => to_planes(values, shape),
                Numbers::Integers(_) => {}
            }
        }
        Ok((shape, self.array.numbers))
    }

    /// Classes, or numbers to predict.
    fn answers(&self, rows: usize) -> Result<Answers, Error> {
        let what = self.what();
        let dims = &self.array.dims;
        if !matches!(dims.as_slice(), [n] | [n, 1] if *n == rows) {
            let dims = dims_words(dims);
            return Err(self.error(ExamplesProblem::Answers { what, dims, rows }));
        }
        match &self.array.numbers {
            Numbers::Bytes(values) => {
                Ok(Answers::Classes(values.iter().map(|&v| v.into()).collect()))
            }
            Numbers::Integers(values) => match values.iter().position(|&v| v == i64::MAX) {
                Some(row) if self.array.element == ElementType::U64 => {
                    Err(self.error(ExamplesProblem::LargeClass { what, row }))
                }
                _ => Ok(Answers::Classes(values.clone())),
            },
            Numbers::Floats(values) => match values.iter().position(|value| !value.is_finite()) {
                None => Ok(Answers::Numbers(values.clone())),
                Some(row) => Err(self.error(ExamplesProblem::NotFinite { what, row })),
            },
        }
    }
}

/// Right answers.
enum Answers {
    Classes(Vec<i64>),
    Numbers(Vec<f32>),
}

/// Makes images whose channels are side by side such whose channels are one after the other.
fn to_planes<T: Copy>(values: &mut [T], shape: RowShape) {
    let channels = shape.channels;
    if channels < 2 {
        return;
    }
    let places = shape.features() / channels;
    let mut image = Vec::with_capacity(shape.features());
    for row in values.chunks_exact_mut(shape.features()) {
        image.clear();
        image.extend_from_slice(row);
        for (at, value) in row.iter_mut().enumerate() {
            *value = image[at % places * channels + at / places];
        }
    }
}

/// Makes a data set of examples, and of others that test; without such, the examples that `rules` say test.
///
/// Rows that validate are drawn at random, as of a table: files are often in the order of their classes.
///
/// # Errors
/// Names the array that does not fit, and what would.
pub fn dataset(
    source: &str,
    examples: Examples,
    test: Option<Examples>,
    format: DataFormat,
    class_names: Option<&[String]>,
    rules: SplitRules,
) -> Result<Dataset, Error> {
    let answers_of = examples.answers.clone_head();
    let (shape, mut numbers, mut answers) = parts(examples, format)?;
    let train_rows = numbers.len() / shape.features();
    let mut test_rows = 0;
    if let Some(test) = test {
        let (of_rows, of_answers) = (test.rows.clone_head(), test.answers.clone_head());
        let (test_shape, test_numbers, test_answers) = parts(test, format)?;
        test_rows = test_numbers.len() / test_shape.features();
        append(&mut numbers, test_numbers, (shape, test_shape), &of_rows)?;
        append_answers(&mut answers, test_answers, &of_answers)?;
    }
    let rows = train_rows + test_rows;
    let features = shape.features();
    if numbers.len() > MAX_VALUES {
        return Err(answers_of.error(ExamplesProblem::TooMany { rows, features }));
    }
    let task = task(&answers_of, answers, class_names)?;
    Ok(Dataset {
        name: source.to_owned(),
        features,
        image: shape.image,
        feature_names: Vec::new(),
        values: match numbers {
            Numbers::Bytes(bytes) => Values::Bytes {
                bytes: bytes.into(),
                scale: BYTE_SCALE,
            },
            Numbers::Floats(values) => Values::Floats(values.into()),
            Numbers::Integers(_) => Values::Floats(Vec::new().into()),
        },
        split: own_split(test_rows, rules, &task)?,
        task,
    })
}

/// Split of rows of one's own: the last `test_rows` test, and only if there are none, those that `rules` say.
///
/// # Errors
/// When they cannot be split as asked.
pub fn own_split(test_rows: usize, rules: SplitRules, task: &Task) -> Result<Split, Error> {
    let test = match test_rows {
        0 => rules.test,
        rows => TestRows::Last(rows),
    };
    Ok(Split::by_rules(SplitRules { test, ..rules }, task)?)
}

fn parts(examples: Examples, format: DataFormat) -> Result<(RowShape, Numbers, Answers), Error> {
    let (shape, numbers) = examples.rows.into_rows(format)?;
    let answers = examples.answers.answers(numbers.len() / shape.features())?;
    Ok((shape, numbers, answers))
}

/// Appends test rows to the others.
fn append(
    numbers: &mut Numbers,
    test: Numbers,
    (expected, found): (RowShape, RowShape),
    of: &NamedArray,
) -> Result<(), Error> {
    let unlike = |found: String, expected: String| {
        let what = of.what();
        of.error(ExamplesProblem::Unlike {
            what,
            found,
            expected,
        })
    };
    if found != expected {
        return Err(unlike(found.words(), expected.words()));
    }
    match (numbers, test) {
        (Numbers::Bytes(values), Numbers::Bytes(test)) => values.extend(test),
        (Numbers::Floats(values), Numbers::Floats(test)) => values.extend(test),
        (Numbers::Bytes(_), _) => {
            return Err(unlike("floating-point".to_owned(), "bytes".to_owned()));
        }
        _ => return Err(unlike("bytes".to_owned(), "floating-point".to_owned())),
    }
    Ok(())
}

/// Appends the answers of test rows to the others.
fn append_answers(answers: &mut Answers, test: Answers, of: &NamedArray) -> Result<(), Error> {
    let what = of.what();
    let (numbers, classes) = ("numbers to predict".to_owned(), "classes".to_owned());
    match (answers, test) {
        (Answers::Numbers(answers), Answers::Numbers(test)) => answers.extend(test),
        (Answers::Classes(answers), Answers::Classes(test)) => {
            let known: BTreeSet<i64> = answers.iter().copied().collect();
            if let Some(row) = test.iter().position(|class| !known.contains(class)) {
                let class = test[row];
                return Err(of.error(ExamplesProblem::NewClass { what, class, row }));
            }
            answers.extend(test);
        }
        (Answers::Numbers(_), Answers::Classes(_)) => {
            return Err(of.error(ExamplesProblem::Unlike {
                what,
                found: classes,
                expected: numbers,
            }));
        }
        (Answers::Classes(_), Answers::Numbers(_)) => {
            return Err(of.error(ExamplesProblem::Unlike {
                what,
                found: numbers,
                expected: classes,
            }));
        }
    }
    Ok(())
}

fn task(of: &NamedArray, answers: Answers, names: Option<&[String]>) -> Result<Task, Error> {
    let what = of.what();
    let classes = match (answers, names) {
        (Answers::Classes(classes), _) => classes,
        (Answers::Numbers(_), Some(_)) => {
            return Err(of.error(ExamplesProblem::NamesOfNumbers { what }));
        }
        (Answers::Numbers(targets), None) => {
            let target_name = match of.name.as_str() {
                "" => "label".to_owned(),
                name => name.to_owned(),
            };
            return Ok(Task::Regression {
                target_name,
                targets,
            });
        }
    };
    let different: BTreeSet<i64> = classes.iter().copied().collect();
    let different: Vec<i64> = different.into_iter().collect();
    if different.len() > MAX_CLASSES {
        let classes = different.len();
        return Err(of.error(ExamplesProblem::Classes { what, classes }));
    }
    let (first, last) = (different.first().copied(), different.last().copied());
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    let numbered = |names: &[String]| first >= 0 && (last as u64) < names.len() as u64;
    let (class_names, numbers) = match names {
        None => (different.iter().map(i64::to_string).collect(), different),
        Some(names) if names.len() == different.len() => (names.to_vec(), different),
        // Some classes may have no rows.
        Some(names) if numbered(names) => (names.to_vec(), (0..names.len() as i64).collect()),
        Some(names) => {
            return Err(of.error(ExamplesProblem::Names {
                what,
                classes: different.len(),
                last,
                names: names.len(),
            }));
        }
    };
    let index = |class: &i64| numbers.binary_search(class).unwrap_or(0) as u32;
    Ok(Task::Classification {
        labels: classes.iter().map(index).collect(),
        class_names,
    })
}
