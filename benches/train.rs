//! Training speed of 784-128-10 on MNIST, batch 128: through the actors, and, in the same run,
//! the same arithmetic written directly on ndarray in one loop.
//!
//! `scripts/bench train --data-dir DIR [--neurons-per-unit N] [--epochs N]`

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use cuttlefish_core::data::{BatchRef, BatchSource, Batches, Dataset, Part, Targets};
use cuttlefish_core::math::Panels;
use cuttlefish_core::math::kernel::{Rows, multiply_add};
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

mod support;

const TOPOLOGY: &str = "
name: bench
seed: 7
data: {source: mnist, validation_split: 0}
network:
  layers:
    - {type: dense, name: hidden, units: 128, activation: relu, kernel_initializer: he_normal}
    - {type: dense, name: digit, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
training:
  batch_size: 128
  optimizer: {type: sgd, learning_rate: 0.1, momentum: 0.9}
";

/// Allocator that counts the allocations of the measured run.
struct CountingAllocator;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED_BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        ALLOCATED_BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

/// Measures training speed.
#[derive(Parser)]
struct Args {
    /// Directory of the MNIST files.
    #[arg(long)]
    data_dir: PathBuf,
    /// Neurons hosted by one actor; whole layers by default.
    #[arg(long)]
    neurons_per_unit: Option<usize>,
    /// Epochs of each measurement; the fastest counts.
    #[arg(long, default_value_t = 5)]
    epochs: u32,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let overrides = [format!("training.epochs={}", args.epochs)];
    let document =
        topology::parse(TOPOLOGY, &overrides).map_err(|p| anyhow::anyhow!(p.to_string()))?;
    let loaded = cuttlefish::data::load(&document.spec().data, &PathBuf::new(), &args.data_dir)?;
    let dataset = Arc::new(loaded.dataset);
    let grouping = args
        .neurons_per_unit
        .map_or(Grouping::WholeLayers, Grouping::Units);
    let graph = document
        .graph(&DataShape::from(&*dataset), grouping)
        .map_err(|p| anyhow::anyhow!(p.to_string()))?;

    let rows = dataset.split.train.len() as f64;
    let flops_per_row = (6 * (784 * 128 + 128 * 10) - 2 * 784 * 128) as f64;
    let peak = peak_flops();
    println!(
        "peak of the product kernel   {:8.1} GFLOP/s on all cores",
        peak / 1e9
    );
    let report = |name: &str, epoch: Duration, reference: Option<Duration>| {
        let speed = rows / epoch.as_secs_f64();
        let share = speed * flops_per_row / peak;
        print!(
            "{name:<28} {speed:8.0} samples/s  {:.3} s an epoch  {:4.1} % of peak",
            epoch.as_secs_f64(),
            100.0 * share
        );
        match reference {
            Some(reference) => println!(
                "  ratio to ndarray {:.2}",
                reference.as_secs_f64() / epoch.as_secs_f64()
            ),
            None => println!(),
        }
    };
    let reference = plain_epochs(&dataset, &graph, args.epochs);
    report("ndarray, one loop", reference, None);
    let label = match args.neurons_per_unit {
        None => "actors, whole layers".to_owned(),
        Some(n) => format!("actors, {n} neurons a unit"),
    };
    let counted = || {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        (read(&ALLOCATIONS), read(&ALLOCATED_BYTES))
    };
    let before = counted();
    let (actors, ticks) = support::actor_epochs(graph, dataset.clone())?;
    let after = counted();
    println!(
        "through the actors a tick takes {:.0} allocations and {:.0} KiB of memory",
        (after.0 - before.0) / ticks,
        (after.1 - before.1) / ticks / 1024.0
    );
    report(&label, actors, Some(reference));
    Ok(())
}

/// The fastest epoch of the plain loop.
fn plain_epochs(dataset: &Arc<Dataset>, graph: &Graph, epochs: u32) -> Duration {
    let batches = Batches::new(dataset.clone(), graph.seed, 128, true);
    let learning_rate = 0.1;
    let mut w1 = Array2::from_shape_fn((128, 784), |(i, j)| ((i * 7 + j * 3) % 11) as f32 * 0.005);
    let mut w2 = Array2::from_shape_fn((10, 128), |(i, j)| ((i * 5 + j) % 7) as f32 * 0.01);
    let (mut b1, mut b2) = (Array1::<f32>::zeros(128), Array1::<f32>::zeros(10));
    let (mut v1, mut v2) = (
        Array2::<f32>::zeros(w1.dim()),
        Array2::<f32>::zeros(w2.dim()),
    );
    let (mut vb1, mut vb2) = (Array1::<f32>::zeros(128), Array1::<f32>::zeros(10));
    let (mut g1, mut g2) = (v1.clone(), v2.clone());
    let bytes = match &dataset.values {
        cuttlefish_core::data::Values::Bytes { bytes, .. } => bytes,
        cuttlefish_core::data::Values::Floats(_) => unreachable!("MNIST is bytes"),
    };
    let rows = batches.rows(Part::Train);
    let mut fastest = Duration::MAX;
    let mut total_loss = 0.0;
    for epoch in 1..=epochs {
        let started = Instant::now();
        for index in 0..rows.div_ceil(128) {
            let n = 128.min(rows - index * 128);
            let batch = BatchRef {
                part: Part::Train,
                epoch,
                index: index as u32,
                rows: n as u32,
            };
            let mut x = Array2::<f32>::zeros((n, 784));
            for (mut row, &number) in x.outer_iter_mut().zip(&batches.row_numbers(batch)) {
                let from = &bytes[number as usize * 784..][..784];
                row.iter_mut()
                    .zip(from)
                    .for_each(|(x, &b)| *x = f32::from(b) / 255.0);
            }
            let Targets::Classes(labels) = batches.targets(batch) else {
                unreachable!("MNIST has classes")
            };
            let mut a1 = Array2::zeros((n, 128));
            a1 += &b1;
            general_mat_mul(1.0, &x, &w1.t(), 1.0, &mut a1);
            a1.mapv_inplace(|z: f32| z.max(0.0));
            let mut p = Array2::zeros((n, 10));
            p += &b2;
            general_mat_mul(1.0, &a1, &w2.t(), 1.0, &mut p);
            for (mut row, &label) in p.outer_iter_mut().zip(&labels) {
                let max = row.fold(f32::NEG_INFINITY, |m, &z| m.max(z));
                row.mapv_inplace(|z| libm_exp(z - max));
                let sum = row.sum();
                row /= sum;
                total_loss -= f64::from(row[label as usize]);
                row[label as usize] -= 1.0;
                row /= n as f32;
            }
            let mut e1 = p.dot(&w2);
            general_mat_mul(1.0, &p.t(), &a1, 0.0, &mut g2);
            e1.zip_mut_with(&a1, |e, &a| {
                if a <= 0.0 {
                    *e = 0.0
                }
            });
            general_mat_mul(1.0, &e1.t(), &x, 0.0, &mut g1);
            let step = |v: &mut f32, &g: &f32| *v = 0.9 * *v - learning_rate * g;
            v1.zip_mut_with(&g1, step);
            v2.zip_mut_with(&g2, step);
            vb1.zip_mut_with(&e1.sum_axis(Axis(0)), step);
            vb2.zip_mut_with(&p.sum_axis(Axis(0)), step);
            w1 += &v1;
            w2 += &v2;
            b1 += &vb1;
            b2 += &vb2;
        }
        fastest = fastest.min(started.elapsed());
    }
    std::hint::black_box(total_loss);
    fastest
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reference may be as fast as the platform is"
)]
fn libm_exp(x: f32) -> f32 {
    x.exp()
}

/// Speed of a product of two 1024 x 1024 matrices on all cores, in floating-point operations a
/// second.
fn peak_flops() -> f64 {
    const N: usize = 1024;
    let a = vec![0.5; N * N];
    let b = Panels::pack(Array2::ones((N, N)).view());
    let mut c = vec![0.0; N * N];
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        multiply_add(Rows::new(&a, N, N), &b, &mut c);
        fastest = fastest.min(started.elapsed());
    }
    2.0 * (N * N * N) as f64 / fastest.as_secs_f64()
}
