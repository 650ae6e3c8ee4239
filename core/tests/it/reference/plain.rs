//! Training in plain loops and f64, written from the formulas and sharing no arithmetic with the
//! library: only the order of rows, the dropout masks and the initial weights are taken from it.

use cuttlefish_core::data::{BatchRef, BatchSource, Labels, Part, Values};
use cuttlefish_core::math::conv::{PoolKind, Window};
use cuttlefish_core::math::{Activation, Loss, Optimizer, dropout};
use cuttlefish_core::topology::{Graph, Head, Layer};

use crate::support::Case;

pub struct Plain {
    pub graph: Graph,
    /// `weights[layer][neuron]`: the weights, then the bias.
    pub weights: Vec<Vec<Vec<f64>>>,
    first: Vec<Vec<Vec<f64>>>,
    second: Vec<Vec<Vec<f64>>>,
}

/// What happened to a batch in each layer.
struct Trace {
    /// Inputs of the layer, `[feature][row]`.
    x: Vec<Vec<f64>>,
    /// Sums, `[neuron and position][row]`.
    z: Vec<Vec<f64>>,
    /// Dropout factors, `[neuron and output][row]`.
    mask: Vec<Vec<f64>>,
}

/// The places of a map that a window sees at a position, without those outside.
fn seen(window: &Window, position: usize) -> Vec<(usize, usize)> {
    let (row, column) = (
        position / window.positions.width,
        position % window.positions.width,
    );
    let mut places = Vec::new();
    for down in 0..window.size.height {
        for across in 0..window.size.width {
            let y = (row * window.strides.height + down) as isize - window.before.height as isize;
            let x =
                (column * window.strides.width + across) as isize - window.before.width as isize;
            if (0..window.map.height as isize).contains(&y)
                && (0..window.map.width as isize).contains(&x)
            {
                let place = y as usize * window.map.width + x as usize;
                places.push((down * window.size.width + across, place));
            }
        }
    }
    places
}

/// Which weight meets which feature for a sum.
fn links(layer: &Layer, position: usize) -> Vec<(usize, usize)> {
    let Some(maps) = layer.maps else {
        return (0..layer.fan_in).map(|i| (i, i)).collect();
    };
    let (kernel, map) = (maps.window.size.area(), maps.window.map.area());
    let mut links = Vec::new();
    for channel in 0..maps.channels {
        for (weight, place) in seen(&maps.window, position) {
            links.push((channel * kernel + weight, channel * map + place));
        }
    }
    links
}

/// How much of each activation of a neuron is in each of its outputs, for one row.
fn shares(layer: &Layer, activations: &[f64]) -> Vec<Vec<(usize, f64)>> {
    let Some(pool) = layer.maps.and_then(|maps| maps.pool) else {
        return (0..activations.len()).map(|p| vec![(p, 1.0)]).collect();
    };
    let of = |output| {
        let places = seen(&pool.window, output);
        match pool.kind {
            PoolKind::Average => {
                let share = 1.0 / places.len() as f64;
                places.iter().map(|&(_, place)| (place, share)).collect()
            }
            PoolKind::Max => {
                let mut best = places[0].1;
                for &(_, place) in &places {
                    if activations[place] > activations[best] {
                        best = place;
                    }
                }
                vec![(best, 1.0)]
            }
        }
    };
    (0..pool.window.positions.area()).map(of).collect()
}

pub fn activate(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Linear | Activation::Softmax => z,
        Activation::Relu => z.max(0.0),
        Activation::LeakyRelu => {
            if z > 0.0 {
                z
            } else {
                f64::from(0.2f32) * z
            }
        }
        Activation::Elu => {
            if z > 0.0 {
                z
            } else {
                libm::exp(z) - 1.0
            }
        }
        Activation::Sigmoid => 1.0 / (1.0 + libm::exp(-z)),
        Activation::Tanh => libm::tanh(z),
    }
}

fn slope(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Linear | Activation::Softmax => 1.0,
        Activation::Relu => {
            if z > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Activation::LeakyRelu => {
            if z > 0.0 {
                1.0
            } else {
                f64::from(0.2f32)
            }
        }
        Activation::Elu => {
            if z > 0.0 {
                1.0
            } else {
                libm::exp(z)
            }
        }
        Activation::Sigmoid => {
            let a = activate(activation, z);
            a * (1.0 - a)
        }
        Activation::Tanh => 1.0 - libm::tanh(z) * libm::tanh(z),
    }
}

impl Plain {
    pub fn new(graph: &Graph) -> Self {
        let start = |l: usize, layer: &Layer| -> Vec<Vec<f64>> {
            let draw = |n| {
                layer
                    .kernel_initializer
                    .weights(graph.seed, l, n, layer.fan_in, layer.fan_out())
            };
            let neuron = |n| draw(n).iter().map(|&w| f64::from(w)).chain([0.0]).collect();
            (0..layer.units).map(neuron).collect()
        };
        let weights: Vec<Vec<Vec<f64>>> = graph
            .layers
            .iter()
            .enumerate()
            .map(|(l, layer)| start(l, layer))
            .collect();
        let moment = f64::from(graph.training.optimizer.initial_moment());
        let mut first = weights.clone();
        first
            .iter_mut()
            .flatten()
            .flatten()
            .for_each(|v| *v = moment);
        Self {
            graph: graph.clone(),
            second: first.clone(),
            first,
            weights,
        }
    }

    /// Features `[feature][row]` and right answers `[output][row]` of a batch.
    pub fn batch(case: &Case, batch: BatchRef) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let rows = case.batches.row_numbers(batch);
        let n = case.dataset.features;
        let Values::Floats(values) = &case.dataset.values else {
            panic!("floats")
        };
        let x = (0..n)
            .map(|i| {
                rows.iter()
                    .map(|&r| f64::from(values[r as usize * n + i]))
                    .collect()
            })
            .collect();
        let outputs = case.graph.outputs();
        let y = (0..outputs)
            .map(|o| {
                let right = |&r: &u32| match case.dataset.task.labels() {
                    Labels::Classes(c) if outputs == 1 => f64::from(c[r as usize]),
                    Labels::Classes(c) => f64::from(u8::from(c[r as usize] as usize == o)),
                    Labels::Values(v) => f64::from(v[r as usize]),
                };
                rows.iter().map(right).collect()
            })
            .collect();
        (x, y)
    }

    fn forward(&self, x: &[Vec<f64>], step: Option<u64>) -> (Vec<Trace>, Vec<Vec<f64>>) {
        let mut traces = Vec::new();
        let mut x = x.to_vec();
        for (l, layer) in self.graph.layers.iter().enumerate() {
            let rows = x[0].len();
            let (positions, outputs) = (layer.positions(), layer.outputs());
            let mut z = vec![vec![0.0; rows]; layer.units * positions];
            let mut mask = vec![vec![1.0; rows]; layer.units * outputs];
            let mut a = vec![vec![0.0; rows]; layer.units * outputs];
            for n in 0..layer.units {
                if let Some(step) = step {
                    let mut factors = vec![1.0f32; outputs * rows];
                    dropout::mask(self.graph.seed, step, l, n, layer.dropout, &mut factors);
                    for o in 0..outputs {
                        for r in 0..rows {
                            mask[n * outputs + o][r] = f64::from(factors[o * rows + r]);
                        }
                    }
                }
                for p in 0..positions {
                    for r in 0..rows {
                        let z = &mut z[n * positions + p][r];
                        *z = self.weights[l][n][layer.fan_in];
                        for (i, feature) in links(layer, p) {
                            *z += self.weights[l][n][i] * x[feature][r];
                        }
                    }
                }
                for r in 0..rows {
                    let activations = Self::activations(layer, &z, n, r);
                    for (o, shares) in shares(layer, &activations).iter().enumerate() {
                        let place = n * outputs + o;
                        for &(p, share) in shares {
                            a[place][r] += activations[p] * share * mask[place][r];
                        }
                    }
                }
            }
            traces.push(Trace { x, z, mask });
            x = a;
        }
        (traces, x)
    }

    /// Activations of a neuron at each position for one row.
    fn activations(layer: &Layer, z: &[Vec<f64>], n: usize, r: usize) -> Vec<f64> {
        let positions = layer.positions();
        let of_neuron = &z[n * positions..(n + 1) * positions];
        of_neuron
            .iter()
            .map(|z| activate(layer.activation, z[r]))
            .collect()
    }

    /// Mean loss of a batch and dLoss/d(output of the last layer).
    fn loss(&self, outputs: &[Vec<f64>], y: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>) {
        let (n, rows) = (outputs.len(), outputs[0].len());
        let mut total = 0.0;
        let mut gradient = vec![vec![0.0; rows]; n];
        for r in 0..rows {
            let z: Vec<f64> = outputs.iter().map(|o| o[r]).collect();
            let p: Vec<f64> = match self.graph.head {
                Head::Identity => z.clone(),
                Head::Sigmoid => z
                    .iter()
                    .map(|&z| activate(Activation::Sigmoid, z))
                    .collect(),
                Head::Softmax => {
                    let sum: f64 = z.iter().map(|&z| libm::exp(z)).sum();
                    z.iter().map(|&z| libm::exp(z) / sum).collect()
                }
            };
            // dLoss/dp, then through the head's own Jacobian.
            let mut dp = vec![0.0; n];
            for o in 0..n {
                let t = y[o][r];
                match self.graph.loss {
                    Loss::MeanSquaredError => {
                        total += (p[o] - t) * (p[o] - t) / n as f64;
                        dp[o] = 2.0 * (p[o] - t) / n as f64;
                    }
                    Loss::BinaryCrossentropy => {
                        total -=
                            (t * libm::log(p[o]) + (1.0 - t) * libm::log(1.0 - p[o])) / n as f64;
                        dp[o] = (-t / p[o] + (1.0 - t) / (1.0 - p[o])) / n as f64;
                    }
                    Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy => {
                        total -= t * libm::log(p[o]);
                        dp[o] = -t / p[o];
                    }
                }
            }
            for o in 0..n {
                gradient[o][r] = match self.graph.head {
                    Head::Identity => dp[o],
                    Head::Sigmoid => dp[o] * p[o] * (1.0 - p[o]),
                    Head::Softmax => (0..n)
                        .map(|k| dp[k] * p[k] * (f64::from(u8::from(k == o)) - p[o]))
                        .sum(),
                } / rows as f64;
            }
        }
        (total / rows as f64, gradient)
    }

    /// Loss with penalties: what the gradient is the gradient of.
    pub fn objective(&self, x: &[Vec<f64>], y: &[Vec<f64>], step: Option<u64>) -> f64 {
        let (_, outputs) = self.forward(x, step);
        let mut total = self.loss(&outputs, y).0;
        for (l, layer) in self.graph.layers.iter().enumerate() {
            for neuron in &self.weights[l] {
                for w in &neuron[..layer.fan_in] {
                    total += f64::from(layer.kernel_regularizer.l1) * w.abs();
                    total += f64::from(layer.kernel_regularizer.l2) * w * w;
                }
            }
        }
        total
    }

    /// dObjective/dw for every weight and bias.
    pub fn gradient(
        &self,
        x: &[Vec<f64>],
        y: &[Vec<f64>],
        step: Option<u64>,
    ) -> Vec<Vec<Vec<f64>>> {
        let (traces, outputs) = self.forward(x, step);
        let (_, mut errors) = self.loss(&outputs, y);
        let mut gradients = self.weights.clone();
        for l in (0..self.graph.layers.len()).rev() {
            let layer = &self.graph.layers[l];
            let trace = &traces[l];
            let rows = errors[0].len();
            let (positions, outputs) = (layer.positions(), layer.outputs());
            let mut below = vec![vec![0.0; rows]; layer.inputs()];
            for n in 0..layer.units {
                let regularizer = layer.kernel_regularizer;
                let w = &self.weights[l][n];
                let g = &mut gradients[l][n];
                for i in 0..layer.fan_in {
                    let sign = if w[i] == 0.0 { 0.0 } else { w[i].signum() };
                    g[i] =
                        f64::from(regularizer.l1) * sign + 2.0 * f64::from(regularizer.l2) * w[i];
                }
                g[layer.fan_in] = 0.0;
                for r in 0..rows {
                    let activations = Self::activations(layer, &trace.z, n, r);
                    let mut delta = vec![0.0; positions];
                    for (o, shares) in shares(layer, &activations).iter().enumerate() {
                        let place = n * outputs + o;
                        for &(p, share) in shares {
                            delta[p] += errors[place][r] * trace.mask[place][r] * share;
                        }
                    }
                    for p in 0..positions {
                        delta[p] *= slope(layer.activation, trace.z[n * positions + p][r]);
                        for (i, feature) in links(layer, p) {
                            g[i] += delta[p] * trace.x[feature][r];
                            below[feature][r] += delta[p] * w[i];
                        }
                        if layer.use_bias {
                            g[layer.fan_in] += delta[p];
                        }
                    }
                }
            }
            errors = below;
        }
        gradients
    }

    /// One optimizer step.
    pub fn step(&mut self, x: &[Vec<f64>], y: &[Vec<f64>], step: u64, lr: f32) {
        let gradients = self.gradient(x, y, Some(step));
        let lr = f64::from(lr);
        for l in 0..self.weights.len() {
            for n in 0..self.weights[l].len() {
                for i in 0..self.weights[l][n].len() {
                    let g = gradients[l][n][i];
                    let (w, m, s) = (
                        &mut self.weights[l][n][i],
                        &mut self.first[l][n][i],
                        &mut self.second[l][n][i],
                    );
                    match self.graph.training.optimizer {
                        Optimizer::Sgd {
                            momentum, nesterov, ..
                        } => {
                            let momentum = f64::from(momentum);
                            *m = momentum * *m - lr * g;
                            *w += if nesterov { momentum * *m - lr * g } else { *m };
                        }
                        Optimizer::Adagrad { epsilon, .. } => {
                            *m += g * g;
                            *w -= lr * g / (*m + f64::from(epsilon)).sqrt();
                        }
                        Optimizer::Rmsprop { rho, epsilon, .. } => {
                            *m = f64::from(rho) * *m + (1.0 - f64::from(rho)) * g * g;
                            *w -= lr * g / (*m + f64::from(epsilon)).sqrt();
                        }
                        Optimizer::Adam {
                            beta_1,
                            beta_2,
                            epsilon,
                            ..
                        } => {
                            let (b1, b2) = (f64::from(beta_1), f64::from(beta_2));
                            *m = b1 * *m + (1.0 - b1) * g;
                            *s = b2 * *s + (1.0 - b2) * g * g;
                            let m = *m / (1.0 - b1.powi(step as i32));
                            let s = *s / (1.0 - b2.powi(step as i32));
                            // Keras puts epsilon outside of the correction of the second moment.
                            let e = f64::from(epsilon) / (1.0 - b2.powi(step as i32)).sqrt();
                            *w -= lr * m / (s.sqrt() + e);
                        }
                    }
                }
            }
        }
    }

    /// Trains as the file says, without schedule and early stopping.
    pub fn train(case: &Case) -> Self {
        let mut plain = Self::new(&case.graph);
        let training = &case.graph.training;
        let rows = case.batches.rows(Part::Train);
        let mut step = 0;
        for epoch in 1..=training.epochs {
            for index in 0..rows.div_ceil(training.batch_size) {
                step += 1;
                let batch = BatchRef {
                    part: Part::Train,
                    epoch,
                    index: index as u32,
                    rows: training.batch_size.min(rows - index * training.batch_size) as u32,
                };
                let (x, y) = Self::batch(case, batch);
                plain.step(&x, &y, step, training.optimizer.learning_rate());
            }
        }
        plain
    }
}
