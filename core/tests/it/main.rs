//! Tests of the core as a whole: the simulator, and an independent implementation to compare with.

mod augmentation;
mod batches;
mod formulas;
mod kernels;
mod reference;
mod simulator;
mod split;
mod support;
mod target_scaling;
mod view;
