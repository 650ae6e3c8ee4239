//! Plans: what a topology file expands to on a target, what that costs there, and what `up` or `train` would
//! change. Changes nothing.

use cuttlefish_core::topology::Plan;

use super::prepare::{existing, exists, read_workload, usual_grouping};
use super::topology_file::{Overrides, TopologyFile, TopologySource};
use super::{Error, Run};
use crate::config::Config;
use crate::deploy::docker::DockerOptions;
use crate::deploy::estimate::{Estimate, estimate};
use crate::deploy::{self, Deployment, Options, TargetKind, Workload};
use crate::run_dir::RunDir;

/// A topology file as it would be on a target.
pub struct TargetPlan {
    /// Units, queues, messages, memory.
    pub plan: Plan,
    /// Cost on the target.
    pub estimate: Estimate,
    /// Changes that the target would see, a sentence each; None where no run of that name is there.
    pub differences: Option<Vec<String>>,
    /// Reason why these are unknown; None where they are known, or there is no such run.
    pub unknown: Option<String>,
    /// Reason why a run of that name is in the way; None where none is.
    pub obstacle: Option<String>,
}

impl TargetPlan {
    /// True if bringing the run up and training it would change something.
    pub fn would_change(&self) -> bool {
        self.differences.as_ref().is_none_or(|d| !d.is_empty())
    }
}

/// Plans a topology. `options` are used where the target is Docker.
///
/// # Errors
/// Lists what is wrong with the file or its data.
pub async fn plan(
    topology: TopologySource<'_>,
    overrides: &Overrides,
    target: TargetKind,
    options: impl FnOnce(bool) -> Result<DockerOptions, Error>,
    config: &Config,
) -> Result<TargetPlan, Error> {
    let file = TopologyFile::read(topology, overrides)?;
    let dir = RunDir::new(&config.runs_dir, &file.document.spec().name)?;
    let grouping = overrides.grouping(usual_grouping(target));
    let (base_dir, data_dir) = (file.base_dir(), config.data_dir.clone());
    let workload = read_workload(&file, grouping, base_dir, data_dir, config)?;
    let before = match Deployment::read(&dir)? {
        Some(Deployment::Docker(before)) => Some(before),
        _ => None,
    };
    let before = before.as_deref();
    let options = options(before.is_some())?;
    let estimated = estimate(target, &workload, &options, before).await;
    let (plan, estimate) = estimated.map_err(|error| match error {
        deploy::Error::Unusable(problem) => Error::Unfit(problem),
        error => error.into(),
    })?;
    let (mut changes, mut unknown, mut obstacle) = (None, None, None);
    match existing(&dir).await? {
        None => {}
        Some(current) if current != target => {
            obstacle = Some(exists(&dir, current, target).to_string());
        }
        Some(_) => match differences(dir, options, &workload).await {
            Ok(differences) => changes = Some(differences),
            Err(problem) => unknown = Some(problem.to_string()),
        },
    }
    Ok(TargetPlan {
        plan,
        estimate,
        differences: changes,
        unknown,
        obstacle,
    })
}

/// Changes that the run's target would see.
async fn differences(
    dir: RunDir,
    options: DockerOptions,
    workload: &Workload,
) -> Result<Vec<String>, Error> {
    let run = Run::open_dir(dir.clone()).await?;
    if run.kind() != TargetKind::Docker {
        return Ok(run.target.differences(workload).await?);
    }
    let target = deploy::create(dir, Options::Docker(Box::new(options))).await?;
    Ok(target.differences(workload).await?)
}
