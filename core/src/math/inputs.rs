//! The values of one batch, in the layouts that the kernels read.

use std::sync::OnceLock;

use ndarray::{ArrayView2, s};

use super::LANES;
use super::bytes::ByteMatrix;

/// A matrix cut into panels of [`LANES`] columns, each panel row by row: what a kernel streams.
///
/// The columns beyond the last one of the matrix are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panels {
    rows: usize,
    columns: usize,
    values: Vec<[f32; LANES]>,
}

impl Panels {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let mut panels = Self::default();
        panels.reset(rows, columns);
        panels
    }

    /// Becomes a matrix of this shape and keeps its memory. Its elements are arbitrary unless they
    /// are set; those beyond the last column are zero.
    pub fn reset(&mut self, rows: usize, columns: usize) {
        if (rows, columns) == (self.rows, self.columns) {
            return;
        }
        self.rows = rows;
        self.columns = columns;
        self.values.clear();
        self.values
            .resize(rows * columns.div_ceil(LANES), [0.0; LANES]);
    }

    /// The panels of a matrix `[rows, columns]`.
    pub fn pack(matrix: ArrayView2<'_, f32>) -> Self {
        let (rows, columns) = matrix.dim();
        let mut panels = Self::zeros(rows, columns);
        for (row, values) in matrix.outer_iter().enumerate() {
            match values.as_slice() {
                Some(values) => panels.set_row(row, values),
                None => panels.set_row(row, &values.to_vec()),
            }
        }
        panels
    }

    /// The panels of the transpose of a matrix `[columns, rows]`.
    pub fn pack_transposed(matrix: ArrayView2<'_, f32>) -> Self {
        let (columns, rows) = matrix.dim();
        let mut panels = Self::zeros(rows, columns);
        for (block, panel) in (0..columns).step_by(LANES).zip(0..) {
            let width = LANES.min(columns - block);
            let panel = panels.panel_mut(panel);
            for (lane, values) in matrix
                .slice(s![block..block + width, ..])
                .outer_iter()
                .enumerate()
            {
                for (cell, &value) in panel.iter_mut().zip(values) {
                    cell[lane] = value;
                }
            }
        }
        panels
    }

    /// The panels of a matrix that is kept as bytes.
    pub fn unpack(matrix: &ByteMatrix) -> Self {
        let mut panels = Self::zeros(matrix.rows(), matrix.columns());
        for row in 0..matrix.rows() {
            for (panel, lanes) in matrix.numbers(row).enumerate() {
                panels.panel_mut(panel)[row] = lanes;
            }
        }
        panels
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix, padding left out.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// One panel: [`LANES`] columns of every row.
    pub fn panel(&self, panel: usize) -> &[[f32; LANES]] {
        &self.values[panel * self.rows..(panel + 1) * self.rows]
    }

    /// One panel, to be filled.
    pub fn panel_mut(&mut self, panel: usize) -> &mut [[f32; LANES]] {
        &mut self.values[panel * self.rows..(panel + 1) * self.rows]
    }

    /// Sets one row.
    pub fn set_row(&mut self, row: usize, values: &[f32]) {
        for (panel, chunk) in values.chunks(LANES).enumerate() {
            self.values[panel * self.rows + row][..chunk.len()].copy_from_slice(chunk);
        }
    }

    /// Copies one row.
    pub fn copy_row(&self, row: usize, values: &mut [f32]) {
        for (panel, chunk) in values.chunks_mut(LANES).enumerate() {
            let lanes = &self.values[panel * self.rows + row];
            chunk.copy_from_slice(&lanes[..chunk.len()]);
        }
    }

    /// One element.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.values[column / LANES * self.rows + row][column % LANES]
    }
}

/// Inputs of a layer for one tick: `features x rows of the batch`.
///
/// The forward pass reads it feature by feature, the weight gradient sample by sample. Both
/// layouts are made once, when they are first asked for, and shared by every neuron of the layer in
/// the process. A few neurons do without: they compute from the bytes, if the batch has come as
/// bytes.
#[derive(Debug)]
pub struct Inputs {
    /// `[rows, features]`
    bytes: Option<ByteMatrix>,
    /// Always there without `bytes`.
    features: OnceLock<Panels>,
    samples: OnceLock<Panels>,
}

impl Inputs {
    /// Inputs from their features, panels of `[features, rows]`.
    pub fn new(features: Panels) -> Self {
        Self {
            bytes: None,
            features: OnceLock::from(features),
            samples: OnceLock::new(),
        }
    }

    /// Inputs from bytes, `[rows, features]`.
    pub fn from_bytes(bytes: ByteMatrix) -> Self {
        Self {
            bytes: Some(bytes),
            features: OnceLock::new(),
            samples: OnceLock::new(),
        }
    }

    /// Inputs whose two layouts the caller made: `[features, rows]` and `[rows, features]`.
    pub fn with_samples(features: Panels, samples: Panels) -> Self {
        Self {
            bytes: None,
            features: OnceLock::from(features),
            samples: OnceLock::from(samples),
        }
    }

    /// Number of features of each row.
    pub fn n_features(&self) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.columns(),
            None => self.features().rows(),
        }
    }

    /// Number of rows of the batch.
    pub fn n_rows(&self) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.rows(),
            None => self.features().columns(),
        }
    }

    /// `[rows, features]`, if that is what the batch has come as.
    pub fn bytes(&self) -> Option<&ByteMatrix> {
        self.bytes.as_ref()
    }

    /// The panels of `[features, rows]`.
    pub fn features(&self) -> &Panels {
        self.features.get_or_init(|| transpose(self.samples()))
    }

    /// The panels of `[rows, features]`.
    pub fn samples(&self) -> &Panels {
        self.samples.get_or_init(|| match &self.bytes {
            Some(bytes) => Panels::unpack(bytes),
            None => transpose(self.features()),
        })
    }

    /// Takes the memory of both layouts back for the next batch.
    pub fn into_panels(self) -> (Panels, Panels) {
        let panels = |layout: OnceLock<Panels>| layout.into_inner().unwrap_or_default();
        (panels(self.features), panels(self.samples))
    }

    /// Takes the memory of the bytes back for the next batch.
    pub fn into_bytes(self) -> ByteMatrix {
        self.bytes.unwrap_or_default()
    }
}

/// The panels of the transpose of a matrix in panels.
pub fn transpose(from: &Panels) -> Panels {
    let mut to = Panels::zeros(from.columns(), from.rows());
    transpose_into(from, &mut to);
    to
}

/// Transposes block by block of [`LANES`] x [`LANES`], so that both sides stay in cache.
pub fn transpose_into(from: &Panels, to: &mut Panels) {
    let (rows, columns) = (from.rows, from.columns);
    for (panel, first_column) in (0..columns).step_by(LANES).enumerate() {
        let source = &from.values[panel * rows..(panel + 1) * rows];
        let width = LANES.min(columns - first_column);
        for (to_panel, block) in source.chunks(LANES).enumerate() {
            let first = to_panel * columns + first_column;
            let target = &mut to.values[first..first + width];
            for (column, cell) in target.iter_mut().enumerate() {
                for (lane, row) in cell.iter_mut().zip(block) {
                    *lane = row[column];
                }
            }
        }
    }
}
