//! Functions of a program that was built without AWS: each of them refuses, and says how to get one with it.

use std::path::Path;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::Graph;

use super::cost::EcsCost;
use super::stack::Stack;
use super::{Deployment, EcsOptions, Error};
use crate::deploy::{self, Target};
use crate::monitor::Monitor;
use crate::run_dir::RunDir;

/// Refuses to open a run on ECS, or to bring one up there.
///
/// # Errors
/// Always [`Error::NotBuilt`].
pub async fn open(_: RunDir, _: EcsOptions) -> Result<Box<dyn Target>, deploy::Error> {
    Err(Error::NotBuilt.into())
}

/// Refuses to read a stack.
///
/// # Errors
/// Always [`Error::NotBuilt`].
pub async fn read_stack(_: &str) -> Result<Stack, Error> {
    Err(Error::NotBuilt)
}

/// Refuses to write a run's requests, which the SDK makes.
///
/// # Errors
/// Always [`Error::NotBuilt`].
pub async fn write_bundle(
    _: &Deployment,
    _: &Graph,
    _: &Dataset,
    _: &Path,
    _: &Monitor,
) -> Result<(EcsCost, usize), deploy::Error> {
    Err(Error::NotBuilt.into())
}
