//! A data set as one file that containers map into memory: all processes of a host share one copy
//! of it, in the page cache.
//!
//! | part | content |
//! |---|---|
//! | 8 bytes | `CTLFROWS` |
//! | u32 | version, 1 |
//! | u32 | length of the header |
//! | header | JSON: what the rows are, and how many |
//! | blocks | values (u8 or f32), right answers (u32 or f32), then the row numbers (u32) of the training, validation and test rows; each begins at a multiple of 64 |
//!
//! Numbers are little-endian. The file is written under another name and renamed, and never
//! changed after that.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use cuttlefish_core::data::{Dataset, Labels, Split, Task, Values};
use cuttlefish_core::math::Storage;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

/// The name of the file in which a container finds its data set.
pub const DATA_FILE: &str = "rows.ctlf";

const MAGIC: &[u8; 8] = b"CTLFROWS";
const VERSION: u32 = 1;
/// Alignment of blocks in bytes: that of cache lines, so that numbers are aligned too.
const ALIGNMENT: usize = 64;
/// Names of features and classes are in it.
const MAX_HEADER: usize = 16 << 20;

/// Reason why a prepared data set cannot be mapped. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("read `{}`: {source} (check the path and its permissions)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Not a file that was prepared for containers.
    #[error("read `{}`: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Problem with the file.
        problem: String,
    },
}

/// Header of the file: form and number of the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHeader {
    /// SHA-256 of values and right answers, as in the run's record.
    sha256: String,
    name: String,
    features: usize,
    image: Option<(usize, usize)>,
    feature_names: Vec<String>,
    /// Factor of a byte; None where values are f32.
    scale: Option<f32>,
    /// Names of the classes; `None` for regression.
    classes: Option<Vec<String>>,
    /// Name of the target, for regression.
    target: Option<String>,
    rows: usize,
    train: usize,
    validation: usize,
    test: usize,
}

/// A data set whose values stay in its file.
#[derive(Debug)]
pub struct MappedDataset {
    /// The rows.
    pub dataset: Dataset,
    /// SHA-256 of values and right answers.
    pub sha256: String,
}

impl FileHeader {
    /// Byte ranges of the blocks in a file whose header ends at `start`; the last one ends the file.
    fn blocks(&self, start: usize) -> Option<[Range<usize>; 5]> {
        let value = if self.scale.is_some() { 1 } else { 4 };
        let numbers = |n: usize| n.checked_mul(4);
        let sizes = [
            self.rows.checked_mul(self.features)?.checked_mul(value)?,
            numbers(self.rows)?,
            numbers(self.train)?,
            numbers(self.validation)?,
            numbers(self.test)?,
        ];
        let mut end = start;
        let mut blocks = [const { 0..0 }; 5];
        for (block, size) in blocks.iter_mut().zip(sizes) {
            let first = end.checked_next_multiple_of(ALIGNMENT)?;
            end = first.checked_add(size)?;
            *block = first..end;
        }
        Some(blocks)
    }
}

/// The file in which a container finds its data set.
pub fn data_file(dir: &Path) -> PathBuf {
    dir.join(DATA_FILE)
}

/// Writes `dataset`, whose values and answers have this SHA-256, to `path`.
///
/// # Errors
/// When the disk is full or the directory cannot be written; nothing is left at `path` then.
pub fn write(dataset: &Dataset, sha256: &str, path: &Path) -> std::io::Result<()> {
    let temporary = path.with_extension("part");
    let result = write_to(dataset, sha256, &temporary);
    match result.and_then(|()| fs::rename(&temporary, path)) {
        Err(error) => {
            // A half-written file is of no use; that it cannot be removed is not the problem.
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

fn write_to(dataset: &Dataset, sha256: &str, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    render(dataset, sha256, &mut out)?;
    out.into_inner()?.sync_all()
}

/// Content of the file that [`write`] writes.
///
/// # Errors
/// When the data set is too large.
pub fn bytes(dataset: &Dataset, sha256: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    render(dataset, sha256, &mut bytes)?;
    Ok(bytes)
}

fn render(dataset: &Dataset, sha256: &str, out: &mut impl Write) -> std::io::Result<()> {
    let (classes, target) = match &dataset.task {
        Task::Classification { class_names, .. } => (Some(class_names.clone()), None),
        Task::Regression { target_name, .. } => (None, Some(target_name.clone())),
    };
    let split = &dataset.split;
    let (values, scale): (&[u8], _) = match &dataset.values {
        Values::Bytes { bytes, scale } => (bytes, Some(*scale)),
        Values::Floats(values) => (bytemuck::cast_slice(values), None),
    };
    let header = FileHeader {
        sha256: sha256.to_owned(),
        name: dataset.name.clone(),
        features: dataset.features,
        image: dataset.image,
        feature_names: dataset.feature_names.clone(),
        scale,
        classes,
        target,
        rows: dataset.rows(),
        train: split.train.len(),
        validation: split.validation.len(),
        test: split.test.len(),
    };
    let json = serde_json::to_vec(&header)?;
    let start = MAGIC.len() + 8 + json.len();
    let too_large = || std::io::Error::other("the data set is too large");
    let blocks = header.blocks(start).ok_or_else(too_large)?;
    let length = u32::try_from(json.len()).map_err(|_| too_large())?;
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&json)?;
    let answers: &[u8] = match dataset.task.labels() {
        Labels::Classes(classes) => bytemuck::cast_slice(classes),
        Labels::Values(values) => bytemuck::cast_slice(values),
    };
    let contents = [
        values,
        answers,
        bytemuck::cast_slice(&split.train),
        bytemuck::cast_slice(&split.validation),
        bytemuck::cast_slice(&split.test),
    ];
    let mut at = start;
    for (block, content) in blocks.into_iter().zip(contents) {
        out.write_all(&[0; ALIGNMENT][..block.start - at])?;
        out.write_all(content)?;
        at = block.end;
    }
    Ok(())
}

/// Maps a file that [`write`] has written. Its values are read when they are used.
pub fn map(path: &Path) -> Result<MappedDataset, Error> {
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let broken = |problem: &str| Error::Broken {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let file = File::open(path).map_err(read)?;
    // SAFETY: the file is written once, under another name, and not changed or cut after that;
    // containers have it read-only.
    let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(read)?);
    let (header, start) = header(&map).map_err(|problem| broken(&problem))?;
    let blocks = header
        .blocks(start)
        .filter(|blocks| blocks[4].end == map.len())
        .ok_or_else(|| broken("it has the wrong length"))?;
    let [values, answers, train, validation, test] = blocks;
    let numbers = |range: Range<usize>| bytemuck::cast_slice::<u8, u32>(&map[range]).to_vec();
    let split = Split {
        train: numbers(train),
        validation: numbers(validation),
        test: numbers(test),
    };
    let rows = header.rows as u64;
    if [&split.train, &split.validation, &split.test]
        .into_iter()
        .flatten()
        .any(|&row| u64::from(row) >= rows)
    {
        return Err(broken("it names rows that it does not have"));
    }
    let task = match (header.classes, header.target) {
        (Some(class_names), _) => {
            let labels = numbers(answers);
            if labels.iter().any(|&l| l as usize >= class_names.len()) {
                return Err(broken("it names classes that it does not have"));
            }
            Task::Classification {
                class_names,
                labels,
            }
        }
        (None, target) => Task::Regression {
            target_name: target.unwrap_or_default(),
            targets: bytemuck::cast_slice(&map[answers]).to_vec(),
        },
    };
    let dataset = Dataset {
        name: header.name,
        features: header.features,
        image: header.image,
        feature_names: header.feature_names,
        values: match header.scale {
            Some(scale) => Values::Bytes {
                bytes: section(&map, values),
                scale,
            },
            None => Values::Floats(section(&map, values)),
        },
        task,
        split,
    };
    Ok(MappedDataset {
        dataset,
        sha256: header.sha256,
    })
}

/// A block of the mapped file.
struct Section<T> {
    map: Arc<Mmap>,
    range: Range<usize>,
    number: PhantomData<T>,
}

impl<T: Pod> AsRef<[T]> for Section<T> {
    fn as_ref(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[self.range.clone()])
    }
}

fn section<T: Pod + Send + Sync>(map: &Arc<Mmap>, range: Range<usize>) -> Storage<T> {
    Storage::new(Section {
        map: map.clone(),
        range,
        number: PhantomData,
    })
}

fn header(map: &[u8]) -> Result<(FileHeader, usize), String> {
    let fixed = MAGIC.len() + 8;
    if map.len() < fixed || !map.starts_with(MAGIC) {
        return Err("it is no prepared data set".to_owned());
    }
    let number = |at: usize| {
        let bytes = map[at..at + 4].try_into();
        u32::from_le_bytes(bytes.expect("four bytes were cut"))
    };
    let version = number(8);
    if version != VERSION {
        return Err(format!(
            "it has version {version}, this program reads {VERSION}"
        ));
    }
    let length = number(12) as usize;
    if length > MAX_HEADER || map.len() - fixed < length {
        return Err("its header has the wrong length".to_owned());
    }
    let end = fixed + length;
    let header = serde_json::from_slice(&map[fixed..end]).map_err(|e| e.to_string())?;
    Ok((header, end))
}
