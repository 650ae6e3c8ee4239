//! Training in plain loops and f64, written from the formulas and sharing no arithmetic with the
//! library: only the order of rows, the dropout masks and the initial weights are taken from it.

use cuttlefish_core::data::{BatchRef, BatchSource, Labels, Part, Values};
use cuttlefish_core::math::{Activation, Loss, Optimizer, dropout};
use cuttlefish_core::topology::{Graph, Head, Layer};

use super::geometry::{links, shares};
use super::normal::{Normal, at};
use crate::support::Case;

pub struct Plain {
    pub graph: Graph,
    /// `weights[layer][neuron]`: the weights, the bias, and behind them what a normalization knows.
    pub weights: Vec<Vec<Vec<f64>>>,
    first: Vec<Vec<Vec<f64>>>,
    second: Vec<Vec<Vec<f64>>>,
}

/// Values of a batch in each layer.
struct Trace {
    /// Inputs of the layer, `[feature][row]`.
    x: Vec<Vec<f64>>,
    /// Sums, `[neuron and position][row]`.
    z: Vec<Vec<f64>>,
    /// Values before pooling, `[neuron and position][row]`.
    map: Vec<Vec<f64>>,
    /// Normalization of each neuron.
    normal: Vec<Option<Normal>>,
    /// Dropout factors, `[neuron and output][row]`.
    mask: Vec<Vec<f64>>,
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

pub fn slope(activation: Activation, z: f64) -> f64 {
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
            let normalized = match layer.normalization {
                Some(_) => vec![1.0, 0.0, 0.0, 1.0],
                None => vec![],
            };
            let neuron = |n| -> Vec<f64> {
                let weights = draw(n).into_iter().map(f64::from).chain([0.0]);
                weights.chain(normalized.clone()).collect()
            };
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
            let (mut map, mut normal) = (Vec::new(), Vec::new());
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
                let mut neuron_normal = None;
                let mut normalize = |values: &mut Vec<Vec<f64>>, after_pool: bool| {
                    if let Some(how) = at(layer, after_pool) {
                        let row = &self.weights[l][n];
                        let of = Normal::new(layer, how, row, values, step.is_some());
                        *values = of.outputs(how);
                        neuron_normal = Some(of);
                    }
                };
                let sums = &z[n * positions..(n + 1) * positions];
                let row = |z: &Vec<f64>| z.iter().map(|&z| activate(layer.activation, z)).collect();
                let mut of_neuron: Vec<Vec<f64>> = sums.iter().map(row).collect();
                normalize(&mut of_neuron, false);
                let mut pooled = vec![vec![0.0; rows]; outputs];
                for r in 0..rows {
                    let values: Vec<f64> = of_neuron.iter().map(|place| place[r]).collect();
                    for (o, shares) in shares(layer, &values).iter().enumerate() {
                        for &(p, share) in shares {
                            pooled[o][r] += values[p] * share;
                        }
                    }
                }
                normalize(&mut pooled, true);
                for o in 0..outputs {
                    for r in 0..rows {
                        let place = n * outputs + o;
                        a[place][r] = pooled[o][r] * mask[place][r];
                    }
                }
                map.extend(of_neuron);
                normal.push(neuron_normal);
            }
            traces.push(Trace {
                x,
                z,
                map,
                normal,
                mask,
            });
            x = a;
        }
        (traces, x)
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
                let mut gains = [0.0, 0.0];
                let mut denormalize = |errors: &mut Vec<Vec<f64>>, after_pool: bool| {
                    if let (Some(how), Some(normal)) = (at(layer, after_pool), &trace.normal[n]) {
                        gains = normal.backward(how, w[layer.fan_in + 1], errors);
                    }
                };
                let mut pooled = errors[n * outputs..(n + 1) * outputs].to_vec();
                for o in 0..outputs {
                    for r in 0..rows {
                        pooled[o][r] *= trace.mask[n * outputs + o][r];
                    }
                }
                denormalize(&mut pooled, true);
                let mut delta = vec![vec![0.0; rows]; positions];
                for r in 0..rows {
                    let map = &trace.map[n * positions..(n + 1) * positions];
                    let map: Vec<f64> = map.iter().map(|place| place[r]).collect();
                    for (o, shares) in shares(layer, &map).iter().enumerate() {
                        for &(p, share) in shares {
                            delta[p][r] += pooled[o][r] * share;
                        }
                    }
                }
                denormalize(&mut delta, false);
                for p in 0..positions {
                    for r in 0..rows {
                        delta[p][r] *= slope(layer.activation, trace.z[n * positions + p][r]);
                        for (i, feature) in links(layer, p) {
                            g[i] += delta[p][r] * trace.x[feature][r];
                            below[feature][r] += delta[p][r] * w[i];
                        }
                        if layer.use_bias {
                            g[layer.fan_in] += delta[p][r];
                        }
                    }
                }
                if layer.normalization.is_some() {
                    g[layer.fan_in + 1..].copy_from_slice(&[gains[0], gains[1], 0.0, 0.0]);
                }
            }
            errors = below;
        }
        gradients
    }

    /// One optimizer step.
    pub fn step(&mut self, x: &[Vec<f64>], y: &[Vec<f64>], step: u64, lr: f32) {
        let gradients = self.gradient(x, y, Some(step));
        let (traces, _) = self.forward(x, Some(step));
        let lr = f64::from(lr);
        for l in 0..self.weights.len() {
            for n in 0..self.weights[l].len() {
                let layer = &self.graph.layers[l];
                for i in 0..layer.optimized_numbers() {
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
                if let (Some(how), Some(normal)) = (&layer.normalization, &traces[l].normal[n]) {
                    let momentum = f64::from(how.momentum);
                    let moving = &mut self.weights[l][n][layer.fan_in + 3..];
                    for (moving, now) in moving.iter_mut().zip(normal.batch) {
                        *moving = momentum * *moving + (1.0 - momentum) * now;
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
