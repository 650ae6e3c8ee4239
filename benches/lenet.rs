//! Training speed of LeNet-5 on MNIST, batch 128: through the actors, and, in the same run, the same
//! arithmetic written directly on ndarray in one loop (im2col, Chellapilla et al. 2006). Then one epoch of
//! it as containers, a filter or neuron each, which has to end with the digest of one process.
//!
//! `scripts/bench lenet --data-dir DIR [--neurons-per-unit N] [--epochs N] [--no-containers]`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use cuttlefish_core::data::{BatchRef, BatchSource, Batches, Dataset, Part, Targets, Values};
use cuttlefish_core::topology::{self, DataShape, Grouping};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

#[path = "support/containers.rs"]
mod containers;
mod support;

use containers::{BenchProgram, best_epoch, json};

const BATCH: usize = 128;
const LEARNING_RATE: f32 = 0.05;

/// Measures training speed of a convolutional network.
#[derive(Parser)]
struct Args {
    /// Directory of the MNIST files.
    #[arg(long)]
    data_dir: PathBuf,
    /// Neurons hosted by one actor; whole layers by default.
    #[arg(long)]
    neurons_per_unit: Option<usize>,
    /// Epochs of each measurement; the fastest counts.
    #[arg(long, default_value_t = 2)]
    epochs: u32,
    /// Leaves out the run in containers, which needs Docker and a broker image.
    #[arg(long)]
    no_containers: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let overrides = [
        format!("training.epochs={}", args.epochs),
        "data.validation_split=0".to_owned(),
    ];
    let document = topology::parse(include_str!("../topology/lenet5.yaml"), &overrides)
        .map_err(|p| anyhow::anyhow!(p.to_string()))?;
    let loaded = cuttlefish::data::load(&document.spec().data, &PathBuf::new(), &args.data_dir)?;
    let dataset = Arc::new(loaded.dataset);
    let grouping = args
        .neurons_per_unit
        .map_or(Grouping::WholeLayers, Grouping::Units);
    let graph = document
        .graph(&DataShape::from(&*dataset), grouping)
        .map_err(|p| anyhow::anyhow!(p.to_string()))?;
    let rows = dataset.split.train.len() as f64;
    let plain = plain_epochs(&dataset, args.epochs);
    let (actors, _) = support::actor_epochs(graph, dataset)?;
    let speed = |epoch: Duration| rows / epoch.as_secs_f64();
    println!(
        "ndarray, im2col in one loop  {:8.0} samples/s",
        speed(plain)
    );
    println!(
        "actors                       {:8.0} samples/s  ratio to ndarray {:.2}",
        speed(actors),
        speed(actors) / speed(plain)
    );
    if !args.no_containers {
        let containers = container_epoch(&args.data_dir)?;
        println!(
            "236 containers               {containers:8.0} samples/s  ratio to ndarray {:.3}, digest as in one process",
            containers / speed(plain)
        );
    }
    Ok(())
}

/// Samples a second of an epoch with every filter and neuron in a container of its own.
fn container_epoch(data: &Path) -> anyhow::Result<f64> {
    let runs = tempfile::tempdir()?;
    let program = BenchProgram {
        runs: runs.path(),
        data,
    };
    let file = runs.path().join("bench-lenet.yaml");
    std::fs::write(&file, include_str!("../topology/lenet5.yaml"))?;
    let file = file.to_str().context("a plain path")?;
    let train = |name: &str, target: &str| {
        let name = format!("name={name}");
        program.run(&[
            "train", file, "--target", target, "--epochs", "1", "--json", "--set", &name,
        ])
    };
    let measured = train("bench-lenet", "docker").and_then(|(trained, stderr)| {
        let digest = |text: &str| Ok::<_, anyhow::Error>(json(text)?["weights_sha256"].clone());
        let (local, trained) = (digest(&train("local", "local")?.0)?, digest(&trained)?);
        ensure!(local == trained, "the digests differ: {trained} {local}");
        best_epoch(&stderr).context("lines of epochs")
    });
    // Whatever went wrong, no containers are left.
    let removed = program.stdout(&["down", "bench-lenet"]);
    let speed = measured?;
    removed?;
    Ok(speed)
}

/// Weights of a layer, `[outputs, inputs]`, with momentum.
struct PlainLayer {
    w: Array2<f32>,
    b: Array1<f32>,
    vw: Array2<f32>,
    vb: Array1<f32>,
}

impl PlainLayer {
    fn new(outputs: usize, inputs: usize) -> Self {
        let scale = (2.0 / inputs as f32).sqrt();
        let w = Array2::from_shape_fn((outputs, inputs), |(i, j)| {
            (((i * 7 + j * 13) % 19) as f32 / 9.0 - 1.0) * scale
        });
        Self {
            vw: Array2::zeros(w.dim()),
            vb: Array1::zeros(outputs),
            b: Array1::zeros(outputs),
            w,
        }
    }

    /// `[rows, outputs]` of `[rows, inputs]`.
    fn forward(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut z = Array2::zeros((x.nrows(), self.b.len()));
        z += &self.b;
        general_mat_mul(1.0, x, &self.w.t(), 1.0, &mut z);
        z
    }

    fn step(&mut self, deltas: &Array2<f32>, x: &Array2<f32>) {
        let step = |v: &mut f32, &g: &f32| *v = 0.9 * *v - LEARNING_RATE * g;
        let mut gradient = Array2::zeros(self.w.dim());
        general_mat_mul(1.0, &deltas.t(), x, 0.0, &mut gradient);
        self.vw.zip_mut_with(&gradient, step);
        self.vb.zip_mut_with(&deltas.sum_axis(Axis(0)), step);
        self.w += &self.vw;
        self.b += &self.vb;
    }
}

/// A square kernel over square maps, rows of `[n, side, side, channels]`.
#[derive(Clone, Copy)]
struct Geometry {
    side: usize,
    channels: usize,
    kernel: usize,
    before: usize,
    out: usize,
}

impl Geometry {
    /// Calls `with(place in the columns, place in the maps, length)` for what lies side by side.
    fn runs(self, n: usize, mut with: impl FnMut(usize, usize, usize)) {
        let Self {
            side,
            channels,
            kernel,
            before,
            out,
        } = self;
        let width = kernel * kernel * channels;
        for image in 0..n {
            for y in 0..out {
                for x in 0..out {
                    let column = ((image * out + y) * out + x) * width;
                    for down in 0..kernel {
                        let Some(row) = (y + down).checked_sub(before).filter(|&r| r < side) else {
                            continue;
                        };
                        let first = before.saturating_sub(x);
                        let last = kernel.min(side + before - x);
                        let from = ((image * side + row) * side + x + first - before) * channels;
                        let to = column + (down * kernel + first) * channels;
                        with(to, from, (last - first) * channels);
                    }
                }
            }
        }
    }

    fn im2col(self, n: usize, maps: &[f32]) -> Array2<f32> {
        let width = self.kernel * self.kernel * self.channels;
        let mut columns = vec![0.0; n * self.out * self.out * width];
        self.runs(n, |to, from, length| {
            columns[to..to + length].copy_from_slice(&maps[from..from + length]);
        });
        matrix(columns, width)
    }

    fn col2im(self, n: usize, columns: &[f32]) -> Vec<f32> {
        let mut maps = vec![0.0; n * self.side * self.side * self.channels];
        self.runs(n, |from, to, length| {
            for (map, column) in maps[to..to + length].iter_mut().zip(&columns[from..]) {
                *map += column;
            }
        });
        maps
    }
}

fn matrix(values: Vec<f32>, columns: usize) -> Array2<f32> {
    let rows = values.len() / columns;
    Array2::from_shape_vec((rows, columns), values).expect("whole rows")
}

/// The largest of each 2 x 2 places of `[n, side, side, channels]`, and where it was.
fn pool(maps: &Array2<f32>, n: usize, side: usize) -> (Vec<f32>, Vec<u32>) {
    let (channels, half) = (maps.ncols(), side / 2);
    let maps = maps.as_slice().expect("standard layout");
    let mut pooled = vec![0.0; n * half * half * channels];
    let mut places = vec![0u32; pooled.len()];
    for image in 0..n {
        for y in 0..half {
            for x in 0..half {
                let to = ((image * half + y) * half + x) * channels;
                let at = |dy: usize, dx: usize| {
                    ((image * side + 2 * y + dy) * side + 2 * x + dx) * channels
                };
                for channel in 0..channels {
                    let four = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
                    let best = four
                        .map(|place| place + channel)
                        .into_iter()
                        .reduce(|best, place| {
                            if maps[place] > maps[best] {
                                place
                            } else {
                                best
                            }
                        })
                        .expect("four places");
                    pooled[to + channel] = maps[best];
                    places[to + channel] = best as u32;
                }
            }
        }
    }
    (pooled, places)
}

/// Errors of maps under `relu` from those of their pools.
fn unpool(errors: &[f32], places: &[u32], maps: &Array2<f32>) -> Array2<f32> {
    let mut below = Array2::zeros(maps.dim());
    let values = below.as_slice_mut().expect("standard layout");
    let maps = maps.as_slice().expect("standard layout");
    for (&error, &place) in errors.iter().zip(places) {
        if maps[place as usize] > 0.0 {
            values[place as usize] += error;
        }
    }
    below
}

fn relu(values: &mut Array2<f32>) {
    values.mapv_inplace(|z| z.max(0.0));
}

/// The fastest epoch of the plain loop.
fn plain_epochs(dataset: &Arc<Dataset>, epochs: u32) -> Duration {
    let batches = Batches::new(dataset.clone(), 7, BATCH, true);
    let Values::Bytes { bytes, .. } = &dataset.values else {
        unreachable!("MNIST is bytes")
    };
    let first = Geometry {
        side: 28,
        channels: 1,
        kernel: 5,
        before: 2,
        out: 28,
    };
    let second = Geometry {
        side: 14,
        channels: 6,
        kernel: 5,
        before: 0,
        out: 10,
    };
    let (mut conv1, mut conv2) = (PlainLayer::new(6, 25), PlainLayer::new(16, 150));
    let mut full = [
        PlainLayer::new(120, 400),
        PlainLayer::new(84, 120),
        PlainLayer::new(10, 84),
    ];
    let rows = batches.rows(Part::Train);
    let mut fastest = Duration::MAX;
    let mut total_loss = 0.0;
    for epoch in 1..=epochs {
        let started = Instant::now();
        for index in 0..rows.div_ceil(BATCH) {
            let n = BATCH.min(rows - index * BATCH);
            let batch = BatchRef {
                part: Part::Train,
                epoch,
                index: index as u32,
                rows: n as u32,
            };
            let mut x = Vec::with_capacity(n * 784);
            for &number in &batches.row_numbers(batch) {
                let row = &bytes[number as usize * 784..][..784];
                x.extend(row.iter().map(|&b| f32::from(b) / 255.0));
            }
            let Targets::Classes(labels) = batches.targets(batch) else {
                unreachable!("MNIST has classes")
            };
            let columns1 = first.im2col(n, &x);
            let mut a1 = conv1.forward(&columns1);
            relu(&mut a1);
            let (pooled1, places1) = pool(&a1, n, 28);
            let columns2 = second.im2col(n, &pooled1);
            let mut a2 = conv2.forward(&columns2);
            relu(&mut a2);
            let (pooled2, places2) = pool(&a2, n, 10);
            let x3 = matrix(pooled2, 400);
            let mut a3 = full[0].forward(&x3);
            relu(&mut a3);
            let mut a4 = full[1].forward(&a3);
            relu(&mut a4);
            let mut p = full[2].forward(&a4);
            for (mut row, &label) in p.outer_iter_mut().zip(&labels) {
                let max = row.fold(f32::NEG_INFINITY, |m, &z| m.max(z));
                row.mapv_inplace(|z| exp(z - max));
                let sum = row.sum();
                row /= sum;
                total_loss -= f64::from(row[label as usize]);
                row[label as usize] -= 1.0;
                row /= n as f32;
            }
            let behind = |layer: &PlainLayer, deltas: &Array2<f32>, a: &Array2<f32>| {
                let mut errors = deltas.dot(&layer.w);
                errors.zip_mut_with(a, |e, &a| {
                    if a <= 0.0 {
                        *e = 0.0
                    }
                });
                errors
            };
            let d4 = behind(&full[2], &p, &a4);
            let d3 = behind(&full[1], &d4, &a3);
            let e2 = d3.dot(&full[0].w);
            let d2 = unpool(e2.as_slice().expect("standard layout"), &places2, &a2);
            let e1 = d2.dot(&conv2.w);
            let e1 = second.col2im(n, e1.as_slice().expect("standard layout"));
            let d1 = unpool(&e1, &places1, &a1);
            full[2].step(&p, &a4);
            full[1].step(&d4, &a3);
            full[0].step(&d3, &x3);
            conv2.step(&d2, &columns2);
            conv1.step(&d1, &columns1);
        }
        fastest = fastest.min(started.elapsed());
    }
    // That it learns shows that it computes what it should.
    let mean = -total_loss / (f64::from(epochs) * rows as f64);
    assert!(mean > 0.7, "the plain loop does not learn: {mean}");
    fastest
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reference may be as fast as the platform is"
)]
fn exp(x: f32) -> f32 {
    x.exp()
}
