//! Batches: which rows a tick uses, and their values in the layout that the kernels read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::augmentation::Augmenter;
use super::{Augmentation, Dataset, Labels, Values};
use crate::math::inputs::transpose_into;
use crate::math::stream::{Purpose, shuffle, stream};
use crate::math::{ByteMatrix, Inputs, LANES, Storage};

/// Batches whose values are kept, so that all neurons of a process share one copy: as many ticks
/// as can be in flight.
const KEPT_BATCHES: usize = 4;

/// Batches that [`Batches::lean`] keeps: the one that is worked on, and the one before it, which a
/// neighbour may still work on and whose memory then takes the next one.
const KEPT_LEAN: usize = 2;

/// Rows that memory is asked for ahead of the one that is read: rows are all over the data set, and
/// waiting for each costs more than using it.
const ROWS_AHEAD: usize = 4;

/// Reference to a batch: everything a unit needs to build it from the data set by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchRef {
    /// Training, validation or test rows.
    pub part: Part,
    /// The epoch (from 1), which fixes the order of training rows.
    pub epoch: u32,
    /// Number of the batch within the epoch, from 0.
    pub index: u32,
    /// Number of its rows.
    pub rows: u32,
}

/// A part of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows that change the weights.
    Train,
    /// Rows that are looked at after each epoch.
    Validation,
    /// Rows that are looked at once, at the end.
    Test,
}

impl Part {
    /// Word of the part, in documents, metrics and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Way in which units of the first layer come by the values of a batch. Without effect on the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// Each reads them from the data set by itself; a message only names the batch.
    #[default]
    Reference,
    /// The trainer sends them: as bytes if it gathers bytes, see [`Batches::lean`].
    Broadcast,
}

/// The right answers of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each row.
    Classes(Vec<u32>),
    /// The number of each row.
    Values(Vec<f32>),
}

/// Source of the batches that messages only name. A pure function of the reference.
pub trait BatchSource: Send + Sync {
    /// True if there is a data set; machines that are sent the values of their batches have none.
    fn is_readable(&self) -> bool {
        true
    }
    /// Rows of a part of the data set.
    fn rows(&self, part: Part) -> usize;
    /// The features of a batch.
    fn inputs(&self, batch: BatchRef) -> Arc<Inputs>;
    /// The right answers of a batch.
    fn targets(&self, batch: BatchRef) -> Targets;
}

/// Batches of a data set in memory.
pub struct Batches {
    rows: Arc<BatchRows>,
    is_lean: bool,
    cache: Mutex<VecDeque<CachedBatch>>,
}

/// A batch that is, or is about to be, in memory. Whoever needs it first gathers it.
type CachedBatch = (BatchRef, Arc<OnceLock<Arc<Inputs>>>);

/// Assignment of the data set's rows to batches.
struct BatchRows {
    dataset: Arc<Dataset>,
    seed: u64,
    batch_size: usize,
    shuffle: bool,
    /// Augmenter of training rows; `None` leaves them as they are.
    augmenter: Option<Augmenter>,
    /// The order of the training rows in the epochs that were asked for last.
    orders: Mutex<VecDeque<(u32, Arc<Vec<u32>>)>>,
}

impl Batches {
    /// The batches of `dataset` as a run with this seed and batch size uses them, in the layouts
    /// that many neurons share, and gathered ahead.
    pub fn new(dataset: Arc<Dataset>, seed: u64, batch_size: usize, shuffle: bool) -> Self {
        Self {
            is_lean: false,
            rows: Arc::new(BatchRows {
                dataset,
                seed,
                batch_size,
                shuffle,
                augmenter: None,
                orders: Mutex::default(),
            }),
            cache: Mutex::default(),
        }
    }

    /// Augments the training rows of these batches. Only images that are bytes can be augmented.
    pub fn augmented(mut self, how: Option<Augmentation>) -> Self {
        // Nobody else can have these rows yet, which would gather them as they are.
        if let (Some(how), Some(rows)) = (how, Arc::get_mut(&mut self.rows))
            && let Some((height, width)) = rows.dataset.image
        {
            rows.augmenter = Some(Augmenter::new(how, rows.seed, [height, width]));
        }
        self
    }

    /// Batches for a process that hosts few neurons: they stay bytes if the data set is bytes,
    /// two are kept, and none is gathered before it is asked for.
    pub fn lean(dataset: Arc<Dataset>, seed: u64, batch_size: usize, shuffle: bool) -> Self {
        Self {
            is_lean: true,
            ..Self::new(dataset, seed, batch_size, shuffle)
        }
    }

    /// The row numbers of a batch.
    pub fn row_numbers(&self, batch: BatchRef) -> Vec<u32> {
        self.rows.numbers(batch)
    }

    /// Entry of a batch in the cache, and the memory of one that is no longer needed if there was none.
    fn entry(&self, batch: BatchRef) -> (Arc<OnceLock<Arc<Inputs>>>, Option<Inputs>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, entry)) = cache.iter().find(|(of, _)| *of == batch) {
            return (entry.clone(), None);
        }
        let bound = if self.is_lean {
            KEPT_LEAN
        } else {
            KEPT_BATCHES
        };
        let oldest = if cache.len() >= bound {
            cache.pop_front()
        } else {
            None
        };
        let entry = Arc::new(OnceLock::new());
        cache.push_back((batch, entry.clone()));
        let memory = oldest
            .and_then(|(_, entry)| Arc::into_inner(entry))
            .and_then(OnceLock::into_inner)
            .and_then(Arc::into_inner);
        (entry, memory)
    }

    fn gather(&self, batch: BatchRef, memory: Option<Inputs>) -> Inputs {
        match &self.rows.dataset.values {
            Values::Bytes { bytes, scale } if self.is_lean => {
                self.rows.gather_bytes(batch, bytes, *scale, memory)
            }
            _ => self.rows.gather(batch, memory),
        }
    }

    /// Has the batch after this one gathered by a thread that has nothing to do.
    fn prepare_next(&self, batch: BatchRef) {
        let rows = BatchSource::rows(self, batch.part);
        let first = (batch.index as usize + 1) * self.rows.batch_size;
        if first >= rows || rayon::current_num_threads() < 2 {
            return;
        }
        let next = BatchRef {
            index: batch.index + 1,
            rows: self.rows.batch_size.min(rows - first) as u32,
            ..batch
        };
        let (entry, memory) = self.entry(next);
        let rows = self.rows.clone();
        rayon::spawn(move || {
            entry.get_or_init(|| Arc::new(rows.gather(next, memory)));
        });
    }
}

impl BatchRows {
    fn numbers(&self, batch: BatchRef) -> Vec<u32> {
        let first = batch.index as usize * self.batch_size;
        let range = first..first + batch.rows as usize;
        let split = &self.dataset.split;
        match batch.part {
            Part::Train => self.order(batch.epoch)[range].to_vec(),
            Part::Validation => split.validation[range].to_vec(),
            Part::Test => split.test[range].to_vec(),
        }
    }

    fn order(&self, epoch: u32) -> Arc<Vec<u32>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = orders.iter().find(|(of, _)| *of == epoch) {
            return order.clone();
        }
        let mut order = self.dataset.split.train.clone();
        if self.shuffle {
            let mut rng = stream(self.seed, Purpose::Shuffle, 0, epoch as usize);
            shuffle(&mut order, &mut rng);
        }
        let order = Arc::new(order);
        orders.push_back((epoch, order.clone()));
        if orders.len() > 2 {
            orders.pop_front();
        }
        order
    }

    /// Rows that validate or test are taken as they are.
    fn augmenter_of(&self, batch: BatchRef) -> Option<&Augmenter> {
        let augmenter = self.augmenter.as_ref();
        augmenter.filter(|_| batch.part == Part::Train)
    }

    fn gather(&self, batch: BatchRef, memory: Option<Inputs>) -> Inputs {
        let (rows, width) = (batch.rows as usize, self.dataset.features);
        let (mut features, mut samples) = memory.map(Inputs::into_panels).unwrap_or_default();
        samples.reset(rows, width);
        features.reset(width, rows);
        let numbers = self.numbers(batch);
        let augmenter = self.augmenter_of(batch);
        let mut image = vec![0; if augmenter.is_some() { width } else { 0 }];
        for (i, &row) in numbers.iter().enumerate() {
            if let Some(&later) = numbers.get(i + ROWS_AHEAD) {
                self.dataset.prefetch_row(later as usize);
            }
            let mut put = |panel, values| samples.panel_mut(panel)[i] = values;
            let range = row as usize * width..(row as usize + 1) * width;
            match (&self.dataset.values, augmenter) {
                (Values::Bytes { bytes, scale }, Some(augmenter)) => {
                    augmenter.apply(batch.epoch, row, &bytes[range], &mut image);
                    numbers_of(&image, *scale, put);
                }
                (Values::Bytes { bytes, scale }, None) => {
                    numbers_of(&bytes[range], *scale, put);
                }
                (Values::Floats(values), _) => {
                    for (number, chunk) in values[range].chunks(LANES).enumerate() {
                        let mut lanes = [0.0; LANES];
                        lanes[..chunk.len()].copy_from_slice(chunk);
                        put(number, lanes);
                    }
                }
            }
        }
        transpose_into(&samples, &mut features);
        Inputs::with_samples(features, samples)
    }

    fn gather_bytes(
        &self,
        batch: BatchRef,
        bytes: &Storage<u8>,
        scale: f32,
        memory: Option<Inputs>,
    ) -> Inputs {
        let width = self.dataset.features;
        let numbers = self.numbers(batch);
        let augmenter = self.augmenter_of(batch);
        if augmenter.is_none()
            && let Some(samples) = ByteMatrix::shared(bytes, &numbers, width, scale)
        {
            return Inputs::from_bytes(samples);
        }
        let mut samples = memory.map(Inputs::into_bytes).unwrap_or_default();
        samples.reset(batch.rows as usize, width, scale);
        for (i, &row) in numbers.iter().enumerate() {
            if let Some(&later) = numbers.get(i + ROWS_AHEAD) {
                self.dataset.prefetch_row(later as usize);
            }
            let image = &bytes[row as usize * width..][..width];
            match augmenter {
                Some(augmenter) => augmenter.apply(batch.epoch, row, image, samples.row_mut(i)),
                None => samples.row_mut(i).copy_from_slice(image),
            }
        }
        Inputs::from_bytes(samples)
    }
}

impl BatchSource for Batches {
    fn rows(&self, part: Part) -> usize {
        let split = &self.rows.dataset.split;
        match part {
            Part::Train => split.train.len(),
            Part::Validation => split.validation.len(),
            Part::Test => split.test.len(),
        }
    }

    fn inputs(&self, batch: BatchRef) -> Arc<Inputs> {
        let (entry, memory) = self.entry(batch);
        let inputs = entry
            .get_or_init(|| Arc::new(self.gather(batch, memory)))
            .clone();
        if !self.is_lean {
            self.prepare_next(batch);
        }
        inputs
    }

    fn targets(&self, batch: BatchRef) -> Targets {
        let rows = self.row_numbers(batch);
        match self.rows.dataset.task.labels() {
            Labels::Classes(labels) => {
                Targets::Classes(rows.iter().map(|&row| labels[row as usize]).collect())
            }
            Labels::Values(values) => {
                Targets::Values(rows.iter().map(|&row| values[row as usize]).collect())
            }
        }
    }
}

impl Dataset {
    /// Asks memory for the bytes of a row.
    fn prefetch_row(&self, row: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Values::Bytes { bytes, .. } = &self.values {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            for line in bytes[row * self.features..(row + 1) * self.features].chunks(64) {
                // SAFETY: a prefetch reads nothing that a program could notice.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = row;
    }
}

/// Calls `panel(number, features)` for each [`LANES`] features of a row of bytes, zeros behind the last.
fn numbers_of(bytes: &[u8], scale: f32, mut panel: impl FnMut(usize, [f32; LANES])) {
    for (number, chunk) in bytes.chunks(LANES).enumerate() {
        let mut lanes = [0.0; LANES];
        for (lane, &byte) in lanes.iter_mut().zip(chunk) {
            *lane = f32::from(byte) * scale;
        }
        panel(number, lanes);
    }
}
