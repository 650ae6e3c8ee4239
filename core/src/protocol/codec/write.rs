//! The writing side.

use ndarray::Array2;

use super::{MAGIC, MAX_PROBLEM_LEN, VERSION, address, fixed_len, kind, tag};
use crate::data::Part;
use crate::ids::{Address, CommitPoint};
use crate::math::{Inputs, LANES, Panels};
use crate::protocol::{Envelope, Message, TickHeader, Work};

/// Appends to a buffer.
pub struct Writer<'a>(pub &'a mut Vec<u8>);

/// As much of a problem's text as is sent.
pub fn cut(problem: &str) -> &str {
    &problem[..problem.floor_char_boundary(MAX_PROBLEM_LEN)]
}

impl Writer<'_> {
    pub fn envelope(&mut self, envelope: &Envelope) {
        self.bytes(&MAGIC);
        self.bytes(&[VERSION, kind_of(&envelope.message), 0, 0]);
        self.u64(envelope.generation.0);
        match &envelope.message {
            Message::Rewind(commit) => self.commit(*commit),
            Message::Hello { from } | Message::Ready { from } => self.address(*from),
            Message::Unable { from, problem } => {
                let problem = cut(problem);
                self.address(*from);
                self.size(problem.len());
                self.bytes(problem.as_bytes());
            }
            Message::Committed { from, commit } => {
                self.address(*from);
                self.commit(*commit);
            }
            Message::Diverged { from, neuron, tick } => {
                self.address(*from);
                self.size(*neuron);
                self.u64(tick.0);
            }
            Message::Forward { header, inputs } => {
                self.tick_header(header);
                self.inputs(inputs.as_deref());
            }
            Message::Activation {
                header,
                first,
                values,
            } => {
                self.tick_header(header);
                self.sizes([*first, values.nrows(), values.ncols()]);
                self.matrix(values);
            }
            Message::Backward {
                tick,
                next,
                first,
                errors,
            } => {
                self.u64(tick.0);
                self.next(next.as_ref());
                self.sizes([*first, errors.nrows(), errors.ncols()]);
                self.matrix(errors);
            }
            Message::Contribution {
                tick,
                next,
                first,
                deltas,
                weights,
            } => {
                self.u64(tick.0);
                self.next(next.as_ref());
                self.sizes([*first, deltas.nrows(), deltas.ncols(), weights.ncols()]);
                self.matrix(deltas);
                self.matrix(weights);
            }
            Message::Propagated { tick, next, errors } => {
                self.u64(tick.0);
                self.next(next.as_ref());
                self.sizes([errors.nrows(), errors.ncols()]);
                self.matrix(errors);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A size or an index. What does not fit becomes the highest number, which no reader takes.
    fn size(&mut self, size: usize) {
        self.u32(u32::try_from(size).unwrap_or(u32::MAX));
    }

    fn sizes<const N: usize>(&mut self, sizes: [usize; N]) {
        sizes.into_iter().for_each(|size| self.size(size));
    }

    fn commit(&mut self, commit: CommitPoint) {
        self.u64(commit.number);
        self.u64(commit.tick.0);
    }

    fn address(&mut self, address: Address) {
        let (kind, layer, index) = address::parts(address);
        self.bytes(&[kind, 0, 0, 0]);
        self.sizes([layer, index]);
    }

    fn tick_header(&mut self, header: &TickHeader) {
        let (work, step, learning_rate) = match header.work {
            Work::Evaluate => (tag::EVALUATE, 0, 0.0),
            Work::Train {
                step,
                learning_rate,
            } => (tag::TRAIN, step, learning_rate),
        };
        let (marked, mark) = match header.mark {
            None => (tag::UNMARKED, 0),
            Some(number) => (tag::MARKED, number),
        };
        let part = match header.batch.part {
            Part::Train => tag::PART_TRAIN,
            Part::Validation => tag::PART_VALIDATION,
            Part::Test => tag::PART_TEST,
        };
        self.u64(header.tick.0);
        self.u64(mark);
        self.u64(step);
        self.bytes(&learning_rate.to_le_bytes());
        self.u32(header.batch.epoch);
        self.u32(header.batch.index);
        self.u32(header.batch.rows);
        self.bytes(&[part, work, marked, 0]);
    }

    fn next(&mut self, header: Option<&TickHeader>) {
        match header {
            Some(header) => self.tick_header(header),
            None => self.bytes(&[0; fixed_len::TICK_HEADER]),
        }
    }

    fn inputs(&mut self, inputs: Option<&Inputs>) {
        let Some(inputs) = inputs else {
            self.bytes(&[tag::BY_REFERENCE, 0, 0, 0]);
            self.sizes([0, 0]);
            return;
        };
        let (features, rows) = (inputs.n_features(), inputs.n_rows());
        if let Some(matrix) = inputs.bytes() {
            self.bytes(&[tag::U8, 0, 0, 0]);
            self.sizes([features, rows]);
            self.bytes(&matrix.scale().to_le_bytes());
            (0..rows).for_each(|row| self.bytes(matrix.row(row)));
            return;
        }
        self.bytes(&[tag::F32, 0, 0, 0]);
        self.sizes([features, rows]);
        self.features(inputs.features());
    }

    /// `[features, rows]`, the padding of the panels left out.
    fn features(&mut self, panels: &Panels) {
        let (features, rows) = (panels.rows(), panels.columns());
        if rows > 0 {
            let target = self.space(features * rows);
            for (feature, row) in target.chunks_exact_mut(rows).enumerate() {
                for (panel, cells) in row.chunks_mut(LANES).enumerate() {
                    copy(&panels.panel(panel)[feature], cells);
                }
            }
        }
    }

    /// Row by row, whatever the layout in memory.
    fn matrix(&mut self, matrix: &Array2<f32>) {
        match matrix.as_slice() {
            Some(values) => copy(values, self.space(values.len())),
            None => matrix
                .iter()
                .for_each(|value| self.bytes(&value.to_le_bytes())),
        }
    }

    /// Room for this many values, to be filled.
    fn space(&mut self, values: usize) -> &mut [[u8; 4]] {
        let start = self.0.len();
        self.0.resize(start + 4 * values, 0);
        self.0[start..].as_chunks_mut().0
    }
}

/// As many values as there are cells.
fn copy(values: &[f32], cells: &mut [[u8; 4]]) {
    for (cell, value) in cells.iter_mut().zip(values) {
        *cell = value.to_le_bytes();
    }
}

fn kind_of(message: &Message) -> u8 {
    match message {
        Message::Rewind(_) => kind::REWIND,
        Message::Hello { .. } => kind::HELLO,
        Message::Ready { .. } => kind::READY,
        Message::Unable { .. } => kind::UNABLE,
        Message::Committed { .. } => kind::COMMITTED,
        Message::Diverged { .. } => kind::DIVERGED,
        Message::Forward { .. } => kind::FORWARD,
        Message::Activation { .. } => kind::ACTIVATION,
        Message::Backward { .. } => kind::BACKWARD,
        Message::Contribution { .. } => kind::CONTRIBUTION,
        Message::Propagated { .. } => kind::PROPAGATED,
    }
}
